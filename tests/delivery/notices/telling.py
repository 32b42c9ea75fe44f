"""A receiver of notices, and a desk at which one is worked at, with instants of the test's own.

Shared by the tests of this folder; it checks nothing itself.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event as Flag
from threading import Thread
from typing import TYPE_CHECKING, Any

from tidings.delivery.notices import Notices
from tidings.delivery.notices.duty import NoticeDuty
from tidings.event import Event
from tidings.subscriptions.leases import Leases
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from typing import Self

    from tidings.store.base import Store

__all__ = ["SECOND", "START", "Desk", "Receiver", "task"]

SECOND = 1_000_000
START = 1_767_225_600 * SECOND  # 2026-01-01


class Receiver:
    """An HTTP server that takes what Apprise's `json://` sends.

    Attributes:
        got: the messages it took, as `(type, title, text)`.
        status: what it answers; with 0 it answers only when it is closed.
        holds: set once a message came that it does not answer.
    """

    def __init__(self) -> None:
        self.got: list[tuple[str, str, str]] = []
        self.status = 200
        self.holds = Flag()
        self._held = Flag()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                said = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if not receiver.status:
                    receiver.holds.set()
                    receiver._held.wait(PATIENCE)
                    return
                if receiver.status == 200:
                    receiver.got.append((said["type"], said["title"], said["message"]))
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        """Its address, with something in it that nobody may see."""
        place = f"127.0.0.1:{self._server.server_port}"
        return f"json://ann:s3cret-word@{place}/s3cret-path?rto={PATIENCE}&cto={PATIENCE}"

    @property
    def titles(self) -> list[str]:
        """The titles of the messages it took."""
        return [title for _, title, _ in self.got]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._held.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Desk:
    """A notice that is worked at, turn by turn.

    Args:
        store: where it is kept.
        url: where it is sent.
        filters: which events it is for.
        seconds: so long one message may take.
        settings: as for `Notices.add`.
    """

    def __init__(
        self,
        store: Store,
        url: str,
        filters: dict[str, Any] | None = None,
        *,
        seconds: float = PATIENCE,
        **settings: Any,
    ) -> None:
        self.store = store
        self.notice = Notices(store).add(url, filters, **settings)
        self._seconds = seconds
        self._held = ExitStack()
        self.move()

    def move(self) -> None:
        """Another process takes over, with nothing but the records."""
        self._held.close()
        leases = Leases(self.store, patience=PATIENCE)
        self.duty = NoticeDuty(self.store, self.notice, self._seconds)
        leases.offer(self.duty.key, self.duty.first)
        leases.turn()
        lease = leases.held(self.duty.key)
        assert lease is not None
        self.lease = lease
        self._held.callback(leases.close)

    def turn(self, seconds: float = 0.0) -> float | None:
        """Work until nothing is left to be done at once.

        Args:
            seconds: when, counted from `START`.

        Returns:
            When the next turn is due, counted from `START` (seconds).
        """
        now = START + round(seconds * SECOND)
        for _ in range(1000):
            due = self.duty.turn(self.lease, now)
            if due is None or due > now:
                return None if due is None else (due - START) / SECOND
        raise AssertionError("there is no end of what is to be done at once")

    def kept(self, kind: str) -> list[Event]:
        """The events of a type, oldest first."""
        from tidings.store.query import Query

        return list(self.store.read(Query(types=kind)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()


def task(number: int, status: str = "success", **facts: Any) -> Event:
    """The event of a task of a Slurm array.

    Args:
        number: the task's.
        status: how it ended.
        facts: the array's number of `tasks` (none leaves it unsaid), `array`, `restart`, `type`,
            `payload`.
    """
    array, tasks = facts.get("array", 4711), facts.get("tasks")
    slurm = {
        "job_id": str(array + 1 + number),
        "array_job_id": str(array),
        "array_task_id": str(number),
        "cluster": "alps",
        "restart_count": str(facts.get("restart", 0)),
        **({} if tasks is None else {"array_task_count": str(tasks)}),
    }
    return Event(
        facts.get("type", "job_done"),
        "figrecipe",
        status,
        facts.get("payload", {}),
        correlation_id=f"slurm:alps:{array}",
        context={"host": f"n{number}", "slurm": slurm},
    )
