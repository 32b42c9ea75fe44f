"""The contract of stores that other processes open too, and that keep their events when closed."""

from __future__ import annotations

from functools import partial

from tidings.event import Event
from tidings.store.query import Query
from tidings.testing.contract.opening import ABOUT, Opening, a_few, all_of
from tidings.testing.contract.racing import check_race, check_versions
from tidings.testing.elsewhere import (
    FORKS,
    WRITERS,
    append_one,
    append_when_awaited,
    await_type,
    count_up,
    fork_while_writing,
    in_processes,
    read_on,
    take_versions,
    write_much,
)
from tidings.testing.model import facts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from tidings.store.base import Store

_EACH = 150
_TIMES = 10
_ROUNDS = 20


class Sharing(Opening):
    """Tests with eight other processes, and across closing and opening again."""

    keeps_events = True

    def test_everything_is_there_when_opened_again(self, tmp_path: Path) -> None:
        """A store that was closed gives back events, summaries, records and its place."""
        with self.open_store(tmp_path) as store:
            store.append([*a_few(3, **ABOUT), Event("x", id="a", correlation_id="w")])
            store.prune(1)
            revision = store.put("cursor", 3)
            told = [facts(event) for event in all_of(store)]
            summaries = store.summaries("agent", Query())
        with self.open_store(tmp_path) as store:
            assert [facts(event) for event in all_of(store)] == told
            assert (store.head(), store.first(), store.check()) == (4, 2, [])
            assert store.summaries("agent", Query()) == summaries
            assert store.append([Event("x", id="a", correlation_id="w")])[0].position == 4
            assert store.append(a_few(1, **ABOUT), expected_version=3)[0].position == 5
            assert store.put("cursor", 4, expected=revision) > revision

    def test_two_stores_on_one_place_are_one(self, tmp_path: Path) -> None:
        """What one of two open stores writes the other reads at once, and decides by."""
        with self.open_store(tmp_path) as one, self.open_store(tmp_path) as other:
            one.append(a_few(2, **ABOUT))
            assert (other.head(), all_of(other)) == (2, all_of(one))
            assert other.append(a_few(1, **ABOUT), expected_version=2)[0].version == 3
            assert one.wait(2, timeout=0) == 3
            assert one.catch_up() == other.catch_up() == 3
            revision = one.put("k", 1)
            assert other.put("k", 2, expected=revision) > revision
            other.prune(2)
            assert (one.first(), len(all_of(one))) == (3, 1)

    def test_redacted_text_is_in_no_file(self, tmp_path: Path) -> None:
        """What was redacted cannot be found in any file of the store, open or closed."""
        secret = "hunter2-" * 4
        with self.open_store(tmp_path) as store:
            store.append([Event("x", payload={"n": n, "password": secret}) for n in range(50)])
            store.append([Event("x", payload={"n": n}) for n in range(50)])
            store.redact(Query(contains=secret))
            assert _files_with(secret, tmp_path) == []
            assert store.check() == []
        assert _files_with(secret, tmp_path) == []

    def test_a_reader_beside_writing_processes(self, store: Store) -> None:
        """Readers here and elsewhere see every event of eight processes once, in order."""
        opener = self.opener(store)
        parts = [(write_much, opener, writer, _EACH) for writer in range(WRITERS)]
        *written, seen = in_processes(parts, beside=partial(read_on, opener, WRITERS * _EACH))
        check_race(store, written, seen)

    def test_processes_take_each_version_once(self, store: Store) -> None:
        """Eight processes that append at the version they saw get every number once."""
        in_processes([(take_versions, self.opener(store), _TIMES)] * WRITERS)
        check_versions(store, WRITERS * _TIMES)

    def test_increments_of_processes_lose_nothing(self, store: Store) -> None:
        """A record that eight processes count up by compare-and-set ends at the right number."""
        in_processes([(count_up, self.opener(store), _TIMES)] * WRITERS)
        found = store.get("counter")
        assert found is not None
        assert found.value == WRITERS * _TIMES

    def test_another_process_wakes_who_waits(self, store: Store) -> None:
        """Two processes that answer each other's events through the store come to an end."""

        def ask() -> int:
            position = 0
            for _ in range(_ROUNDS):
                store.append([Event("ping")])
                position = await_type(store, position, "pong")
            return position

        answered, asked = in_processes(
            [(append_when_awaited, self.opener(store), _ROUNDS)], beside=ask
        )
        assert (answered, asked) == (2 * _ROUNDS, 2 * _ROUNDS)

    def test_another_process_sees_what_is_acknowledged(self, store: Store) -> None:
        """An event is there for another process as soon as `append` has returned."""
        store.append(a_few(1))
        assert in_processes([(append_one, self.opener(store), "elsewhere")]) == [2]
        assert [event.type for event in all_of(store)] == ["job_done", "elsewhere"]

    def test_a_store_outlives_a_fork(self, store: Store) -> None:
        """Children forked while another thread appends write to the same store as their parent."""
        (seen,) = in_processes([(fork_while_writing, self.opener(store))])
        assert (seen["complaints"], seen["problems"]) == ([], [])
        assert seen["read"] == seen["appended"]
        assert seen["children"] == FORKS
        assert store.head() == FORKS + len(seen["appended"])


def _files_with(secret: str, directory: Path) -> list[str]:
    return [str(path) for path in directory.rglob("*") if secret.encode() in _content_of(path)]


def _content_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        return b""  # A store may have removed what it needed for a moment.
