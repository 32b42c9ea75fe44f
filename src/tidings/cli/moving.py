"""`tidings export` and `import`: events to files, and from files, as `tidings.transfer` does it."""

from __future__ import annotations

from tidings.cli.actions import ensure_options_fit
from tidings.cli.command import Command, Option, WrongUsage, nearest
from tidings.cli.exit_codes import DONE, NO
from tidings.cli.filters import FILTERS, filters_of
from tidings.cli.opening import opened, opened_to_read
from tidings.cli.progress import Progress
from tidings.cli.show import Display, say
from tidings.cli.values import read_whole
from tidings.store.query import Query
from tidings.transfer import export_events, import_events, import_eventuali

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.cli.command import Given
    from tidings.transfer import Imported

__all__ = ["COMMANDS"]

_FORMS = ("ndjson", "cloudevents")


def _export(given: Given) -> int:
    target = given.words[0]
    query = Query(after=given["after"] or 0, **filters_of(given))
    with opened_to_read(given, must_exist=True) as bus, Progress("events", given) as progress:
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
    source = given.words[0]
    if source in _SOURCES:
        imported, unit = _import_from(source, given)
    elif len(given.words) > 1:
        known = ", ".join(_SOURCES)
        raise WrongUsage(
            f"{given.words[1]} is one word too many after the path {source}; whose events it "
            f"holds may stand before it: {known}{nearest(source, _SOURCES)}"
        )
    else:
        imported, unit = _import_lines(source, given), "line"
    _say_reasons(imported, unit)
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


def _import_lines(path: str, given: Given) -> Imported:
    with opened(given) as bus, Progress("lines", given) as progress:
        return import_events(
            bus.store,
            path,
            form=given["form"],
            strict=given["strict"],
            progress=progress.show,
        )


def _import_from(source: str, given: Given) -> tuple[Imported, str]:
    """Import what another event system kept.

    Returns:
        What was done, and what it counted.
    """
    ensure_options_fit(given, source, _OF_FILES, ())
    place = given.word(1)
    if source == _EVENTUALI:
        if place is None:
            raise WrongUsage(f"FILE is missing: {source} FILE, such as .events/events.db")
        with opened(given) as bus, Progress("rows", given) as progress:
            return import_eventuali(bus.store, place, progress=progress.show), "row"
    from tidings.transfer.scitex_events import import_scitex_events

    with opened(given) as bus, Progress("lines", given) as progress:
        return import_scitex_events(bus.store, place, progress=progress.show), "line"


def _say_reasons(imported: Imported, unit: str) -> None:
    for rejected in imported.reasons:
        say(f"import: {unit} {rejected.line}: {rejected.reason}")
    more = imported.rejected - len(imported.reasons)
    if more:
        say(f"import: and {more:,} more {unit}s")


_EVENTUALI = "eventuali"
_SOURCES = (_EVENTUALI, "scitex-events")
"""Whose events can be imported as they were kept there."""

_OF_FILES = (
    Option(("--form",), "FORM", "ndjson or cloudevents; else told apart", choices=_FORMS),
    Option(("--strict",), "", "stop at the first line that is no event"),
)

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
        "keep the events of a file, or of another event system, each once",
        ("PATH|eventuali|scitex-events", "[PLACE]"),
        _OF_FILES,
        _import,
        details="""\
  tidings import PATH                  a file of events, one JSON object a line; - for stdin
  tidings import eventuali FILE        the events.db of eventuali or eventuali-api-server
  tidings import scitex-events [DIR]   what scitex-events wrote, there or wherever it writes
Nothing there is changed. Exits with 1 where something was rejected. A file that is named like one
of these words is ./eventuali.""",
    ),
)
