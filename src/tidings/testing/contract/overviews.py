"""The contract of what is kept up beside the log: types, counts, summaries and histograms."""

from __future__ import annotations

from contextlib import suppress

import pytest

from tidings.errors import InvalidQuery
from tidings.event import Event
from tidings.store.base import CORRELATION, Bin, Summary
from tidings.store.query import Filter, Query
from tidings.store.standing import Standing
from tidings.testing.contract.opening import ABOUT, Opening, a_few

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tidings.store.base import Store

_HOUR = 3_600_000_000


class Overviews(Opening):
    """Tests of types, counts, summaries and histograms."""

    def test_types_are_counted(self, store: Store) -> None:
        """Each type is told once, by name, with how often and where last it came."""
        store.append([Event(name) for name in ("b", "a", "B", "é", "a")])
        assert store.types() == [("B", 1, 3), ("a", 2, 5), ("b", 1, 1), ("é", 1, 4)]
        store.append([Event("a")])
        assert store.types()[1] == ("a", 3, 6)

    def test_counts_are_exact_or_say_so(self, store: Store) -> None:
        """A count is that of the events that match, or fewer where it says that it is not exact."""
        store.append([Event("a" if n % 3 else "b", f"p{n % 2}") for n in range(300)])
        queries: dict[int, dict[str, Any]] = {
            300: {},
            200: {"types": "a"},
            150: {"project": "p1"},
            100: {"types": "a", "project": "p0"},
            99: {"after": 1, "before": 101},
            0: {"types": "never"},
        }
        for expected, query in queries.items():
            count = store.count(Query(**query))
            assert count.value == expected if count.exact else count.value <= expected
        assert store.count(Query()) == (300, True)
        assert store.count(Query(exclude=Filter(types="a"))) == (100, True)
        assert store.count(Query(types=["a*", "b"], exclude=Filter(types="b*"))) == (200, True)
        assert store.count(Query(types="a", exclude=Filter(project="p0"))) == (100, True)

    def test_what_is_excluded_by_its_payload_is_not_counted(self, store: Store) -> None:
        """Counts and histograms leave out events that a key of their payload excludes."""
        store.append([Event("a", payload={"k": n}) for n in (1, 2, 1)])
        asked: list[dict[str, Any]] = [{"types": "a"}, {"project": ""}, {}]
        for conditions in asked:
            query = Query(exclude=Filter(payload={"k": 1}), **conditions)
            assert store.count(query) == (1, True)
            assert [bin.counts for bin in store.histogram(query, _HOUR)] == [{"success": 1}]

    def test_a_summary_is_the_head_of_its_aggregate(self, store: Store) -> None:
        """It tells first and last event, how many there were, and how they went."""
        times = [f"2026-01-01T00:00:0{n}Z" for n in range(3)]
        about = {**ABOUT, "correlation_id": "w1"}
        started = Event("agent.started", "p", "", timestamp=times[0], **about)
        failed = Event("tool.failed", "", "failure", timestamp=times[1], **about)
        done = Event("agent.completed", "q", "success", timestamp=times[2], **ABOUT)
        store.append([Event("x"), started])
        store.append([failed, Event("y"), done])
        assert store.summaries("agent", Query()) == [
            Summary(
                kind="agent",
                id="a1",
                project="p",
                state="done",
                status="success",
                version=3,
                successes=1,
                failures=1,
                first_position=2,
                last_position=5,
                first_instant=started.instant,
                last_instant=done.instant,
                first_type="agent.started",
                last_type="agent.completed",
                correlation_id="w1",
            )
        ]

    @pytest.mark.parametrize(
        ("kind", "types", "state"),
        [
            ("agent", ["agent.waiting"], ""),
            ("agent", ["agent.started"], "running"),
            ("agent", ["agent.started", "tool.started", "tool.failed/failure"], "running"),
            ("agent", ["agent.started", "tool.failed", "agent.completed"], "done"),
            ("agent", ["agent.started", "agent.completed/failure"], "failed"),
            ("agent", ["agent.started", "agent.failed", "agent.started"], "running"),
            ("system", ["session.started", "session.ended"], "done"),
            ("workflow", ["workflow.started", "workflow.cancelled"], "failed"),
            ("mine", ["started", "timeout"], "failed"),
            ("test", ["test_started", "test_complete/success"], "done"),
            ("run", ["run.started", "nightly/success"], "done"),
            ("run", ["run.started", "nightly/failure"], "failed"),
            ("run", ["run.started", "progress"], "running"),
        ],
    )
    def test_the_state_is_what_events_say(
        self, store: Store, kind: str, types: list[str], state: str
    ) -> None:
        """Types that end in started, completed, failed … about the aggregate give its state."""
        for second, entry in enumerate(types):
            name, _, status = entry.partition("/")
            about: dict[str, Any] = {"aggregate_type": kind, "aggregate_id": "x"}
            store.append([Event(name, "", status, timestamp=_at(second), **about)])
        assert [summary.state for summary in store.summaries(kind, Query())] == [state]

    @pytest.mark.parametrize("together", [True, False])
    def test_a_start_that_comes_late_reopens_nothing(self, store: Store, *, together: bool) -> None:
        """What has ended stays so where a start happened before; a later start is a new one."""
        own: dict[str, Any] = {"aggregate_type": "workflow", "aggregate_id": "w1"}
        own["correlation_id"] = "w1"
        started, completed = "workflow.started", "workflow.completed"
        late = [(started, 0), (started, 20), (completed, 10), (started, 20), ("note", 5)]
        events = [Event(name, timestamp=_at(at), **own) for name, at in [(completed, 30), *late]]
        for some in [events] if together else [[event] for event in events]:
            store.append(some)
        for kind in ("workflow", CORRELATION):
            (summary,) = store.summaries(kind, Query())
            assert (summary.state, summary.version, summary.last_type) == ("done", 6, "note")
            assert (summary.first_instant, summary.last_instant) == (events[0].instant,) * 2
        for second in (30, 31):
            store.append([Event(completed, timestamp=_at(30), **own)])
            store.append([Event(started, timestamp=_at(second), **own)])
            for kind in ("workflow", CORRELATION):
                assert store.summaries(kind, Query())[0].state == "running"

    def test_a_correlation_counts_all_its_events(self, store: Store) -> None:
        """Without an aggregate of its name it fails with any failure, and has no state."""
        member: dict[str, Any] = {**ABOUT, "correlation_id": "w1"}
        store.append(
            [Event("agent.started", "p", "", **member), Event("x", "", "failure", **member)]
        )
        store.append([Event("y", "", "success", correlation_id="w1"), Event("z")])
        (summary,) = store.summaries(CORRELATION, Query())
        assert summary[:8] == ("correlation", "w1", "p", "", "failure", 3, 1, 1)
        assert summary[8:] == (1, 3, *summary[10:12], "agent.started", "y", "w1")

    def test_a_correlation_takes_its_state_from_its_own_aggregate(self, store: Store) -> None:
        """Once the workflow itself speaks, its state and outcome are the correlation's."""
        own: dict[str, Any] = {
            "aggregate_type": "workflow",
            "aggregate_id": "w1",
            "correlation_id": "w1",
        }
        member: dict[str, Any] = {**ABOUT, "correlation_id": "w1"}
        seen = []
        for event in (
            Event("workflow.started", "", "", **own),
            Event("agent.failed", "", "failure", **member),
            Event("workflow.completed", "", "success", **own),
            Event("agent.completed", "", "failure", **member),
        ):
            store.append([event])
            seen += [(s.state, s.status, s.failures) for s in store.summaries(CORRELATION, Query())]
        assert seen == [
            ("running", "", 0),
            ("running", "", 1),
            ("done", "success", 1),
            ("done", "success", 2),
        ]

    def test_summaries_are_paged_and_filtered(self, store: Store) -> None:
        """They come in order of their first event, in pages, by project, outcome or undertaking."""
        for n in range(20):
            about: dict[str, Any] = {"aggregate_type": "agent", "aggregate_id": f"a{n}"}
            status = "failure" if n % 5 == 0 else "success"
            store.append([Event("x", f"p{n % 2}", status, correlation_id=f"w{n % 4}", **about)])
        store.append([Event("y", aggregate_type="agent", aggregate_id="a0")])

        def ids(**query: Any) -> list[str]:
            return [summary.id for summary in store.summaries("agent", Query(**query))]

        everything = [f"a{n}" for n in range(20)]
        assert ids() == everything
        assert ids(backwards=True) == everything[::-1]
        assert ids(after=5, limit=3) == ["a5", "a6", "a7"]
        assert ids(before=15, limit=2, backwards=True) == ["a13", "a12"]
        assert ids(aggregate_id="a7") == ["a7"]
        assert ids(correlation_id="w1") == everything[1::4]
        assert ids(project="p1", limit=2) == ["a1", "a3"]
        assert ids(status="failure") == ["a5", "a10", "a15"]
        assert ids(limit=0) == []
        assert store.summaries("never", Query()) == []
        assert len(store.summaries(CORRELATION, Query(limit=3))) == 3
        assert [s.id for s in store.summaries(CORRELATION, Query(correlation_id="w2"))] == ["w2"]

    def test_summaries_are_found_by_how_they_stand(self, store: Store) -> None:
        """By their state as they are read, and by how long they have been quiet, page by page."""
        words = ("started", "completed", "failed", "waiting")
        for n in range(12):
            about: dict[str, Any] = {"aggregate_type": "agent", "aggregate_id": f"a{n}"}
            about |= {"correlation_id": f"a{n}", "timestamp": _at(n)}
            store.append([Event(f"agent.{words[n % 4]}", f"p{n % 3}", **about)])

        def ids(
            state: str | None = None, quiet: int | None = None, kind: str = "agent", **query: Any
        ) -> list[str]:
            instant = None if quiet is None else Event("x", timestamp=_at(quiet)).instant
            found = store.summaries(kind, Query(**query), Standing(state, instant))
            return [summary.id for summary in found]

        for kind in ("agent", CORRELATION):
            for number, state in enumerate(("running", "done", "failed", "")):
                assert ids(state, kind=kind) == [f"a{number}", f"a{number + 4}", f"a{number + 8}"]
            assert ids("running", 4, kind=kind) == ["a0"]
            assert ids("running", 5, kind=kind, backwards=True) == ["a4", "a0"]
        assert ids(quiet=2) == ["a0", "a1"]
        assert ids("running", quiet=0) == []
        assert ids("done", project="p0") == ["a9"]
        assert ids("done", aggregate_id="a0") == ids("done", correlation_id="a0") == []
        assert ids("running", correlation_id="a4") == ids("running", 5, aggregate_id="a4") == ["a4"]
        assert ids("running", limit=1) == ["a0"]
        # What changes between two pages is on neither, or on one.
        about = {"aggregate_type": "agent", "timestamp": _at(30)}
        store.append([Event("agent.completed", aggregate_id="a4", **about)])
        store.append([Event("agent.started", aggregate_id="a0", **about)])
        assert ids("running", limit=1, after=1) == ["a8"]
        assert ids("running", 30) == ["a8"]

    def test_summaries_live_as_long_as_their_events(self, store: Store) -> None:
        """Pruning hides those without an event left; the others keep counting since ever."""
        gone: dict[str, Any] = {"aggregate_type": "agent", "aggregate_id": "a"}
        stays: dict[str, Any] = {"aggregate_type": "agent", "aggregate_id": "b"}
        store.append([Event("x", **gone), Event("x", correlation_id="w1", **stays)])
        store.append([Event("x", **stays)])
        store.prune(2)
        (summary,) = store.summaries("agent", Query())
        assert (summary.id, summary.version, summary.first_position) == ("b", 2, 2)
        assert store.summaries(CORRELATION, Query()) == []
        store.append([Event("x", **gone), Event("x", correlation_id="w1")])
        assert [(s.id, s.version) for s in store.summaries("agent", Query())] == [
            ("a", 2),
            ("b", 2),
        ]
        assert [s.version for s in store.summaries(CORRELATION, Query())] == [1]

    def test_redaction_leaves_counts(self, store: Store) -> None:
        """Emptied payloads change no count, type or summary."""
        store.append(a_few(3, correlation_id="w", **ABOUT))
        before = (store.types(), store.summaries("agent", Query()), store.count(Query()))
        store.redact(Query())
        assert (store.types(), store.summaries("agent", Query()), store.count(Query())) == before

    def test_a_histogram_counts_by_time_and_outcome(self, store: Store) -> None:
        """Bins start at multiples of the interval, tell each outcome, and are left out if empty."""
        for time, status in (
            ("1969-12-31T23:59:59.999999Z", "success"),
            ("1970-01-01T00:00:00Z", "failure"),
            ("1970-01-01T00:59:59.999999Z", "success"),
            ("1970-01-01T05:00:00+01:00", ""),
            ("1970-01-01T04:30:00Z", "odd"),
        ):
            store.append([Event("x", "p", status, timestamp=time), Event("y", timestamp=time)])
        query = Query(types="x")
        assert store.histogram(query, _HOUR) == [
            Bin(-_HOUR, {"success": 1}),
            Bin(0, {"failure": 1, "success": 1}),
            Bin(4 * _HOUR, {"": 1, "odd": 1}),
        ]
        assert store.histogram(query.replace(since=1, until=4 * _HOUR), _HOUR) == [
            Bin(0, {"success": 1})
        ]
        assert store.histogram(query.replace(after=8), _HOUR) == [Bin(4 * _HOUR, {"odd": 1})]
        assert store.histogram(Query(types="never"), _HOUR) == []

    def test_names_that_no_event_can_have_find_nothing(self, store: Store) -> None:
        """Text that UTF-8 cannot say, or a number past 64 bits, finds nothing or is refused."""
        store.append([Event("x", **ABOUT)])
        calls: list[Callable[[], object]] = [
            lambda: store.latest("\ud800"),
            lambda: store.latest("\x00"),
            lambda: store.summaries("\ud800", Query()),
            lambda: store.summaries("agent", Query(before=0)),
            lambda: store.histogram(Query(after=1), 2**70),
        ]
        for call in calls:
            with suppress(InvalidQuery):
                assert not call()

    def test_an_interval_of_nothing_is_refused(self, store: Store) -> None:
        """A histogram needs bins of at least a microsecond."""
        for interval in (0, -1):
            with pytest.raises(InvalidQuery, match="interval"):
                store.histogram(Query(), interval)


def _at(second: int) -> str:
    return f"2026-01-01T00:00:{second:02}Z"
