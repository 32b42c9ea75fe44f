"""Files as eventuali 0.2.2 leaves them, made with SQLite itself: eventuali needs a newer libc.

The table, the WAL and the way values are written were taken from files that eventuali 0.1.1 made,
and from the source of 0.2.2.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

__all__ = ["METADATA", "add", "agent", "insert", "new_file", "workflow"]

TABLE = """
CREATE TABLE events (
    id TEXT PRIMARY KEY,
    aggregate_id TEXT NOT NULL,
    aggregate_type TEXT NOT NULL,
    event_type TEXT NOT NULL,
    event_version INTEGER NOT NULL,
    aggregate_version INTEGER NOT NULL,
    event_data TEXT NOT NULL,
    event_data_type TEXT NOT NULL DEFAULT 'json',
    metadata TEXT NOT NULL,
    timestamp TEXT NOT NULL,
    UNIQUE(aggregate_id, aggregate_version)
);
CREATE INDEX idx_events_aggregate_id ON events (aggregate_id);
CREATE INDEX idx_events_aggregate_type ON events (aggregate_type);
CREATE INDEX idx_events_timestamp ON events (timestamp);
"""

METADATA: dict[str, Any] = {
    "causation_id": None,
    "correlation_id": None,
    "user_id": None,
    "headers": {},
}


def row(number: int, **given: Any) -> dict[str, Any]:
    """A row, of the values given and of plain ones; JSON where they are no text."""
    values: dict[str, Any] = {
        "id": f"be4f712a-2f70-4102-a836-{number:012x}",
        "aggregate_id": f"order-{number}",
        "aggregate_type": "order",
        "event_type": "OrderPlaced",
        "event_version": 1,
        "aggregate_version": 1,
        "event_data": {"number": number},
        "event_data_type": "json",
        "metadata": METADATA,
        "timestamp": f"2026-01-01T00:00:00.{number:09}+00:00",
        **given,
    }
    return {
        name: json.dumps(value) if isinstance(value, dict) else value
        for name, value in values.items()
    }


def agent(name: str, version: int = 1, **given: Any) -> dict[str, Any]:
    """The columns of an event of an agent, as eventuali-api-server has them kept."""
    data = {
        "event_name": name,
        "agent_name": "url-cacher",
        "agent_id": "url-cacher-abc123",
        "workflow_id": "workflow-def456",
        "parent_agent_id": "parent-agent-789",
        "attributes": {"agent_name": "url-cacher", "message": "ü"},
    }
    return {
        "aggregate_id": "url-cacher-abc123",
        "aggregate_type": "agent_aggregate",
        "event_type": "AgentEvent",
        "aggregate_version": version,
        "event_data": data | given,
    }


def workflow(name: str, version: int = 1, **given: Any) -> dict[str, Any]:
    """The columns of an event of a workflow."""
    data = {
        "event_name": name,
        "workflow_id": "workflow-def456",
        "user_prompt": "Cache the documentation page",
        "attributes": {"user_prompt": "Cache the documentation page"},
    }
    return {
        "aggregate_id": "workflow-def456",
        "aggregate_type": "workflow_aggregate",
        "event_type": "WorkflowEvent",
        "aggregate_version": version,
        "event_data": data | given,
    }


def insert(connection: sqlite3.Connection, *rows: dict[str, Any]) -> None:
    """Write rows in one transaction; each is numbered by its place in the table."""
    with connection:
        for given in rows:
            (last,) = connection.execute("SELECT coalesce(max(rowid), 0) FROM events").fetchone()
            values = row(last + 1, **given)
            marks = ", ".join("?" * len(values))
            connection.execute(
                f"INSERT INTO events ({', '.join(values)}) VALUES ({marks})",  # noqa: S608 - of `row`
                [*values.values()],
            )


def new_file(path: Path, *rows: dict[str, Any]) -> Path:
    """A file with these rows, closed as a server that ends closes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(TABLE)
        insert(connection, *rows)
    return path


def add(path: Path, *rows: dict[str, Any]) -> None:
    """Write more rows to a file."""
    with closing(sqlite3.connect(path)) as connection:
        insert(connection, *rows)
