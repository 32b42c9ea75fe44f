"""`tidings ingest claude-code`: events from hooks, and not a word to the agent."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest

from tests.integrations.claude_code.conftest import Hooks
from tests.integrations.claude_code.recorded import PATH, SECRETS, SESSION, TEXTS, TREE, told
from tests.packaging.test_light_imports import HEAVY, loaded_by
from tidings.cli import main
from tidings.store.query import Query
from tidings.testing.elsewhere import PATIENCE
from tidings.workflows import workflow_tree

STOP = {"hook_event_name": "Stop", "session_id": "s", "prompt_id": "p", "cwd": "/home/ada/fig"}


def kept(hooks: Hooks, **filters: Any) -> list[str]:
    """The types of what is in the store."""
    with hooks.bus as bus:
        return [event.type for event in bus.read(**filters)]


def test_a_recorded_session_becomes_a_tree(hooks: Hooks) -> None:
    """The first hooks come one by one, the rest at once; the same again changes nothing."""
    hooks.environment["CLAUDE_PROJECT_DIR"] = "/home/ann/figrecipe"
    lines = PATH.read_bytes().splitlines(keepends=True)
    for line in lines[:4]:
        hooks.tell(line)
    for _ in range(2):
        hooks.tell(b"".join(lines))
    with hooks.bus as bus:
        tree = workflow_tree(bus.store, SESSION)
        assert tree is not None
        nodes = [(each.id, each.parent_id, each.name, each.state) for each in tree.nodes]
        assert sorted(nodes, key=str) == sorted(TREE, key=str)
        events = list(bus.read())
    assert len({event.id for event in events}) == len(events)
    assert {event.type: 0 for event in events}.keys() >= {"agent.spawned", "task.completed"}
    text = "".join(str(event.to_dict()) for event in events)
    assert not [words for words in (*SECRETS, *TEXTS) if words in text]
    assert {event.project for event in events} == {"figrecipe"}
    assert all(event.to_dict()["context"]["pid"] for event in events)
    assert hooks.log == ""


@pytest.mark.parametrize(
    "options",
    [
        ("--content", "all", "--project", "thesis"),
        ("--content=prompts", "--redact", "slow|plots"),
    ],
)
def test_options_say_what_is_kept(hooks: Hooks, options: tuple[str, ...]) -> None:
    """Of texts, and for which project."""
    hooks.tell(told()[1], *options)
    with hooks.bus as bus:
        asked, _ = bus.read()
    assert asked.payload["prompt"].startswith("Find out why the ")
    assert ("[redacted]s" in asked.payload["prompt"]) is False
    is_redacted = "the [redacted] of figrecipe are [redacted]." in asked.payload["prompt"]
    assert is_redacted is ("--redact" in options)
    assert asked.project == ("thesis" if "thesis" in options else "figrecipe")


@pytest.mark.parametrize(
    ("stdin", "options", "noted"),
    [
        (b"", (), ""),
        (b"\xff\xfe", (), "byte 0 is not UTF-8"),
        (b"my secret words", (), "must be JSON"),
        (b"[" * 100_000, (), "recursion"),
        (b'{"hook_event_name": "Stop"}', (), "session_id"),
        (b'["my secret words"]', (), "must be the JSON object"),
        (b'{"hook_event_name": "Stop", "session_id": "my secret\\nwords"}', (), "session_id must"),
        (b" " * (16 * 1024 * 1024 + 1), (), "more than 16,777,216 bytes"),
        (b"{}", ("--bogus",), "there is no option --bogus"),
        (b"{}", ("--redact", "("), "no regular expression"),
        (b"{}", ("--url", "nonsense"), "nonsense"),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_noted(
    hooks: Hooks, stdin: bytes, options: tuple[str, ...], noted: str
) -> None:
    """In a log, without any of what was told; the agent is told nothing."""
    hooks.tell(stdin, *options)
    assert noted in hooks.log
    assert (hooks.log == "") is (noted == "")
    assert "secret" not in hooks.log


def test_one_bad_hook_of_many_is_passed_over(hooks: Hooks) -> None:
    """The others are kept."""
    hooks.tell([STOP, {"session_id": "s"}, {**STOP, "prompt_id": "q"}])
    assert kept(hooks) == ["agent.completed"] * 2
    assert "hook_event_name must name a hook" in hooks.log


def test_bad_settings_are_noted(hooks: Hooks) -> None:
    """Nothing is kept of which it is not clear how much of it may be."""
    hooks.tell(STOP, TIDINGS_AGENT_CONTENT="everything")
    hooks.tell(STOP, TIDINGS_DEADLINE="soon")
    assert "TIDINGS_AGENT_CONTENT" in hooks.log
    assert "TIDINGS_DEADLINE" in hooks.log
    assert kept(hooks) == []


def test_a_bug_is_noted_and_no_more(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """With where it is, and without what it was about."""

    def broken(*_: object) -> None:
        raise KeyError("secret words")

    monkeypatch.setenv("TIDINGS_HOME", str(tmp_path))
    monkeypatch.setattr("tidings.integrations.claude_code.taking.take", broken)
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(json.dumps(STOP).encode())))
    assert main(["ingest", "claude-code"]) == 0
    assert capfd.readouterr() == ("", "")
    noted = (tmp_path / "hooks.log").read_text()
    assert "KeyError in " in noted
    assert "secret" not in noted


def test_closed_streams_are_no_trouble(hooks: Hooks) -> None:
    """Neither a closed standard input, nor closed outputs, nor no home at all."""
    command = f"{sys.executable} -m tidings ingest claude-code"
    for streams, variables in (
        ("<&-", hooks.environment),
        ("<&- >&- 2>&-", hooks.environment),
        ("</dev/null", {**hooks.environment, "TIDINGS_HOME": "/dev/null/nowhere", "HOME": ""}),
    ):
        done = subprocess.run(
            ["sh", "-c", f"{command} {streams}"],
            capture_output=True,
            env=variables,
            timeout=PATIENCE,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert "the standard input is closed" in hooks.log


def test_a_store_that_is_away_spools(hooks: Hooks) -> None:
    """Also the start of a call, which asks for a version; told again later, it is known."""
    call = told()[2]
    for hook in told()[:3]:
        hooks.tell(hook, "--url", "http://127.0.0.1:9/", TIDINGS_DEADLINE="")
    assert hooks.run("collect").returncode == 0
    types = ["workflow.started", "workflow.prompted", "agent.started", "tool.started"]
    hooks.tell(call)
    assert kept(hooks) == types
    with hooks.bus as bus:
        assert bus.store.summaries("tool", Query())[0].state == "running"


def test_nowhere_to_keep_it_is_noted(hooks: Hooks) -> None:
    """A full disk does not reach the agent either."""

    def no_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    done = subprocess.run(
        [sys.executable, "-m", "tidings", "ingest", "claude-code"],
        input=b'{"hook_event_name": "Stop", "session_id": "s"}',
        capture_output=True,
        env={**hooks.environment, "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=no_files,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert hooks.log == ""


def test_a_hook_loads_few_modules() -> None:
    """It is on the fast path: none of what costs a shell emit a millisecond or more."""
    body = "import tidings.cli\nassert not tidings.cli.main(sys.argv[1:])"
    loaded = loaded_by(body, "ingest", "claude-code", "--url", "memory:")
    assert loaded & HEAVY == set()
    assert {name.partition(".")[0] for name in loaded} <= {"tidings", *sys.stdlib_module_names}


def test_help_is_help(hooks: Hooks) -> None:
    """A person who asks is answered."""
    for words in (("ingest", "--help"), ("ingest", "claude-code", "--help")):
        assert b"--content WHAT" in hooks.run(*words).stdout
    assert hooks.run("ingest", "codex").returncode == os.EX_OK + 2
