"""What every request must pass before it is routed: is it for us, from whom, and not too often.

Keeps promise 6 (nobody gets in). In this order: the host, keys in the URL, other sites' pages,
who asks, how often. What a caller may do on a route is decided there, through `access`. On the
plain path (loopback, no keys) it costs some microseconds, so everything that can be is known
beforehand.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from functools import partial
from itertools import count
from typing import NamedTuple

from tidings.server.access import ANYONE, CALLER, NOBODY, caller_with, unauthorized
from tidings.server.limits import network_of
from tidings.server.origins import SAFE_METHODS, Hosts, Origins, is_loopback
from tidings.server.problems import Problem
from tidings.server.sessions import session_id_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from typing import Any, TypeAlias

    from tidings.server.access import Caller
    from tidings.server.config import APIServerConfig
    from tidings.server.keys import Key, KeyRing
    from tidings.server.limits import Limits
    from tidings.server.sessions import Sessions

    Header: TypeAlias = tuple[bytes, bytes]

__all__ = ["Admission", "Guard", "merged"]

OPEN = ("/health", "/docs", "/openapi.json", "/session", "/ui")
"""What is open without a key beside `/`, and what lies below it."""

_COSTLY = ("/log", "/ledger")
"""What other sites' pages may not even set off: to back a store up or check it takes long."""

_REQUEST_ID = "tidings.request_id"
_VISIBLE = re.compile(rb"[\x21-\x7e]{1,128}")
_SECRET_IN_URL = re.compile(rb"(?:^|&)(?:key|token|access_token)=|tid_[0-9a-f]{12}_[0-9a-f]{64}")
_SECRET_IN_PATH = re.compile(r"tid_[0-9a-f]{12}_[0-9a-f]{64}")
_SINGLE = (b"host", b"authorization", b"origin")

# A browser that is made to show an answer as a page runs and loads nothing. Pages bring a policy of
# their own, as they do for how long they may be kept.
_POLICY = b"default-src 'none'; frame-ancestors 'none'"


class Admission(NamedTuple):
    """A request that was let in.

    Attributes:
        caller: who makes it; nobody while `pending`.
        request_id: names it, in the log and in the answer.
        headers: to add to the answer; see `merged`.
        preflight: status and headers of the whole answer, where a browser asked what a page may do.
        pending: to be awaited for the real admission, where the ledger must be asked who it is.
    """

    caller: Caller
    request_id: str
    headers: list[Header]
    preflight: tuple[int, list[Header]] | None = None
    pending: Callable[[], Awaitable[Admission]] | None = None


class Guard:
    """Lets requests in, or refuses them.

    Args:
        config: what the server was told.
        keys: the keys; it is watched from here on.
        limits: how much one caller may take.
        sessions: the sessions of browsers.
    """

    def __init__(
        self, config: APIServerConfig, keys: KeyRing, limits: Limits, sessions: Sessions
    ) -> None:
        self._keys = keys
        self._limits = limits
        self._sessions = sessions
        self._hosts = Hosts(config)
        self._origins = Origins(config)
        self._insecure = config.insecure
        self._exposed = not config.insecure and not is_loopback(config.host)
        self._root = config.root_path
        keys.watch()
        self._prefix = secrets.token_hex(6)
        self._count = count(1)
        # Few: each costs every answer a microsecond. The policy forbids frames, and with `nosniff`
        # no other site's page can use an answer as a script, style or picture.
        self._always: list[Header] = [
            (b"x-content-type-options", b"nosniff"),
            (b"content-security-policy", _POLICY),
            (b"cache-control", b"no-store"),
        ]

    def admit(self, scope: dict[str, Any]) -> Admission:
        """Let a request in; its caller then stands in the scope too, for `access.needs`.

        Args:
            scope: ASGI's, of an HTTP request.

        Raises:
            Problem: it is refused; `headers_for` gives the headers to add to that answer too.
        """
        headers = self.headers_for(scope)
        scope[CALLER] = NOBODY
        given = dict(scope["headers"])
        if len(given) != len(scope["headers"]):
            _refuse_repeated(scope["headers"])
        self._hosts.check(given.get(b"host"), scope.get("server"))
        if scope["query_string"] or "tid_" in scope["path"]:
            _refuse_secret_in_url(scope)
        client = scope.get("client")
        address = client[0] if client else ""
        method = scope["method"]
        if method not in SAFE_METHODS or _lies_in(self._path(scope), _COSTLY):
            self._origins.check(given)
        elif method == "OPTIONS" and (preflight := self._origins.preflight(given)):
            self._limits.take("", address)
            return Admission(NOBODY, scope[_REQUEST_ID], headers, preflight)
        if not self.needs_key(scope):
            caller = ANYONE if network_of(address)[1] else ANYONE._replace(address=address)
            return self._admission(scope, caller, headers, address)
        known = self._remembered(scope, given)
        if known is None:
            # One that is unknown may have been made just now, or by another worker. A right key is
            # never held up by wrong ones from the same address: a machine that many share would be
            # shut out by one forgotten job, and nobody guesses 256 bits anyway.
            session_id = "" if b"authorization" in given else self._session_of(scope, given)
            if not session_id or not self._sessions.remembers(session_id):
                self._limits.may_try(address)
            learn = partial(self._learned, scope, given, headers, address)
            return Admission(NOBODY, scope[_REQUEST_ID], headers, pending=learn)
        return self._admission(scope, known, headers, address)

    def headers_for(self, scope: dict[str, Any]) -> list[Header]:
        """The headers that every answer to a request has, whether it is let in or not."""
        sent_id = origin = None
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                sent_id = value
            elif name == b"origin":
                origin = value
        request_id = scope.get(_REQUEST_ID)
        if request_id is None:
            # What was sent stands in logs and headers: nothing that could end a line.
            good = (
                sent_id is not None
                and _VISIBLE.fullmatch(sent_id)
                and not _SECRET_IN_URL.search(sent_id)
            )
            request_id = (
                str(sent_id, "ascii") if sent_id and good else f"{self._prefix}-{next(self._count)}"
            )
            scope[_REQUEST_ID] = request_id
        headers = [*self._always, (b"x-request-id", request_id.encode("ascii"))]
        if origin is not None:
            headers += self._origins.headers_for(origin)
            if self._origins.varies:
                headers.append((b"vary", b"Origin"))
        return headers

    def needs_key(self, scope: Mapping[str, Any]) -> bool:
        """Whether this server asks for keys.

        Also without any key where it can be reached from elsewhere, however it came to listen
        there: it may be embedded in a server that knows nothing of our rule.
        """
        if self._keys.any() or self._exposed:
            return True
        server = scope.get("server")
        return not self._insecure and server is not None and not _is_near(server[0])

    def may_stay(self, caller: Caller) -> bool:
        """Whether a caller could come in now: a stream must not outlive its key."""
        if caller.key_id:
            return self._keys.known(caller.key_id) is not None
        return not self._keys.any()

    def _remembered(self, scope: dict[str, Any], given: dict[bytes, bytes]) -> Caller | None:
        """Who asks, as far as memory says; none where the ledger must be asked."""
        path = self._path(scope)
        authorization = given.get(b"authorization")
        session_id = self._session_of(scope, given)
        if authorization is not None:
            key = self._keys.check(_token_of(authorization))
            recalled = key is not None
        elif session_id:
            recalled, key = self._sessions.recall(session_id)
        else:
            recalled, key = True, None
        if not recalled and (path == "/" or _lies_in(path, OPEN)) and path != "/session":
            # Nobody need wait here to be known, least of all who asks whether the store is well.
            return NOBODY
        return self._who(scope, given, key) if recalled else None

    async def _learned(
        self, scope: dict[str, Any], given: dict[bytes, bytes], headers: list[Header], address: str
    ) -> Admission:
        """The admission of who gave a key or session that is not known yet."""
        authorization = given.get(b"authorization")
        if authorization is None:
            session_id = self._session_of(scope, given)
            key = await asyncio.to_thread(self._sessions.look_up, session_id)
            if key is None:
                self._limits.failed(address)
        else:
            key = await asyncio.to_thread(self._keys.check_anew, _token_of(authorization))
            if key is None:
                self._limits.failed(address)
                raise unauthorized(
                    "the key given is not known: it was revoked, has expired, or is not written "
                    "as `Authorization: Bearer tid_…`; `tidings keys list` shows what there is"
                )
        return self._admission(scope, self._who(scope, given, key), headers, address)

    def _who(self, scope: dict[str, Any], given: dict[bytes, bytes], key: Key | None) -> Caller:
        """The caller with this key, or nobody where that is enough.

        Raises:
            Problem: 401 without a key, 403 where another site's page used a cookie.
        """
        if key is None:
            path = self._path(scope)
            if path == "/" or _lies_in(path, OPEN):
                return NOBODY
            raise unauthorized(
                "a key is needed here: send it as `Authorization: Bearer tid_…`, or from a browser "
                "trade it for a cookie with POST /session; `tidings keys create` makes one"
            )
        caller = caller_with(key)
        if b"authorization" in given:
            return caller
        if scope["method"] not in SAFE_METHODS:
            self._origins.check_cookie(given)
        return caller._replace(session=self._session_of(scope, given))

    def _session_of(self, scope: dict[str, Any], given: dict[bytes, bytes]) -> str:
        """The session id that came with a request, but where a new one is asked for."""
        cookies = given.get(b"cookie")
        if cookies is None or (scope["method"] == "POST" and self._path(scope) == "/session"):
            return ""
        return session_id_of(str(cookies, "latin-1"))

    def _path(self, scope: dict[str, Any]) -> str:
        """The path below the prefix that a proxy shows the server under."""
        path: str = scope["path"]
        root: str = scope.get("root_path") or self._root
        return path[len(root) :] if root and path.startswith(f"{root}/") else path

    def _admission(
        self, scope: dict[str, Any], caller: Caller, headers: list[Header], address: str
    ) -> Admission:
        try:
            self._limits.take(caller.key_id, address)
        except Problem:
            # Whether it is well a server must always say: who asks would start it anew.
            if not _lies_in(self._path(scope), ("/health",)):
                raise
        scope[CALLER] = caller
        return Admission(caller, scope[_REQUEST_ID], headers)


def merged(own: Iterable[Header], added: Iterable[Header]) -> list[Header]:
    """An answer's headers with those that every answer has: its own win, `Vary` is added to.

    >>> merged([(b"cache-control", b"no-cache")], [(b"cache-control", b"no-store")])
    [(b'cache-control', b'no-cache')]
    """
    headers = list(own)
    names = {name for name, _ in headers}
    headers += [header for header in added if header[0] not in names or header[0] == b"vary"]
    return headers


def _token_of(authorization: bytes) -> str:
    """The token in an `Authorization` header; empty where it holds something else."""
    scheme, _, token = str(authorization, "latin-1").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _lies_in(path: str, places: tuple[str, ...]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)


def _is_near(address: str) -> bool:
    """Whether an address the server is reached at is on this machine; a test client's name is."""
    if ":" not in address and not address[:1].isdigit():
        return True
    return is_loopback(address)


def _refuse_repeated(headers: Iterable[Header]) -> None:
    """Refuse a header that decides something where it stands twice: which one would count?"""
    names = [name for name, _ in headers]
    for name in _SINGLE:
        if names.count(name) > 1:
            raise Problem(
                400, "repeated-header", f"the header {name.decode()} must stand once, not twice"
            )


def _refuse_secret_in_url(scope: dict[str, Any]) -> None:
    path = _SECRET_IN_PATH.sub("tid_removed", scope["path"])
    if path == scope["path"] and _SECRET_IN_URL.search(scope["query_string"]) is None:
        return
    # What is logged of the request from here on does not hold it either.
    scope["path"], scope["raw_path"], scope["query_string"] = path, b"/removed", b"removed"
    raise Problem(
        400,
        "key-in-url",
        "a key must not stand in a URL (key=…, token=…, access_token=…), which logs and histories "
        "keep; send it as `Authorization: Bearer …` or trade it for a cookie with POST /session. "
        "If it was a real key, revoke it: tidings keys revoke ID",
    )
