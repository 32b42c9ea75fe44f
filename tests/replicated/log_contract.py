"""What every log of a replicated store is held to: a pytest class, to be subclassed.

    class TestMyLog(LogContract):
        def open_log(self, directory): return MyLog(...)

What breaks below a log (a server, a disk, a line) is tested beside each log; here nothing breaks.
"""

from __future__ import annotations

import json
import os
import random
from functools import partial
from threading import Event as Flag
from threading import Thread
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.replicated.log_elsewhere import (
    fork_while_publishing,
    identity_of,
    named,
    publish_all,
    publish_many,
    read_all,
    read_until,
)
from tidings.store.replicated.log import LogTrimmed
from tidings.testing.elsewhere import PATIENCE, WRITERS, in_processes, in_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tidings.store.replicated.log import Entry, Log

__all__ = ["LogContract"]

_EACH = 100
_MANY = 3_000
_MIB = 1 << 20
_LARGE = 40
_READ_AT_ONCE = 10_000
_BYTES_AT_ONCE = 64 * _MIB
_SNAPSHOT = 5 * _MIB + 17


class LogContract:
    """The contract of `Log`; a subclass says how one is opened."""

    def open_log(self, directory: Path) -> Log:
        """Open the log that belongs to a directory; a second call opens the same log again."""
        raise NotImplementedError("say in a subclass how a log is opened")

    @pytest.fixture
    def opened(self, tmp_path: Path) -> Iterator[Callable[[], Log]]:
        """Opens the log of the test; what it opened is closed when the test ends."""
        logs: list[Log] = []

        def open_one() -> Log:
            logs.append(self.open_log(tmp_path))
            return logs[-1]

        yield open_one
        for log in logs:
            log.close()

    @pytest.fixture
    def log(self, opened: Callable[[], Log]) -> Log:
        """The log of the test."""
        return opened()

    # Publishing and reading -----------------------------------------------------------------------

    def test_an_empty_log(self, log: Log, tmp_path: Path) -> None:
        """A new log has no entries, no snapshot and no faults, and can tell about itself."""
        assert log.head(PATIENCE) == 0
        assert log.read(0) == []
        assert not log.wait(0, 0.0)
        assert log.fetch_snapshot(str(tmp_path / "snapshot")) is None
        assert log.check() == []
        assert json.loads(json.dumps(log.describe()))
        assert log.durability in ("power", "process", "none")

    def test_entries_come_back_in_order(self, log: Log) -> None:
        """Entries come back byte for byte, in the order of the calls and within each call."""
        wanted = [bytes(range(256)), b"\n", b"\r\n\r\n", b"\0" * 1000, "é".encode(), b"last"]
        publish_all(log, *wanted[:2])
        publish_all(log, *wanted[2:5])
        publish_all(log, wanted[5])
        entries = read_until(log, b"last")
        assert [entry.data for entry in entries] == wanted
        _check_rising(entries)
        assert log.head(PATIENCE) == entries[-1].sequence
        assert log.read(entries[-1].sequence) == []

    def test_the_largest_entry(self, log: Log) -> None:
        """Two entries as large as `most_bytes` are taken in one call and come back whole."""
        assert log.most_bytes >= 64 * 1024
        wanted = [random.randbytes(log.most_bytes), random.randbytes(log.most_bytes)]
        publish_all(log, *wanted)
        assert [entry.data for entry in read_until(log, wanted[1])] == wanted

    def test_reading_from_anywhere(self, log: Log) -> None:
        """A reader may go back and forth as it likes, and gets what follows, without a hole."""
        publish_all(log, *[b"%d" % n for n in range(30)])
        entries = read_until(log, b"29")
        places = [0, *(entry.sequence for entry in entries)]
        order = list(range(30))
        random.Random(7).shuffle(order)
        for place in [0, 29, *order]:
            assert read_until(log, b"29", places[place]) == entries[place:]

    def test_a_long_log_is_read_in_pieces(self, log: Log, opened: Callable[[], Log]) -> None:
        """Many entries and large ones come in pieces that fit into memory, all of them."""
        small = [b"%d" % n for n in range(_MANY)]
        for start in range(0, _MANY, 500):
            publish_all(log, *small[start : start + 500])
        size = min(log.most_bytes, _MIB)
        large = [b"%d" % n + b"." * (size - 10) for n in range(_LARGE)]
        for each in large:
            publish_all(log, each)
        late = opened()
        seen: list[Entry] = []
        while len(seen) < _MANY + _LARGE:
            after = seen[-1].sequence if seen else 0
            late.wait(after, PATIENCE)
            piece = late.read(after)
            assert len(piece) <= _READ_AT_ONCE
            assert sum(len(entry.data) for entry in piece) <= _BYTES_AT_ONCE + size
            seen += piece
        assert [entry.data for entry in seen] == [*small, *large]

    def test_twice_under_one_name_does_no_harm(self, log: Log) -> None:
        """An entry that is published again stands once or twice, the same, and hurts no other."""
        again = named(b"again")
        log.publish(again, PATIENCE)
        publish_all(log, b"between")
        log.publish(again, PATIENCE)
        publish_all(log, b"last")
        seen = [entry.data for entry in read_until(log, b"last")]
        assert seen in (
            [b"again", b"between", b"last"],
            [b"again", b"between", b"again", b"last"],
        )

    def test_nothing_published(self, log: Log) -> None:
        """To publish no entries is no fault and changes nothing."""
        log.publish([], PATIENCE)
        assert log.head(PATIENCE) == 0

    # Several logs on one place --------------------------------------------------------------------

    def test_two_logs_on_one_place_are_one(self, opened: Callable[[], Log]) -> None:
        """What one of two open logs published the other has, under the same sequences."""
        one, other = opened(), opened()
        publish_all(one, b"1")
        publish_all(other, b"2")
        publish_all(one, b"3")
        assert read_until(one, b"3") == read_until(other, b"3")
        assert one.head(PATIENCE) == other.head(PATIENCE)

    def test_the_head_is_past_what_anyone_saw(self, opened: Callable[[], Log]) -> None:
        """The head that one log tells is never before what another has read."""
        one, other = opened(), opened()
        for n in range(20):
            publish_all(one, b"%d" % n)
            seen = read_until(one, b"%d" % n)[-1].sequence
            assert other.head(PATIENCE) >= seen

    def test_waiting(self, opened: Callable[[], Log]) -> None:
        """Who waits past the end is woken by another's entry, and is told when time is up."""
        one, other = opened(), opened()
        publish_all(one, b"1")
        first = read_until(other, b"1")[-1].sequence
        assert not other.wait(first, 0.01)
        woken: list[bytes] = []
        thread = Thread(target=lambda: woken.extend(_data(read_until(other, b"2", first))))
        thread.start()
        publish_all(one, b"2")
        thread.join(PATIENCE)
        assert woken == [b"2"]
        assert other.wait(0, 0.0) or read_until(other, b"2")

    def test_racing_publishers_and_a_tailing_reader(
        self, opened: Callable[[], Log], tmp_path: Path
    ) -> None:
        """A reader beside racing threads sees each entry once, as one who comes late sees them."""
        opener = partial(self.open_log, tmp_path)
        wanted = [b"%d:%d" % (who, n) for who in range(4) for n in range(_EACH)]
        publishing = [partial(_publish_many, opener, who) for who in range(4)]
        *_, seen = in_threads(*publishing, partial(read_all, opened(), wanted))
        _check_race(seen, opened(), 4)

    def test_processes_publish_beside_a_reader(
        self, opened: Callable[[], Log], tmp_path: Path
    ) -> None:
        """A reader beside eight publishing processes sees each entry once, in everyone's order."""
        opener = partial(self.open_log, tmp_path)
        wanted = [b"%d:%d" % (who, n) for who in range(WRITERS) for n in range(_EACH // 2)]
        parts = [(publish_many, opener, who, _EACH // 2) for who in range(WRITERS)]
        *_, seen = in_processes(parts, beside=partial(read_all, opened(), wanted))
        _check_race(seen, opened(), WRITERS)

    def test_threads_share_a_log(self, log: Log) -> None:
        """Threads publish to one log and read it from different places, and each sees all."""
        publish_all(log, b"start")
        start = read_until(log, b"start")[-1].sequence
        wanted = [b"%d:%d" % (who, n) for who in range(3) for n in range(30)]

        def publish(who: int) -> list[Entry]:
            for n in range(30):
                publish_all(log, b"%d:%d" % (who, n))
            return []

        publishing = [partial(publish, who) for who in range(3)]
        reading = [partial(read_all, log, wanted, after) for after in (0, start)]
        *_, whole, rest = in_threads(*publishing, *reading)
        assert sorted(_data(rest)) == sorted(wanted)
        assert whole[1:] == rest

    # Its life -------------------------------------------------------------------------------------

    def test_identity(self, opened: Callable[[], Log]) -> None:
        """A log keeps its identity, also when all who used it have gone."""
        one = opened()
        identity = one.identity()
        assert 0 < len(identity) <= 255
        publish_all(one, b"1")
        one.close()
        assert opened().identity() == identity

    def test_another_log_is_another(self, log: Log, tmp_path: Path) -> None:
        """Two logs on two places have nothing in common."""
        directory = tmp_path / "other"
        directory.mkdir()
        other = self.open_log(directory)
        try:
            assert other.identity() != log.identity()
            assert other.replica_path != log.replica_path
            publish_all(log, b"1")
            assert other.head(PATIENCE) == 0
        finally:
            other.close()

    def test_many_make_one_log(self, tmp_path: Path) -> None:
        """Processes and threads that make a log at once make one."""
        opener = partial(self.open_log, tmp_path)
        identities = in_processes([(identity_of, opener)] * WRITERS)
        identities += in_threads(*[partial(identity_of, opener)] * 4)
        assert len(set(identities)) == 1

    def test_everything_is_there_when_opened_again(self, opened: Callable[[], Log]) -> None:
        """A log that was closed has its entries, and goes on after them."""
        log = opened()
        publish_all(log, b"1", b"2")
        entries = read_until(log, b"2")
        log.close()
        log = opened()
        assert read_until(log, b"2") == entries
        publish_all(log, b"3")
        assert _data(read_until(log, b"3", entries[-1].sequence)) == [b"3"]

    def test_close(self, log: Log) -> None:
        """To close wakes who waits, and may be done again."""
        publish_all(log, b"1")
        after = read_until(log, b"1")[-1].sequence
        waiting, ended = Flag(), Flag()

        def wait() -> None:
            waiting.set()
            log.wait(after, PATIENCE)
            ended.set()

        thread = Thread(target=wait)
        thread.start()
        waiting.wait(PATIENCE)
        log.close()
        assert ended.wait(PATIENCE / 2)
        thread.join(PATIENCE)
        log.close()

    def test_a_log_that_was_never_used_closes(self, log: Log) -> None:
        """A log may be closed before anything was asked of it."""
        log.close()

    def test_a_log_outlives_a_fork(self, tmp_path: Path) -> None:
        """Children that are forked while a thread publishes use the log as their parent does."""
        opener = partial(self.open_log, tmp_path)
        assert in_processes([(fork_while_publishing, opener)]) == [[]]

    # Trimming and snapshots -----------------------------------------------------------------------

    def test_trim(self, log: Log, opened: Callable[[], Log]) -> None:
        """What was trimmed is gone for everybody; the rest keeps its sequences."""
        publish_all(log, *[b"%d" % n for n in range(20)])
        entries = read_until(log, b"19")
        log.trim(entries[9].sequence)
        for reader in (log, opened()):
            assert read_until(reader, b"19", entries[9].sequence) == entries[10:]
            assert read_until(reader, b"19", entries[15].sequence) == entries[16:]
            assert reader.head(PATIENCE) == entries[-1].sequence
            for after in (0, entries[8].sequence):
                with pytest.raises(LogTrimmed):
                    _read_something(reader, after)
        log.trim(entries[4].sequence)
        assert read_until(log, b"19", entries[9].sequence) == entries[10:]

    def test_trim_all(self, log: Log, opened: Callable[[], Log]) -> None:
        """A log that was trimmed to its end goes on behind it, and gives no place twice."""
        publish_all(log, b"1", b"2")
        last = read_until(log, b"2")[-1].sequence
        log.trim(last)
        late = opened()
        assert late.head(PATIENCE) == last
        assert late.read(last) == []
        with pytest.raises(LogTrimmed):
            _read_something(late, 0)
        told = opened()
        with pytest.raises(LogTrimmed):
            _read_something(told, 0)
        publish_all(late, b"3")
        for reader in (log, late, told, opened()):
            (entry,) = read_until(reader, b"3", last)
            assert entry.sequence > last

    def test_trimmed_below_a_reader(self, opened: Callable[[], Log]) -> None:
        """A reader that waits where another trims is told so when it goes on, and skips nothing."""
        reader, other = opened(), opened()
        publish_all(other, b"1")
        first = read_until(reader, b"1")[-1].sequence
        publish_all(other, b"2", b"3")
        last = read_until(other, b"3")[-1].sequence
        other.trim(last)
        publish_all(other, b"4")
        seen: list[bytes] = []
        try:
            seen = _data(read_until(reader, b"4", first))
        except LogTrimmed:
            return
        assert seen == [b"2", b"3", b"4"]  # it had them at hand

    def test_snapshots(self, log: Log, opened: Callable[[], Log], tmp_path: Path) -> None:
        """The newest snapshot comes back byte for byte, for everybody, with its sequence."""
        first, second = random.randbytes(1000), random.randbytes(_SNAPSHOT)
        publish_all(log, b"1", b"2")
        entries = read_until(log, b"2")
        for entry, content in zip(entries, (first, second), strict=True):
            path = tmp_path / "made"
            path.write_bytes(content)
            log.put_snapshot(entry.sequence, str(path))
            path.unlink()
            fetched = tmp_path / uuid4().hex
            assert opened().fetch_snapshot(str(fetched)) == entry.sequence
            assert fetched.read_bytes() == content
        assert log.check() == []

    def test_an_older_snapshot_comes_late(self, log: Log, tmp_path: Path) -> None:
        """A snapshot that is put after a newer one does not take its place."""
        publish_all(log, b"1", b"2")
        older, newer = (entry.sequence for entry in read_until(log, b"2"))
        for sequence, content in ((newer, b"newer"), (older, b"older")):
            (tmp_path / "made").write_bytes(content)
            log.put_snapshot(sequence, str(tmp_path / "made"))
        assert log.fetch_snapshot(str(tmp_path / "fetched")) == newer
        assert (tmp_path / "fetched").read_bytes() == b"newer"

    def test_snapshots_are_put_at_once(self, opened: Callable[[], Log], tmp_path: Path) -> None:
        """Of several that are put at once the newest is there in the end, and is whole."""
        publish_all(opened(), *[b"%d" % n for n in range(4)])
        entries = read_until(opened(), b"3")

        def put(number: int) -> None:
            path = tmp_path / f"made-{number}"
            path.write_bytes(bytes([number]) * _MIB)
            opened().put_snapshot(entries[number].sequence, str(path))

        in_threads(*[partial(put, number) for number in range(4)])
        fetched = tmp_path / "fetched"
        assert opened().fetch_snapshot(str(fetched)) == entries[3].sequence
        assert fetched.read_bytes() == bytes([3]) * _MIB

    def test_a_snapshot_outlives_a_trim(self, log: Log, tmp_path: Path) -> None:
        """After a trim the snapshot is where who starts anew finds it, and the rest follows it."""
        publish_all(log, b"1", b"2", b"3")
        entries = read_until(log, b"3")
        (tmp_path / "made").write_bytes(b"as it was")
        log.put_snapshot(entries[1].sequence, str(tmp_path / "made"))
        log.trim(entries[1].sequence)
        log.close()
        late = self.open_log(tmp_path)
        try:
            sequence = late.fetch_snapshot(os.fspath(tmp_path / "fetched"))
            assert sequence == entries[1].sequence
            assert read_until(late, b"3", sequence) == entries[2:]
        finally:
            late.close()


def _publish_many(open_log: Callable[[], Log], publisher: int) -> list[Entry]:
    """As `publish_many`, of which nothing is read here."""
    publish_many(open_log, publisher, _EACH)
    return []


def _data(entries: list[Entry]) -> list[bytes]:
    return [entry.data for entry in entries]


def _read_something(log: Log, after: int) -> None:
    """Read until there is something; for those who expect to be refused."""
    log.wait(after, PATIENCE)
    log.read(after)


def _check_rising(entries: list[Entry]) -> None:
    sequences = [entry.sequence for entry in entries]
    assert sequences == sorted(set(sequences))
    assert sequences[0] >= 1


def _check_race(seen: list[Entry], late: Log, publishers: int) -> None:
    """Each entry once, everyone's own in order, and the same for who comes late."""
    _check_rising(seen)
    data = _data(seen)
    assert len(set(data)) == len(data)
    for publisher in range(publishers):
        own = [int(each.split(b":")[1]) for each in data if each.startswith(b"%d:" % publisher)]
        assert own == sorted(own)
    assert read_all(late, data) == seen
