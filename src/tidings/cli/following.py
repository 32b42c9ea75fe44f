"""`tidings tail` and `wait`: what is kept from now on, as it comes.

Both keep promise 2 by way of the bus: they go on from a position, and miss and repeat nothing. What
other machines left in the spool meanwhile is moved into the store every few seconds. A store that
is away is waited for, and the standard error tells of it: silence then means that nothing happens.
"""

from __future__ import annotations

import os
from select import poll
from threading import Event as Flag
from threading import Thread

from tidings.bus import followed
from tidings.cli.command import Command, Option, WrongUsage
from tidings.cli.exit_codes import DONE, TIMED_OUT
from tidings.cli.filters import FILTERS, filters_of
from tidings.cli.moments import read_span
from tidings.cli.opening import collect_quietly, is_default, opened_to_read
from tidings.cli.reading import say_where_to_go_on
from tidings.cli.show import Display, say
from tidings.cli.values import read_whole
from tidings.store.query import Query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.bus import Bus
    from tidings.cli.command import Given
    from tidings.store.base import Store

__all__ = ["COMMANDS"]

_LINES = 20
_COLLECT_EVERY = 5.0
"""How long an event may wait in the spool beside someone who follows (seconds)."""

_LOOK_EVERY = 1.0
"""Between two looks at whether the store is away (seconds)."""


def _tail(given: Given) -> int:
    display = Display(given, live=given["follow"])
    filters = filters_of(given)
    with opened_to_read(given) as bus:
        head = bus.store.head()
        _print_past(bus, display, given, followed(Query(**filters)).replace(before=head + 1))
        if given["follow"]:
            _end_with_output()
            _stay_beside(bus, given)
            for event in bus.follow(after=head, **filters):
                display.event(event)
    return DONE


def _print_past(bus: Bus, display: Display, given: Given, query: Query) -> None:
    query = query.replace(after=given["after"] or 0)
    count = given["lines"]
    from_there_on = given["after"] is not None or given["since"] is not None
    if count is None and from_there_on and query.contains is None:
        for event in bus.read(query):
            display.event(event)
        return
    if count is None and not from_there_on:
        count = _LINES
    reading = bus.read(query.replace(backwards=True, limit=count))
    for event in reversed(list(reading)):
        display.event(event)
    say_where_to_go_on(reading)


def _wait(given: Given) -> int:
    filters = filters_of(given)
    kind = given.word(0)
    if kind is not None:
        filters["types"] = [*filters.get("types", []), kind]
    if not filters:
        raise WrongUsage("say what to wait for: a type, or any other filter")
    after = given["after"]
    if after is None and given["since"] is not None:
        after = 0
    with opened_to_read(given) as bus:
        if after is None:
            after = bus.store.head()
        _stay_beside(bus, given)
        event = bus.wait_for(after=after, timeout=given["timeout"], **filters)
        if event is None:
            say("no such event came in time")
            return TIMED_OUT
        Display(given).event_in_full(event)
    return DONE


def _stay_beside(bus: Bus, given: Given) -> None:
    """What else is done while events are waited for."""
    Thread(target=_tell_of_outages, args=(bus.store,), daemon=True).start()
    if is_default(given):
        Thread(target=_collect_now_and_then, args=(bus,), daemon=True).start()


def _collect_now_and_then(bus: Bus) -> None:
    pause = Flag()
    hindered = False
    while not pause.wait(_COLLECT_EVERY):
        hindered = not collect_quietly(bus, told=hindered)


def _tell_of_outages(store: Store) -> None:
    pause = Flag()
    before, told = None, False
    while not pause.wait(_LOOK_EVERY):
        trouble = store.trouble()
        # One look may fall upon a change of servers, which nobody needs to know of.
        if trouble is not None and before is not None and not told:
            say(f"the store is away and waited for; until then nothing is shown: {trouble}")
            told = True
        elif trouble is None and told:
            say("the store is back; what was kept meanwhile is shown")
            told = False
        before = trouble


def _end_with_output() -> None:
    Thread(target=_exit_when_nobody_reads, daemon=True).start()


def _exit_when_nobody_reads() -> None:
    # `tail -f | head` would otherwise stay until the next event. A reader leaves nothing half done,
    # so the process may end here and now.
    waiting = poll()
    waiting.register(1, 0)
    waiting.poll()
    os._exit(DONE)


COMMANDS = (
    Command(
        "tail",
        "show the last events, and with -f those to come",
        (),
        (
            Option(("-f", "--follow"), "", "go on with what is kept from now on, until Ctrl-C"),
            Option(
                ("-n", "--lines"),
                "N",
                f"the last so many; {_LINES}, or all where --since or --after is given",
                read=read_whole,
            ),
            Option(("--after",), "POSITION", "past this position", read=read_whole),
            *FILTERS,
        ),
        _tail,
        details="""\
Events come in the order they were kept. The position of the last one shown (#17) is where
--after goes on without missing or repeating any. Ctrl-C ends -f with exit code 130.""",
    ),
    Command(
        "wait",
        "wait for an event, and show it",
        ("[TYPE]",),
        (
            Option(("--timeout",), "SPAN", "at most so long: 90s, 10m, 1h30m", read=read_span),
            Option(("--after",), "POSITION", "past this position, not from now", read=read_whole),
            *FILTERS,
        ),
        _wait,
        details="""\
Only events kept from now on count, unless --after or --since says from where. Exits with 124 where
none came in time.

  tidings wait job_done --where job_id:=4711 --timeout 10m && ./next-step""",
    ),
)
