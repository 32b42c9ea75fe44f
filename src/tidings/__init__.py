"""Tidings: one event bus, from a shell line to a cluster.

    >>> from tidings import emit, latest
    >>> event = emit("job_done", "figrecipe", payload={"job_id": 4711})
    >>> latest("job_done")["payload"]
    {'job_id': 4711}

Names are loaded when they are first used (PEP 562), so that `import tidings` costs next to nothing.
PYTEST_DONT_REWRITE: nothing is asserted here, and pytest warns where this was imported before it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings import errors as errors
    from tidings.aio import AsyncBus as AsyncBus
    from tidings.api import default_bus as default_bus
    from tidings.api import emit as emit
    from tidings.api import follow as follow
    from tidings.api import get_type_info as get_type_info
    from tidings.api import history as history
    from tidings.api import latest as latest
    from tidings.api import list_types as list_types
    from tidings.api import publish as publish
    from tidings.api import register_type as register_type
    from tidings.bus import Bus as Bus
    from tidings.envelope import EventEnvelope as EventEnvelope
    from tidings.envelope import EventKind as EventKind
    from tidings.envelope import create_event as create_event
    from tidings.event import Event as Event
    from tidings.handlers import Handler as Handler
    from tidings.integrations.log_handler import LogHandler as LogHandler
    from tidings.outbox import Outbox as Outbox
    from tidings.schedule import Schedule as Schedule
    from tidings.store import open_store as open_store
    from tidings.store.base import Store as Store
    from tidings.store.query import Filter as Filter
    from tidings.store.query import Query as Query
    from tidings.subscriptions.worker import Worker as Worker

_HOMES = {
    "AsyncBus": "tidings.aio",
    "Bus": "tidings.bus",
    "Event": "tidings.event",
    "EventEnvelope": "tidings.envelope",
    "EventKind": "tidings.envelope",
    "Filter": "tidings.store.query",
    "Handler": "tidings.handlers",
    "LogHandler": "tidings.integrations.log_handler",
    "Outbox": "tidings.outbox",
    "Query": "tidings.store.query",
    "Schedule": "tidings.schedule",
    "Store": "tidings.store.base",
    "Worker": "tidings.subscriptions.worker",
    "create_event": "tidings.envelope",
    "default_bus": "tidings.api",
    "emit": "tidings.api",
    "follow": "tidings.api",
    "get_type_info": "tidings.api",
    "history": "tidings.api",
    "latest": "tidings.api",
    "list_types": "tidings.api",
    "open_store": "tidings.store",
    "publish": "tidings.api",
    "register_type": "tidings.api",
}

__version__ = "0.1.0"

__all__ = [
    "AsyncBus",
    "Bus",
    "Event",
    "EventEnvelope",
    "EventKind",
    "Filter",
    "Handler",
    "LogHandler",
    "Outbox",
    "Query",
    "Schedule",
    "Store",
    "Worker",
    "create_event",
    "default_bus",
    "emit",
    "errors",
    "follow",
    "get_type_info",
    "history",
    "latest",
    "list_types",
    "open_store",
    "publish",
    "register_type",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None and name != "errors":
        raise AttributeError(f"module 'tidings' has no attribute {name!r}")
    from importlib import import_module

    if home is None:
        return import_module("tidings.errors")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
