"""A schema, an event that fits it and one that does not."""

from __future__ import annotations

from typing import Any

from tidings.catalog import Catalog
from tidings.event import Event
from tidings.store.base import Store

SCHEMA = {"type": "object", "properties": {"job_id": {"type": "integer"}}, "required": ["job_id"]}
GOOD = Event("job_done", payload={"job_id": 4711})
BAD = Event("job_done", payload={"job_id": "x"})


def registered(store: Store, schema: dict[str, Any]) -> Catalog:
    """A catalog where `job_done` has a schema."""
    catalog = Catalog(store)
    catalog.register("job_done", schema=schema)
    return catalog
