"""`tidings subscriptions`: how far the handlers have come, and what a person may change of that.

Works on any store, also behind a server, and beside whatever runs: a worker takes notice within
about two seconds. It runs nothing itself; `tidings worker` does.
"""

from __future__ import annotations

from tidings.cli.actions import action_of, ensure_options_fit
from tidings.cli.command import Command, Option, WrongUsage
from tidings.cli.exit_codes import DONE, NO
from tidings.cli.moments import ago
from tidings.cli.opening import opened
from tidings.cli.removing import confirmed
from tidings.cli.show import Display, printable
from tidings.cli.values import read_whole
from tidings.subscriptions.registry import Subscriptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.cli.command import Given
    from tidings.subscriptions.registry import PartitionState, SubscriptionState

__all__ = ["COMMANDS"]

_COLUMNS = ("subscription", "behind", "waiting", "held", "dead", "handled", "failed", "run by")


def _subscriptions(given: Given) -> int:
    action = action_of(given, _ACTIONS)
    does, takes = _ACTIONS[action]
    ensure_options_fit(given, action, _OPTIONS, takes)
    return does(given)


def _list(given: Given) -> int:
    if len(given.words) > 1:
        raise WrongUsage("list takes no name; show does")
    display = Display(given)
    with opened(given) as bus:
        states = Subscriptions(bus.store).list()
    if not display.words:
        for state in states:
            display.json(state.to_dict())
    elif states:
        _table(display, [_row(state) for state in states])
    return DONE


def _show(given: Given) -> int:
    name = _name(given)
    with opened(given) as bus:
        state = Subscriptions(bus.store).get(name)
    _tell(given, state)
    return DONE


def _pause(given: Given) -> int:
    name = _name(given)
    with opened(given) as bus:
        state = Subscriptions(bus.store).pause(name)
    Display(given).record(state.to_dict(), f"{printable(name)} is paused; resume lets it go on")
    return DONE


def _resume(given: Given) -> int:
    name = _name(given)
    with opened(given) as bus:
        state = Subscriptions(bus.store).resume(name)
    words = f"{printable(name)} goes on, {_events(state.lag)} behind"
    Display(given).record(state.to_dict(), words)
    return DONE


def _reset(given: Given) -> int:
    name, to = _name(given), given["to"]
    if to is None:
        raise WrongUsage("say from where on: --to beginning, --to now or --to POSITION")
    with opened(given) as bus:
        state = Subscriptions(bus.store).reset(name, to)
    words = f"{printable(name)} goes on past position {state.position}, {_events(state.lag)} behind"
    Display(given).record(state.to_dict(), words)
    return DONE


def _delete(given: Given) -> int:
    name = _name(given)
    with opened(given) as bus:
        subscriptions = Subscriptions(bus.store)
        letters = subscriptions.get(name).dead_letters
        lost = f"how far {printable(name)} has come and its {letters:,} dead letters"
        if given["dry_run"]:
            data = {"would_delete": name, "dead_letters": letters}
            Display(given).record(data, f"{lost} would be forgotten")
            return DONE
        if not confirmed(given, f"{lost} will be forgotten for good"):
            return NO
        subscriptions.delete(name)
    Display(given).record({"deleted": name}, f"{printable(name)} is deleted")
    return DONE


def _name(given: Given) -> str:
    if len(given.words) < 2:
        raise WrongUsage("say which one: its name, as `tidings subscriptions list` shows it")
    return given.words[1]


# What is shown ------------------------------------------------------------------------------------


def _row(state: SubscriptionState) -> tuple[str, ...]:
    figures = (state.lag, state.waiting, state.held, state.dead_letters, state.handled)
    return (printable(state.name), *(f"{n:,}" for n in (*figures, state.failed)), _run_by(state))


def _run_by(state: SubscriptionState) -> str:
    """Who runs it; on many machines how many processes do."""
    alive = {(each.host, each.pid) for each in state.partitions if each.host is not None}
    if state.paused:
        return "paused"
    if not alive:
        return "nobody"
    if len(alive) == 1:
        ((host, pid),) = alive
        return printable(f"{host}:{pid}")
    return f"{len(alive)} processes"


def _table(display: Display, rows: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(_COLUMNS, *rows, strict=True)]
    for number, row in enumerate((_COLUMNS, *rows)):
        cells = [
            cell.rjust(width) if 0 < place < len(row) - 1 else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        line = "  ".join(cells).rstrip()
        display.line(display.painted(line, "dim") if number == 0 else line)


def _tell(given: Given, state: SubscriptionState) -> None:
    """Print all there is to know of one."""
    words = "paused" if state.paused else f"run by {_run_by(state)}"
    lines = [
        f"{printable(state.name)}  {words}",
        f"  of: {printable(state.filter) or 'all events'}",
        f"  made: {ago(state.created_at)}",
        f"  position: {state.position} of {state.head}, {_events(state.lag)} behind",
        f"  handled: {state.handled:,}, failed attempts: {state.failed:,}",
        f"  dead letters: {state.dead_letters:,}; after a failure it will {state.on_failure}",
        *(f"  partition {_partition(each)}" for each in state.partitions),
    ]
    Display(given).record(state.to_dict(), "\n".join(lines))


def _partition(state: PartitionState) -> str:
    owner = "nobody" if state.host is None else printable(f"{state.host}:{state.pid}")
    words = [f"{state.index}: position {state.position}", f"run by {owner}"]
    if state.waiting:
        oldest = "" if state.oldest_waiting is None else f", the oldest {ago(state.oldest_waiting)}"
        words.append(f"{state.waiting} waiting{oldest}")
    if state.held:
        words.append(f"{state.held} held up")
    return ", ".join(words)


def _events(count: int) -> str:
    return f"{count:,} event{'' if count == 1 else 's'}"


# The table ----------------------------------------------------------------------------------------


def _read_place(text: str) -> str | int:
    if text in ("beginning", "now"):
        return text
    try:
        return read_whole(text)
    except ValueError:
        raise ValueError("must be beginning, now or a position") from None


_OPTIONS = (
    Option(("--to",), "WHERE", "reset: beginning, now, or past a position", read=_read_place),
    Option(("--dry-run",), "", "delete: only say what would be lost"),
    Option(("-y", "--yes"), "", "delete: do not ask"),
)

_ACTIONS = {
    "list": (_list, set[str]()),
    "show": (_show, set[str]()),
    "pause": (_pause, set[str]()),
    "resume": (_resume, set[str]()),
    "reset": (_reset, {"to"}),
    "delete": (_delete, {"dry_run", "yes"}),
}

COMMANDS = (
    Command(
        "subscriptions",
        "see how far handlers have come; pause, resume, reset or delete one",
        ("|".join(_ACTIONS), "[NAME]"),
        _OPTIONS,
        _subscriptions,
        details="""\
  tidings subscriptions list
  tidings subscriptions show|pause|resume NAME
  tidings subscriptions reset NAME --to beginning|now|POSITION
  tidings subscriptions delete NAME

A worker that runs takes notice within about two seconds. reset also forgets what waits to be tried
again; dead letters stay. delete forgets its dead letters, too; a worker whose code still has the
handler makes it anew when it starts.""",
    ),
)
