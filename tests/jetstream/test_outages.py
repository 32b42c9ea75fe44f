"""Servers that die, lines that break, administrators at work: nothing lost, nothing twice."""

from __future__ import annotations

import shutil
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.engines.nats import wait_for
from tests.jetstream.streams import administer, flood, stream_of
from tests.remote.broken_line import BrokenLine
from tests.replicated.log_elsewhere import named, publish_all, read_all, read_until
from tidings.errors import OutcomeUnknown, StoreDamaged, StoreUnavailable
from tidings.store.jetstream.buffer import ENOUGH_BYTES
from tidings.store.replicated.log import LogTrimmed
from tidings.testing.elsewhere import PATIENCE, in_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.engines.nats import NatsServer
    from tidings.store.jetstream.log import JetStreamLog
    from tidings.store.replicated.log import Entry

_PUBLISHERS = 3
_EACH = 150
_WINDOW = 32 << 20
_STILL = 10
_FLOOD, _TRIMMED, _SIZE = 50_000, 10_000, 1_200


@pytest.fixture
def line(nats_server: NatsServer) -> Iterator[BrokenLine]:
    """A line to the server that breaks when told to."""
    opened = BrokenLine(nats_server.port)
    yield opened
    opened.close()


def _through(line: BrokenLine, url: str) -> str:
    """The URL of a store, over a line."""
    return f"nats://{urlsplit(line.url).netloc}{urlsplit(url).path}"


class TestPublishing:
    """An acknowledged entry is there once, whatever breaks."""

    def test_a_lost_answer(
        self, opened: Callable[[str], JetStreamLog], line: BrokenLine, url: str
    ) -> None:
        """An entry whose acknowledgement is lost with the connection is there once."""
        log = opened(_through(line, url))
        publish_all(log, b"1")
        line.answers_to_swallow = 1
        publish_all(log, b"2", b"3")
        assert line.connections >= 2
        assert [each.data for each in read_until(opened(url), b"3")] == [b"1", b"2", b"3"]

    def test_answers_lost_again_and_again(
        self, opened: Callable[[str], JetStreamLog], line: BrokenLine, url: str
    ) -> None:
        """Where every connection breaks before its second answer, entries still come in order."""
        log = opened(_through(line, url))
        wanted = [b"%d" % n for n in range(8)]
        publish_all(log, wanted[0])
        for data in wanted[1:]:
            line.answers_to_swallow = 1
            publish_all(log, data)
        assert [each.data for each in read_until(opened(url), wanted[-1])] == wanted

    def test_silence(
        self, opened: Callable[[str], JetStreamLog], line: BrokenLine, url: str
    ) -> None:
        """Where no answer comes in time, nobody claims to know the outcome."""
        log = opened(_through(line, url))
        publish_all(log, b"1")
        line.fall_silent()
        with pytest.raises(OutcomeUnknown, match="did not acknowledge"):
            log.publish(named(b"2"), 0.3)

    def test_no_server(self, opened: Callable[[str], JetStreamLog], own_server: NatsServer) -> None:
        """What was refused because no server was there is not sent later."""
        log, late = opened(f"{own_server.url}/lab"), opened(f"{own_server.url}/lab")
        publish_all(log, b"1")
        own_server.kill()

        def noticed() -> bool:
            # Until the broken connection is noticed, an entry may go into it: nobody can know.
            try:
                log.publish(named(b"2"), 0.1)
            except (OutcomeUnknown, StoreUnavailable) as error:
                return isinstance(error, StoreUnavailable)
            return False

        wait_for(noticed, "a refusal")
        with pytest.raises(StoreUnavailable, match="does not answer"):
            log.head(0.1)
        with pytest.raises(StoreUnavailable, match="does not answer"):
            log.publish(named(b"3"), 0.1)
        own_server.start()
        publish_all(log, b"4")
        seen = [each.data for each in read_until(late, b"4")]
        assert set(seen) - {b"2"} == {b"1", b"4"}

    def test_killed_servers(
        self, opened: Callable[[str], JetStreamLog], own_server: NatsServer
    ) -> None:
        """Publishers and a reader go on over kill -9 of the server; each entry is there once."""
        url = f"{own_server.url}/lab"
        wanted = [b"%d:%d" % (who, n) for who in range(_PUBLISHERS) for n in range(_EACH)]
        watch, *logs = [opened(url) for _ in range(1 + _PUBLISHERS)]
        for log in logs:
            log.identity()  # who has never reached a server waits for none

        def publish(who: int) -> list[Entry]:
            for n in range(_EACH):
                publish_all(logs[who], b"%d:%d" % (who, n))
            return []

        def kill() -> list[Entry]:
            after = 0
            for share in (1, 2):
                while (after := watch.head(PATIENCE)) < share * len(wanted) // 3:
                    watch.wait(after, 1.0)
                    watch.read(after)
                own_server.kill()
                own_server.start()
            return []

        reading = partial(read_all, opened(url), wanted)
        *_, seen = in_threads(*(partial(publish, who) for who in range(_PUBLISHERS)), kill, reading)
        assert sorted(each.data for each in seen) == sorted(wanted)
        for who in range(_PUBLISHERS):
            own = [each.data for each in seen if each.data.startswith(b"%d:" % who)]
            assert own == [b"%d:%d" % (who, n) for n in range(_EACH)]
        assert read_all(opened(url), wanted) == seen


class TestReading:
    """A reader misses nothing and gets nothing twice, whatever breaks."""

    def test_a_line_that_breaks(
        self, opened: Callable[[str], JetStreamLog], line: BrokenLine, url: str
    ) -> None:
        """A reader whose connection breaks in the middle of messages goes on behind the last."""
        writer, reader = opened(url), opened(_through(line, url))
        wanted = [b"%d" % n + b"." * 3_000 for n in range(200)]
        publish_all(writer, *wanted)
        seen: list[Entry] = []
        for cut in (20_000, 60_000, 100_000, None):
            # Each new connection brings so many bytes more, and is cut in the middle of a message.
            line.answer_bytes = cut
            while cut and len(seen) < 15:
                after = seen[-1].sequence if seen else 0
                reader.wait(after, 0.2)
                seen += reader.read(after)
                if line.connections > 3:
                    break
        seen += read_until(reader, wanted[-1], seen[-1].sequence if seen else 0)
        assert [each.data for each in seen] == wanted
        assert line.connections > 1

    def test_a_consumer_that_is_deleted(
        self, opened: Callable[[str], JetStreamLog], url: str
    ) -> None:
        """A reader whose consumer an administrator deletes goes on."""
        log = opened(url)
        publish_all(log, b"1")
        first = read_until(log, b"1")[-1].sequence
        server, name, _ = stream_of(url)

        async def delete(jetstream: object) -> int:
            consumers = await jetstream.consumers_info(name)  # type: ignore[attr-defined]
            for each in consumers:
                await jetstream.delete_consumer(name, each.name)  # type: ignore[attr-defined]
            return len(consumers)

        assert administer(server, delete) >= 1
        publish_all(log, b"2")
        assert [each.data for each in read_until(log, b"2", first)] == [b"2"]

    @pytest.mark.parametrize("lost", [5, 20], ids=["in the middle", "the last one"])
    def test_a_lost_message(
        self, opened: Callable[[str], JetStreamLog], url: str, lost: int
    ) -> None:
        """A message that gets lost on its way is noticed, by the next one or by a heartbeat."""
        log = opened(url)
        publish_all(log, b"0")
        first = read_until(log, b"0")[-1].sequence
        session = log._session
        assert session is not None
        line = session.connection._line
        assert line is not None
        process = line.client._process_msg
        count = 0

        async def process_most(*message: bytes) -> None:
            nonlocal count
            count += b"CONSUMER" not in message[1] and message[3].startswith(b"n")
            if count != lost or not message[3].startswith(b"n"):
                await process(*message)  # type: ignore[arg-type]

        line.client._process_msg = process_most  # type: ignore[method-assign,assignment]
        wanted = [b"n%d" % n for n in range(20)]
        publish_all(opened(url), *wanted)
        assert [each.data for each in read_until(log, wanted[-1], first)] == wanted
        assert count > lost

    def test_a_slow_reader(self, opened: Callable[[str], JetStreamLog], url: str) -> None:
        """More than a reader can hold waits at the server, and nothing is dropped."""
        log = opened(url)
        log.identity()
        server, _, subject = stream_of(url)
        flood(server, subject, _FLOOD, _SIZE)
        log.read(0)
        session = log._session
        assert session is not None
        buffer = session.buffer
        wait_for(lambda: buffer._full, "a full buffer")
        seen = [0]

        def has_stopped() -> bool:
            seen.append(buffer._bytes)
            return len(seen) > _STILL and seen[-1] == seen[-_STILL]

        wait_for(has_stopped, "an end of what is sent ahead")
        assert buffer._bytes <= ENOUGH_BYTES + _WINDOW
        after = 0
        while after < _FLOOD:
            after = _read_some(log, after)
            assert buffer._bytes <= ENOUGH_BYTES + _WINDOW

    def test_trimmed_while_reading(self, opened: Callable[[str], JetStreamLog], url: str) -> None:
        """A reader below which the stream is trimmed is told where its entries end."""
        server, _, subject = stream_of(url)
        reader, other = opened(url), opened(url)
        other.identity()
        # More than a reader is sent ahead, also where it has to ask again and again.
        flood(server, subject, _TRIMMED, 2 * _SIZE)
        after = _read_some(reader, 0)
        session = reader._session
        assert session is not None
        wait_for(lambda: session.buffer._full, "a full buffer")
        other.trim(_TRIMMED)
        publish_all(other, b"more")
        with pytest.raises(LogTrimmed):
            _read_to(reader, after, _TRIMMED)
        assert [each.data for each in read_until(reader, b"more", _TRIMMED)] == [b"more"]

    def test_a_server_that_starts_anew(
        self, opened: Callable[[str], JetStreamLog], own_server: NatsServer
    ) -> None:
        """A reader goes on when its server was stopped and started again."""
        log = opened(f"{own_server.url}/lab")
        publish_all(log, b"1")
        first = read_until(log, b"1")[-1].sequence
        own_server.stop()
        assert not log.wait(first, 0.01)
        own_server.start()
        publish_all(opened(f"{own_server.url}/lab"), b"2")
        assert [each.data for each in read_until(log, b"2", first)] == [b"2"]


class TestStreams:
    """A stream that is not what it was is no log any more."""

    def test_deleted_and_made_anew(self, opened: Callable[[str], JetStreamLog], url: str) -> None:
        """A stream that took another's place is refused by who was there, and is another log."""
        log = opened(url)
        publish_all(log, b"1")
        after = read_until(log, b"1")[-1].sequence
        server, name, _ = stream_of(url)
        administer(server, lambda jetstream: jetstream.delete_stream(name))
        with pytest.raises(StoreDamaged, match="is gone"):
            log.head(PATIENCE)
        other = opened(url)
        assert other.identity() != log._identity
        publish_all(other, b"new")
        with pytest.raises(StoreDamaged, match="made anew"):
            log.head(PATIENCE)
        # It may have noticed in between, while there was none.
        with pytest.raises(StoreDamaged, match=r"made anew|is gone"):
            _read_on(log, after)

    def test_lost_entries(
        self,
        opened: Callable[[str], JetStreamLog],
        own_server: NatsServer,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Who read entries that the servers then lost is told, though others took their places."""
        # Or it would be told that they are gone, where the others take their time.
        monkeypatch.setattr("tidings.store.jetstream.following._BEHIND", PATIENCE)
        url = f"{own_server.url}/lab"
        log = opened(url)
        publish_all(log, b"1")
        read_until(log, b"1")
        own_server.stop()
        shutil.copytree(own_server.directory / "data", tmp_path / "before")
        own_server.start()
        publish_all(log, b"2", b"3")
        after = read_until(log, b"3")[-1].sequence
        own_server.kill()
        shutil.rmtree(own_server.directory / "data")
        shutil.copytree(tmp_path / "before", own_server.directory / "data")
        own_server.start()
        publish_all(opened(url), b"other", b"other", b"other")
        with pytest.raises(StoreDamaged, match="has another entry 3"):
            _read_on(log, after)


def _read_some(log: JetStreamLog, after: int) -> int:
    """Read a piece, in which nothing may be missing; where it ends."""
    log.wait(after, PATIENCE)
    for entry in log.read(after):
        assert entry.sequence == after + 1
        after = entry.sequence
    return after


def _read_to(log: JetStreamLog, after: int, last: int) -> None:
    while after < last:
        after = _read_some(log, after)


def _read_on(log: JetStreamLog, after: int) -> None:
    """Read on until something comes, which the test does not expect."""
    assert log.wait(after, PATIENCE)
    log.read(after)
