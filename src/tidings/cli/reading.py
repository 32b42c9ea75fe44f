"""`tidings latest`, `history` and `types`: what was kept, read back."""

from __future__ import annotations

from tidings.cli.command import Command, Option, WrongUsage
from tidings.cli.exit_codes import DONE, NO
from tidings.cli.filters import FILTERS, filters_of
from tidings.cli.moments import ago, clock
from tidings.cli.opening import opened_to_read
from tidings.cli.show import Display, printable, say
from tidings.cli.values import read_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.bus import Bus
    from tidings.cli.command import Given
    from tidings.event import Event
    from tidings.store.base import Reading

__all__ = ["COMMANDS", "say_where_to_go_on"]

_LIMIT = 20


def _latest(given: Given) -> int:
    filters = filters_of(given)
    kind = given.word(0)
    if kind is not None:
        filters["types"] = [*filters.get("types", []), kind]
    with opened_to_read(given) as bus:
        event = _newest(bus, filters)
        if event is None:
            say("no such event was kept")
            return NO
        Display(given).event_in_full(event)
    return DONE


def _newest(bus: Bus, filters: dict[str, Any]) -> Event | None:
    if not filters:
        return bus.latest()
    reading = bus.read(backwards=True, limit=1, **filters)
    event = next(reading, None)
    if event is None:
        say_where_to_go_on(reading)
    return event


def _history(given: Given) -> int:
    display = Display(given)
    count = _limit(given)
    with opened_to_read(given) as bus:
        reading = bus.read(
            backwards=True,
            limit=count,
            after=given["after"] or 0,
            before=given["before"],
            **filters_of(given),
        )
        for event in reading:
            display.event(event)
        say_where_to_go_on(reading)
    return DONE


def _limit(given: Given) -> int:
    word = given.word(0)
    if word is None:
        return _LIMIT if given["limit"] is None else int(given["limit"])
    if given["limit"] is not None:
        raise WrongUsage(f"the limit is given twice, as {word} and with --limit")
    try:
        return read_whole(word)
    except ValueError as error:
        raise WrongUsage(f"LIMIT {word} {error}") from None


def say_where_to_go_on(reading: Reading) -> None:
    """Tell the user where a bounded search stopped, if it did."""
    if not reading.complete:
        say(
            f"the search for --contains stopped at position {reading.position}; "
            f"go on with --before {reading.position}"
        )


def _types(given: Given) -> int:
    display = Display(given)
    with opened_to_read(given) as bus:
        kept = {row.type: row for row in bus.store.types()}
        for name in sorted({*bus.list_types(), *kept}):
            info = bus.get_type_info(name)
            row = kept.get(name)
            newest = bus.latest(name) if row else None
            data = {
                "type": name,
                "count": row.count if row else 0,
                "last_position": row.last_position if row else None,
                "last_seen": newest.timestamp if newest else None,
                "description": info.get("description", ""),
                "payload_keys": list(info.get("payload_keys", ())),
            }
            display.record(data, _type_line(display, data, newest))
    return DONE


def _type_line(display: Display, data: dict[str, Any], newest: Event | None) -> str:
    seen = f"{clock(newest.instant)} {ago(newest.instant)}" if newest else "never"
    name = display.painted(f"{printable(data['type']):<28}", "bold")
    facts = display.painted(f"{data['count']:>9,}  {seen:<28}", "dim")
    return f"{name} {facts} {printable(data['description'])}".rstrip()


_AFTER = Option(("--after",), "POSITION", "past this position", read=read_whole)
_BEFORE = Option(("--before",), "POSITION", "ahead of this position", read=read_whole)

COMMANDS = (
    Command(
        "latest",
        "show the newest event, of a type if given",
        ("[TYPE]",),
        FILTERS,
        _latest,
        details="Exits with 1 where there is no such event.",
    ),
    Command(
        "history",
        "list events, newest first",
        ("[LIMIT]",),
        (
            Option(("-n", "--limit"), "N", f"at most so many; {_LIMIT}", read=read_whole),
            _AFTER,
            _BEFORE,
            *FILTERS,
        ),
        _history,
    ),
    Command(
        "types",
        "list the known event types: how often and when they were seen",
        (),
        (),
        _types,
    ),
)
