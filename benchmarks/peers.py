"""Whom Tidings is compared with, each used as its own documentation has it.

scitex-events keeps JSON files and is not durable. eventsourcing keeps events in SQLite: its
connections use WAL and leave `synchronous` at SQLite's default. That this is FULL here, so that it
is exactly as durable as Tidings is by default, is made sure of.
"""

from __future__ import annotations

import os
from typing import Any
from uuid import uuid4

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate
from eventsourcing.persistence import StoredEvent
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore

from benchmarks.sample import PAYLOAD, PROJECT, TYPE

__all__ = ["Job", "application", "job_events", "prepare_scitex", "recorder", "stored_event"]

_FULL = 2
_SCITEX_HISTORY = 1000


class Job(Aggregate):
    """A finished job as an aggregate of eventsourcing; making one triggers its first event."""

    def __init__(self, job_id: int, host: str, state: str, project: str) -> None:
        self.job_id = job_id
        self.host = host
        self.state = state
        self.project = project


def application(directory: str) -> Application[Any]:
    """An application of eventsourcing on a new SQLite file, with its default settings."""
    made: Application[Any] = Application(
        env={
            "PERSISTENCE_MODULE": "eventsourcing.sqlite",
            "SQLITE_DBNAME": os.path.join(directory, "application.db"),
        }
    )
    _ensure_as_durable(made.recorder)
    return made


def recorder(directory: str) -> SQLiteApplicationRecorder:
    """Its SQLite recorder alone: what is stored is given as bytes, and one index is kept."""
    made = SQLiteApplicationRecorder(SQLiteDatastore(os.path.join(directory, "recorder.db")))
    made.create_table()
    _ensure_as_durable(made)
    return made


def stored_event(state: bytes) -> StoredEvent:
    """The first event of a new aggregate, its state encoded before."""
    return StoredEvent(uuid4(), 1, TYPE, state)


def job_events(application: Application[Any], number: int) -> list[StoredEvent]:
    """The first events of so many new jobs, each encoded as the application's mapper does it."""
    made = Job(project=PROJECT, **PAYLOAD).collect_events()[0]
    encoded = application.mapper.to_stored_event(made)
    return [StoredEvent(uuid4(), 1, encoded.topic, encoded.state) for _ in range(number)]


def prepare_scitex(directory: str) -> None:
    """Send scitex-events' files to a directory, its history as long as it lets it become."""
    os.environ["SCITEX_DIR"] = directory
    os.environ.pop("SCITEX_API_KEY", None)
    from scitex_events import emit, history

    emit(TYPE, PROJECT, payload=PAYLOAD)
    path = os.path.join(directory, "events", "runtime", "history.jsonl")
    with open(path, encoding="utf-8") as file:
        line = file.readline()
    with open(path, "w", encoding="utf-8") as file:
        file.write(line * _SCITEX_HISTORY)
    assert len(history(_SCITEX_HISTORY)) == _SCITEX_HISTORY


def _ensure_as_durable(made: Any) -> None:
    """Make sure that a commit of its is synced to disk, as ours is."""
    with made.datastore.transaction(commit=False) as cursor:
        cursor.execute("PRAGMA journal_mode")
        journal = cursor.fetchone()[0]
        cursor.execute("PRAGMA synchronous")
        synchronous = cursor.fetchone()[0]
    assert (journal, synchronous) == ("wal", _FULL), (journal, synchronous)
