"""Stores that are replicas: a shared log of commands, applied to a SQLite store on every machine.

`log` says what is needed of the log, `command` what its entries say, `replica` applies them to this
machine's file, `following` is the thread that brings both together, `store` the `Store` that users
hold. Which log it is, and how it is reached, is said in `store/jetstream` and `store/shared`.
"""

from tidings.store.replicated.log import Entry, Log, LogTrimmed
from tidings.store.replicated.store import ReplicatedStore

__all__ = ["Entry", "Log", "LogTrimmed", "ReplicatedStore"]
