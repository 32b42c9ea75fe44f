"""Seed 000, as its documentation has it: names, signatures, examples and side effects."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import scitex_events
import tidings
from scitex_events import Event, emit, get_type_info, history, latest, list_types

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

USAGE = """
>>> from scitex_events import emit, latest
>>> emit("test_complete", project="figrecipe", status="success",
...      payload={"exit_code": 0, "module": "stats"})
>>> latest("test_complete")
{"type": "test_complete", "project": "figrecipe", ...}
"""


def test_the_usage_as_it_is_printed() -> None:
    """Each line runs; the last gives what is shown."""
    *statements, question = re.findall(r"^>>> .*(?:\n\.\.\. .*)*", USAGE, re.MULTILINE)
    known: dict[str, Any] = {}
    for statement in statements:
        exec(re.sub(r"^(>>>|\.\.\.) ", "", statement, flags=re.MULTILINE), known)  # noqa: S102 - as printed
    found = eval(question.removeprefix(">>> "), known)  # noqa: S307 - as printed
    shown = USAGE.splitlines()[-1].removesuffix(", ...}")
    assert json.dumps(found).startswith(shown)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("emit", "(event_type, project, status='success', payload=None, source='local')"),
        ("latest", "(event_type=None)"),
        ("history", "(limit=20)"),
        ("list_types", "()"),
        ("get_type_info", "(event_type)"),
        ("Event.from_dict", "(data)"),
    ],
)
def test_signatures(name: str, parameters: str) -> None:
    """Names, order and defaults of the arguments are those that are documented."""
    found: Any = scitex_events
    for part in name.split("."):
        found = getattr(found, part)
    signature = inspect.signature(found)
    plain = [
        each.replace(annotation=inspect.Parameter.empty) for each in signature.parameters.values()
    ]
    bare = signature.replace(parameters=plain, return_annotation=inspect.Signature.empty)
    assert str(bare) == parameters


def test_the_event() -> None:
    """A mutable dataclass with exactly the six fields, in this order, with these defaults."""
    assert [field.name for field in dataclasses.fields(Event)] == [
        "type",
        "project",
        "status",
        "payload",
        "source",
        "timestamp",
    ]
    event = Event("job_done", "figrecipe")
    assert (event.status, event.payload, event.source) == ("success", {}, "local")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", event.timestamp)
    event.status, event.payload["job_id"] = "failure", 4711
    data = event.to_dict()
    assert data == {
        "type": "job_done",
        "project": "figrecipe",
        "status": "failure",
        "payload": {"job_id": 4711},
        "source": "local",
        "timestamp": event.timestamp,
    }
    data["payload"]["job_id"] = 1
    assert event.payload == {"job_id": 4711}
    assert Event("a", "b").payload is not Event("a", "b").payload


def test_an_event_from_a_dict() -> None:
    """What is missing has the defaults of scitex-events; only a type is needed."""
    event = Event.from_dict({"type": "job_done", "timestamp": "2026-01-01T12:00:00", "more": 1})
    assert event == Event("job_done", "", "unknown", {}, "local", "2026-01-01T12:00:00")
    with pytest.raises(KeyError, match="type"):
        Event.from_dict({"project": "figrecipe"})


def test_what_emit_does(events: Path, lines: Callable[[], list[dict[str, Any]]]) -> None:
    """It writes both state files, keeps the event in the store, and returns its own `Event`."""
    first = emit("job_done", "figrecipe", "failure", {"job_id": 4711}, "hpc")
    second = emit("build_result", "paper")
    assert isinstance(first, Event)
    assert first == Event(
        "job_done", "figrecipe", "failure", {"job_id": 4711}, "hpc", first.timestamp
    )
    assert second == Event("build_result", "paper", "success", {}, "local", second.timestamp)
    assert lines() == [first.to_dict(), second.to_dict()]
    newest = (events / "job_done_latest.json").read_text()
    assert newest == json.dumps(first.to_dict(), indent=2) + "\n"
    assert (events / "history.jsonl").read_text() == "".join(
        json.dumps(event.to_dict()) + "\n" for event in (first, second)
    )
    kept = tidings.history()
    assert [event["timestamp"] for event in kept] == [second.timestamp, first.timestamp]
    assert kept[1]["payload"] == {"job_id": 4711}


def test_what_is_read_has_the_six_fields() -> None:
    """`latest` and `history` give dicts of exactly the six fields, newest first."""
    assert latest() is None
    assert latest("job_done") is None
    assert history() == []
    emitted = [emit("job_done", "figrecipe", payload={"n": n}).to_dict() for n in range(25)]
    other = emit("stats_done", "paper").to_dict()
    assert latest() == latest("stats_done") == other
    assert latest("job_done") == emitted[-1]
    assert list(latest("job_done") or {}) == list(emitted[0])
    assert history() == [other, *emitted[:5:-1]]
    assert history(limit=2) == [other, emitted[-1]]
    assert history(0) == []
    assert len(history(99)) == 26


def test_the_source_is_local_unless_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also within a job, where Tidings' own verbs would say `hpc`."""
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    assert emit("job_done", "figrecipe").source == "local"
    assert (latest() or {})["source"] == "local"


def test_types() -> None:
    """The five known types, with description and payload keys; others once they are registered."""
    five = ["build_result", "job_done", "scholar_done", "stats_done", "test_complete"]
    assert list_types() == five
    info = get_type_info("test_complete")
    assert info.keys() == {"description", "payload_keys"}
    assert info["payload_keys"] == ["exit_code", "module", "log_tail"]
    assert get_type_info("nonsense") == {}
    tidings.register_type("mine", "It is mine", ["one"])
    assert list_types() == ["build_result", "job_done", "mine", *five[2:]]
    assert get_type_info("mine") == {"description": "It is mine", "payload_keys": ["one"]}


def test_the_version() -> None:
    """It is that of the release whose place it takes, as under the other names."""
    assert scitex_events.__version__ == "0.1.7"


def test_it_needs_nothing_else() -> None:
    """Emitting and reading load the standard library and Tidings only."""
    code = """\
import sys
from scitex_events import emit, latest
emit("job_done", "figrecipe")
assert latest("job_done")
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"fastapi", "httpx", "mcp", "nats", "psycopg", "pydantic", "starlette"}


def test_everything_is_exported() -> None:
    """A star import has all documented names."""
    known: dict[str, Any] = {}
    exec("from scitex_events import *", known)  # noqa: S102 - it is what is tested
    assert {"Event", "emit", "latest", "history", "list_types", "get_type_info"} <= known.keys()
    assert "__version__" in known
