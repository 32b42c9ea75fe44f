"""`tidings prune` and `redact`: what takes events or their payloads away for good.

Both say first how many are meant, and ask on a terminal; without one they want `--yes`.
"""

from __future__ import annotations

import sys

from tidings.cli.command import Command, Option, WrongUsage
from tidings.cli.exit_codes import DONE, NO
from tidings.cli.filters import FILTERS, filters_of
from tidings.cli.moments import read_moment
from tidings.cli.opening import opened_to_read
from tidings.cli.show import Display, is_terminal, say
from tidings.cli.values import read_whole
from tidings.removing import prune, redact
from tidings.store.query import Query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.cli.command import Given
    from tidings.store.base import Count

__all__ = ["COMMANDS", "confirmed"]


def _prune(given: Given) -> int:
    if (given["through"] is None) == (given["before"] is None):
        raise WrongUsage("say up to where: either --before WHEN or --through POSITION")
    with opened_to_read(given) as bus:
        through = given["through"]
        if through is None:
            through = bus.store.position_before(given["before"])
        count = bus.store.count(Query(before=through + 1))
        meant = f"{_said(count)} up to position {through}"
        if given["dry_run"]:
            return _would(given, {"would_prune": count.value, "through": through}, meant, "pruned")
        if not confirmed(given, f"{meant} will be removed for good"):
            return NO
        removed = prune(bus.store, through)
    Display(given).record({"pruned": removed, "through": through}, f"{removed:,} events removed")
    return DONE


def _redact(given: Given) -> int:
    filters = filters_of(given)
    if not filters:
        raise WrongUsage("say which events: --id ID, or any other filter")
    query = Query(**filters)
    with opened_to_read(given) as bus:
        count = bus.store.count(query)
        meant = _said(count)
        if given["dry_run"]:
            return _would(given, {"would_redact": count.value}, meant, "redacted")
        if not confirmed(given, f"the payloads of {meant} will be emptied for good"):
            return NO
        redacted = redact(bus.store, query)
    Display(given).record({"redacted": redacted}, f"{redacted:,} payloads emptied")
    return DONE


def _would(given: Given, data: dict[str, int], meant: str, done: str) -> int:
    Display(given).record(data, f"{meant} would be {done}")
    return DONE


def _said(count: Count) -> str:
    noun = "event" if count.value == 1 else "events"
    return f"{count.value:,} {noun}" if count.exact else f"at least {count.value:,} {noun}"


def confirmed(given: Given, what: str) -> bool:
    """Whether the user wants it.

    Raises:
        WrongUsage: there is nobody to ask, and `--yes` was not given.
    """
    if given["yes"]:
        return True
    if not is_terminal(0) or not is_terminal(2) or sys.stdin is None:
        raise WrongUsage(f"{what}; give --yes to confirm that, or --dry-run to look first")
    sys.stderr.write(f"tidings: {what}. Go on? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    say("nothing was done")
    return False


_CAREFUL = (
    Option(("--dry-run",), "", "only say how many are meant"),
    Option(("-y", "--yes"), "", "do not ask"),
)

COMMANDS = (
    Command(
        "prune",
        "remove the oldest events for good; positions stay",
        (),
        (
            Option(("--before",), "WHEN", "those kept before: 90d, 2026-01-01", read=read_moment),
            Option(("--through",), "POSITION", "those up to here, included", read=read_whole),
            *_CAREFUL,
        ),
        _prune,
        details="--before goes by when the store took an event, not by when it happened.",
    ),
    Command(
        "redact",
        "empty the payloads of events for good (a secret, a person)",
        (),
        (*_CAREFUL, *FILTERS),
        _redact,
        details="""\
What else the events say stays. Backups and exports made before still hold the payloads.""",
    ),
)
