"""What a request must pass before it is routed, each rule tried to be got around."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from time import sleep
from typing import Any

import pytest

from tidings.errors import StoreLocked
from tidings.server import keys as keys_module
from tidings.server import sessions as sessions_module
from tidings.server.access import ANYONE, CALLER, NOBODY, Caller
from tidings.server.config import APIServerConfig
from tidings.server.guard import Admission, Guard
from tidings.server.keys import Key, KeyRing
from tidings.server.limits import Limits
from tidings.server.origins import refusal_to_bind
from tidings.server.problems import Problem
from tidings.server.sessions import Sessions, session_cookie
from tidings.store.base import Store
from tidings.store.memory import MemoryStore
from tidings.timestamps import now_instant

HOST = (b"host", b"localhost:8765")
AFAR = "192.0.2.1"


class Server:
    """A guard with its store, as one worker has it."""

    def __init__(self, store: Store, **fields: Any) -> None:
        self.config = APIServerConfig(**fields)
        self.now = 1000.0
        self.keys = KeyRing(store)
        self.sessions = Sessions(store, self.keys, lambda: self.now)
        limits = Limits(self.config, lambda: self.now)
        self.guard = Guard(self.config, self.keys, limits, self.sessions)

    def ask(self, *headers: tuple[bytes, bytes], **fields: Any) -> Admission:
        """Have a request admitted, as the app does it."""
        scope = scope_of(*headers, **fields)
        admission = self.guard.admit(scope)
        if admission.pending is not None:
            assert scope[CALLER] is NOBODY
            admission = asyncio.run(admission.pending())  # type: ignore[arg-type]  # a coroutine
        assert scope[CALLER] == admission.caller
        return admission

    def refused(self, status: int, *headers: tuple[bytes, bytes], **fields: Any) -> Problem:
        """The problem that a request is refused with."""
        with pytest.raises(Problem) as refused:
            self.ask(*headers, **fields)
        assert refused.value.status == status, refused.value
        return refused.value


def scope_of(
    *headers: tuple[bytes, bytes],
    method: str = "GET",
    path: str = "/events/",
    query: bytes = b"",
    client: str = "127.0.0.1",
    server: tuple[str, int | None] | None = ("127.0.0.1", 8765),
    host: bool = True,
) -> dict[str, Any]:
    """The ASGI scope of a request."""
    return {
        "type": "http",
        "scheme": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "root_path": "",
        "client": (client, 4711),
        "server": server,
        "headers": [*([HOST] if host else []), *headers],
    }


def bearer(token: str) -> tuple[bytes, bytes]:
    """The header that gives a key."""
    return b"authorization", b"Bearer " + token.encode()


def cookie(session_id: str) -> tuple[bytes, bytes]:
    """The header that gives a session."""
    return b"cookie", b"theme=dark; tidings_session=" + session_id.encode()


@pytest.fixture
def store() -> Iterator[Store]:
    """An empty store."""
    with MemoryStore() as opened:
        yield opened


@pytest.fixture
def start(store: Store) -> Callable[..., Server]:
    """Starts another worker on the store."""
    return lambda **fields: Server(store, **fields)


@pytest.fixture
def key(store: Store) -> tuple[Key, str]:
    """A key and its token."""
    return KeyRing(store).create("ci", ["emit"], ["a"])


# For us? -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        b"localhost",
        b"LocalHost:80",
        b"127.0.0.1:8765",
        b"127.8.9.10",
        b"[::1]:8765",
        b"[::1]",
    ],
)
def test_this_machine_is_known_by_its_names(start: Callable[..., Server], host: bytes) -> None:
    """Loopback's names and addresses are let in, with any port."""
    server = start()
    for _ in range(2):  # looked at, then remembered
        assert server.ask((b"host", host), host=False).caller is ANYONE


@pytest.mark.parametrize(
    "host",
    [
        b"evil.example",
        b"localhost.evil.example",
        b"127.0.0.1.evil.example",
        b"evil.example:8765",
        b"127.0.0.1@evil.example",
        b"localhost, evil.example",
        b"localhost/",
        b"localhost:",
        b"localhost:8765:1",
        b"[::1",
        b"[::ffff:192.0.2.1]",
        b"2130706433",
        b"0.0.0.0",
        b"",
        b" localhost",
        b"localhost\n",
        b"\xff",
    ],
)
def test_another_host_is_refused_on_loopback(start: Callable[..., Server], host: bytes) -> None:
    """A name made to point here (DNS rebinding) gets 421, however it is written."""
    server = start()
    for _ in range(2):
        assert server.refused(421, (b"host", host), host=False).slug == "unknown-host"


def test_a_request_without_host_is_refused(start: Callable[..., Server]) -> None:
    """Who names no host is asked for one."""
    start().refused(421, host=False)


def test_allowed_hosts_are_let_in(start: Callable[..., Server]) -> None:
    """A name that was configured is ours, and `*` allows all."""
    server = start(allowed_hosts=["Events.example.org"])
    assert server.ask((b"host", b"events.example.org:443"), host=False).caller is ANYONE
    server.refused(421, (b"host", b"example.org"), host=False)
    assert start(allowed_hosts=["*"]).ask((b"host", b"example.org"), host=False)


def test_a_test_client_is_the_host_it_is_called_by(start: Callable[..., Server]) -> None:
    """An app called without a network is let in by that name; the network cannot say it."""
    server = start()
    called = ("testserver", 80)
    assert server.ask((b"host", b"testserver"), host=False, server=called).caller is ANYONE
    server.refused(421, (b"host", b"testserver"), host=False)


def test_a_header_that_decides_stands_once(start: Callable[..., Server]) -> None:
    """Two hosts, keys or origins in a request are refused, as it could be either."""
    server = start()
    server.refused(400, HOST)
    server.refused(400, bearer("a"), bearer("b"))
    server.refused(400, (b"origin", b"http://localhost"), (b"origin", b"http://evil.example"))
    assert server.ask((b"accept", b"a/b"), (b"accept", b"c/d"))


@pytest.mark.parametrize(
    ("host", "keys_exist", "insecure", "may"),
    [
        ("127.0.0.1", False, False, True),
        ("::1", False, False, True),
        ("localhost", False, False, True),
        ("0.0.0.0", False, False, False),  # noqa: S104 - what is refused
        ("::", False, False, False),
        ("", False, False, False),
        ("example.org", False, False, False),
        ("localhost.example.org", False, False, False),
        ("0.0.0.0", True, False, True),  # noqa: S104
        ("0.0.0.0", False, True, True),  # noqa: S104
    ],
)
def test_without_keys_loopback_only(host: str, keys_exist: bool, insecure: bool, may: bool) -> None:
    """Another address needs keys or `--insecure`; the refusal says how to get either."""
    refusal = refusal_to_bind(host, keys_exist, insecure)
    assert (refusal is None) == may
    if refusal is not None:
        assert "tidings keys create" in refusal
        assert "--insecure" in refusal


def test_a_foreign_socket_needs_keys(start: Callable[..., Server]) -> None:
    """Without keys, who reaches the app from elsewhere is refused, whatever listens for it."""
    server = start()
    server.refused(401, server=("192.0.2.9", 8765))
    assert start(insecure=True).ask(server=("192.0.2.9", 8765)).caller is ANYONE
    start(host="0.0.0.0").refused(401)  # noqa: S104 - what is refused


# The answer's headers ----------------------------------------------------------------------------


def test_a_request_id_is_kept_or_made(start: Callable[..., Server]) -> None:
    """A sane id of the client's names the request; else it gets one of its own."""
    server = start()
    given = server.ask((b"x-request-id", b"job-4711/3"))
    assert given.request_id == "job-4711/3"
    assert (b"x-request-id", b"job-4711/3") in given.headers
    first, second = server.ask(), server.ask()
    assert first.request_id != second.request_id
    assert (b"x-request-id", first.request_id.encode()) in first.headers


@pytest.mark.parametrize(
    "sent", [b"", b"a b", b"a\r\nset-cookie: x=1", b"a\x00", b"\xc3\xa4", b"x" * 129, b"a\n"]
)
def test_a_forged_request_id_is_replaced(start: Callable[..., Server], sent: bytes) -> None:
    """What could end a line of a log or an answer does not come back."""
    admission = start().ask((b"x-request-id", sent))
    assert admission.request_id.encode() != sent
    assert admission.request_id.isalnum() or "-" in admission.request_id
    assert dict(admission.headers)[b"x-request-id"] == admission.request_id.encode()


def test_a_refusal_has_the_headers_too(start: Callable[..., Server]) -> None:
    """The request keeps one id, and refusals are as safe to show as answers."""
    server = start()
    scope = scope_of((b"host", b"evil.example"), host=False)
    with pytest.raises(Problem):
        server.guard.admit(scope)
    headers = dict(server.guard.headers_for(scope))
    assert headers == dict(server.guard.headers_for(scope))
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert b"frame-ancestors 'none'" in headers[b"content-security-policy"]


def test_an_answer_runs_nothing_and_is_kept_nowhere(start: Callable[..., Server]) -> None:
    """What is not said otherwise by a page holds: no script, no frame, no cache."""
    headers = dict(start().ask().headers)
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"content-security-policy"] == b"default-src 'none'; frame-ancestors 'none'"


# Other sites' pages ------------------------------------------------------------------------------

FROM_EVIL = (b"origin", b"https://evil.example")


def test_another_sites_page_posts_nothing(start: Callable[..., Server]) -> None:
    """A page of another origin changes nothing here, by script or by form, also without keys."""
    server = start()
    for method in ("POST", "PUT", "DELETE", "PATCH", "QUERY"):
        assert server.refused(403, FROM_EVIL, method=method).slug == "cross-site"
    form = (b"content-type", b"text/plain")
    for site in (b"cross-site", b"same-site"):
        server.refused(403, (b"sec-fetch-site", site), form, method="POST")
    for origin in (b"null", b"", b"http://localhost:9999", b"http://localhost:8765.evil.example"):
        server.refused(403, (b"origin", origin), method="POST")
    assert server.ask(FROM_EVIL).caller is ANYONE  # it may ask, but its browser shows it nothing
    assert b"access-control-allow-origin" not in dict(server.ask(FROM_EVIL).headers)


def test_own_pages_and_programs_post(start: Callable[..., Server]) -> None:
    """The server's own pages may post, also under a name only the browser knows; so may curl."""
    server = start()
    assert server.ask(method="POST")
    assert server.ask((b"origin", b"http://localhost:8765"), method="POST")
    assert server.ask((b"origin", b"http://LOCALHOST:8765"), method="POST")
    behind_proxy = ((b"origin", b"https://example.org"), (b"sec-fetch-site", b"same-origin"))
    assert server.ask(*behind_proxy, method="POST")
    plain = start(allowed_hosts=["example.org"])
    own = ((b"host", b"example.org"), (b"origin", b"https://example.org:443"))
    assert plain.ask(*own, host=False, method="POST")


def test_allowed_origins_read_and_post(start: Callable[..., Server]) -> None:
    """A configured origin gets its name back, credentials if configured, and may post."""
    page = (b"origin", b"http://localhost:3000")
    headers = dict(start().ask(page, method="POST").headers)
    assert headers[b"access-control-allow-origin"] == b"http://localhost:3000"
    assert headers[b"access-control-allow-credentials"] == b"true"
    assert headers[b"vary"] == b"Origin"
    strict = start(cors_origins=["http://localhost:3000"], cors_allow_credentials=False)
    assert b"access-control-allow-credentials" not in dict(strict.ask(page).headers)
    other = strict.ask((b"origin", b"http://other.example"))
    assert (b"vary", b"Origin") in other.headers


def test_any_origin_is_never_with_credentials(start: Callable[..., Server]) -> None:
    """`*` answers `*`, without credentials though those are configured, and no cookie posts."""
    server = start(cors_origins=["*"], cors_allow_credentials=True)
    headers = dict(server.ask(FROM_EVIL, method="POST").headers)
    assert headers[b"access-control-allow-origin"] == b"*"
    assert b"access-control-allow-credentials" not in headers


def preflight(origin: bytes, *headers: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """The headers with which a browser asks what a page may do."""
    asked = (b"origin", origin), (b"access-control-request-method", b"POST")
    return (*asked, *((b"access-control-request-headers", each) for each in headers))


def test_preflights_are_answered(start: Callable[..., Server], key: tuple[Key, str]) -> None:
    """An allowed page is told what it may do, without a key; another one is refused."""
    assert key
    server = start()
    asked = preflight(b"http://localhost:3000", b"authorization, x-request-id")
    admission = server.ask(*asked, method="OPTIONS")
    assert admission.caller is NOBODY
    assert admission.preflight is not None
    status, headers = admission.preflight
    assert status == 204
    assert dict(headers)[b"access-control-allow-headers"] == b"authorization, x-request-id"
    assert b"POST" in dict(headers)[b"access-control-allow-methods"]
    server.refused(403, *preflight(b"https://evil.example"), method="OPTIONS")
    server.refused(401, method="OPTIONS")  # no preflight, so a request like any other


def test_a_preflight_reflects_no_forged_header(start: Callable[..., Server]) -> None:
    """What is no list of header names is not said back."""
    asked = preflight(b"http://localhost:3000", b"x\r\nset-cookie: a=b")
    admission = start().ask(*asked, method="OPTIONS")
    assert admission.preflight is not None
    assert dict(admission.preflight[1])[b"access-control-allow-headers"] == b""


# From whom? --------------------------------------------------------------------------------------


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

OWN = (b"origin", b"http://localhost:8765")


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
