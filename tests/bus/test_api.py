"""The module-level verbs: the signatures users know, over a bus that the environment chooses."""

from __future__ import annotations

import inspect
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

import tidings
from tidings import Event, EventKind, create_event, default_bus
from tidings.errors import InvalidEvent, InvalidSetting
from tidings.testing.elsewhere import PATIENCE, in_threads

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EMPTY = inspect.Parameter.empty

USED_AFTER_FORK = """
import os
from tidings import emit, follow, history, latest
emit("parent", "p")
child = os.fork()
if child == 0:
    try:
        before = [event["type"] for event in history()]
        position = emit("child", "p", payload={"saw": before}).position
        followed = [event.type for event in follow(timeout=0)]
        emit("done", "p", payload={"position": position, "followed": followed})
    finally:
        os._exit(0)
os.waitpid(child, 0)
emit("again", "p")
print([event["type"] for event in history()], latest("child")["payload"], latest("done")["payload"])
pids = {event["type"]: event["context"]["pid"] for event in history()}
assert pids["parent"] == pids["again"] == os.getpid() and pids["child"] == pids["done"] == child
"""


@pytest.mark.parametrize(
    ("verb", "parameters"),
    [
        (
            tidings.emit,
            {
                "event_type": EMPTY,
                "project": EMPTY,
                "status": "success",
                "payload": None,
                "source": None,  # what the context says, which is "local" on a laptop
            },
        ),
        (tidings.latest, {"event_type": None}),
        (tidings.history, {"limit": 20}),
        (tidings.list_types, {}),
        (tidings.get_type_info, {"event_type": EMPTY}),
    ],
)
def test_signatures(verb: Callable[..., Any], parameters: dict[str, Any]) -> None:
    """Names, order and defaults are those of scitex-events; more may be given by keyword only."""
    known = {
        name: parameter.default
        for name, parameter in inspect.signature(verb).parameters.items()
        if parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    }
    assert list(known.items()) == list(parameters.items())


class TestVerbs:
    """What each verb does, as documented."""

    def test_emit_gives_the_event(self) -> None:
        """As it was kept, with the six fields that users know."""
        event = tidings.emit(
            "test_complete",
            project="figrecipe",
            status="success",
            payload={"exit_code": 0, "module": "stats"},
        )
        assert isinstance(event, Event)
        assert event.position == 1
        said = tidings.latest("test_complete")
        assert said == event.to_dict()
        assert list(said)[:6] == ["type", "project", "status", "payload", "source", "timestamp"]
        assert (said["project"], said["source"]) == ("figrecipe", "local")

    def test_emit_takes_all_by_position(self) -> None:
        """And further fields by keyword."""
        event = tidings.emit("x", "p", "failure", {"a": 1}, "hpc", correlation_id="w")
        assert (event.status, event.payload, event.source) == ("failure", {"a": 1}, "hpc")
        assert event.correlation_id == "w"

    def test_emit_wants_an_object(self) -> None:
        """As `Bus.emit`."""
        with pytest.raises(InvalidEvent):
            tidings.emit("x", "p", payload=[1])  # type: ignore[arg-type]  # that is the test

    def test_latest_and_history_give_dicts(self) -> None:
        """The newest first; none and nothing where there is none."""
        assert tidings.latest() is None
        assert tidings.history() == []
        events = [tidings.emit(f"e{n}", "p") for n in range(25)]
        assert tidings.latest() == events[-1].to_dict()
        assert tidings.latest("nothing") is None
        assert tidings.history() == [event.to_dict() for event in events[:4:-1]]
        assert tidings.history(limit=2) == [events[-1].to_dict(), events[-2].to_dict()]

    def test_types(self) -> None:
        """Known ones are described, unknown ones are an empty dict."""
        assert tidings.get_type_info("fit") == {}
        tidings.register_type("fit", description="A model was fitted.")
        assert "fit" in tidings.list_types()
        assert tidings.get_type_info("fit")["description"] == "A model was fitted."
        assert tidings.get_type_info("test_complete")["description"]

    def test_publish_and_follow(self) -> None:
        """Envelopes go in, events come out."""
        tidings.publish(create_event(EventKind.CREATED, {"a": 1}), subject="agent/a", project="p")
        tidings.publish(Event("x"))
        assert [event.type for event in tidings.follow(timeout=0)] == ["created", "x"]
        assert [event.type for event in tidings.follow(after=1, limit=1)] == ["x"]


class TestDefaultBus:
    """The bus behind the verbs."""

    def test_is_one(self) -> None:
        """Also when many threads ask for it first."""
        assert len(set(in_threads(*[default_bus] * 8))) == 1

    def test_follows_the_settings(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Another store, spool or state directory is another bus; the same again is not."""
        first = default_bus()
        assert default_bus() is first
        monkeypatch.setenv("TIDINGS_URL", f"sqlite:///{tmp_path}/a.db")
        tidings.emit("a", "p")
        monkeypatch.setenv("TIDINGS_URL", f"sqlite:///{tmp_path}/b.db")
        assert tidings.latest() is None
        tidings.emit("b", "p")
        monkeypatch.setenv("TIDINGS_STATE_DIR", str(tmp_path / "state"))
        tidings.emit("c", "p")
        assert (tmp_path / "state" / "c_latest.json").exists()
        assert [event["type"] for event in tidings.history()] == ["c", "b"]
        monkeypatch.setenv("TIDINGS_URL", f"sqlite:///{tmp_path}/a.db")
        assert [event["type"] for event in tidings.history()] == ["a"]

    def test_a_setting_that_is_not_usable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Is told, and nothing is broken for later."""
        monkeypatch.setenv("TIDINGS_URL", "oracle://x")
        with pytest.raises(InvalidSetting, match="names no backend"):
            tidings.emit("x", "p")
        monkeypatch.delenv("TIDINGS_URL")
        assert tidings.emit("x", "p").position == 1

    def test_many_threads_emit(self) -> None:
        """Each event is kept once."""
        in_threads(*(partial(tidings.emit, "x", str(n)) for n in range(8)))
        assert sorted(event["project"] for event in tidings.history()) == list("01234567")

    def test_outlives_a_fork(self, own_home: Path) -> None:
        """Parent and child go on with the same store, and say where they are."""
        done = subprocess.run(
            [sys.executable, "-c", USED_AFTER_FORK],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
            cwd=own_home,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.strip() == (
            "['again', 'done', 'child', 'parent'] {'saw': ['parent']} "
            "{'position': 2, 'followed': ['parent', 'child']}"
        )


def test_every_public_name_is_there() -> None:
    """What `__all__` says can be had and is listed; anything else is an AttributeError."""
    for name in tidings.__all__:
        assert getattr(tidings, name) is not None
    assert set(tidings.__all__) <= set(dir(tidings))
    with pytest.raises(AttributeError, match="'nothing'"):
        getattr(tidings, "nothing")  # noqa: B009 - a checker would refuse the attribute
