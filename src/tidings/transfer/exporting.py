"""Exporting: from a store into a file, in the order of positions, in constant memory."""

from __future__ import annotations

import os
import sys
from contextlib import closing, contextmanager
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from tidings.errors import InvalidQuery, InvalidSetting, TransferError, shorten
from tidings.fields import encode_json
from tidings.record import POSITION
from tidings.store.query import Query
from tidings.transfer.compression import Frames, compression_of
from tidings.transfer.part import PartFile, Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tidings.event import Event
    from tidings.store.base import Reading, Store

__all__ = ["Exported", "export_events"]

_CHUNK_LINES = 1_000
_CHUNK_BYTES = 4 * 1024 * 1024
_SAVE_EVERY = 10
"""Chunks between two points from which a killed export can go on."""


class Exported(NamedTuple):
    """What an export wrote.

    `count` events; every event that was asked for up to `position` is among them, so the next
    export may go on with `after=position`.
    """

    count: int  # type: ignore[assignment]  # hides tuple.count
    position: int


def export_events(
    store: Store,
    target: str | os.PathLike[str] | BinaryIO,
    *,
    query: Query | None = None,
    form: str = "ndjson",
    compression: str | None = None,
    resume: bool = False,
    progress: Callable[[int, int, int | None], None] | None = None,
) -> Exported:
    """Write events to a file, one line each, in the order of their positions.

    Args:
        store: where they are.
        target: a path, `-` for stdout, or a file object open for bytes. What is at the path stays
            until the export is whole, and is then replaced; a device or pipe is written to.
        query: which events; left out, all.
        form: `ndjson` for events as `Event.to_dict` writes them, with position, version and
            recorded_at; `cloudevents` for CloudEvents 1.0, each on one line.
        compression: `gz`, or `zst` (with the extra `zstd`); left out, as the path ends.
        resume: go on with the same export to the same path that was killed, where one was.
        progress: called now and then with the events written so far, the positions looked at and
            the positions in all.

    Raises:
        InvalidQuery: the query goes backwards.
        InvalidSetting: form or compression has another name.
        MissingExtra: zstd is asked for and not installed.
        TransferError: the target cannot be written, or another export writes it. What was written
            to a path is left for `resume`.
        HistoryPruned: events were pruned from where an export goes on.
        BrokenPipeError: the reader of a file object or of stdout went away.

    >>> import io
    >>> from tidings.event import Event
    >>> from tidings.store import open_store
    >>> store, lines = open_store("memory:"), io.BytesIO()
    >>> _ = store.append([Event("job_done", "figrecipe")])
    >>> export_events(store, lines)
    Exported(count=1, position=1)
    >>> lines.getvalue()[:40]
    b'{"type":"job_done","project":"figrecipe"'
    """
    query = query or Query()
    if query.backwards:
        raise InvalidQuery("an export goes forwards, so that an import keeps the order")
    export = _Export(store, query, form, progress or _say_nothing)
    if not isinstance(target, str | os.PathLike):
        return export.to_stream(target, compression)
    path = os.fspath(target)
    if path == "-":
        return export.to_stream(sys.stdout.buffer, compression)
    compression = compression or compression_of(path)
    with _translated(path):
        if os.path.exists(path) and not os.path.isfile(path):
            with open(path, "wb") as device:
                return export.to_stream(device, compression)
        return export.to_path(os.path.realpath(path), compression, resume=resume)


class _Export:
    def __init__(
        self,
        store: Store,
        query: Query,
        form: str,
        report: Callable[[int, int, int | None], None],
    ) -> None:
        self._store = store
        self._query = query
        self._form = form
        self._encode = _encoder(form)
        self._report = report

    def to_stream(self, file: BinaryIO, compression: str | None) -> Exported:
        frames = Frames(file, compression)
        done = Progress(0, self._query.after)
        with _translated(str(getattr(file, "name", "the file object"))):
            for lines, so_far in self._chunks(done):
                frames.write(lines)
                done = so_far
            frames.end_frame()
        return Exported(*done)

    def to_path(self, path: str, compression: str | None, *, resume: bool) -> Exported:
        what = repr((self._store.url, self._query, self._form, compression))
        # Hashed, as a store's URL may hold a password.
        export = sha256(what.encode()).hexdigest()
        with PartFile(path, compression, export, resume=resume) as part:
            start = part.start._replace(position=max(part.start.position, self._query.after))
            done = start
            for number, (lines, so_far) in enumerate(self._chunks(start), 1):
                part.write(lines)
                done = so_far
                if number % _SAVE_EVERY == 0:
                    part.save(done)
            part.finish()
        return Exported(*done)

    def _chunks(self, done: Progress) -> Iterator[tuple[bytes, Progress]]:
        """The lines of many events at once, a bounded number of them, and how far they go."""
        whole = self._store.head()
        with closing(self._reading(done.position)) as reading:
            chunk: list[str] = []
            size = 0
            for event in self._wanted(reading, done.count):
                chunk.append(f"{encode_json(self._encode(event))}\n")
                size += len(chunk[-1])
                done = Progress(done.count + 1, event.record[POSITION])
                if len(chunk) >= _CHUNK_LINES or size >= _CHUNK_BYTES:
                    yield "".join(chunk).encode(), done
                    self._report(done.count, done.position, whole)
                    chunk, size = [], 0
            if done.count != self._query.limit:
                done = done._replace(position=max(done.position, reading.position))
            yield "".join(chunk).encode(), done
            self._report(done.count, done.position, whole)

    def _reading(self, after: int) -> Reading:
        # A store looks for `contains` newest first, and not at everything; `_wanted` does it here.
        return self._store.read(self._query.replace(after=after, limit=None, contains=None))

    def _wanted(self, reading: Reading, count: int) -> Iterator[Event]:
        limit = self._query.limit
        left = None if limit is None else max(limit - count, 0)
        if self._query.contains is None:
            return islice(reading, left)
        return islice(filter(self._query.matches, reading), left)


def _encoder(form: str) -> Callable[[Event], dict[str, Any]]:
    if form == "ndjson":
        from tidings.event import Event

        return Event.to_dict
    if form == "cloudevents":
        from tidings.cloudevents import to_cloudevent

        return to_cloudevent
    raise InvalidSetting(f"form {shorten(form)} must be ndjson or cloudevents")


@contextmanager
def _translated(target: str) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise TransferError(
            f"the export to {target} could not go on: {error}; when there is room and right to "
            f"write, export again"
        ) from error


def _say_nothing(_count: int, _done: int, _whole: int | None) -> None:
    pass
