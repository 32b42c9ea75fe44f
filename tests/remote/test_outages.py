"""What a remote store does when its server, or the line to it, is away: nothing is lost or doubled.

Real servers that are killed and started anew, and a real line that breaks.
"""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from tidings.errors import OutcomeUnknown, StoreUnavailable, VersionConflict
from tidings.event import Event
from tidings.store import remote
from tidings.store.base import Put
from tidings.store.query import Query
from tidings.store.remote import reading as reading_on
from tidings.store.remote import server as asking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.remote.broken_line import BrokenLine
    from tests.server.conftest import Server
    from tidings.store.remote import RemoteStore

    Opened = Callable[..., RemoteStore]

PATIENCE = 60.0


@pytest.fixture
def nobody() -> Iterator[str]:
    """A URL whose port is taken by a socket that takes no connection."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def mute() -> Iterator[str]:
    """A URL where connections are taken and nothing is ever answered."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_a_server_that_is_away_keeps_nothing(opened: Opened, nobody: str) -> None:
    """Every call says where nobody answered; nothing was kept, so the bus spools."""
    store = opened(nobody)
    for call in (lambda: store.append([Event("x")]), store.head, lambda: store.wait(0)):
        with pytest.raises(StoreUnavailable, match="cannot be reached") as caught:
            call()
        assert nobody in str(caught.value)


def test_a_name_that_nobody_has_is_told(opened: Opened) -> None:
    """A host that cannot be resolved is a store that cannot be reached."""
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        opened("http://nobody.invalid:8765").append([Event("x")])


def test_a_silent_server_is_waited_for_no_longer_than_the_deadline(
    opened: Opened, mute: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first append ends in doubt after its deadline; those after it are refused at once."""
    monkeypatch.setattr(asking, "_SILENCE", PATIENCE)
    store = opened(mute, deadline=1.0)
    with pytest.raises(OutcomeUnknown):
        store.append([Event("x")])
    started = monotonic()
    for _ in range(50):
        with pytest.raises(StoreUnavailable, match="a moment ago"):
            store.append([Event("x")])
        with pytest.raises(StoreUnavailable, match="a moment ago"):
            store.keys("type/")
    assert monotonic() - started < 50 * 1.0


def test_an_append_whose_answer_is_lost_is_sent_again(
    opened: Opened, line: BrokenLine, server: Server
) -> None:
    """The server kept the event and nobody heard of it: the second request finds it there."""
    store = opened(line.url)
    line.answers_to_swallow = 1
    (kept,) = store.append([Event("x")])
    about: dict[str, Any] = {"aggregate_type": "agent", "aggregate_id": "a"}
    line.answers_to_swallow = 1
    (versioned,) = store.append([Event("x", **about)], expected_version=0)
    assert (kept.position, versioned.position, versioned.version) == (1, 2, 1)
    assert list(opened(server.url).read(Query())) == [kept, versioned]
    with pytest.raises(VersionConflict):
        store.append([Event("x", **about)], expected_version=0)


def test_an_append_whose_answers_are_lost_twice_ends_in_doubt(
    opened: Opened, line: BrokenLine
) -> None:
    """After one repetition the caller is told; sending the same events again is harmless."""
    store = opened(line.url)
    event = Event("x")
    line.answers_to_swallow = 2
    with pytest.raises(OutcomeUnknown, match="may be sent again"):
        store.append([event])
    assert store.append([event])[0].position == 1
    assert store.head() == 1


def test_what_must_not_be_done_twice_is_not_repeated(opened: Opened, line: BrokenLine) -> None:
    """A ledger write, alone or with events, is sent once; who does not hear of it is in doubt."""
    store = opened(line.url)
    line.answers_to_swallow = 1
    with pytest.raises(OutcomeUnknown):
        store.append([Event("x")], put=[Put("cursor", 1, expected=0)])
    line.answers_to_swallow = 1
    with pytest.raises(OutcomeUnknown):
        store.put("other", 1)
    found = [store.get(key) for key in ("cursor", "other")]
    assert [record and record.value for record in found] == [1, 1]
    assert store.head() == 1


def test_questions_are_asked_again(opened: Opened, line: BrokenLine) -> None:
    """A reader does not notice that an answer was lost."""
    store = opened(line.url)
    store.append([Event("x"), Event("y")])
    line.answers_to_swallow = 1
    assert store.head() == 2
    line.answers_to_swallow = 1
    assert [event.type for event in store.read(Query())] == ["x", "y"]


def test_connections_are_used_again(opened: Opened, line: BrokenLine) -> None:
    """A hundred calls of one thread share a connection; eight threads have eight at the most."""
    store = opened(line.url)
    for _ in range(100):
        store.head()
    assert line.connections == 1
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: store.head(), range(200))) == {0}
    assert line.connections <= 8


def test_a_server_started_anew_is_no_error_for_a_reader(opened: Opened, server: Server) -> None:
    """Kept connections die with the server; what is asked afterwards finds the new one."""
    store = opened(server.url)
    for restarts in range(3):
        store.append([Event("x")])
        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(lambda _: store.head(), range(20))) == {restarts + 1}
        if restarts < 2:
            server.restart()
            assert store.head() == restarts + 1
    assert store.check() == []


def test_a_reading_goes_on_after_a_restart(
    opened: Opened, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader in the middle of five pages sees each event once, though the server was killed."""
    monkeypatch.setattr(reading_on, "_OUTAGE", PATIENCE)
    store = opened(server.url)
    store.append([Event("x", payload={"n": n}) for n in range(5000)])
    reading = store.read(Query())
    seen = [next(reading).payload["n"] for _ in range(10)]
    server.restart()
    seen += [event.payload["n"] for event in reading]
    assert seen == list(range(5000))


def test_a_reading_waits_for_a_server_that_was_there_just_now(
    opened: Opened, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who follows reads again and again; a server killed between two readings is no error."""
    monkeypatch.setattr(remote, "_JUST_NOW", PATIENCE)
    monkeypatch.setattr(reading_on, "_OUTAGE", PATIENCE)
    store, stranger = opened(server.url), opened(server.url)
    store.append([Event("x")])
    server.kill()
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(lambda: [event.type for event in store.read(Query())])
        with pytest.raises(StoreUnavailable):
            stranger.read(Query())
        server.start()
        assert reading.result(PATIENCE) == ["x"]


def test_who_waits_goes_on_after_a_restart(opened: Opened, server: Server) -> None:
    """Waiting is no error while the server starts anew; the event that comes then wakes."""
    store, other = opened(server.url), opened(server.url)
    assert store.head() == 0
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(store.wait, 0, PATIENCE)
        server.restart()
        other.append([Event("x")])
        assert waiting.result(PATIENCE) == 1


def test_time_is_up_while_the_server_is_away(opened: Opened, server: Server) -> None:
    """Whoever waits a little gets the last head known; one that was never there is an error."""
    store, stranger = opened(server.url), opened(server.url)
    store.append([Event("x")])
    assert store.wait(0) == 1
    server.kill()
    assert store.wait(1, timeout=0.05) == 1
    with pytest.raises(StoreUnavailable):
        stranger.wait(1, timeout=0.05)


def test_a_backup_that_breaks_off_leaves_nothing(
    opened: Opened, line: BrokenLine, tmp_path: Path
) -> None:
    """A copy that did not come whole is an error, and what was there before stays."""
    store = opened(line.url)
    store.append([Event("x", payload="y" * 10_000) for _ in range(50)])
    target = tmp_path / "copies" / "copy"
    store.backup(str(target))
    before = target.read_bytes()
    assert len(before) > 300_000
    store.close()
    line.answer_bytes = 200_000
    with pytest.raises(StoreUnavailable, match="broke off"):
        opened(line.url).backup(str(target))
    assert (target.read_bytes(), [each.name for each in target.parent.iterdir()]) == (
        before,
        ["copy"],
    )
