"""Every error Tidings raises, as one tree.

    TidingsError
    ├── InvalidEvent (ValueError)       an event breaks a rule; nothing was kept
    │   ├── SchemaViolation             … the JSON Schema registered for its type
    │   └── TooLarge                    … the bound on a payload
    ├── InvalidQuery (ValueError)       a filter, limit or cursor makes no sense
    ├── InvalidSetting (ValueError)     a URL, variable or argument is not usable
    ├── MissingExtra (ImportError)      an optional dependency is not installed
    ├── Conflict                        the store already holds something else
    │   ├── VersionConflict             the aggregate stands at another version
    │   ├── IdConflict                  the id is taken by another event
    │   ├── RevisionConflict            the ledger record has changed
    │   └── LeaseLost                   another process runs it now
    ├── NotFound (LookupError)          there is nothing of this name
    ├── HistoryPruned (LookupError)     the position asked for was pruned away
    ├── StoreUnavailable                nothing was kept; the bus then spools
    │   ├── StoreLocked                 … others held the lock past the deadline
    │   ├── StoreFull                   … the disk or quota is full
    │   ├── StoreReadOnly               … the file or its directory cannot be written
    │   ├── StoreDamaged                … its contents contradict themselves
    │   ├── NotAStore                   … the file is something else
    │   ├── StoreTooNew                 … a newer Tidings wrote it
    │   ├── NetworkFileSystem           … SQLite would not be safe where it lies
    │   └── NotAllowed                  … the server refuses the key, or wants one
    ├── OutcomeUnknown                  interrupted in the middle: kept or not is not known
    ├── StoreClosed                     the store or bus was closed before this call
    ├── NotKept                         neither store nor spool could take the event
    └── TransferError                   an export, import, collect or migration could not go on

A driver's error never leaves its backend: each backend translates it in one place.
"""

from __future__ import annotations

__all__ = [
    "Conflict",
    "HistoryPruned",
    "IdConflict",
    "InvalidEvent",
    "InvalidQuery",
    "InvalidSetting",
    "LeaseLost",
    "MissingExtra",
    "NetworkFileSystem",
    "NotAStore",
    "NotAllowed",
    "NotFound",
    "NotKept",
    "OutcomeUnknown",
    "RevisionConflict",
    "SchemaViolation",
    "StoreClosed",
    "StoreDamaged",
    "StoreFull",
    "StoreLocked",
    "StoreReadOnly",
    "StoreTooNew",
    "StoreUnavailable",
    "TidingsError",
    "TooLarge",
    "TransferError",
    "VersionConflict",
]

_SHOWN_CHARACTERS = 60


def shorten(value: object) -> str:
    """The value as an error message shows it: its repr, cut to what fits a line."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - a stranger's repr may raise anything, and a message must come
        text = f"<{type(value).__name__}>"
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


class TidingsError(Exception):
    """Something went wrong in Tidings."""

    def __reduce__(self) -> tuple[object, ...]:
        # An error's own arguments are not those of its message, so pickle (and with it a process
        # pool) could not make it again by calling its class.
        return _restored, (type(self), self.args, self.__dict__)


def _restored(
    kind: type[TidingsError], args: tuple[object, ...], state: dict[str, object]
) -> TidingsError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class InvalidEvent(TidingsError, ValueError):  # noqa: N818 - names say what is, as in the design
    """An event breaks a rule of the model; nothing was kept.

    Args:
        field: the field at fault, such as `type`.
        value: what was given; shown shortened.
        rule: what holds for the field, as the end of the sentence "… must be".
    """

    def __init__(self, field: str, value: object, rule: str) -> None:
        super().__init__(f"{field} {shorten(value)} {rule}")
        self.field = field
        self.value = value
        self.rule = rule

    def about(self, field: str) -> InvalidEvent:
        """The same error about the field's name in another form, such as a CloudEvent's."""
        return type(self)(field, self.value, self.rule)


class SchemaViolation(InvalidEvent):
    """A payload does not fit the JSON Schema registered for its type."""


class TooLarge(InvalidEvent):
    """A value of an event takes more bytes than are allowed.

    Args:
        field: as for `InvalidEvent`.
        value: what was given.
        size: how much it takes as JSON (bytes).
        limit: how much is allowed (bytes).
    """

    def __init__(self, field: str, value: object, size: int, limit: int) -> None:
        super().__init__(
            field, value, f"takes {size:,} bytes as JSON; at most {limit:,} are allowed"
        )
        self.size = size
        self.limit = limit

    def about(self, field: str) -> TooLarge:
        """As `InvalidEvent.about`."""
        return TooLarge(field, self.value, self.size, self.limit)


class InvalidQuery(TidingsError, ValueError):  # noqa: N818
    """A filter, limit or cursor makes no sense."""


class InvalidSetting(TidingsError, ValueError):  # noqa: N818
    """A URL, an environment variable or an argument is not usable."""


class MissingExtra(TidingsError, ImportError):  # noqa: N818
    """An optional dependency is not installed; the message is the line that installs it.

    Args:
        what: what was asked for, such as "zstd compression".
        extra: the extra that brings it, such as `zstd`.
        distribution: whose extra it is.
    """

    def __init__(self, what: str, extra: str, distribution: str = "tidings") -> None:
        line = f"pip install '{distribution}[{extra}]'"
        super().__init__(f"{what} needs an optional dependency: {line}")
        self.extra = extra


class Conflict(TidingsError):  # noqa: N818
    """The store already holds something that contradicts the request; nothing was changed."""


class VersionConflict(Conflict):
    """The aggregate does not stand at the version the caller expected.

    Args:
        aggregate: `type/id` of the aggregate.
        expected: the version the caller expected; 0 means "must be new".
        actual: the version it stands at.
    """

    def __init__(self, aggregate: str, expected: int, actual: int) -> None:
        super().__init__(
            f"{aggregate} stands at version {actual}, not at the expected {expected}; "
            f"read it again from there and decide anew"
        )
        self.aggregate = aggregate
        self.expected = expected
        self.actual = actual


class IdConflict(Conflict):
    """The id already belongs to an event with other content.

    Args:
        event_id: the id.
        position: where the event that owns it is kept.
        differs: the names of the fields that differ.
    """

    def __init__(self, event_id: str, position: int, differs: tuple[str, ...]) -> None:
        super().__init__(
            f"id {shorten(event_id)} belongs to the event at position {position}, which differs "
            f"in {', '.join(differs)}; give a new event a new id"
        )
        self.event_id = event_id
        self.position = position
        self.differs = differs


class RevisionConflict(Conflict):
    """The ledger record is not at the revision the caller expected.

    Args:
        key: the record's key.
        expected: the revision the caller expected; 0 means "must be new".
        actual: the revision it has; 0 when there is none.
    """

    def __init__(self, key: str, expected: int, actual: int) -> None:
        super().__init__(
            f"ledger record {shorten(key)} is at revision {actual}, not at the expected "
            f"{expected}; read it again and decide anew"
        )
        self.key = key
        self.expected = expected
        self.actual = actual


class LeaseLost(Conflict):
    """What this process ran was taken over by another one, or reset; it must let go of it.

    Args:
        key: the key of the lease's record in the ledger.
    """

    def __init__(self, key: str) -> None:
        super().__init__(
            f"{shorten(key)} is run by another process now, or was reset; nothing was written"
        )
        self.key = key


class NotFound(TidingsError, LookupError):  # noqa: N818
    """There is nothing of this name.

    Args:
        kind: what was looked for, such as `subscription`.
        name: the name given.
        remedy: what to do next, as an imperative, such as "`tidings subscriptions list` …".
    """

    def __init__(self, kind: str, name: str, remedy: str) -> None:
        super().__init__(f"there is no {kind} {shorten(name)}; {remedy}")
        self.kind = kind
        self.name = name


class HistoryPruned(TidingsError, LookupError):  # noqa: N818
    """The events asked for were pruned away.

    Args:
        asked: the position the reader wanted to go on from.
        first: the first position that is left to read.
    """

    def __init__(self, asked: int, first: int) -> None:
        super().__init__(
            f"events up to position {first - 1} were pruned, and {asked} lies before; "
            f"go on with after={first - 1}"
        )
        self.asked = asked
        self.first = first


class StoreUnavailable(TidingsError):  # noqa: N818
    """The store cannot take or give events now; nothing was kept."""


class StoreLocked(StoreUnavailable):
    """Others held the store's lock for longer than the deadline."""


class StoreFull(StoreUnavailable):
    """The disk or quota that holds the store is full."""


class StoreReadOnly(StoreUnavailable):
    """The store's file or directory cannot be written."""


class StoreDamaged(StoreUnavailable):
    """The store's contents contradict themselves."""


class NotAStore(StoreUnavailable):
    """The file at the store's path is something else."""


class StoreTooNew(StoreUnavailable):
    """A newer Tidings wrote this store, in a format this one does not know."""


class NetworkFileSystem(StoreUnavailable):
    """The store would lie on a network file system, where SQLite is not safe."""


class NotAllowed(StoreUnavailable):
    """The server refuses the key it was shown, or wants one; nothing was kept."""


class OutcomeUnknown(TidingsError):  # noqa: N818
    """The call was interrupted in the middle; the same events (same ids) may be sent again."""


class StoreClosed(TidingsError):  # noqa: N818
    """The store or bus was closed before this call."""


class NotKept(TidingsError):  # noqa: N818
    """Neither the store nor the spool could take the event."""


class TransferError(TidingsError):
    """An export, an import, a collect or a migration could not go on."""
