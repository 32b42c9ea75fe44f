"""`tidings mcp`: a client starts it, speaks to it, and leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests.bus.loops import run
from tests.mcp_server.tool_calls import GENERATIONS
from tests.mcp_server.walking import walk
from tidings import Bus
from tidings.cli import main as cli
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = [sys.executable, "-m", "tidings", "mcp"]

HELLO = (
    {"jsonrpc": "2.0", "id": 1, "method": "initialize",
     "params": {"protocolVersion": "2025-06-18", "capabilities": {},
                "clientInfo": {"name": "test", "version": "1"}}},
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
)  # fmt: skip


def calling(number: int, tool: str, **arguments: object) -> dict[str, object]:
    """A request that calls a tool."""
    params = {"name": tool, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


def lines(*messages: object) -> bytes:
    """What a client writes."""
    return b"".join(json.dumps(each).encode() + b"\n" for each in messages)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, also for the processes of a test."""
    monkeypatch.setenv("TIDINGS_HOME", str(tmp_path))
    monkeypatch.delenv("TIDINGS_URL", raising=False)
    return tmp_path


@pytest.fixture
def process(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A running `tidings mcp`; what it says on standard error goes to a file."""
    with (home / "stderr.txt").open("wb") as said:
        started = subprocess.Popen(
            COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said
        )
    yield started
    started.kill()
    started.communicate(timeout=PATIENCE)


@pytest.mark.parametrize("mode", GENERATIONS)
def test_a_client_walks_every_tool_and_resource(home: Path, mode: str) -> None:
    """In both generations; events are kept with where they were made, and the spool is emptied."""
    with Bus(f"sqlite:///{home}/no/such/file.db") as away:
        (home / "no").write_text("a file where a directory should be")
        assert away.emit("spooled").position is None
    parameters = StdioServerParameters(
        command=COMMAND[0], args=COMMAND[1:], env=dict(os.environ), cwd=home
    )

    async def main() -> None:
        with (home / "stderr.txt").open("w") as said:
            async with Client(stdio_client(parameters, errlog=said), mode=mode) as client:
                await walk(client, mode)
                wanted = {"types": ["spooled"], "after": 0, "timeout_seconds": 50}
                found = await client.call_tool("wait_for_event", wanted)
                assert found.structured_content is not None
                assert found.structured_content["found"] is True

    run(main())
    with Bus() as bus:
        kept = bus.latest("walked")
        assert kept is not None
        assert (kept.payload, kept.context["user"]) == (
            {"by": mode},
            bus.event("x").context["user"],
        )
    assert (home / "stderr.txt").read_text() == ""


def test_what_was_asked_before_the_input_ended_is_answered(
    home: Path, process: subprocess.Popen[bytes]
) -> None:
    """So that a script can be piped in; the output holds answers and nothing else. Waits end."""
    wait = calling(3, "wait_for_event", types=["never"], timeout_seconds=250)
    asked = lines(*HELLO, calling(2, "emit", type="piped"), wait, {"no": "request"})
    answered, _ = process.communicate(asked + b"not JSON\n", timeout=PATIENCE)
    answers = {each.get("id"): each for each in map(json.loads, answered.splitlines())}
    assert answers[1]["result"]["serverInfo"]["name"] == "tidings"
    assert answers[2]["result"]["structuredContent"]["success"] is True
    assert answers[3]["result"]["structuredContent"]["found"] is False
    assert process.returncode == 0
    with Bus() as bus:
        assert bus.latest("piped") is not None
    assert "Traceback" not in (home / "stderr.txt").read_text()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)], ids=["SIGTERM", "SIGINT"]
)
def test_a_signal_ends_it_though_its_client_neither_writes_nor_reads(
    home: Path, process: subprocess.Popen[bytes], number: signal.Signals, code: int
) -> None:
    """Its input is open, its output full, and a tool waits: it ends in order all the same."""
    assert process.stdin is not None
    assert process.stdout is not None
    wait = calling(2, "wait_for_event", types=["never"], timeout_seconds=50)
    listed = [{"jsonrpc": "2.0", "id": n, "method": "tools/list"} for n in range(3, 30)]
    process.stdin.write(lines(*HELLO, wait, *listed))
    process.stdin.flush()
    process.stdout.readline()
    process.send_signal(number)
    assert process.wait(PATIENCE) == code
    assert "exception" not in (home / "stderr.txt").read_text().lower()


def test_a_url_that_names_no_store_ends_it_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    """With the exit code of wrong usage, before a client waits for anything."""
    assert cli(["mcp", "--url", "nonsense:x"]) == 2
    assert "names no backend" in capsys.readouterr().err
