"""Who asks: keys, known, wrong, revoked, expired, and how often."""

from __future__ import annotations

from collections.abc import Callable
from time import sleep

import pytest

from tests.server.guard.admission import AFAR, Server, bearer, cookie, scope_of
from tidings.server import keys as keys_module
from tidings.server import sessions as sessions_module
from tidings.server.access import ANYONE, NOBODY, Caller
from tidings.server.keys import Key, KeyRing
from tidings.server.problems import Problem
from tidings.store.base import Store
from tidings.timestamps import now_instant


def test_a_key_is_needed_once_there_is_one(
    start: Callable[..., Server], key: tuple[Key, str]
) -> None:
    """With a key everything is closed but what is open to all; the key opens the rest."""
    server = start()
    for path in ("/events/", "/metrics", "/healthy", "/docs2", "/sessions", "/uix", "//", "/log"):
        refused = server.refused(401, path=path)
        assert dict(refused.headers)["www-authenticate"] == 'Bearer realm="tidings"'
    opened = ("/", "/health", "/health/live", "/docs", "/openapi.json", "/session", "/ui/a/b")
    for path in opened:
        assert server.ask(path=path).caller is NOBODY
    expected = Caller("ci", frozenset(["emit"]), frozenset(["a"]), key[0].id)
    for path in ("/events/", *opened):
        assert server.ask(bearer(key[1]), path=path).caller == expected


def test_without_keys_everybody_is_anyone(start: Callable[..., Server]) -> None:
    """Where no keys exist, whatever is sent as one does no harm; strangers are told apart."""
    server = start(insecure=True)
    assert server.ask(bearer("tid_x")).caller is ANYONE
    assert server.ask(cookie("x"), method="POST").caller is ANYONE
    assert server.ask(client=AFAR).caller == ANYONE._replace(address=AFAR)


@pytest.mark.parametrize(
    "authorization",
    [b"", b"Bearer", b"Bearer ", b"Basic dXNlcjpwYXNz", b"Bearer tid_x", b"Bearer \xff\x00"],
)
def test_a_wrong_key_is_refused(
    start: Callable[..., Server], key: tuple[Key, str], authorization: bytes
) -> None:
    """What is no key gets 401, and the answer does not show what was sent."""
    assert key
    server = start()
    problem = server.refused(401, (b"authorization", authorization))
    assert b"dXNl" not in problem.body()
    assert server.ask((b"authorization", authorization), path="/health/live").caller is NOBODY
    server.refused(401, (b"authorization", authorization), path="/session")


def test_a_key_made_by_another_process_works_at_once(
    start: Callable[..., Server], store: Store, key: tuple[Key, str]
) -> None:
    """The ledger is asked about a key that is not known yet."""
    assert key
    server = start()
    _, token = KeyRing(store).create("new", ["read"])
    assert server.ask(bearer(token)).caller.name == "new"


def test_a_revoked_key_is_refused_by_every_worker(
    start: Callable[..., Server], key: tuple[Key, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers learn by themselves that a key was revoked, and its sessions end with it."""
    monkeypatch.setattr(keys_module, "_REFRESH_SECONDS", 0.001)
    workers = start(), start()
    session_id = workers[0].sessions.begin(key[0])
    for worker in workers:
        assert worker.ask(bearer(key[1])).caller.key_id == key[0].id
        assert worker.ask(cookie(session_id)).caller.key_id == key[0].id
    workers[0].keys.revoke(key[0].id)
    for worker in workers:
        while worker.keys.known(key[0].id):
            sleep(0.001)
        worker.refused(401, bearer(key[1]))
        worker.refused(401, cookie(session_id))


def test_an_expired_key_is_refused(
    start: Callable[..., Server], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end of a key it and its sessions stop."""
    ends = now_instant() + 60_000_000
    key, token = KeyRing(store).create("ci", ["read"], None, ends)
    server = start()
    session_id = server.sessions.begin(key)
    assert server.ask(bearer(token)).caller.name == "ci"
    assert server.ask(cookie(session_id)).caller.name == "ci"
    for module in (keys_module, sessions_module):
        monkeypatch.setattr(module, "now_instant", lambda: ends)
    server.refused(401, bearer(token))
    server.refused(401, cookie(session_id))


def test_wrong_keys_are_limited_per_address(
    start: Callable[..., Server], key: tuple[Key, str]
) -> None:
    """After twenty wrong keys an address gets 429 for more of them, and right ones still work."""
    server = start()
    wrong = bearer(f"tid_{'0' * 12}_{'0' * 64}")
    for _ in range(20):
        server.refused(401, wrong, client=AFAR)
    problem = server.refused(429, wrong, client=AFAR)
    assert dict(problem.headers)["retry-after"] == "1"
    server.refused(429, cookie("x"), client=AFAR)
    server.refused(401, wrong, client="192.0.2.2")
    assert server.ask(bearer(key[1]), client=AFAR).caller.name == "ci"


def test_requests_are_limited(start: Callable[..., Server], key: tuple[Key, str]) -> None:
    """Too many requests of one key are refused with 429, in one place for all routes."""
    server = start(rate_limit=1)
    for _ in range(10):
        server.ask(bearer(key[1]), client=AFAR)
    assert server.refused(429, bearer(key[1]), client=AFAR).slug == "too-many-requests"
    assert server.ask(path="/health/live", client=AFAR)


@pytest.mark.parametrize(
    "query",
    [b"key=s3cret", b"limit=3&token=s3cret", b"access_token=s3cret&a=1", b"a=tid_%b_%b"],
)
def test_a_key_in_the_url_is_refused(start: Callable[..., Server], query: bytes) -> None:
    """400 says why, shows no key, and takes it out of what a server logs of the request."""
    server = start()
    scope = scope_of(query=query.replace(b"tid_%b_%b", b"tid_" + b"0" * 12 + b"_" + b"5" * 64))
    with pytest.raises(Problem) as refused:
        server.guard.admit(scope)
    assert refused.value.status == 400
    assert b"s3cret" not in refused.value.body()
    assert scope["query_string"] == b"removed"
    assert server.ask(query=b"payload.key=x&mytoken=1&contains=tid_")


# Sessions ----------------------------------------------------------------------------------------


def test_a_key_in_the_path_is_refused_and_not_logged(start: Callable[..., Server]) -> None:
    """Nor is one that is sent as the request's id: both would stand in the log."""
    token = f"tid_{'0' * 12}_{'0' * 64}"
    server = start()
    scope = scope_of(path=f"/events/agents/{token}")
    with pytest.raises(Problem) as refused:
        server.guard.admit(scope)
    assert (refused.value.status, refused.value.slug) == (400, "key-in-url")
    assert token not in str(scope)
    assert token not in server.ask((b"x-request-id", token.encode())).request_id


def test_health_is_told_however_often_it_is_asked(start: Callable[..., Server]) -> None:
    """A busy neighbour must not get the server started anew."""
    server = start(rate_limit=0.001)
    for _ in range(50):
        server.ask(path="/health/live", client=AFAR, server=None)
    server.refused(429, client=AFAR, server=None)
