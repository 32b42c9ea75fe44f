"""The contract under racing threads, and after a fork: nothing is lost, repeated or torn."""

from __future__ import annotations

from functools import partial

from tidings.errors import VersionConflict
from tidings.event import Event
from tidings.store.base import Batch
from tidings.store.query import Query
from tidings.testing.contract.opening import ABOUT, Opening, a_few, all_of
from tidings.testing.elsewhere import (
    WRITERS,
    count_up,
    fork_while_writing,
    in_processes,
    in_threads,
    read_on,
    same,
    take_versions,
    write_much,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.store.base import Store

_EACH = 150
_TIMES = 15


class Racing(Opening):
    """Tests with eight threads at once, each of which would find a lost or doubled event."""

    def test_a_reader_beside_writers_misses_and_repeats_nothing(self, store: Store) -> None:
        """Readers that go on from their position see every event once, in order, as it comes."""
        writers = [partial(write_much, same(store), writer, _EACH) for writer in range(WRITERS)]
        readers = [partial(read_on, same(store), WRITERS * _EACH)] * 2
        *written, one, other = in_threads(*writers, *readers)
        assert one == other
        check_race(store, written, one)

    def test_batches_never_interleave(self, store: Store) -> None:
        """The events of a batch stand side by side, whoever appends at the same time."""

        def write(writer: int) -> None:
            for _ in range(10):
                store.append(a_few(10, f"writer_{writer}"))

        in_threads(*(partial(write, writer) for writer in range(WRITERS)))
        types = [event.type for event in all_of(store)]
        blocks = [types[start : start + 10] for start in range(0, len(types), 10)]
        assert len(blocks) == WRITERS * 10
        assert all(len(set(block)) == 1 for block in blocks)

    def test_one_of_all_makes_the_aggregate(self, store: Store) -> None:
        """When all expect it to be new, one wins and the others are told."""

        def make() -> Exception | list[Event]:
            return store.append_all([Batch(a_few(1, **ABOUT), expected_version=0)])[0]

        results = in_threads(*[make] * WRITERS)
        conflicts = [result for result in results if isinstance(result, VersionConflict)]
        assert (len(conflicts), store.head()) == (WRITERS - 1, 1)

    def test_racing_writers_take_each_version_once(self, store: Store) -> None:
        """Writers that append at the version they saw get every number once, and miss nothing."""
        in_threads(*[partial(take_versions, same(store), _TIMES)] * WRITERS)
        check_versions(store, WRITERS * _TIMES)

    def test_one_event_sent_by_all_is_kept_once(self, store: Store) -> None:
        """The same event from eight threads at once is one event for all of them."""
        events = a_few(20, **ABOUT)

        def send() -> list[list[Event]]:
            return [store.append([event]) for event in events]

        results = in_threads(*[send] * WRITERS)
        assert all(result == results[0] for result in results)
        assert (store.head(), len(all_of(store))) == (20, 20)

    def test_racing_increments_lose_nothing(self, store: Store) -> None:
        """A record that eight threads count up by compare-and-set ends at the right number."""
        in_threads(*[partial(count_up, same(store), _TIMES)] * WRITERS)
        found = store.get("counter")
        assert found is not None
        assert found.value == WRITERS * _TIMES

    def test_readers_of_every_kind_beside_a_writer(self, store: Store) -> None:
        """Heads, types, counts and summaries read beside a writer are those of some moment."""
        store.append([Event("x", correlation_id="w", **ABOUT)])

        def write() -> list[str]:
            for _ in range(60):
                store.append([Event("x", correlation_id="w", **ABOUT) for _ in range(5)])
            return []

        def look() -> list[str]:
            torn = []
            for _ in range(40):
                ((_, count, last),) = store.types()
                (agent,) = store.summaries("agent", Query())
                (correlation,) = store.summaries("correlation", Query())
                if count % 5 != 1 or count != last or agent.version % 5 != 1:
                    torn.append(f"type {count} at {last}, agent {agent}")
                if correlation.version % 5 != 1 or store.head() < agent.last_position:
                    torn.append(f"correlation {correlation}")
            return torn

        assert in_threads(write, look, look) == [[]] * 3

    def test_a_store_outlives_a_fork(self, store: Store) -> None:
        """A child forked while another thread appends can append and read; its parent goes on."""
        (seen,) = in_processes([(fork_while_writing, self.opener(store))])
        assert (seen["complaints"], seen["problems"]) == ([], [])
        assert seen["read"] == seen["appended"]
        assert len(seen["appended"]) > 0


def check_race(store: Store, written: list[list[str]], seen: list[str]) -> None:
    """What holds after a race: all is there once, in each writer's order, and was seen so."""
    stored = [event.id for event in all_of(store)]
    assert seen == stored
    assert sorted(stored) == sorted(event_id for ids in written for event_id in ids)
    assert len(set(stored)) == len(stored) == WRITERS * _EACH
    assert [event.position for event in all_of(store)] == list(range(1, len(stored) + 1))
    for writer, ids in enumerate(written):
        own = all_of(store, aggregate_type="writer", aggregate_id=str(writer))
        assert [event.id for event in own] == ids
        assert [event.version for event in own] == list(range(1, len(ids) + 1))
    assert store.check() == []


def check_versions(store: Store, count: int) -> None:
    """What holds after a race for versions: each was taken once, by who saw the one before."""
    events = all_of(store, aggregate_type="counter")
    assert [event.version for event in events] == list(range(1, count + 1))
    assert [event.payload["saw"] for event in events] == list(range(count))
