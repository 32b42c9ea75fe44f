"""`tidings watch`: be told when what was expected did not happen.

Thin: what a watch is stands in `tidings.delivery.watches`. `tidings serve` or `tidings worker` runs
them; this changes and shows their records.
"""

from __future__ import annotations

from tidings.cli.actions import action_of
from tidings.cli.command import Command, Option, WrongUsage
from tidings.cli.delivering import say_what_is_needed
from tidings.cli.exit_codes import DONE
from tidings.cli.filters import FILTERS, filters_of
from tidings.cli.moments import ago, read_span
from tidings.cli.opening import opened
from tidings.cli.show import Display, printable, say
from tidings.delivery.watches import Watches
from tidings.store.query import Query
from tidings.store.wire import query_of
from tidings.store.words import words_of
from tidings.timestamps import format_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tidings.cli.command import Given
    from tidings.delivery.watches.watch import WatchState

__all__ = ["COMMANDS"]

_SECOND = 1_000_000
_SHOWN_STUCK = 20


def _watch(given: Given) -> int:
    action = action_of(given, _ACTIONS)
    if action == "list" and len(given.words) > 1:
        raise WrongUsage("list takes no name; show takes one")
    if action != "list" and len(given.words) < 2:
        raise WrongUsage(f"say which watch: tidings watch {action} NAME")
    if action != "add" and _says_what(given):
        raise WrongUsage("--within, --ends, --heard, --of and filters are for add")
    return _ACTIONS[action](given)


def _says_what(given: Given) -> bool:
    added = given["within"] is not None or given["of"] is not None
    return bool(added or given["ends"] or given["heard"] or filters_of(given))


def _add(given: Given) -> int:
    if given["within"] is None:
        raise WrongUsage("say in what time it is expected: --within 24h")
    if given["ends"] and given["heard"]:
        raise WrongUsage("--ends and --heard are two kinds of watches; add one of each")
    filters = filters_of(given)
    kind = given["of"]
    if kind is not None and filters.setdefault("aggregate_type", kind) != kind:
        raise WrongUsage("--of contradicts --agent or --aggregate, which name a type too")
    expects = "ends" if given["ends"] else "heard" if given["heard"] else "event"
    with opened(given) as bus:
        watches = Watches(bus.store)
        watches.add(given.words[1], given["within"], Query(**filters), expects=expects)
        _print(given, watches.get(given.words[1]))
        say_what_is_needed(bus.store, "it begins")
    return DONE


def _list(given: Given) -> int:
    with opened(given) as bus:
        states = Watches(bus.store).list()
        for state in states:
            _print(given, state)
        if any(state.status == "new" for state in states):
            say("what is new begins once `tidings serve` or `tidings worker` runs on this store")
    return DONE


def _show(given: Given) -> int:
    with opened(given) as bus:
        state = Watches(bus.store).get(given.words[1])
    display = Display(given)
    display.record(_shown(state), _said(state))
    if display.words:
        for about in state.stuck[:_SHOWN_STUCK]:
            display.line(f"  stuck: {printable('/'.join(about))}")
        if len(state.stuck) > _SHOWN_STUCK:
            display.line(f"  … and {len(state.stuck) - _SHOWN_STUCK:,} more; --json has them all")
    return DONE


def _pause(given: Given) -> int:
    return _changed(given, Watches.pause)


def _resume(given: Given) -> int:
    return _changed(given, Watches.resume)


def _delete(given: Given) -> int:
    name = given.words[1]
    with opened(given) as bus:
        Watches(bus.store).delete(name)
    Display(given).record({"deleted": name}, f"watch {printable(name)} is deleted")
    return DONE


def _changed(given: Given, change: Callable[[Watches, str], object]) -> int:
    with opened(given) as bus:
        watches = Watches(bus.store)
        change(watches, given.words[1])
        _print(given, watches.get(given.words[1]))
    return DONE


def _print(given: Given, state: WatchState) -> None:
    Display(given).record(_shown(state), _said(state))


def _shown(state: WatchState) -> dict[str, Any]:
    watch = state.watch
    return {
        "name": watch.name,
        "expects": watch.expects,
        "within": watch.within / _SECOND,
        "of": words_of(query_of(watch.filters)),
        "status": state.status,
        "deadline": _time(state.deadline),
        "missed": _time(state.missed),
        "open": state.open,
        "stuck": ["/".join(about) for about in state.stuck],
        "full": state.full,
        "since": _time(watch.since),
        "created_at": _time(watch.created_at),
    }


def _said(state: WatchState) -> str:
    watch = state.watch
    words = [
        printable(watch.name),
        state.status,
        f"{watch.expects}: {printable(words_of(query_of(watch.filters)))}",
        f"within {_span(watch.within)}",
    ]
    if state.missed is not None:
        words.append(f"missed {ago(state.missed)}")
    if state.deadline is not None:
        words.append(f"deadline {ago(state.deadline)}")
    if watch.expects != "event":
        words.append(f"{state.open:,} open, {len(state.stuck):,} stuck")
    if state.full:
        words.append("further ones are not watched: too many are open")
    return "  ".join(words)


def _span(microseconds: int) -> str:
    """A time as people write it.

    >>> _span(5_400_000_000), _span(1_500_000)
    ('1h30m', '1.5s')
    """
    seconds, text = microseconds / _SECOND, ""
    for unit, scale in (("d", 86_400), ("h", 3_600), ("m", 60)):
        count, seconds = divmod(seconds, scale)
        text += f"{count:.0f}{unit}" if count else ""
    return text + (f"{seconds:g}s" if seconds or not text else "")


def _time(instant: int | None) -> str | None:
    return None if instant is None else format_instant(instant)


_ACTIONS = {
    "add": _add,
    "list": _list,
    "show": _show,
    "pause": _pause,
    "resume": _resume,
    "delete": _delete,
}

COMMANDS = (
    Command(
        "watch",
        "be told when what was expected did not happen",
        ("add|list|show|pause|resume|delete", "[NAME]"),
        (
            Option(("--within",), "SPAN", "add: in what time it is expected", read=read_span),
            Option(("--ends",), "", "add: what began must end, so soon after its start"),
            Option(("--heard",), "", "add: what began must be heard of so often, until it ends"),
            Option(("--of",), "TYPE", "add: only things of this type: run, agent, workflow, …"),
            *FILTERS,
        ),
        _watch,
        details="""\
  tidings watch add nightly --type build_result --status success --within 24h
  tidings watch add long-runs --ends --of run --within 12h
  tidings watch add ghosts --heard --of agent --within 30m
  tidings watch list

Emits `tidings.watch.missed` when no such event happened in time, `tidings.watch.stuck` for each
thing that has not ended or been heard of, and `tidings.watch.recovered` when it comes after all.
`tidings serve` and `tidings worker` run watches; `tidings notify` and `tidings webhooks` with
--type 'tidings.watch.*' tell people and machines. What counts is when an event happened.""",
    ),
)
