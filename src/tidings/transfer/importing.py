"""Importing: from a file into a store, in groups, idempotently by id."""

from __future__ import annotations

import os
import sys
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from tidings.errors import Conflict, InvalidEvent, TransferError
from tidings.store.base import Batch
from tidings.transfer.lines import Damaged, EventReader, NoEvent, numbered_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tidings.event import Event
    from tidings.store.base import Store

__all__ = ["Groups", "Imported", "Rejected", "import_events"]

_GROUP_EVENTS = 1_000
_GROUP_BYTES = 8 * 1024 * 1024
_REASONS = 100
"""How many reasons are given; a file full of something else has one for each line."""


class Rejected(NamedTuple):
    """A line, or a row of a table (numbered from 1 on), that was not imported, and why."""

    line: int
    reason: str


class Imported(NamedTuple):
    """What an import did, in lines or rows.

    `read` were looked at: `kept` are new events, `known` were there before, `rejected` are none or
    contradict one that is there; `reasons` says why, for the first hundred.
    """

    read: int
    kept: int
    known: int
    rejected: int
    reasons: tuple[Rejected, ...] = ()


def import_events(
    store: Store,
    source: str | os.PathLike[str] | BinaryIO,
    *,
    form: str | None = None,
    strict: bool = False,
    progress: Callable[[int, int, int | None], None] | None = None,
) -> Imported:
    r"""Append the events of a file, one line each, in its order.

    An event that is there already is not repeated, so an import that was killed is simply run
    again. Positions, versions and `recorded_at` of the file are not taken over; the store gives its
    own. Lines without an `id`, such as the `history.jsonl` of scitex-events has, get one from their
    text.

    Args:
        store: where they go.
        source: a path, `-` for stdin, or a file object open for bytes. `.gz` and `.zst` are
            recognised by their first bytes.
        form: `ndjson` or `cloudevents`; left out, told apart line by line.
        strict: stop at the first line that is no event.
        progress: called now and then with the lines read so far, the bytes read and the bytes in
            all (none where that is not known).

    Raises:
        TransferError: the source cannot be read, is damaged, or (with `strict`) has a line that is
            no event. What stood before that is imported.
        InvalidSetting: the form has another name.
        MissingExtra: it is compressed with zstd, and that is not installed.
        StoreUnavailable: the store takes nothing now; run it again.
        OutcomeUnknown: as before; nothing is repeated.

    >>> import io
    >>> from tidings.store import open_store
    >>> lines = io.BytesIO(b'{"type": "job_done", "project": "figrecipe"}\nnonsense\n')
    >>> imported = import_events(open_store("memory:"), lines)
    >>> imported.kept, imported.reasons[0].line
    (1, 2)
    """
    groups, events = Groups(store, strict=strict), EventReader(form)
    with _opened(source) as (file, name), closing(numbered_lines(file)) as lines:
        size = _size_of(file)
        for _ in _import_lines(groups, events, lines, name):
            if progress is not None:
                progress(groups.read, min(file.tell(), size) if size else 0, size)
    return groups.imported()


class Groups:
    """Appends events some at a time, and counts what became of them.

    Args:
        store: where they go.
        strict: stop at the first event that is rejected.

    Attributes:
        read: how many lines or rows were looked at.
    """

    def __init__(self, store: Store, *, strict: bool = False) -> None:
        self._store = store
        self._strict = strict
        self._group: list[tuple[int, Event]] = []
        self._size = 0
        self._reasons: list[Rejected] = []
        self.read = self._kept = self._known = self._rejected = 0

    @property
    def is_due(self) -> bool:
        """Whether what was taken should be kept now: there is enough, or it is over."""
        enough = len(self._group) >= _GROUP_EVENTS or self._size >= _GROUP_BYTES
        return enough or self._is_over

    @property
    def _is_over(self) -> bool:
        return self._strict and bool(self._reasons)

    def imported(self) -> Imported:
        """What was done so far."""
        reasons = tuple(sorted(self._reasons)[:_REASONS])
        return Imported(self.read, self._kept, self._known, self._rejected, reasons)

    def take(self, number: int, event: Event, size: int) -> None:
        """Have an event kept with its group.

        Args:
            number: its line or row.
            event: what it holds.
            size: how long it is, about (bytes).
        """
        self._group.append((number, event))
        self._size += size

    def reject(self, number: int, reason: str) -> None:
        """Count a line or row that is no event."""
        self._rejected += 1
        if len(self._reasons) < _REASONS:
            self._reasons.append(Rejected(number, reason))

    def keep(self, name: str) -> None:
        """Append what was taken.

        Args:
            name: what is imported, for the error.

        Raises:
            TransferError: it stops, as something was rejected.
            StoreUnavailable: the store takes nothing now; so does `OutcomeUnknown`.
        """
        group, self._group, self._size = self._group, [], 0
        head, positions = self._store.head(), set[int | None]()
        results = self._store.append_all([Batch([event]) for _, event in group]) if group else []
        for (number, _), result in zip(group, results, strict=True):
            if isinstance(result, list):
                position = result[0].position
                is_known = position in positions or (position or 0) <= head
                self._known += is_known
                self._kept += not is_known
                positions.add(position)
            elif isinstance(result, Conflict | InvalidEvent):
                self.reject(number, str(result))
            else:
                raise result
        if self._is_over:
            line, reason = min(self._reasons)
            raise TransferError(f"{name}, line {line}: {reason}; the lines before are imported")


def _import_lines(
    groups: Groups, events: EventReader, lines: Iterator[tuple[int, bytes | None]], name: str
) -> Iterator[None]:
    """Import the lines, a bounded number at a time; gives nothing, after each group."""
    try:
        for number, line in lines:
            groups.read += 1
            try:
                groups.take(number, events.event(number, line), len(line or b""))
            except NoEvent as reason:
                groups.reject(number, str(reason))
            if groups.is_due:
                groups.keep(name)
                yield
    except Damaged as damaged:
        groups.keep(name)
        raise TransferError(
            f"{name} cannot be read on after line {damaged.line}: {damaged.__cause__}; the "
            f"lines before are imported, and importing it again repeats none"
        ) from damaged.__cause__
    groups.keep(name)
    yield


@contextmanager
def _opened(source: str | os.PathLike[str] | BinaryIO) -> Iterator[tuple[BinaryIO, str]]:
    if not isinstance(source, str | os.PathLike):
        yield source, str(getattr(source, "name", "the file object"))
    elif source == "-":
        yield sys.stdin.buffer, "stdin"
    else:
        path = os.fspath(source)
        try:
            file = open(path, "rb")  # noqa: SIM115 - the next `with` closes it
        except OSError as error:
            raise TransferError(f"{path} cannot be read: {error}") from error
        with file:
            yield file, path


def _size_of(file: BinaryIO) -> int | None:
    """The size of a plain file (bytes); none for a pipe and the like."""
    try:
        return os.fstat(file.fileno()).st_size or None
    except (OSError, AttributeError):
        return None
