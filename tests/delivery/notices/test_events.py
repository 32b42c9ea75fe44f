"""Events that are told by themselves: which, in which words, and not too many."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from tests.delivery.notices.telling import Desk, Receiver, task
from tidings.delivery.notices import Notices, duties
from tidings.delivery.notices.notice import FAILED, SENT
from tidings.errors import InvalidSetting
from tidings.event import Event
from tidings.store.base import Store
from tidings.store.query import Filter

MINUTE = 60.0


def test_an_event_is_told_with_what_it_says(store: Store, receiver: Receiver) -> None:
    """Type, outcome and project in the title; payload, output, host and time in the text."""
    with Desk(store, receiver.url) as desk:
        store.append([
            Event("build_result", "paper", "failure",
                  {"doc_type": "pdf", "errors": 2, "log_tail": "! Undefined\nl.17"},
                  id="b1", context={"host": "n12"}, timestamp="2026-01-01T12:00:00Z")
        ])  # fmt: skip
        assert desk.turn() is None
    output = "doc_type: pdf\nerrors: 2\n    ! Undefined\n    l.17"
    text = f"{output}\n\non n12, at 2026-01-01T12:00:00Z\n\nMore: tidings history --id b1"
    assert receiver.got == [
        (
            "failure",
            "build_result: failure (paper)",
            text,
        )
    ]


def test_only_what_was_asked_for_from_now_on(store: Store, receiver: Receiver) -> None:
    """Every filter counts, and what was kept before the notice is not told."""
    filters: dict[str, Any] = {
        "types": ["job.*"],
        "project": ["a"],
        "payload": {"exit_code": 3},
        "contains": "Memory",
        "exclude": Filter(source=["ci"]),
    }
    wanted: dict[str, Any] = {"project": "a", "payload": {"exit_code": 3, "why": "memory"}}
    store.append([Event("job.old", **wanted)])
    with Desk(store, receiver.url, filters) as desk:
        store.append(
            [
                Event("job.done", **wanted),
                Event("other", **wanted),
                Event("job.b", **{**wanted, "project": "b"}),
                Event("job.code", **{**wanted, "payload": {"exit_code": 4, "why": "memory"}}),
                Event("job.text", **{**wanted, "payload": {"exit_code": 3}}),
                Event("job.ci", source="ci", **wanted),
            ]
        )
        desk.turn()
    assert receiver.titles == ["job.done: success (a)"]


def missed() -> Event:
    """What a watch tells."""
    return Event(
        "tidings.watch.missed",
        status="failure",
        source="tidings",
        aggregate_type="watch",
        aggregate_id="nightly",
    )


def test_own_events_are_told_only_by_name(store: Store, receiver: Receiver) -> None:
    """A missed watch is told to whoever asked for it, and that a notice was sent to nobody."""
    with Desk(store, receiver.url, name="all"), Desk(store, receiver.url) as everything:
        store.append([missed()])
        everything.turn()
        assert receiver.got == []
    with Desk(store, receiver.url, {"types": ["tidings.*"]}, name="own") as own:
        store.append([Event(FAILED, aggregate_type="notice", aggregate_id=name) for name in "ab"])
        store.append([Event(SENT), Event(FAILED, aggregate_type="notice", aggregate_id="own")])
        store.append([missed()])
        for seconds in range(5):  # what it sends makes events, which must not make it send
            own.turn(seconds)
    assert receiver.titles == [
        f"{FAILED}: success (notice/a)",
        f"{FAILED}: success (notice/b)",
        "tidings.watch.missed: failure (watch/nightly)",
    ]


def test_a_burst_is_told_together(store: Store, receiver: Receiver) -> None:
    """Of five hundred events twenty are told at once, and the others in one message."""
    with Desk(store, receiver.url) as desk:
        store.append(
            [
                Event("step", payload={"n": n}, status="failure" if n == 70 else "success")
                for n in range(500)
            ]
        )
        due = desk.turn(0)
        assert (len(receiver.got), due) == (20, MINUTE)
        desk.turn(MINUTE)
        store.append([Event("step")])
        desk.turn(MINUTE + 1)
        events = [event.payload["events"] for event in desk.kept(SENT)]
    assert events == [1] * 20 + [480, 1]
    _, title, text = receiver.got[20]
    assert title == "480 events: 479 ok, 1 failed"
    assert "step: 479 success" in text
    assert "step: 1 failure" in text
    assert "tidings history --after 20" in text
    assert receiver.titles[21] == "step: success"


def test_many_undertakings_at_once_are_told_together(store: Store, receiver: Receiver) -> None:
    """More arrays that end at once than may be told in a minute make one message."""
    with Desk(store, receiver.url) as desk:
        store.append(
            [
                task(0, "failure" if array == 29 else "success", tasks=1, array=array)
                for array in range(1, 31)
            ]
        )
        desk.turn()
    ((_, title, text),) = receiver.got
    assert title == "30 events: 29 ok, 1 failed"
    lines = text.split("\n")
    assert lines[0] == "job_done: 1 failed (figrecipe, slurm array 29)"
    assert "… and 10 more" in lines


class TestDigest:
    """At most one message in some time."""

    def test_it_counts_by_type_and_outcome(self, store: Store, receiver: Receiver) -> None:
        """Ten minutes after the first event all that came is told in one message, arrays too."""
        with Desk(store, receiver.url, every=10 * MINUTE) as desk:
            store.append([Event("job_done"), Event("job_done", status="failure"), Event("created")])
            assert desk.turn(0) == 10 * MINUTE
            store.append([task(0, tasks=2), task(1, "failure", tasks=2)])
            store.append([Event("note", status="")])
            desk.turn(5 * MINUTE)
            assert receiver.got == []
            desk.turn(10 * MINUTE)
        ((kind, title, text),) = receiver.got
        assert (kind, title) == ("failure", "6 events: 3 ok, 2 failed")
        lines = text.split("\n")
        assert "job_done: 1 ok, 1 failed (figrecipe, slurm array 4711)" in lines
        assert {"job_done: 1 success", "job_done: 1 failure", "note: 1"} <= {*lines}
        assert "slurm array 4711, task 1: host n1, job_id 4713" in lines

    def test_never_two_in_its_time(self, store: Store, receiver: Receiver) -> None:
        """However events come, that time lies between two messages, and none is lost."""
        sent: list[int] = []
        with Desk(store, receiver.url, every=600) as desk:
            for minute in range(60):
                if minute % 7 < 3:
                    store.append([Event("step")])
                before = len(receiver.got)
                desk.turn(60 * minute)
                sent += [minute] * (len(receiver.got) - before)
            desk.turn(10_000)
            told = sum(event.payload["events"] for event in desk.kept(SENT))
        assert told == 27
        assert all(later - earlier >= 10 for earlier, later in pairwise(sent))

    def test_nothing_came(self, store: Store, receiver: Receiver) -> None:
        """Then nothing is sent."""
        with Desk(store, receiver.url, every=600) as desk:
            assert desk.turn(0) is None
            assert desk.turn(10_000) is None
        assert receiver.got == []


class TestChanges:
    """What people do to a notice while it is worked at."""

    def test_pause_and_resume(self, store: Store, receiver: Receiver) -> None:
        """What comes while it is paused is told when it goes on."""
        notices = Notices(store)
        with Desk(store, receiver.url, name="me") as desk:
            notices.pause("me")
            assert duties(store) == []
            desk.duty.rang()
            store.append([Event("job_done")])
            assert desk.turn() is None
            assert (receiver.got, desk.duty.position) == ([], store.head())
            notices.resume("me")
            desk.duty.rang()
            desk.turn()
        assert receiver.titles == ["job_done: success"]

    def test_another_filter_and_address(self, store: Store, receiver: Receiver) -> None:
        """They count from the next turn on; what was told stays told."""
        with Desk(store, "json://127.0.0.1:1", name="me") as desk:
            Notices(store).change("me", url=receiver.url, filters={"types": ["b"]})
            desk.duty.rang()
            store.append([Event("a"), Event("b")])
            desk.turn()
        assert receiver.titles == ["b: success"]

    def test_deleted(self, store: Store, receiver: Receiver) -> None:
        """Nobody is told any more, and nothing stays of it, nor of one of the same name later."""
        notices = Notices(store)
        with Desk(store, receiver.url, name="me") as desk:
            store.append([Event("a")])
            desk.turn()
            notices.delete("me")
            desk.duty.rang()
            store.append([Event("b")])
            assert desk.turn(1) is None
        assert [duty.key for duty in duties(store)] == []
        assert store.keys("notice") == []
        with Desk(store, receiver.url, name="me") as desk:
            store.append([Event("c")])
            desk.turn(2)
        assert receiver.titles == ["a: success", "c: success"]


def test_pruned_before_it_was_told(store: Store, receiver: Receiver) -> None:
    """A notice that was far behind goes on with what is left, and an event says what it missed."""
    with Desk(store, receiver.url) as desk:
        store.append([Event("first")])
        desk.turn()
        store.append([Event("gone"), Event("gone"), Event("left")])
        store.prune(store.head() - 1)
        desk.turn(1)
        (failed,) = desk.kept(FAILED)
    assert receiver.titles == ["first: success", "left: success"]
    assert "pruned" in failed.payload["error"]


@pytest.mark.parametrize(
    "event",
    [
        Event("x\u202etxt", payload={"a": "\x1b[31mred", "b": {"deep": [1, None]}}),
        Event("x", payload=["no object", 1]),
        Event("x", payload="text\n" * 100_000),
        Event("x" * 255, "p" * 255, payload={"k" * 10_000: "v" * 50_000}),
        Event("x", context={"slurm": "no object", "host": ["n1"]}, correlation_id="slurm:"),
        Event("x", status="failure", payload={"tail": {"no": "text"}, "host": None}),
    ],
)
def test_strange_events_are_told(store: Store, receiver: Receiver, event: Event) -> None:
    """Whatever an event holds, its message is of bounded size and without control characters."""
    with Desk(store, receiver.url, title="{summary} {payload} {payload.a}") as desk:
        store.append([event])
        desk.turn()
        desk.turn(MINUTE)
    ((_, title, text),) = receiver.got
    assert 0 < len(title) <= 200
    assert 0 < len(text) <= 6_000
    assert not any(character < " " for character in title)
    assert not any(character < " " and character not in "\n\t" for character in text)


def test_names(store: Store) -> None:
    """They are made where none is given, and one that is taken is refused."""
    notices = Notices(store)
    made = [notices.add("json://127.0.0.1").name for _ in range(3)]
    assert made == ["json", "json-2", "json-3"]
    with pytest.raises(InvalidSetting, match="there is a notice 'json-2' already"):
        notices.add("json://127.0.0.1", name="json-2")
