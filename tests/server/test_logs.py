"""Whether logs can be read by programs, name requests, and keep secrets."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable

from tests.server.conftest import Server
from tidings.bus import Bus
from tidings.server.keys import KeyRing
from tidings.server.logs import JsonLines, TextLines


def test_json_lines_name_their_requests(server: Callable[..., Server]) -> None:
    """Every line is JSON; those about a request carry the id its client was given."""
    started = server("--log-format", "json", "--access-log")
    os.unlink(started.home / "events.db")
    with started.client() as client:
        kept = client.post("/events/", json={"type": "kept"})
        read = client.get("/health/live", params={"secret": "in-the-query"})
    assert kept.status_code == 503
    _, errors = started.stop()
    lines = [json.loads(line) for line in errors.splitlines()]
    for line in lines:
        assert {"time", "level", "logger", "message", "process"} <= set(line)
    about = {(line["request_id"], line["logger"]): line for line in lines if line.get("request_id")}
    asked = about[read.headers["x-request-id"], "uvicorn.access"]
    assert (asked["method"], asked["path"], asked["status"]) == ("GET", "/health/live", 200)
    failed = about[kept.headers["x-request-id"], "tidings.server"]
    assert failed["level"] == "warning"
    assert "events.db was moved, deleted or replaced" in failed["message"]


def test_secrets_are_not_logged(server: Callable[..., Server]) -> None:
    """No key and no query value stands in a log, however the request ends."""
    started = server("--access-log", "--log-level", "debug")
    with Bus(started.store_url) as bus:
        _, token = KeyRing(bus.store).create("ci", ["read", "emit"])
    started.restart()
    with started.client(headers={"authorization": f"Bearer {token}"}) as client:
        assert client.get("/events/", params={"contains": "in-the-query"}).status_code == 200
        for path in ("/events/", "/nowhere", "/metrics"):
            client.get(path, params={"contains": "in-the-query", "key": token})
        client.post("/events/", content=b"{", headers={"content-type": "application/json"})
        client.post("/session", headers={"authorization": f"Bearer {token}x"})
    _, errors = started.stop()
    assert "GET '/events/' 200" in errors
    assert token not in errors
    assert token.rpartition("_")[2] not in errors
    assert "in-the-query" not in errors


def record(message: str, **more: object) -> logging.LogRecord:
    """A record as a server logs it."""
    made = logging.LogRecord("tidings.server", logging.ERROR, "", 0, message, None, None)
    made.__dict__.update(more)
    return made


def test_a_line_cannot_be_forged() -> None:
    """What a client sent cannot begin a new line, nor reach a terminal as a control sequence."""
    forged = TextLines().format(record("GET \u2028 \x1b[31m", request_id="a-1"))
    assert forged.endswith("error tidings.server: GET \\u2028 \\x1b[31m [a-1]")
    line = JsonLines().format(record("GET\n{}", request_id="a-1"))
    assert "\n" not in line
    assert json.loads(line)["message"] == "GET\n{}"


def test_a_traceback_belongs_to_its_line() -> None:
    """A bug's traceback stands below the line, or within the JSON."""
    try:
        int("here")
    except ValueError as error:
        caught = (ValueError, error, error.__traceback__)
    text = TextLines().format(record("a bug", exc_info=caught, request_id="a-1"))
    first, _, rest = text.partition("\n")
    assert first.endswith("a bug [a-1]")
    assert rest.startswith("Traceback")
    said = json.loads(JsonLines().format(record("a bug", exc_info=caught)))
    assert said["traceback"].endswith("invalid literal for int() with base 10: 'here'")


def test_a_warning_is_a_line_of_the_log(server: Callable[..., Server]) -> None:
    """What Python warns of is JSON too, where the log is."""
    started = server("--log-format", "json")
    with started.client() as client:
        known = {"type": "checked", "schema": {"type": "object", "required": ["loss"]}}
        assert client.post("/events/types", json=known).status_code < 300
        assert client.post("/events/", json={"type": "checked"}).status_code == 201
    _, errors = started.stop()
    lines = [json.loads(line) for line in errors.splitlines()]
    assert any("loss" in str(line) for line in lines)
