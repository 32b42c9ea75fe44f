"""Importing the SQLite file of an eventuali event store, as eventuali-api-server fills it.

Keeps: the file and its WAL are left as they are, each aggregate's events come in the order of their
versions, nothing is repeated (events keep their ids), and a row that is no event is named with its
number and changes nothing (promise 5). Times without offset are UTC, as eventuali means them. It
takes over no versions; they are counted anew, in the same order. Source: the schema of eventuali
0.1.1 and 0.2.2, and the fields eventuali-api-server 0.2.2 puts into it.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from datetime import datetime
from json import loads
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tidings.errors import InvalidEvent, TransferError, shorten
from tidings.event import Event
from tidings.event_item import WIRE_AGGREGATES
from tidings.outcome import infer_status
from tidings.settings import max_payload
from tidings.timestamps import format_instant, instant_of
from tidings.transfer.importing import Groups

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    from tidings.store.base import Store
    from tidings.transfer.importing import Imported

    Row: TypeAlias = tuple[Any, ...]
    Fingerprint: TypeAlias = list[list[int]]

__all__ = ["fingerprint_of", "import_eventuali", "is_eventuali"]

SOURCE = "eventuali"
"""The source of imported events; theirs name none."""

_KINDS = {wire: ours for ours, wire in WIRE_AGGREGATES.items()} | {"event_aggregate": "event"}
"""Our aggregate types for those of eventuali-api-server; users' own stay as they are."""

_COLUMNS = (
    *("id", "aggregate_id", "aggregate_type", "event_type", "event_version"),
    *("event_data", "event_data_type", "metadata", "timestamp"),
)
_NEEDED = {*_COLUMNS, "aggregate_version"}
_ROW = f"SELECT {', '.join(_COLUMNS)} FROM events WHERE rowid = ?"  # noqa: S608 - of the names above

# Rows lie in the order they were written, unless somebody put them together from several files:
# a row that comes before an earlier version of its aggregate waits for that one.
_ORDER = """
SELECT rowid FROM events
ORDER BY max(rowid) OVER (PARTITION BY aggregate_id ORDER BY aggregate_version), aggregate_version
"""

_PATIENCE_SECONDS = 10.0
_PROTOBUF = {"datacontenttype": "application/protobuf", "data_base64": True}
"""How an event's extensions say that its payload is base64; see `cloudevents.data`."""


def import_eventuali(
    store: Store,
    path: str | os.PathLike[str],
    *,
    progress: Callable[[int, int, int | None], None] | None = None,
) -> Imported:
    """Append the events of an eventuali store's SQLite file.

    Importing it again repeats nothing, so one that was killed, or whose file has grown, is simply
    run again. It may be in use meanwhile; what is written after the import began may be left out.

    Args:
        store: where they go.
        path: the file, such as `.events/events.db`.
        progress: called now and then with the rows read, the same again, and the rows in all.

    Returns:
        What was done, in rows; a rejected one is named by its `rowid`.

    Raises:
        TransferError: the file cannot be read, or is no eventuali store.
        StoreUnavailable: the store takes nothing now; run it again.
        OutcomeUnknown: as before; nothing is repeated.
    """
    path = os.fspath(path)
    before = fingerprint_of(path)
    # To look at a file in WAL mode leaves two more beside it, unless it is said not to change.
    at_rest = not _has_log(path)
    imported: Imported | None = None
    try:
        imported = _import(store, path, "immutable=1" if at_rest else "mode=ro", progress)
    except TransferError:
        if not at_rest or fingerprint_of(path) == before:
            raise
    if imported is None or (at_rest and fingerprint_of(path) != before):
        # Somebody wrote to it meanwhile, so it was not at rest, and may not have been read right.
        imported = _import(store, path, "mode=ro", progress)
    return imported


def is_eventuali(path: str | os.PathLike[str]) -> bool:
    """Whether a file is the SQLite file of an eventuali store, as far as can be seen."""
    path = os.fspath(path)
    try:
        with closing(_opened(path, "mode=ro" if _has_log(path) else "immutable=1")) as connection:
            return _columns(connection) >= _NEEDED
    except (OSError, sqlite3.Error):
        return False


def fingerprint_of(path: str | os.PathLike[str]) -> Fingerprint:
    """What differs once somebody has written to a SQLite file: sizes and times of it and its WAL.

    Raises:
        TransferError: there is no such file.
    """
    path = os.fspath(path)
    try:
        facts = [os.stat(path)]
    except OSError as error:
        raise TransferError(f"{path} cannot be read: {error.strerror}") from error
    with suppress(OSError):  # Whoever closes the file last takes its WAL away.
        facts.append(os.stat(f"{path}-wal"))
    return [[each.st_size, each.st_mtime_ns] for each in facts if each.st_size]


def _has_log(path: str) -> bool:
    """Whether something stands in the file's WAL that may not stand in the file."""
    try:
        return os.stat(f"{path}-wal").st_size > 0
    except OSError:
        return False


# Reading the file ---------------------------------------------------------------------------------


def _opened(path: str, how: str) -> sqlite3.Connection:
    if not os.path.isfile(path):
        raise FileNotFoundError(path)  # SQLite's own message does not say so
    url = f"file:{quote(os.path.abspath(path))}?{how}"
    return sqlite3.connect(url, uri=True, timeout=_PATIENCE_SECONDS, isolation_level=None)


def _columns(connection: sqlite3.Connection) -> set[str]:
    return {row[1] for row in connection.execute("PRAGMA table_info(events)")}


def _import(
    store: Store,
    path: str,
    how: str,
    progress: Callable[[int, int, int | None], None] | None,
) -> Imported:
    groups = Groups(store)
    try:
        with closing(_opened(path, how)) as connection:
            # What a writer left half done is text that need not be UTF-8; it fails as one row.
            connection.text_factory = lambda raw: raw.decode(errors="surrogateescape")
            missing = _NEEDED - _columns(connection)
            if missing:
                raise TransferError(
                    f"{path} is no eventuali store: its table events lacks "
                    f"{', '.join(sorted(missing))}; `tidings import FILE` takes NDJSON, and "
                    f"`tidings migrate` a store of Tidings"
                )
            connection.execute("BEGIN")  # one state of the file for all that follows
            (whole,) = connection.execute("SELECT count(*) FROM events").fetchone()
            for _ in _import_rows(groups, connection, path):
                if progress is not None:
                    progress(groups.read, groups.read, whole)
    except (OSError, sqlite3.Error) as error:
        before = f" after {groups.read:,} rows" if groups.read else ""
        raise TransferError(
            f"{path} cannot be read{before} as an eventuali store: {error}; importing it again "
            f"repeats nothing"
        ) from error
    return groups.imported()


def _import_rows(groups: Groups, connection: sqlite3.Connection, name: str) -> Iterator[None]:
    """Import all rows, a bounded number at a time; gives nothing, after each group."""
    bound = max_payload()
    for (number,) in connection.execute(_ORDER):
        row = connection.execute(_ROW, (number,)).fetchone()
        if row is None:
            raise sqlite3.DatabaseError(f"row {number} is not where its index says")
        groups.read += 1
        try:
            groups.take(number, _event_of(row, bound), len(str(row[5])))
        except InvalidEvent as error:
            groups.reject(number, str(error))
        if groups.is_due:
            groups.keep(name)
            yield
    groups.keep(name)
    yield


# Making events ------------------------------------------------------------------------------------


def _event_of(row: Row, bound: int) -> Event:
    """The event in a row, as eventuali-api-server would show it.

    Raises:
        InvalidEvent: the row holds none.
    """
    id, about, kind, event_type, event_version, text, form, metadata, timestamp = row
    if not id:
        # It would be given a new one by each import, and so be repeated.
        raise InvalidEvent("id", id, "must be given")
    data, extensions = _data_of(text, form)
    meta = _object("metadata", metadata)
    if event_version != 1:
        extensions["eventversion"] = event_version
    if meta.get("headers"):
        extensions["headers"] = meta["headers"]
    fields: dict[str, Any] = {
        "type": event_type,
        "payload": data,
        "correlation_id": meta.get("correlation_id") or None,
        "causation_id": meta.get("causation_id") or None,
    }
    if kind in _KINDS and isinstance(data, dict) and isinstance(data.get("event_name"), str):
        fields |= _fields_of_the_server(kind, about, data, fields)
    return Event(
        **fields,
        status=infer_status(fields["type"], fields["payload"]),
        source=SOURCE,
        timestamp=_moment(timestamp),
        id=id,
        aggregate_type=_KINDS.get(kind, kind),
        aggregate_id=about,
        user_id=meta.get("user_id") or None,
        extensions=extensions or None,
        max_payload=bound,
    )


def _fields_of_the_server(
    kind: str, about: object, data: dict[str, Any], fields: dict[str, Any]
) -> dict[str, Any]:
    """What the server's own event classes keep beside the attributes, by the names it has here."""
    attributes = data.get("attributes") or {}
    for name in ("agent_name", "user_prompt"):
        if data.get(name) and isinstance(attributes, dict):
            attributes.setdefault(name, data[name])
    own = about if kind == "workflow_aggregate" else data.get("workflow_id")
    return {
        "type": data["event_name"],
        "payload": attributes,
        "correlation_id": own or fields["correlation_id"],
        "causation_id": data.get("parent_agent_id") or fields["causation_id"],
    }


def _data_of(text: object, form: object) -> tuple[Any, dict[str, Any]]:
    """An event's data and the extensions that say what it is."""
    if form == "protobuf":
        return text, dict(_PROTOBUF)
    if form != "json":
        raise InvalidEvent("event_data_type", form, "must be json or protobuf")
    return _json("event_data", text), {}


def _object(column: str, text: object) -> dict[str, Any]:
    value = _json(column, text)
    if not isinstance(value, dict):
        raise InvalidEvent(column, value, "must be an object")
    return value


def _json(column: str, text: object) -> Any:
    try:
        return loads(text)  # type: ignore[arg-type]  # a column may hold anything
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidEvent(column, shorten(text), f"must be JSON: {error}") from None


def _moment(text: object) -> str:
    """The time as it stands there, or in UTC where it has no offset.

    >>> _moment("2026-01-01T12:00:00.5"), _moment("2026-01-01T12:00:00.123456789+00:00")
    ('2026-01-01T12:00:00.500000Z', '2026-01-01T12:00:00.123456789+00:00')
    """
    try:
        moment = datetime.fromisoformat(text)  # type: ignore[arg-type]  # as above
        instant = instant_of(moment, naive="utc")
    except (TypeError, ValueError, OverflowError):
        raise InvalidEvent("timestamp", text, "must be an ISO 8601 timestamp") from None
    return str(text) if moment.tzinfo is not None else format_instant(instant)
