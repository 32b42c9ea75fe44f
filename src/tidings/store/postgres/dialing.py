"""New connections to PostgreSQL, bounded in time whatever the network does.

A name that is not resolved, a host that swallows packets or a handshake that hangs would block the
caller for longer than its deadline, and libpq counts in whole seconds from two on. So each host is
tried in a thread that can be left behind; of several, the next is tried as soon as one is slow.
"""

from __future__ import annotations

from queue import Empty, SimpleQueue
from threading import Lock, Thread
from time import monotonic
from typing import Any, NamedTuple

import psycopg
from psycopg import OperationalError
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from psycopg.abc import PQGen

__all__ = ["Line", "dial"]

_PREPARE_AT_ONCE = 0
"""Statements are few, and each is used again; so each is prepared when it first comes."""

_INTERVAL = 0.1
"""How often a wait looks whether Ctrl-C was pressed (seconds); as in psycopg."""


class Line(psycopg.Connection[tuple[Any, ...]]):
    """A connection of which no answer is waited for longer than it is said to.

    Attributes:
        until: the moment up to which answers are waited for (on the monotonic clock); none for as
            long as the network says nothing else.
        abandoned: set in a forked child, whose parent goes on with it.
    """

    until: float | None = None
    abandoned = False

    def wait(
        self, gen: PQGen[Any], interval: float = _INTERVAL, timeout: float | None = None
    ) -> Any:
        """As psycopg's own, for no longer than up to `until`."""
        if timeout is None and self.until is not None:
            timeout = max(0.0, self.until - monotonic())
        return super().wait(gen, interval, timeout)

    @property
    def at_rest(self) -> bool:
        """Whether it works, and nothing is under way on it."""
        return self.pgconn.transaction_status == TransactionStatus.IDLE

    @property
    def in_transaction(self) -> bool:
        """Whether it works, and a transaction is open on it."""
        status = self.pgconn.transaction_status
        return status in (TransactionStatus.INTRANS, TransactionStatus.INERROR)

    @property
    def taken_back(self) -> bool:
        """Whether the server itself refused what was under way, so that nothing of it is kept."""
        return self.pgconn.transaction_status in (TransactionStatus.INERROR, TransactionStatus.IDLE)

    def __del__(self, *given: Any) -> None:
        if not self.abandoned:
            super().__del__(*given)


def dial(parameters: dict[str, str], until: float) -> Line:
    """A new connection, in autocommit.

    Args:
        parameters: libpq's, by name; may name several hosts.
        until: by when there must be one (on the monotonic clock).

    Raises:
        psycopg.OperationalError: there is none.
    """
    attempts = _attempts(parameters)
    share = max(0.0, until - monotonic()) / len(attempts)
    dialing = _Dialing(until)
    failures: list[_Failure] = []
    begun = 0
    while len(failures) < len(attempts):
        if begun < len(attempts):
            dialing.begin(attempts[begun])
            begun += 1
        answer = dialing.answer(share if begun < len(attempts) else None)
        if isinstance(answer, Line):
            return answer
        if answer is not None:
            failures.append(answer)
        elif begun == len(attempts):
            raise OperationalError(f"no answer from {_hosts(attempts)} in time")
    if len(failures) == 1:
        raise failures[0].error
    failures.sort(key=lambda failure: attempts.index(failure.parameters))
    raise OperationalError("; ".join(f"{_hosts([at])}: {why}" for at, why in failures))


class _Failure(NamedTuple):
    """An attempt that failed: with which parameters, and why. They fail in any order."""

    parameters: dict[str, str]
    error: OperationalError


class _Dialing:
    """Attempts under way, of which the first that succeeds counts."""

    def __init__(self, until: float) -> None:
        self._until = until
        self._answers: SimpleQueue[Line | _Failure] = SimpleQueue()
        self._lock = Lock()
        self._over = False

    def begin(self, parameters: dict[str, str]) -> None:
        attempt = Thread(target=self._try, args=(parameters,), name="tidings-dial", daemon=True)
        try:
            attempt.start()
        except RuntimeError:
            # No thread is to be had, as when the interpreter ends: better to wait longer than to
            # keep nothing of what is emitted last.
            self._try(parameters)

    def answer(self, seconds: float | None) -> Line | _Failure | None:
        """What comes first; none where nothing comes in that time, or up to the end if none."""
        left = max(0.0, self._until - monotonic())
        answer: Line | _Failure | None
        try:
            answer = self._answers.get(timeout=left if seconds is None else min(left, seconds))
        except Empty:
            answer = None
        if isinstance(answer, Line) or (answer is None and seconds is None):
            self._end()
        return answer

    def _try(self, parameters: dict[str, str]) -> None:
        # It ends by itself, some time after nobody waits for it any more.
        seconds = max(2, int(self._until - monotonic()) + 1)
        answer: Line | _Failure
        try:
            answer = Line.connect(
                make_conninfo("", **parameters, connect_timeout=seconds),
                autocommit=True,
                prepare_threshold=_PREPARE_AT_ONCE,
            )
        except OperationalError as error:
            answer = _Failure(parameters, error)
        except psycopg.Error as error:
            answer = _Failure(parameters, OperationalError(str(error)))
        with self._lock:
            if not self._over:
                self._answers.put(answer)
                return
        _close(answer)

    def _end(self) -> None:
        with self._lock:
            self._over = True
        while not self._answers.empty():
            _close(self._answers.get())


def _close(answer: Line | _Failure) -> None:
    if isinstance(answer, Line):
        answer.close()


def _attempts(parameters: dict[str, str]) -> list[dict[str, str]]:
    """The parameters for each of several hosts; libpq itself would try them one after the other."""
    lists = {
        name: parameters[name].split(",")
        for name in ("host", "hostaddr", "port")
        if name in parameters
    }
    count = max((len(values) for values in lists.values()), default=1)
    alone = {name: value for name, value in parameters.items() if name != "connect_timeout"}
    return [
        {**alone, **{name: values[n % len(values)] for name, values in lists.items()}}
        for n in range(count)
    ]


def _hosts(attempts: list[dict[str, str]]) -> str:
    return ", ".join(
        f"{at.get('host') or at.get('hostaddr') or 'the default host'}:{at.get('port') or 5432}"
        for at in attempts
    )
