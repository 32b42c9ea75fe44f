"""The server against its own OpenAPI document.

Schemathesis asks what the document allows and what it forbids, and holds every answer against it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.server.conftest import Server

CONFIG = Path(__file__).with_name("schemathesis.toml")
PATIENCE = 240
"""How long a part may take before the test fails instead of hanging (seconds)."""

PARTS = {
    "reading": ("GET", "^/events/?(?!.*stream)"),
    "stream": ("GET", "^/events/stream$"),
    "emitting": ("POST", "^/(events/|v1/traces$|ingest/)"),
    "server": ("(GET|POST|DELETE)", "^/($|health|metrics|session)"),
    "delivery": ("(GET|POST|PATCH|DELETE)", "^/(webhooks|subscriptions|dead-letters)"),
}
"""Methods and paths, as patterns. `/log` and `/ledger` are not in the document: they are between a
server and `RemoteStore`, whose contract suite asks them."""


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that delivers nothing: webhooks are made here that lead anywhere."""
    environment = {name: "" for name in os.environ if name.startswith("TIDINGS_")}
    started = Server(tmp_path_factory.mktemp("served"), ("--no-deliver",), environment)
    yield started
    started.kill()


@pytest.fixture(scope="module")
def kept(shared_server: Server) -> Iterator[str]:
    """The server's address; it has some events of each kind."""
    with shared_server.client() as client:
        for kind in ("agent", "workflow", "system"):
            for name in ("started", "completed"):
                body = {"name": f"{kind}.{name}", "aggregate_id": "0", "correlation_id": "0"}
                client.post(f"/events/emit/{kind}", json=body).raise_for_status()
        client.post("/events/", json={"type": "0", "payload": [1]}).raise_for_status()
        yield str(shared_server.url)


@pytest.mark.parametrize("part", PARTS)
def test_nothing_is_found(kept: str, part: str, tmp_path: Path) -> None:
    """No answer is an error of the server, or differs from what the document says."""
    method, path = PARTS[part]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli"),
            *("--config-file", str(CONFIG), "run", f"{kept}/openapi.json", "--no-color"),
            *("--include-method-regex", f"^{method}$", "--include-path-regex", path),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    assert re.search(r"Tested: [1-9]", done.stdout), done.stdout


def test_no_route_is_left_out(client: httpx.Client) -> None:
    """Every operation of the document belongs to one part."""
    for path, operations in client.get("/openapi.json").json()["paths"].items():
        for method in operations:
            parts = [
                part
                for part, (methods, paths) in PARTS.items()
                if re.fullmatch(methods, method.upper()) and re.search(paths, path)
            ]
            assert len(parts) == 1, (method, path, parts)
