"""Commands: what the entries of a log say, and how they are written as bytes.

An entry is one part of a command: a line that names format, kind, command and part, then the part's
share of the body, which is JSON. A command that fits into one entry has one part. The line has a
checksum over what follows, so that a damaged entry is told and not applied. What is published was
checked by the publisher; whoever may write to the log is trusted as whoever may write to a file is.
"""

from __future__ import annotations

import json
from collections import namedtuple
from json import loads
from uuid import uuid4
from zlib import crc32

from tidings.errors import StoreTooNew, StoreUnavailable
from tidings.event import Event
from tidings.record import KEY
from tidings.store.base import Batch, Put, Summary
from tidings.store.wire import batch_data, event_of_row, event_row, query_data, query_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

__all__ = [
    "ADOPT",
    "APPEND",
    "DELETE",
    "FORMAT",
    "PRUNE",
    "PUT",
    "REDACT",
    "RESTORE",
    "Command",
    "Part",
    "command_of",
    "entries_of",
    "part_of",
]

FORMAT = 1
"""The newest form of commands this Tidings knows; a replica refuses newer ones and skips none."""

APPEND, RESTORE, ADOPT = "append", "restore", "adopt"
PUT, DELETE, PRUNE, REDACT = "put", "delete", "prune", "redact"

_MAGIC = b"tidings-log"
_LONGEST_LINE = 256


class Part(namedtuple("Part", "command kind part parts body")):
    """One entry of a log, read: the share that part `part` of `parts` has of a command's body."""

    __slots__ = ()

    command: str
    kind: str
    part: int
    parts: int
    body: bytes


class Command:
    """One command, made here or read from a log.

    Args:
        kind: what it does.
        content: what it needs for that; `command_of` says what for each kind.
        id: its own name, unique for good; none for a new one.

    Attributes:
        content: events, queries and the like as objects, not as JSON.
    """

    __slots__ = ("content", "id", "kind")

    def __init__(self, kind: str, content: dict[str, Any], id: str | None = None) -> None:
        self.kind = kind
        self.content = content
        self.id = uuid4().hex if id is None else id


def entries_of(command: Command, most_bytes: int) -> list[tuple[str, bytes]]:
    """The names and bytes of the entries that say a command.

    Args:
        command: what to say.
        most_bytes: the largest entry (bytes).
    """
    body = _encode(_data_of(command)).encode()
    share = most_bytes - _LONGEST_LINE
    shares = [body[start : start + share] for start in range(0, len(body), share)]
    return [
        (f"{command.id}-{number}", _line(command, number, len(shares), part) + part)
        for number, part in enumerate(shares)
    ]


def part_of(data: bytes, sequence: int, url: str) -> Part | None:
    """What an entry says; none where it is a stranger's.

    Args:
        data: the entry's bytes.
        sequence: where it stands, for messages.
        url: of which log, for messages.

    Raises:
        StoreTooNew: a newer Tidings wrote it.
        StoreUnavailable: it is not what was written.
    """
    line, _, body = data.partition(b"\n")
    magic, *words = line.split(b" ")
    if magic != _MAGIC or not words:
        return None
    if words[0] != b"%d" % FORMAT:
        raise StoreTooNew(
            f"entry {sequence} of {url} has a form that this Tidings does not know; install a "
            f"newer Tidings on this machine, so that its replica can go on"
        )
    try:
        _, kind, command, part, parts, checksum = words
        if int(checksum, 16) == crc32(body):
            return Part(command.decode(), kind.decode(), int(part), int(parts), body)
    except ValueError:
        pass
    raise StoreUnavailable(f"entry {sequence} of {url} is damaged; restore the log from its backup")


def command_of(kind: str, id: str, body: bytes) -> Command:
    """The command that a whole body says.

    | kind | content |
    |---|---|
    | `append` | `at`, the instant the store takes them; `batches` |
    | `restore` | `at`; `events` |
    | `adopt` | `pruned`; `summaries` |
    | `put` | `put`, a `Put` |
    | `delete` | `key`, `expected` |
    | `prune` | `through` |
    | `redact` | `query` |

    Raises:
        LookupError, TypeError, ValueError: it says none.
    """
    data = loads(body.decode())
    if kind == APPEND:
        data["batches"] = [_batch(batch) for batch in data["batches"]]
    elif kind == RESTORE:
        data["events"] = [event_of_row(row) for row in data["events"]]
    elif kind == ADOPT:
        data["summaries"] = [Summary(*row) for row in data["summaries"]]
    elif kind == PUT:
        data["put"] = Put(*data["put"])
    elif kind == REDACT:
        data["query"] = query_of(data["query"])
    elif kind not in (DELETE, PRUNE):
        raise ValueError(f"there is no command {kind}")
    return Command(kind, data, id)


def _data_of(command: Command) -> dict[str, Any]:
    data = dict(command.content)
    if command.kind == APPEND:
        data["batches"] = [batch_data(batch) for batch in data["batches"]]
    elif command.kind == RESTORE:
        data["events"] = [event_row(event) for event in data["events"]]
    elif command.kind == REDACT:
        data["query"] = query_data(data["query"])
    return data


def _batch(data: dict[str, Any]) -> Batch:
    events = []
    for row in data["events"]:  # as of every event a replica takes in, so without a call of its own
        given = row.pop()
        row[KEY] = bytes.fromhex(row[KEY])
        events.append(Event.from_record(tuple(row), timestamp_given=given))
    puts: Sequence[Put] = [Put(*put) for put in data.get("put", ())]
    return Batch(events, data.get("expected_version"), puts)


def _line(command: Command, part: int, parts: int, body: bytes) -> bytes:
    words = f"{FORMAT} {command.kind} {command.id} {part} {parts} {crc32(body):08x}"
    return b"%s %s\n" % (_MAGIC, words.encode())


_encode = json.JSONEncoder(separators=(",", ":")).encode
