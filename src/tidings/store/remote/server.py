"""The server as its client sees it: asked in bounded time, its refusals heard as errors.

Keeps promise 4 on the client's side: what an emit asks waits no longer than the deadline for name,
connection, sending and answer together. What is safe to repeat is sent once more where a connection
broke; what is not ends as `OutcomeUnknown`. It knows no store; `RemoteStore` does.
"""

from __future__ import annotations

from json import dumps, loads
from time import monotonic
from typing import NamedTuple

from tidings.errors import OutcomeUnknown, StoreUnavailable
from tidings.store.remote.connections import Broken, Connections, Unreached
from tidings.store.remote.refusals import error_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeVar

    from tidings.errors import TidingsError
    from tidings.store.remote.address import Address
    from tidings.store.remote.connections import Exchange

    T = TypeVar("T")

__all__ = ["LONG_SECONDS", "QUESTION", "Server", "Way"]

_GRANTED = range(200, 300)

_READ_SECONDS = 60.0
"""How long an answer to a question may take: a search looks at 100,000 events."""

LONG_SECONDS = 3600.0
"""How long what looks at a whole store may take: check, backup, prune, redact."""

_SILENCE = 5.0
"""For so long (seconds) a server that let a deadline pass is not asked again by what has one.

A job that emits a thousand events beside a dead server would else wait a thousand deadlines."""

_LONGEST_IDLE = 3.0
"""How long a connection may have waited to be used for what must not be sent twice (seconds).

A plain uvicorn closes idle connections after 5 s, and a request may cross that on its way."""

_LONGEST_REFUSAL = 64 * 1024
_PIECE = 256 * 1024


class Way(NamedTuple):
    """How a request may go wrong.

    Attributes:
        seconds: how long it may take in all; none for the store's deadline.
        repeatable: whether it may be sent twice without harm.
        changes: whether it changes the store, so that a broken connection leaves a doubt.
        extra_seconds: how much longer it may take because there is much to send.
    """

    seconds: float | None = _READ_SECONDS
    repeatable: bool = True
    changes: bool = False
    extra_seconds: float = 0.0


QUESTION = Way()
"""It changes nothing, so it may be asked twice."""


class _Request(NamedTuple):
    method: str
    path: str
    body: bytes | None


class Server:
    """A Tidings server, asked by one store.

    Args:
        address: where it is.
        key: what it is shown; none for no key.
        deadline: how long an append, and what an emit asks beside it, may take (seconds).

    Attributes:
        last_contact: when it last gave an answer that made sense (on the monotonic clock); none for
            never.
    """

    def __init__(self, address: Address, key: str | None, deadline: float) -> None:
        self._address = address
        self._connections = Connections(address)
        self._headers = {"Accept-Encoding": "identity", "User-Agent": "tidings"}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key}"
        self._deadline = deadline
        self._silent_until = 0.0
        self.last_contact: float | None = None

    def ask(self, method: str, path: str, data: Any, way: Way | None) -> Any:
        """Ask, and decode what it says.

        Args:
            method: such as `POST`.
            path: below the server's address.
            data: the body: JSON text as bytes, or a value to be encoded; none for no body.
            way: how it may go wrong; none for a question.

        Raises:
            TidingsError: what the server refused, or `StoreUnavailable` or `OutcomeUnknown`.
        """
        body = data if data is None or isinstance(data, bytes) else dumps(data).encode()
        way = way or QUESTION
        answer = self._answer(_Request(method, path, body), way)
        try:
            return loads(answer)
        except (ValueError, RecursionError):
            unsure = OutcomeUnknown if way.changes else StoreUnavailable
            raise unsure(
                f"what answers at {self._address.url} is no Tidings server: it sent no JSON"
            ) from None

    def understood(self, told: Callable[[Any], T], answer: Any, way: Way | None) -> T:
        """What an answer means.

        Args:
            told: finds that out.
            answer: what the server said.
            way: as it was asked.

        Raises:
            StoreUnavailable, OutcomeUnknown: it has another form than a Tidings server gives.
        """
        try:
            meant = told(answer)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            message = (
                f"what answers at {self._address.url} speaks otherwise than this Tidings: {error}; "
                f"compare the versions"
            )
            changes = way is not None and way.changes
            raise (OutcomeUnknown if changes else StoreUnavailable)(message) from error
        self.last_contact = monotonic()
        return meant

    def stream(self, method: str, path: str, seconds: float) -> Iterator[bytes]:
        """Ask, and give what it sends piece by piece, all of it or an error.

        Raises:
            StoreUnavailable: also where it breaks off.
        """
        end = monotonic() + seconds
        try:
            exchange = self._exchange(end, QUESTION, anew=True)
            try:
                answer = exchange.send(method, self._path(path), self._headers, None, end)
                self._ensure_granted(answer.status, exchange, end, QUESTION)
                left = answer.length
                while left != 0 and (piece := exchange.read(end, _PIECE)):
                    yield piece
                    left = None if left is None else left - len(piece)
                if left:
                    raise Broken(EOFError(f"{left:,} bytes of the answer are missing"))
            finally:
                exchange.end()
        except (Unreached, Broken) as why:
            raise self._unavailable(why) from why

    def close(self) -> None:
        """Let go of all connections; what waits for an answer ends."""
        self._connections.close()

    def _answer(self, request: _Request, way: Way) -> bytes:
        """The body of the answer, asked for a second time where that does no harm."""
        if way.seconds is None:
            self._ensure_heard_of()
        seconds = self._deadline if way.seconds is None else way.seconds
        end = monotonic() + seconds + way.extra_seconds
        try:
            return self._attempt(request, way, end, anew=False)
        except Unreached as why:
            raise self._unavailable(why) from why
        except Broken as why:
            if not way.repeatable or why.timed_out:
                raise self._interrupted(why, way) from why
        try:
            return self._attempt(request, way, end, anew=True)
        except (Unreached, Broken) as why:
            raise self._interrupted(why, way) from why

    def _attempt(self, request: _Request, way: Way, end: float, *, anew: bool) -> bytes:
        exchange = self._exchange(end, way, anew=anew)
        try:
            headers = self._headers
            if request.body is not None:
                headers = {**headers, "Content-Type": "application/json"}
            answer = exchange.send(
                request.method, self._path(request.path), headers, request.body, end
            )
            self._ensure_granted(answer.status, exchange, end, way)
            body = exchange.read(end)
        finally:
            exchange.end()
        self._silent_until = 0.0
        return body

    def _exchange(self, end: float, way: Way, *, anew: bool) -> Exchange:
        connect_by = min(end, monotonic() + self._deadline)
        longest_idle = None if way.repeatable else _LONGEST_IDLE
        return self._connections.exchange(connect_by, anew=anew, longest_idle=longest_idle)

    def _ensure_granted(self, status: int, exchange: Exchange, end: float, way: Way) -> None:
        if status not in _GRANTED:
            refusal = exchange.read(end, _LONGEST_REFUSAL)
            raise error_of(self._address.url, status, refusal, changes=way.changes)

    def _path(self, path: str) -> str:
        return f"{self._address.prefix}{path}"

    def _ensure_heard_of(self) -> None:
        """Do not wait for a server again that has just let a deadline pass."""
        if monotonic() < self._silent_until:
            raise StoreUnavailable(
                f"the server at {self._address.url} did not answer in time a moment ago; it is "
                f"asked again in a few seconds"
            )

    def _unavailable(self, why: Unreached | Broken) -> StoreUnavailable:
        if why.timed_out:
            self._silent_until = monotonic() + _SILENCE
        verb = "cannot be reached" if isinstance(why, Unreached) else "broke off"
        return StoreUnavailable(f"the server at {self._address.url} {verb}: {why}")

    def _interrupted(self, why: Unreached | Broken, way: Way) -> TidingsError:
        unavailable = self._unavailable(why)
        if not way.changes:
            return unavailable
        return OutcomeUnknown(
            f"{unavailable}; whether it was done is not known, and the same events (same ids) may "
            f"be sent again"
        )
