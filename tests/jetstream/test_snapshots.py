"""Snapshots: laid out as NATS lays out objects, whole or not there."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.jetstream.streams import administer, stream_of
from tests.remote.broken_line import BrokenLine
from tidings.errors import StoreDamaged, StoreUnavailable
from tidings.store.jetstream.snapshots import _Nothing
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nats.js import JetStreamContext

    from tests.engines.nats import NatsServer
    from tidings.store.jetstream.log import JetStreamLog

_SIZE = 3 << 20


def _bucket(url: str) -> tuple[str, str, str]:
    server, name, _ = stream_of(url)
    bucket = f"tidings-{name}-snapshots"
    return server, bucket, f"OBJ_{bucket}"


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A file to put."""
    path = tmp_path / "made"
    path.write_bytes(random.randbytes(_SIZE))
    return path


def test_others_can_read_it(
    opened: Callable[[str], JetStreamLog], url: str, made: Path, tmp_path: Path
) -> None:
    """The object store of nats-py, and with it `nats object get`, finds the snapshot whole."""
    opened(url).put_snapshot(7, str(made))
    server, bucket, _ = _bucket(url)

    async def fetch(jetstream: JetStreamContext) -> None:
        store = await jetstream.object_store(bucket)
        (described,) = await store.list()
        with (tmp_path / "fetched").open("wb") as file:
            await store.get(described.name or "", writeinto=file)

    administer(server, fetch)
    assert (tmp_path / "fetched").read_bytes() == made.read_bytes()


def test_old_pieces_go(opened: Callable[[str], JetStreamLog], url: str, made: Path) -> None:
    """Of snapshots that were replaced or cut off, nothing is left but the newest."""
    log = opened(url)
    log.put_snapshot(1, str(made))
    server, bucket, stream = _bucket(url)
    administer(server, lambda jetstream: jetstream.publish(f"$O.{bucket}.C.cut-off", b"piece"))
    log.put_snapshot(2, str(made))
    info = administer(server, lambda jetstream: jetstream.stream_info(stream, f"$O.{bucket}.>"))
    assert len(info.state.subjects) == 2  # one snapshot's pieces, and its description
    assert info.state.messages == _SIZE // (256 * 1024) + 1


def test_a_piece_that_another_process_has_erased(
    opened: Callable[[str], JetStreamLog], url: str, made: Path
) -> None:
    """Of two that erase the same old pieces at once the later finds nothing, and goes on."""
    log = opened(url)
    log.put_snapshot(1, str(made))
    session = log._open()
    session.loop.run(session.snapshots._overwrite(3), None)
    with pytest.raises(_Nothing):
        session.loop.run(session.snapshots._overwrite(3), None)


def test_a_missing_piece(
    opened: Callable[[str], JetStreamLog], url: str, made: Path, tmp_path: Path
) -> None:
    """A snapshot of which a piece is missing is damaged, and is not taken for a whole one."""
    log = opened(url)
    log.put_snapshot(1, str(made))
    server, _, stream = _bucket(url)
    administer(server, lambda jetstream: jetstream.delete_msg(stream, 3))
    with pytest.raises(StoreDamaged, match="not whole"):
        log.fetch_snapshot(str(tmp_path / "fetched"))


def test_another_piece(
    opened: Callable[[str], JetStreamLog], url: str, made: Path, tmp_path: Path
) -> None:
    """A snapshot of which a piece is another one is damaged."""
    log = opened(url)
    log.put_snapshot(1, str(made))
    server, _, stream = _bucket(url)

    async def replace(jetstream: JetStreamContext) -> None:
        piece = await jetstream.get_msg(stream, 3)
        await jetstream.delete_msg(stream, 3)
        await jetstream.publish(piece.subject or "", b"another")

    administer(server, replace)
    with pytest.raises(StoreDamaged, match="another checksum"):
        log.fetch_snapshot(str(tmp_path / "fetched"))


def test_lines_that_break(
    opened: Callable[[str], JetStreamLog], nats_server: NatsServer, url: str, made: Path
) -> None:
    """A snapshot that is put and fetched over a line that breaks arrives whole."""
    line = BrokenLine(nats_server.port)
    try:
        log = opened(url.replace(str(nats_server.port), line.url.rpartition(":")[2]))
        log.identity()
        line.answers_to_swallow = 1
        log.put_snapshot(1, str(made))
        line.answers_to_swallow = 1
        assert log.fetch_snapshot(f"{made}-fetched") == 1
        assert line.connections >= 3
    finally:
        line.close()
    assert made.with_name("made-fetched").read_bytes() == made.read_bytes()


def test_no_server(
    opened: Callable[[str], JetStreamLog], own_server: NatsServer, made: Path
) -> None:
    """Where no server is there, putting and fetching say so."""
    log = opened(f"{own_server.url}/lab")
    own_server.kill()
    with pytest.raises(StoreUnavailable, match="does not answer"):
        log.put_snapshot(1, str(made))
    with pytest.raises(StoreUnavailable, match="does not answer"):
        log.fetch_snapshot(f"{made}-fetched")


def test_a_trim_without_a_snapshot(opened: Callable[[str], JetStreamLog], url: str) -> None:
    """The check tells of a stream whose beginning nobody can get any more."""
    log = opened(url)
    log.publish([("a", b"1"), ("b", b"2")], PATIENCE)
    log.trim(1)
    (problem,) = log.check()
    assert "no snapshot has what came before" in problem
