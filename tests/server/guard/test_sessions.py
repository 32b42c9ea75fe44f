"""Sessions of browsers: for every worker, until they end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.server.guard.admission import FROM_EVIL, OWN, Server, bearer, cookie
from tidings.errors import StoreLocked
from tidings.server import sessions as sessions_module
from tidings.server.access import NOBODY
from tidings.server.keys import Key
from tidings.server.sessions import session_cookie
from tidings.store.base import Store
from tidings.timestamps import now_instant


def test_a_session_reads_from_every_worker(
    start: Callable[..., Server], key: tuple[Key, str]
) -> None:
    """The cookie that one worker gave is known to the others, with the rights of its key."""
    first, second = start(), start()
    session_id = first.sessions.begin(key[0])
    for worker in (first, second, second):
        caller = worker.ask(cookie(session_id)).caller
        assert (caller.key_id, caller.projects) == (key[0].id, frozenset("a"))
    for other in (session_id[:-1], session_id.upper(), "", "../x", session_id * 9):
        second.refused(401, cookie(other))


def test_a_session_that_ended_is_refused_by_every_worker(
    start: Callable[..., Server], key: tuple[Key, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ended by one worker, it is refused by the others two seconds later at most."""
    first, second = start(), start()
    session_id = first.sessions.begin(key[0])
    assert second.ask(cookie(session_id))
    first.sessions.end(session_id)
    first.refused(401, cookie(session_id))
    second.now += 2.001
    second.refused(401, cookie(session_id))
    lasting = first.sessions.begin(key[0])
    assert first.ask(cookie(lasting))
    later = now_instant() + 12 * 3600 * 1_000_000
    monkeypatch.setattr(sessions_module, "now_instant", lambda: later)
    first.refused(401, cookie(lasting))


def test_a_cookie_changes_nothing_for_other_pages(
    start: Callable[..., Server], key: tuple[Key, str]
) -> None:
    """With a cookie, a request that changes something needs the own or an allowed origin."""
    server = start()
    session = cookie(server.sessions.begin(key[0]))
    assert server.ask(session, OWN, method="POST").caller.name == "ci"
    assert server.ask(session, (b"origin", b"http://localhost:3000"), method="POST")
    assert server.ask(session, (b"sec-fetch-site", b"same-origin"), method="POST")
    server.refused(403, session, method="POST")
    server.refused(403, session, FROM_EVIL, method="POST")
    server.refused(403, session, method="DELETE", path="/session")
    assert server.ask(session, bearer(key[1]), method="POST").caller.name == "ci"
    assert server.ask(session, method="POST", path="/session").caller is NOBODY
    for fields in ({"cors_origins": ["*"]}, {"cors_allow_credentials": False}):
        strict = start(**fields)
        strict.refused(403, session, (b"origin", b"http://localhost:3000"), method="POST")


def test_a_cookie_is_for_this_server_alone() -> None:
    """No script reads it, no other site uses it, no plain http shows it, no other path gets it."""
    name, *flags = session_cookie("ab12", path="/tidings", secure=True).split("; ")
    assert name == "tidings_session=ab12"
    expected = {"HttpOnly", "SameSite=Strict", "Path=/tidings", "Max-Age=43200", "Secure"}
    assert set(flags) == expected
    assert "Max-Age=0" in session_cookie("", path="", secure=False)


def test_sessions_that_ended_leave_the_ledger(
    start: Callable[..., Server],
    store: Store,
    key: tuple[Key, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What has ended is removed once an hour, so the ledger does not fill with sessions."""
    server = start()
    for _ in range(3):
        server.sessions.begin(key[0])
    assert len(store.keys("session/")) == 3
    later = now_instant() + 12 * 3600 * 1_000_000
    monkeypatch.setattr(sessions_module, "now_instant", lambda: later)
    server.now += 3601
    server.sessions.begin(key[0])
    assert len(store.keys("session/")) == 1


def test_the_ledger_holds_no_session_id(
    start: Callable[..., Server], store: Store, key: tuple[Key, str]
) -> None:
    """Who reads the ledger cannot take over a session."""
    session_id = start().sessions.begin(key[0])
    (name,) = store.keys("session/")
    assert session_id not in name + repr(store.get(name))


def test_without_the_ledger_what_is_known_holds(
    start: Callable[..., Server],
    store: Store,
    key: tuple[Key, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Known keys and sessions go on, unknown ones get no answer, and health asks nobody."""
    server = start()
    session = cookie(server.sessions.begin(key[0]))
    assert server.ask(session)

    def fail(name: str) -> None:
        raise StoreLocked(f"others hold the lock of {name}")

    monkeypatch.setattr(store, "get", fail)
    server.now += 10
    assert server.ask(session).caller.name == "ci"
    assert server.ask(bearer(key[1])).caller.name == "ci"
    unknown = cookie("x"), bearer(f"tid_{'0' * 12}_{'0' * 64}")
    for given in unknown:
        with pytest.raises(StoreLocked):
            server.ask(given)
        assert server.ask(given, path="/health/ready").caller is NOBODY
