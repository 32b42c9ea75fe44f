"""`tidings export` and `import`: events to files and back, as `tidings.transfer` does it."""

from __future__ import annotations

import sys
from time import monotonic

from tidings.cli.command import Command, Option
from tidings.cli.exit_codes import DONE, NO
from tidings.cli.filters import FILTERS, filters_of
from tidings.cli.opening import opened, opened_to_read
from tidings.cli.show import Display, is_terminal, printable, say
from tidings.cli.values import read_whole
from tidings.store.query import Query
from tidings.transfer import export_events, import_events

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from tidings.cli.command import Given
    from tidings.transfer import Imported

__all__ = ["COMMANDS"]

_FORMS = ("ndjson", "cloudevents")
_SHOW_EVERY = 0.2


def _export(given: Given) -> int:
    target = given.words[0]
    query = Query(after=given["after"] or 0, **filters_of(given))
    with opened_to_read(given) as bus, _Progress("events", given) as progress:
        exported = export_events(
            bus.store,
            target,
            query=query,
            form=given["form"] or _FORMS[0],
            compression=given["compression"],
            resume=given["resume"],
            progress=progress.show,
        )
    words = f"{exported.count:,} events exported; --after {exported.position} goes on from there"
    if target == "-":
        say(words)
    else:
        data = {"exported": exported.count, "position": exported.position, "path": target}
        Display(given).record(data, words)
    return DONE


def _import(given: Given) -> int:
    with opened(given) as bus, _Progress("lines", given) as progress:
        imported = import_events(
            bus.store,
            given.words[0],
            form=given["form"],
            strict=given["strict"],
            progress=progress.show,
        )
    _say_reasons(imported)
    Display(given).record(
        {
            "read": imported.read,
            "kept": imported.kept,
            "known": imported.known,
            "rejected": imported.rejected,
        },
        f"{imported.kept:,} of {imported.read:,} events kept; {imported.known:,} were there "
        f"before, {imported.rejected:,} were rejected",
    )
    return NO if imported.rejected else DONE


def _say_reasons(imported: Imported) -> None:
    for rejected in imported.reasons:
        say(f"import: line {rejected.line}: {rejected.reason}")
    more = imported.rejected - len(imported.reasons)
    if more:
        say(f"import: and {more:,} more lines")


class _Progress:
    """A line on the standard error, where that is a terminal, that says how far the work is."""

    def __init__(self, unit: str, given: Given) -> None:
        self._unit = unit
        self._shows = is_terminal(2) and not given["json"]
        self._next = monotonic() + _SHOW_EVERY
        self._drawn = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def show(self, count: int, done: int, whole: int | None) -> None:
        """Draw the line anew, if it is time."""
        now = monotonic()
        if not self._shows or now < self._next:
            return
        self._next, self._drawn = now + _SHOW_EVERY, True
        share = f" {min(done / whole, 1):4.0%}" if whole else ""
        sys.stderr.write(f"\r\x1b[K{count:>12,} {printable(self._unit)}{share}")
        sys.stderr.flush()


COMMANDS = (
    Command(
        "export",
        "write events to a file, one JSON object a line",
        ("PATH",),
        (
            Option(("--form",), "FORM", "ndjson (where left out) or cloudevents", choices=_FORMS),
            Option(
                ("--compression",), "KIND", "gz or zst; else as PATH ends", choices=("gz", "zst")
            ),
            Option(("--resume",), "", "go on with the same export where it was killed"),
            Option(("--after",), "POSITION", "only events past this position", read=read_whole),
            *FILTERS,
        ),
        _export,
        details="PATH may be - for the standard output. A file that is there is replaced once the "
        "export\nis whole.",
    ),
    Command(
        "import",
        "keep the events of a file, each once",
        ("PATH",),
        (
            Option(("--form",), "FORM", "ndjson or cloudevents; else told apart", choices=_FORMS),
            Option(("--strict",), "", "stop at the first line that is no event"),
        ),
        _import,
        details="PATH may be - for the standard input. Exits with 1 where a line was rejected.",
    ),
)
