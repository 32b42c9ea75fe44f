"""The contract as a whole: any history of calls leaves a store like a model in plain Python."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tidings.errors import HistoryPruned, RevisionConflict
from tidings.event import Event
from tidings.store.base import CORRELATION, Batch, Put
from tidings.store.query import Query
from tidings.testing.contract.opening import EXAMPLES, Opening
from tidings.testing.model import Model, facts
from tidings.testing.oracle import answer, query_of
from tidings.testing.strategies import IDS, KINDS, conditions, events, queries, standings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.store.standing import Standing

_HISTORIES = settings(EXAMPLES, max_examples=60, stateful_step_count=25, report_multiple_bugs=False)
_KEYS = st.sampled_from(["a", "b", "%", "🎉"])
_PLACE = ("position", "version", "recorded_at")
_ids = st.none() | st.sampled_from(IDS)
_EXPECTED = st.none() | st.integers(0, 2)

_made_events = st.lists(
    st.tuples(events(), _ids).map(lambda parts: Event(**parts[0], id=parts[1])), max_size=4
)
_puts = st.lists(
    st.builds(Put, _KEYS, st.integers(), st.none() | st.just(0)),
    max_size=2,
    unique_by=lambda put: put.key,
)
_batches = st.builds(Batch, _made_events, _EXPECTED, _puts)


class Histories(Opening):
    """The test of any history of calls."""

    def test_any_history_against_a_model(self) -> None:
        """After any calls in any order, store and model answer every question alike."""

        class History(_History):
            opening = self

        run_state_machine_as_test(History, settings=self.search(_HISTORIES))


class _History(RuleBasedStateMachine):
    """One history: each rule does the same to a store and to a model, and compares."""

    opening: Opening

    def __init__(self) -> None:
        super().__init__()
        self.directory = TemporaryDirectory()
        self.store = self.opening.open_store(Path(self.directory.name))
        self.model = Model()
        self.revisions: dict[str, int] = {}

    # Changes --------------------------------------------------------------------------------------

    @rule(batches=st.lists(_batches, min_size=1, max_size=3))
    def append_all(self, batches: list[Batch]) -> None:
        """Batches of new events and of ids that may be taken, with expectations of all kinds."""
        written: set[str] = set()
        for batch, result in zip(batches, self.store.append_all(batches), strict=True):
            expected = self.model.append(batch)
            if isinstance(expected, type):
                assert type(result) is expected, (batch, result)
                continue
            assert isinstance(result, list), result
            assert [facts(event) for event in result] == [facts(event) for event in expected]
            written.update(put.key for put in batch.put)
        for key in written:
            self.see_revision(key)

    @rule(data=st.data(), expected=_EXPECTED)
    def send_again(self, data: st.DataObject, expected: int | None) -> None:
        """An event that is kept comes once more; whatever version it expects, it is kept once."""
        if not self.model.left:
            return
        kept = data.draw(st.sampled_from(self.model.left))
        again = {name: value for name, value in kept.to_dict().items() if name not in _PLACE}
        about_something = kept.aggregate_id is not None
        stored = self.store.append([Event.from_dict(again)], expected if about_something else None)
        assert [facts(event) for event in stored] == [facts(kept)]

    @rule(made=_made_events, gaps=st.lists(st.integers(1, 3), min_size=4, max_size=4))
    def restore(self, made: list[Event], gaps: list[int]) -> None:
        """Events come from elsewhere with places of their own."""
        placed: list[Event] = []
        position = self.model.head
        for event, gap in zip(made, gaps, strict=False):
            position += gap
            if any(event.id == kept.id for kept in self.model.left + placed):
                continue
            data = {**event.to_dict(), "position": position}
            if event.aggregate_id is not None:
                about = (event.aggregate_type, event.aggregate_id)
                same = [e for e in placed if (e.aggregate_type, e.aggregate_id) == about]
                data["version"] = self.model.version(*about) + len(same) + 1
            placed.append(Event.from_dict(data))
        assert self.store.restore(placed) == len(placed)
        self.model.keep(placed)

    @rule(share=st.floats(0, 1.2))
    def prune(self, share: float) -> None:
        """The oldest part of the log goes, or all of it."""
        through = int(self.model.head * share)
        assert self.store.prune(through) == self.model.prune(through)

    @rule(query=conditions())
    def redact(self, query: dict[str, Any]) -> None:
        """The payloads of some events are emptied."""
        chosen = [event.position for event in answer(self.model.left, query)]
        assert self.store.redact(Query(**query)) == self.model.redact(chosen)

    @rule(key=_KEYS, value=st.integers(), expected=st.none() | st.just(0))
    def put(self, key: str, value: int, expected: int | None) -> None:
        """A record is written, or only where there is none."""
        try:
            revision = self.store.put(key, value, expected)
        except RevisionConflict as error:
            # No `pytest.raises`: the model's ledger says which of both is right.
            assert (expected, error.actual) == (0, self.revisions[key])  # noqa: PT017
            return
        assert expected is None or key not in self.revisions
        self.model.ledger[key] = value
        assert self.see_revision(key) == revision

    @rule(key=_KEYS)
    def delete(self, key: str) -> None:
        """A record is removed."""
        assert self.store.delete(key) == (self.model.ledger.pop(key, None) is not None)
        self.revisions.pop(key, None)

    @precondition(lambda self: self.opening.keeps_events)
    @rule()
    def open_again(self) -> None:
        """The store is closed and opened once more."""
        self.store.close()
        self.store = self.opening.open_store(Path(self.directory.name))

    # Questions ------------------------------------------------------------------------------------

    @rule(query=queries())
    def ask(self, query: dict[str, Any]) -> None:
        """Any query gives what the oracle finds, or says that what it asks for was pruned."""
        asked = Query(**query_of(query))
        expected = answer(self.model.left, query)
        try:
            assert [facts(e) for e in self.store.read(asked)] == [facts(e) for e in expected]
        except HistoryPruned as error:
            assert (error.asked, error.first) == (  # noqa: PT017 - as in `put`
                asked.after,
                self.model.pruned + 1,
            )
            assert 0 < asked.after < self.model.pruned
        else:
            assert asked.after == 0 or asked.after >= self.model.pruned
        count = self.store.count(asked)
        assert count.value == len(expected) if count.exact else count.value <= len(expected)

    @rule(query=conditions(), interval=st.sampled_from([1, 1000, 86_400_000_000]))
    def draw_histogram(self, query: dict[str, Any], interval: int) -> None:
        """A histogram counts what the oracle finds, interval by interval."""
        counted: dict[int, dict[str, int]] = {}
        for event in answer(self.model.left, query):
            counts = counted.setdefault(event.instant // interval * interval, {})
            counts[event.status] = counts.get(event.status, 0) + 1
        assert self.store.histogram(Query(**query), interval) == sorted(counted.items())

    @rule(kind=st.sampled_from([*KINDS, CORRELATION]), standing=standings())
    def summarize(self, kind: str, standing: Standing) -> None:
        """Summaries are those of all events since ever, where one of them is left."""
        kept = self.model.summaries(kind)
        assert self.store.summaries(kind, Query()) == kept
        wanted = [summary for summary in kept if standing.holds(summary)]
        assert self.store.summaries(kind, Query(), standing) == wanted

    @rule()
    def check(self) -> None:
        """Nothing contradicts itself, and every record has its value and revision."""
        assert self.store.check() == []
        for key, value in self.model.ledger.items():
            assert self.store.get(key) == (key, self.revisions[key], value)

    @invariant()
    def agree(self) -> None:
        """Store and model hold the same events, stand at the same place and count alike."""
        left = self.model.left
        assert [facts(event) for event in self.store.read(Query())] == [facts(e) for e in left]
        assert (self.store.head(), self.store.first()) == (self.model.head, self.model.pruned + 1)
        assert self.store.latest() == (left[-1] if left else None)
        assert self.store.types() == self.model.types()
        assert self.store.keys() == sorted(self.model.ledger)

    def teardown(self) -> None:
        """Leave nothing behind."""
        self.store.close()
        self.directory.cleanup()

    def see_revision(self, key: str) -> int:
        """Remember a record's new revision, which must be past all there were."""
        found = self.store.get(key)
        assert found is not None
        assert found.revision > self.revisions.get(key, 0)
        self.revisions[key] = found.revision
        return found.revision
