"""Delivery as it runs in a process: webhooks, notices and watches, as far as there are any.

`tidings serve` and `tidings worker` each run one. It looks at the records when the bell rings and
takes up what is new, lets go of what was deleted, and leaves to each part what changed within it.
Nothing is made before there is something to deliver: until then no lease is held, nothing is
written and no extra is imported; it costs one look at one record a second. Which of several
processes delivers what is decided by leases; the promises are kept by the parts.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from threading import Event as Signal
from threading import Lock, Thread

from tidings import settings
from tidings.clock import Clock
from tidings.delivery.webhooks.endpoints import Endpoints
from tidings.errors import (
    InvalidSetting,
    MissingExtra,
    OutcomeUnknown,
    StoreClosed,
    StoreUnavailable,
)
from tidings.subscriptions.bell import Bell
from tidings.subscriptions.duties import Runner
from tidings.subscriptions.leases import Leases

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

    from tidings.bus import Bus
    from tidings.delivery.webhooks.engine import Webhooks
    from tidings.store.base import Store
    from tidings.subscriptions.duties import Duty

__all__ = ["Delivery"]

_LISTEN_SECONDS = 1.0
"""How often it listens for the bell, and how soon it tries again after a failure."""

_UNASKED_TURNS = 60
"""After so many turns it looks at the records though the bell did not ring: somebody may have
brought them in otherwise, as an import does."""

_FORWARD_SECONDS = 10.0
"""How often what waits for the cloud is sent, and how long that may take each time."""

_OVER = {
    "store": "what is to be delivered can be read again",
    "forward": "events are forwarded again",
}
"""What is logged when trouble is over."""

_GRACE_SECONDS = 1.0
"""So long requests to receivers may take when it ends; those that take longer are made again."""

_FAREWELL_SECONDS = 1.0
"""So long the end waits for what is on its way to the cloud; the rest goes on waiting."""

_log = logging.getLogger("tidings.delivery")


class Delivery:
    """Delivers what the records of a store say, as long as it runs.

    Args:
        bus: whose store it is.
        leases: what this process holds, where it runs handlers too; started and closed by whoever
            gives them. None for its own, made when there is something to deliver.
        clock: what time it is.

    `start` and `close` it, or use it as a context manager. A store behind a server is left to that
    server.
    """

    def __init__(
        self, bus: Bus, *, leases: Leases | None = None, clock: Clock | None = None
    ) -> None:
        self._store = bus.store
        self._leases = leases
        self._clock = clock or Clock()
        self._bell = Bell(bus.store)
        self._work: _Work | None = None
        self._duties: dict[str, list[Duty]] = {}
        self._told: dict[str, str] = {}
        self._stopping = Signal()
        self._closing = Lock()
        self._thread: Thread | None = None
        self._forwarding: Thread | None = None

    def start(self) -> None:
        """Begin; returns at once."""
        if self._thread is None and not self._store.url.startswith(("http://", "https://")):
            self._thread = Thread(target=self._run, name="tidings-delivery", daemon=True)
            self._thread.start()
        if self._forwarding is None and settings.api_target() is not None:
            self._forwarding = Thread(target=self._forward, name="tidings-forward", daemon=True)
            self._forwarding.start()

    def close(self) -> None:
        """Let go of everything, so that other processes go on at once; again is harmless."""
        self._stopping.set()
        with self._closing:
            if self._thread is not None:
                self._thread.join()
            self._let_go()
            if self._forwarding is not None:
                self._forwarding.join(_FAREWELL_SECONDS)

    def counts(self) -> dict[str, int]:
        """What this process has sent to webhooks, for `/metrics`; empty where there are none."""
        work = self._work
        return {} if work is None else work.counts()

    def _run(self) -> None:
        turns_left = 0
        while not self._stopping.is_set():
            try:
                if self._bell.rang() or turns_left <= 0:
                    turns_left = 0  # Until all went well.
                    self._look()
                    turns_left = _UNASKED_TURNS
                self._tell("store", "")
            except StoreClosed:
                return
            except (StoreUnavailable, OutcomeUnknown) as error:
                self._tell("store", f"what is to be delivered cannot be read: {error}")
            except Exception as error:  # noqa: BLE001 - a bug must not end all delivery, nor fill the log
                self._tell("bug", f"{type(error).__name__}: {error}", error)
            turns_left -= 1
            self._stopping.wait(_LISTEN_SECONDS)

    def _look(self) -> None:
        """Take up what the records say, and let go of what they say no more."""
        for part, make in _DUTIES.items():
            with self._apart(part):
                self._duties[part] = make(self._store)
        has_webhooks = Endpoints(self._store).any()
        duties = {duty.key: duty for part in self._duties.values() for duty in part}
        if not duties and not has_webhooks:
            self._let_go()
            return
        if self._work is None:
            self._work = _Work(self._store, self._leases, self._clock)
        self._work.do(duties)
        with self._apart("webhooks"):
            self._work.send_webhooks(wanted=has_webhooks)
        self._work.start()

    @contextmanager
    def _apart(self, part: str) -> Iterator[None]:
        """Have the other parts run, and this one go on as before, where it lacks what it needs."""
        try:
            yield
        except (StoreClosed, StoreUnavailable, OutcomeUnknown):
            raise
        except MissingExtra as error:
            self._tell(part, str(error))
        except InvalidSetting as error:
            self._tell(part, f"{part} are not delivered: {error}")
        except Exception as error:  # noqa: BLE001 - as in `_run`
            self._tell(part, f"{type(error).__name__}: {error}", error)
        else:
            self._told.pop(part, None)

    def _forward(self) -> None:
        """Send what earlier processes left for the cloud."""
        from tidings.forward import send_waiting

        while not self._stopping.is_set():
            try:
                told = send_waiting(self._store, seconds=_FORWARD_SECONDS)
                if told.error:
                    self._tell("forward", f"events wait to be forwarded: {told.error}")
                elif not told.waiting:  # else it only rests until it tries again
                    self._tell("forward", "")
            except StoreClosed:
                return
            except Exception as error:  # noqa: BLE001 - a bug must not end it, nor fill the log
                self._tell("forward", f"{type(error).__name__}: {error}", error)
            self._stopping.wait(_FORWARD_SECONDS)

    def _let_go(self) -> None:
        work, self._work = self._work, None
        if work is not None:
            work.close()

    def _tell(self, part: str, trouble: str, bug: Exception | None = None) -> None:
        """Log trouble where it is new, and the end of the store's."""
        before = self._told.get(part, "")
        self._told[part] = trouble
        if trouble == before:
            return
        if bug is not None:
            _log.error("a bug keeps delivery from its work; please report it", exc_info=bug)
        elif trouble:
            _log.warning(trouble)
        else:
            _log.info(_OVER[part])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Work:
    """What there is while something is to be delivered."""

    def __init__(self, store: Store, leases: Leases | None, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._shares_leases = leases is not None
        self._leases = leases or Leases(store, clock=clock)
        self._runner = Runner(store, leases=self._leases, clock=clock)
        self._webhooks: Webhooks | None = None

    def do(self, duties: dict[str, Duty]) -> None:
        """Do these duties, and no others any more."""
        doing = set(self._runner.keys())
        for key in doing - duties.keys():
            self._runner.remove(key)
        for key in duties.keys() - doing:
            self._runner.add(duties[key])
        if duties:
            self._runner.start()

    def send_webhooks(self, *, wanted: bool) -> None:
        """Send to endpoints, or no longer.

        Raises:
            MissingExtra: what it takes to send is not installed.
        """
        if wanted and self._webhooks is None:
            from tidings.delivery.webhooks.engine import Webhooks

            webhooks = Webhooks(self._store, self._leases, clock=self._clock)
            webhooks.start()
            self._webhooks = webhooks
        elif not wanted and self._webhooks is not None:
            webhooks, self._webhooks = self._webhooks, None
            webhooks.close(_GRACE_SECONDS)

    def counts(self) -> dict[str, int]:
        """See `Delivery.counts`."""
        webhooks = self._webhooks
        return {} if webhooks is None else webhooks.counts()

    def start(self) -> None:
        """Take leases, once everything is offered."""
        if not self._shares_leases:
            self._leases.start()

    def close(self) -> None:
        """Let go of everything."""
        try:
            if self._webhooks is not None:
                self._webhooks.close(_GRACE_SECONDS)
        finally:
            self._runner.close()
            if not self._shares_leases:
                self._leases.close()


def _notices(store: Store) -> list[Duty]:
    from tidings.delivery.notices import duties

    return duties(store)


def _watches(store: Store) -> list[Duty]:
    from tidings.delivery.watches import duties

    return duties(store)


_DUTIES: dict[str, Callable[[Store], list[Duty]]] = {"notices": _notices, "watches": _watches}
