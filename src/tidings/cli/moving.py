"""`tidings export` and `import`: events to files and back, as `tidings.transfer` does it."""

from __future__ import annotations

from tidings.cli.command import Command, Option
from tidings.cli.exit_codes import DONE, NO
from tidings.cli.filters import FILTERS, filters_of
from tidings.cli.opening import opened, opened_to_read
from tidings.cli.progress import Progress
from tidings.cli.show import Display, say
from tidings.cli.values import read_whole
from tidings.store.query import Query
from tidings.transfer import export_events, import_events

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.cli.command import Given
    from tidings.transfer import Imported

__all__ = ["COMMANDS"]

_FORMS = ("ndjson", "cloudevents")


def _export(given: Given) -> int:
    target = given.words[0]
    query = Query(after=given["after"] or 0, **filters_of(given))
    with opened_to_read(given) as bus, Progress("events", given) as progress:
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
    with opened(given) as bus, Progress("lines", given) as progress:
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
