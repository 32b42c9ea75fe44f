"""The app: routes found, errors told, the service started and stopped with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.testclient import TestClient

from tidings.errors import MissingExtra
from tidings.server import config as config_module
from tidings.server import create_app, set_config
from tidings.server.config import APIServerConfig
from tidings.server.routes import BARE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.server.conftest import Server

PROBLEM = "application/problem+json"


def test_the_configuration_is_read_when_the_app_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`set_config` after the app was made still counts, as the peer's users do it."""
    monkeypatch.setattr(config_module, "_config", None)
    app = create_app()
    set_config(APIServerConfig(data_dir=str(tmp_path), title="Mine", url=None))
    with TestClient(app, base_url="http://localhost") as client:
        assert client.get("/").json()["name"] == "Mine"
        assert client.post("/events/", json={"type": "x"}).status_code == 201
    assert (tmp_path / "tidings.db").exists()


def test_a_test_client_needs_no_lifespan(tmp_path: Path) -> None:
    """As with the peer, a test client may be used without `with`."""
    app = create_app(APIServerConfig(data_dir=str(tmp_path)))
    client = TestClient(app, base_url="http://localhost")
    emitted = client.post("/events/emit/agent", json={"name": "agent.started"})
    assert emitted.json()["success"] is True
    assert client.get("/events/").json()["total"] == 1
    client.portal = None


def test_an_app_starts_again(tmp_path: Path) -> None:
    """After its end the same app serves the same store anew."""
    app = create_app(APIServerConfig(data_dir=str(tmp_path)))
    for total in (1, 2):
        with TestClient(app, base_url="http://localhost") as client:
            client.post("/events/", json={"type": "x"})
            assert client.get("/events/").json()["total"] == total


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/nothing", 404, None),
        ("PUT", "/events/", 405, "GET, POST"),
        ("DELETE", "/events/stream", 405, "GET"),
        ("POST", "/health/", 405, "GET"),
        ("GET", "/events/emit/agent", 405, "POST"),
    ],
)
def test_what_is_not_there_is_a_problem(
    client: httpx.Client, method: str, path: str, status: int, allow: str | None
) -> None:
    """404 and 405 are told like every other error, and 405 says what is allowed."""
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM)
    assert answer.json()["status"] == status
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert answer.headers.get("allow") == allow


@pytest.mark.parametrize("path", ["/events", "/health"])
def test_a_path_without_its_slash_is_answered(client: httpx.Client, path: str) -> None:
    """Nobody is redirected."""
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("prefix", ["", "/tidings"])
def test_it_works_under_a_prefix(server: Callable[..., Server], prefix: str) -> None:
    """A proxy may show it under a path, and may take that away or not."""
    served = server("--root-path", "/tidings")
    with served.client() as asking:
        emitted = asking.post(f"{prefix}/events/", json={"type": "x", "id": "e1"})
        assert emitted.status_code == 201
        assert asking.get(f"{prefix}/events/?limit=1").json()["total"] == 1
        assert asking.put(f"{prefix}/events/").headers["allow"] == "GET, POST"


@pytest.mark.parametrize("path", ["/", "/health/live", "/events/", "/events/types", "/ui/"])
def test_head_is_get_without_the_body(client: httpx.Client, path: str) -> None:
    """Monitors and `curl -I` learn what GET would answer."""
    asked, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (asked.status_code, b"")
    assert head.headers["content-type"] == asked.headers["content-type"]
    assert client.head("/nothing").status_code == 404
    assert client.head("/events/emit/agent").status_code == 405


def test_an_error_of_ours_is_told_without_its_cause(tmp_path: Path) -> None:
    """A 500 names the request, and neither path nor trace; the log has them."""
    app = create_app(APIServerConfig(data_dir=str(tmp_path)))

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError(f"at {tmp_path}")

    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        answer = client.get("/broken")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json()["type"] == "urn:tidings:problem:internal-error"
    assert str(tmp_path) not in answer.text


def test_every_bare_route_is_described(tmp_path: Path) -> None:
    """What FastAPI does not know of stands in the OpenAPI document all the same."""
    app = create_app(APIServerConfig(data_dir=str(tmp_path)))
    described = app.openapi()
    for route in BARE:
        if route.operation:
            assert route.method.lower() in described["paths"][route.path]
    references = {
        reference.removeprefix("#/components/schemas/") for reference in _references(described)
    }
    assert references <= described["components"]["schemas"].keys()


def _references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(_references, value.values()))
    if isinstance(value, list):
        return set().union(*map(_references, value))
    return set()


def test_without_the_extra_the_line_that_installs_it_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who asks for the app without the extra learns how to get it."""
    import sys

    import tidings.server

    monkeypatch.setitem(sys.modules, "fastapi", None)
    monkeypatch.delattr(tidings.server, "app", raising=False)
    monkeypatch.delattr(tidings.server, "create_app", raising=False)
    with pytest.raises(MissingExtra, match=r"tidings\[server\]"):
        _ = tidings.server.app


def test_the_document_is_json(client: httpx.Client) -> None:
    """`/openapi.json` is served and names the version of OpenAPI."""
    assert json.loads(client.get("/openapi.json").text)["openapi"].startswith("3.")
