"""The quick verbs: one line says that something happened, one line asks.

They work on a default bus, which `TIDINGS_URL` chooses, with the signatures scitex-events users
know. Whoever wants more takes a `Bus`.
"""

from __future__ import annotations

import atexit
import os
from threading import Lock

from tidings import settings
from tidings.bus import Bus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    from tidings.envelope import EventEnvelope
    from tidings.event import Event

__all__ = [
    "DefaultBus",
    "default_bus",
    "emit",
    "follow",
    "get_type_info",
    "history",
    "latest",
    "list_types",
    "publish",
    "register_type",
]


class DefaultBus:
    """A bus that is made when it is first needed, and anew once it is to be another one.

    It is closed when the process ends.

    Args:
        wanted: the settings it depends on, as they are now.
        make: makes it by them.
    """

    def __init__(self, wanted: Callable[[], tuple[object, ...]], make: Callable[[], Bus]) -> None:
        self._wanted = wanted
        self._make = make
        self._lock = Lock()
        self._made: tuple[tuple[object, ...], Bus] | None = None
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._start_anew)

    def __call__(self) -> Bus:
        """The bus.

        Raises:
            InvalidSetting: a setting is not usable.
        """
        wanted = self._wanted()
        with self._lock:
            if self._made is None or self._made[0] != wanted:
                if self._made is None:
                    atexit.register(self._close)
                else:
                    self._made[1].close()
                self._made = wanted, self._make()
            return self._made[1]

    def _start_anew(self) -> None:
        """A forked child may have got the lock from a thread that held it."""
        self._lock = Lock()

    def _close(self) -> None:
        if self._made is not None:
            self._made[1].close()


def _wanted() -> tuple[object, ...]:
    return (
        settings.default_url(),
        settings.spool_directory(),
        settings.state_directory(),
        settings.api_target(),
    )


_default = DefaultBus(_wanted, Bus)


def default_bus() -> Bus:
    """The bus of the module-level verbs; another one once the settings name another store.

    It is closed when the process ends.

    Raises:
        InvalidSetting: a setting is not usable.
    """
    return _default()


def emit(
    event_type: str,
    project: str,
    status: str = "success",
    payload: Mapping[str, Any] | None = None,
    source: str | None = None,
    **fields: Any,
) -> Event:
    """Say that something happened.

    Args:
        event_type: what happened, such as `test_complete`.
        project: what it belongs to.
        status: its outcome: `success` or `failure`.
        payload: what there is to say about it, an object.
        source: where it comes from; none for what the context says: `local`, `hpc` or `ci`.
        fields: further fields by keyword; see `Bus.emit`.

    Returns:
        The event, as it was kept.

    Raises:
        InvalidEvent: a field breaks its rule; nothing was kept.
        NotKept: neither the store nor the spool could take it.

    >>> event = emit("test_complete", "figrecipe", payload={"exit_code": 0, "module": "stats"})
    >>> latest("test_complete")["payload"]["module"]
    'stats'
    """
    return default_bus().emit(event_type, project, status, payload, source, **fields)


def publish(
    event: Event | EventEnvelope, *, subject: str | None = None, project: str = ""
) -> Event:
    """Keep an event or an envelope as it is; see `Bus.publish`."""
    return default_bus().publish(event, subject=subject, project=project)


def latest(event_type: str | None = None) -> dict[str, Any] | None:
    """The newest event as a dict, of one type if given; none where there is none."""
    event = default_bus().latest(event_type)
    return None if event is None else event.to_dict()


def history(limit: int = 20) -> list[dict[str, Any]]:
    """The newest events as dicts, newest first; at most `limit`."""
    return [event.to_dict() for event in default_bus().history(limit)]


def follow(*, after: int = 0, **filters: Any) -> Iterator[Event]:
    """Give the events past a position, then each new one; see `Bus.follow`."""
    return default_bus().follow(after=after, **filters)


def register_type(
    name: str,
    description: str = "",
    payload_keys: Iterable[str] = (),
    schema: dict[str, Any] | None = None,
) -> None:
    """Make an event type known to every process of the store; see `Bus.register_type`."""
    default_bus().register_type(name, description, payload_keys, schema)


def list_types() -> list[str]:
    """The known event types, sorted."""
    return default_bus().list_types()


def get_type_info(event_type: str) -> dict[str, Any]:
    """What is known of a type: description, payload keys, maybe a schema; else empty."""
    return default_bus().get_type_info(event_type)
