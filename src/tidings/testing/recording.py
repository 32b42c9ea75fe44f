"""What writers sent and were told, and what readers were given: one file of JSON lines each.

Each line is one `write` to a file that is only appended to, so a process that dies by `kill -9`
takes back nothing it was told, and what many processes record lies in one directory. What the
records mean is judged in `checker`. A power loss is not survived: nothing is synced.
"""

from __future__ import annotations

import json
import os
import re
from typing import NamedTuple

from tidings.errors import OutcomeUnknown, TidingsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import TracebackType
    from typing import Any, Self

    from tidings.event import Event

__all__ = ["Given", "ReaderRecord", "Sent", "WriterRecord", "given_in", "sent_in"]

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_WRITER, _READER = ".writer.ndjson", ".reader.ndjson"


class _Record:
    """A file of lines that is only appended to; safe for many threads.

    Args:
        directory: where it lies.
        name: of letters, digits, `_` and `-`; whoever goes on after a death takes the same again.

    Raises:
        ValueError: the name has other characters.
    """

    _suffix = ""

    def __init__(self, directory: str | os.PathLike[str], name: str) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"the name of a record, {name!r}, must be of letters, digits, _ and -")
        self.name = name
        self.path = os.path.join(directory, name + self._suffix)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        _cut_torn_line(self._file)

    def _write(self, **line: Any) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")

    def close(self) -> None:
        """Close the file; what was recorded is there already."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class WriterRecord(_Record):
    """What one writer sent, and what it was told of it.

    What is sent is recorded before it is sent: `sent`, then one of `kept`, `refused`, `unknown` for
    each id. Where none follows, the writer was killed, and what became of it is not known.
    """

    _suffix = _WRITER

    def sent(self, ids: Iterable[str]) -> None:
        """These are about to be sent, perhaps not for the first time."""
        for id in ids:
            self._write(sent=id)

    def kept(self, id: str, position: int | None) -> None:
        """One was acknowledged, at a position; none where it was promised to be kept later."""
        self._write(kept=id, position=position)

    def refused(self, id: str, why: object = "") -> None:
        """One was refused: nothing was kept."""
        self._write(refused=id, why=str(why))

    def unknown(self, id: str, why: object = "") -> None:
        """Kept or not, nobody can tell: time ran out, or a connection broke."""
        self._write(unknown=id, why=str(why))

    def attempt(
        self, append: Callable[[list[Event]], Sequence[Event]], events: Sequence[Event]
    ) -> Sequence[Event] | TidingsError:
        """Send events that are kept together or not at all, and record what comes of it.

        Args:
            append: sends them, as `Store.append` does; returns the stored events or raises.
            events: what to send.

        Returns:
            The stored events, or the error that was raised.
        """
        ids = [event.id for event in events]
        self.sent(ids)
        try:
            stored = append(list(events))
        except TidingsError as error:
            tell = self.unknown if isinstance(error, OutcomeUnknown) else self.refused
            for id in ids:
                tell(id, error)
            return error
        for event in stored:
            self.kept(event.id, event.position)
        return stored


class ReaderRecord(_Record):
    """What one reader was given, in the order it came, across its reconnects.

    Args:
        directory: where the record lies.
        name: see above.
        after: the position from which it reads on; what lies up to there it need not be given.
        repeats: whether an event may come more than once, as subscriptions and webhooks promise at
            least once. It must then come in order among those of its aggregate.
    """

    _suffix = _READER

    def __init__(
        self,
        directory: str | os.PathLike[str],
        name: str,
        *,
        after: int = 0,
        repeats: bool = False,
    ) -> None:
        super().__init__(directory, name)
        if os.fstat(self._file).st_size == 0:
            self._write(after=after, repeats=repeats)

    def delivered(self, id: str, position: int | None) -> None:
        """An event came."""
        self._write(delivered=id, position=position)

    def complete(self, position: int) -> None:
        """All up to a position must have come by now."""
        self._write(complete=position)


class Sent(NamedTuple):
    """All that was recorded of one id: how often it was sent, and what was told of it."""

    times: int
    positions: tuple[int | None, ...]
    refused: int
    unknown: int


class Given(NamedTuple):
    """All that was recorded of one reader."""

    reader: str
    after: int
    repeats: bool
    deliveries: list[tuple[str, int | None]]
    complete: int


def sent_in(directory: str | os.PathLike[str]) -> dict[str, Sent]:
    """What all writers recorded in a directory, by id.

    Raises:
        ValueError: a line is none of a record.
    """
    found: dict[str, Sent] = {}
    for _, lines in _records(directory, _WRITER, _WRITTEN):
        for line in lines:
            id = next(line[what] for what in _WRITTEN if what in line)
            times, positions, refused, unknown = found.get(id, _NOTHING)
            if "kept" in line:
                positions = (*positions, line["position"])
            found[id] = Sent(
                times + ("sent" in line),
                positions,
                refused + ("refused" in line),
                unknown + ("unknown" in line),
            )
    return found


def given_in(directory: str | os.PathLike[str]) -> list[Given]:
    """What all readers recorded in a directory.

    Raises:
        ValueError: a line is none of a record.
    """
    found = []
    for name, lines in _records(directory, _READER, _READ):
        first = next(lines, None)
        if first is None:
            continue
        given = Given(name, first["after"], first["repeats"], [], first["after"])
        for line in lines:
            if "complete" in line:
                given = given._replace(complete=max(given.complete, line["complete"]))
            elif "delivered" in line:
                given.deliveries.append((line["delivered"], line["position"]))
        found.append(given)
    return found


_NOTHING = Sent(0, (), 0, 0)
_WRITTEN = ("sent", "kept", "refused", "unknown")
_READ = ("after", "delivered", "complete")


def _records(
    directory: str | os.PathLike[str], suffix: str, known: tuple[str, ...]
) -> Iterator[tuple[str, Iterator[dict[str, Any]]]]:
    for name in sorted(os.listdir(directory)):
        if name.endswith(suffix):
            with open(os.path.join(directory, name), "rb") as file:
                lines = file.read().split(b"\n")
            # What follows the last line break is nothing, or the line a writer died in.
            yield name.removesuffix(suffix), _lines(name, lines[:-1], known)


def _lines(name: str, texts: list[bytes], known: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    for number, text in enumerate(texts, 1):
        try:
            line = json.loads(text)
        except ValueError:
            line = None
        if not isinstance(line, dict) or not any(what in line for what in known):
            raise ValueError(f"{name}, line {number} is none of a record: {text[:80]!r}")
        yield line


def _cut_torn_line(file: int) -> None:
    """Take away the line that the last writer to a file died in: it was told nothing then."""
    size = os.fstat(file).st_size
    with open(os.dup(file), "rb") as reader:
        whole = reader.read().rfind(b"\n") + 1
    if whole < size:
        os.ftruncate(file, whole)
