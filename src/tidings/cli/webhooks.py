"""`tidings webhooks`: who is sent events over HTTP, and how that goes.

Straight in the store, or through its server where the store is behind one. Whoever delivers takes
notice within a second or two. A secret is shown once, by `add` and `rotate`. It sends nothing
itself but a test; `tidings serve` and `tidings worker` deliver.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager

from tidings.cli.actions import action_of, ensure_options_fit
from tidings.cli.command import Command, Option, WrongUsage
from tidings.cli.delivering import say_what_is_needed
from tidings.cli.exit_codes import DONE, NO
from tidings.cli.filters import FILTERS, filters_of
from tidings.cli.moments import read_span
from tidings.cli.opening import opened
from tidings.cli.removing import confirmed
from tidings.cli.show import Display, printable, say
from tidings.cli.values import read_whole
from tidings.cli.webhooks_of_server import ManagerOfServer
from tidings.cli.webhooks_shown import attempt_line, line_of, said
from tidings.delivery.webhooks.endpoint import BODIES
from tidings.delivery.webhooks.managing import MOST_ATTEMPTS, Manager
from tidings.errors import NotFound, shorten
from tidings.masking import masked
from tidings.store.query import Filter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeAlias

    from tidings.cli.command import Given

    Managing: TypeAlias = Manager | ManagerOfServer

__all__ = ["COMMANDS"]


def _webhooks(given: Given) -> int:
    action = action_of(given, _ACTIONS)
    does, takes = _ACTIONS[action]
    ensure_options_fit(given, action, _OPTIONS, takes)
    most = {"list": 1, "change": 3}.get(action, 2)
    if len(given.words) > most:
        raise WrongUsage(f"{shorten(masked(given.words[most]))} is one word too many")
    return does(given)


# What is there ------------------------------------------------------------------------------------


def _add(given: Given) -> int:
    if len(given.words) < 2:
        raise WrongUsage("say where to send: tidings webhooks add https://example.org/hook")
    wishes = {
        "url": given.words[1],
        "filters": _filters(given),
        "headers": _headers(given),
        "start": given["from"],
        **_wishes(given),
    }
    with _managed(given, begins="events are sent") as manager:
        made = manager.create({name: value for name, value in wishes.items() if value is not None})
        _show_secret(given, made)
    return DONE


def _list(given: Given) -> int:
    display = Display(given)
    with _managed(given) as manager:
        for webhook in manager.webhooks():
            display.record(webhook, line_of(webhook))
    return DONE


def _show(given: Given) -> int:
    with _managed(given) as manager:
        _show_whole(given, manager.get(_id(given)))
    return DONE


def _change(given: Given) -> int:
    webhook_id = _id(given)
    wishes = _wishes(given)
    if len(given.words) > 2:
        wishes["url"] = given.words[2]
    if given["allow_private"] and given["deny_private"]:
        raise WrongUsage("--allow-private and --deny-private contradict each other")
    if given["deny_private"]:
        wishes["allow_private"] = False
    if given["header"]:
        wishes["headers"] = {name: value or None for name, value in _headers(given).items()}
    filters = _filters(given)
    with _managed(given) as manager:
        if filters or given["no_filters"]:
            wishes["filters"] = dict.fromkeys(manager.get(webhook_id)["filters"]) | filters
        if not wishes:
            raise WrongUsage("say what shall be otherwise, such as --type 'job.*', or another URL")
        _show_whole(given, manager.change(webhook_id, wishes))
    return DONE


def _rotate(given: Given) -> int:
    with _managed(given) as manager:
        rotated = manager.rotate(_id(given), given["keep"], _secret(given))
    _show_secret(given, rotated)
    if rotated["old_secret_until"]:
        say(f"messages are signed with the old one too until {rotated['old_secret_until']}")
    return DONE


def _pause(given: Given) -> int:
    with _managed(given) as manager:
        webhook = manager.pause(_id(given))
    Display(given).record(webhook, line_of(webhook))
    return DONE


def _resume(given: Given) -> int:
    with _managed(given) as manager:
        webhook = manager.resume(_id(given), skip=given["skip"])
    Display(given).record(webhook, line_of(webhook))
    return DONE


def _delete(given: Given) -> int:
    with _managed(given) as manager:
        deleted = manager.delete(_id(given))
    Display(given).record(deleted, f"webhook {printable(deleted['deleted'])} is deleted")
    return DONE


# What was sent ------------------------------------------------------------------------------------


def _test(given: Given) -> int:
    display = Display(given)
    with _managed(given) as manager:
        attempt = manager.test(_id(given))
    display.record(attempt, attempt_line(display, attempt))
    return DONE if attempt["ok"] else NO


def _attempts(given: Given) -> int:
    display = Display(given)
    limit = MOST_ATTEMPTS if given["limit"] is None else given["limit"]
    with _managed(given) as manager:
        for attempt in manager.attempts(_id(given), limit=limit, failed=given["failed"]):
            display.record(attempt, attempt_line(display, attempt))
    return DONE


def _replay(given: Given) -> int:
    webhook_id = _id(given)
    asked = {name: given[name] for name in ("event", "since", "failed")}
    if sum(value not in (None, False) for value in asked.values()) != 1:
        raise WrongUsage("say what to send again: --event ID, --since WHEN or --failed")
    with _managed(given) as manager:
        meant = _counted(manager, webhook_id, asked)
        words = f"{meant:,} event{'' if meant == 1 else 's'}"
        if given["dry_run"]:
            data = {"id": webhook_id, "events": meant, "dry_run": True}
            Display(given).record(data, f"{words} would be sent again")
            return DONE
        if not meant:
            data = {"id": webhook_id, "events": 0, "dry_run": False}
            Display(given).record(data, "there is nothing to send again")
            return DONE
        if asked["event"] is None and not confirmed(given, f"{words} will be sent again"):
            return NO
        replayed = manager.replay(webhook_id, **asked)
    Display(given).record(replayed, f"{replayed['events']:,} to be sent again")
    return DONE


def _counted(manager: Managing, webhook_id: str, asked: dict[str, Any]) -> int:
    """How many events a replay is about; a number that is no event's id is taken as a position."""
    try:
        count: int = manager.replay(webhook_id, **asked, dry_run=True)["events"]
    except NotFound as error:
        if error.kind != "event" or not asked["event"].isdecimal():
            raise
        asked["event"] = int(asked["event"])
        count = manager.replay(webhook_id, **asked, dry_run=True)["events"]
    return count


# What was given -----------------------------------------------------------------------------------


def _id(given: Given) -> str:
    if len(given.words) < 2:
        raise WrongUsage("say which webhook: its ID, as `tidings webhooks list` shows it")
    return given.words[1]


def _wishes(given: Given) -> dict[str, Any]:
    """What `add` and `change` say alike."""
    wishes = {
        "description": given["description"],
        "body": given["body"],
        "allow_private": given["allow_private"] or None,
        "concurrency": given["concurrency"],
        "secret": _secret(given),
    }
    return {name: value for name, value in wishes.items() if value is not None}


def _filters(given: Given) -> dict[str, Any]:
    """The filters given, as JSON values."""
    filters = filters_of(given)
    if isinstance(filters.get("exclude"), Filter):
        filters["exclude"] = {name: list(words) for name, words in filters["exclude"].conditions()}
    return filters


def _headers(given: Given) -> dict[str, str]:
    headers = {}
    for text in given["header"]:
        name, colon, value = text.partition(":")
        if not colon or not name.strip():
            raise WrongUsage("--header must be 'Name: value'")  # not shown: it may be a secret
        headers[name.strip().lower()] = value.strip()
    return headers


def _secret(given: Given) -> str | None:
    """The secret given; a dash has it read from the standard input, which no `ps` shows."""
    text: str | None = given["secret"]
    if text != "-":
        return text
    if sys.stdin is None:
        raise WrongUsage("--secret - reads the standard input, which is closed")
    return sys.stdin.readline().strip()


@contextmanager
def _managed(given: Given, *, begins: str = "") -> Iterator[Managing]:
    """The webhooks of the store, or of the server it is behind; and what begins once it is sent."""
    from tidings.store.remote import RemoteStore

    with opened(given) as bus:
        if isinstance(bus.store, RemoteStore):
            yield ManagerOfServer(bus.store)
        else:
            yield Manager(bus.store)
            if begins:
                say_what_is_needed(bus.store, begins)


# What is shown ------------------------------------------------------------------------------------


def _show_secret(given: Given, made: dict[str, Any]) -> None:
    Display(given).record(made, f"{made['secret']}\nwebhook {line_of(made)}")
    say("this is the only time the secret is shown; the receiver checks signatures with it")


def _show_whole(given: Given, webhook: dict[str, Any]) -> None:
    rows = [f"webhook {line_of(webhook)}"]
    rows += [
        f"  {name.replace('_', ' ')}: {said(value)}"
        for name, value in webhook.items()
        if name not in ("id", "url", "state") and value not in (None, "", {}, [])
    ]
    Display(given).record(webhook, "\n".join(rows))


# The table ----------------------------------------------------------------------------------------


def _read_start(text: str) -> str | int:
    """From where on a new webhook is sent events."""
    if text in ("beginning", "now"):
        return text
    try:
        return read_whole(text)
    except ValueError:
        raise ValueError("must be beginning, now or a position") from None


_OWN = (
    Option(("--description",), "TEXT", "add, change: what people call it"),
    Option(
        ("--body",), "FORM", "add, change: cloudevents, else plain (six fields)", choices=BODIES
    ),
    Option(
        ("--header",), "'NAME: VALUE'", "add, change: a further header of each request", repeat=True
    ),
    Option(("--allow-private",), "", "add, change: it may lie in a private network, or here"),
    Option(("--concurrency",), "N", "add, change: so many requests at once; 4", read=read_whole),
    Option(("--from",), "WHERE", "add: beginning, now or a position; now", read=_read_start),
    Option(("--secret",), "SECRET", "add, rotate: one of your own (whsec_…); - reads it"),
    Option(("--deny-private",), "", "change: it may not lie in a private network"),
    Option(("--no-filters",), "", "change: send it all events from now on"),
    Option(
        ("--keep",), "SPAN", "rotate: sign with the old one too for so long; 24h", read=read_span
    ),
    Option(("--skip",), "", "resume: leave out what came meanwhile"),
    Option(("-n", "--limit"), "N", "attempts: at most so many; 100", read=read_whole),
    Option(("--failed",), "", "attempts, replay: those that failed"),
    Option(("--event",), "ID", "replay: this event, by its id or position"),
    Option(("--dry-run",), "", "replay: only say how many are meant"),
    Option(("-y", "--yes"), "", "replay: do not ask"),
)
_OPTIONS = (*_OWN, *FILTERS)

_FILTERED = {option.key for option in FILTERS}
_SETTINGS = {"description", "body", "header", "allow_private", "concurrency"}

_ACTIONS: dict[str, tuple[Callable[[Given], int], set[str]]] = {
    "add": (_add, {*_FILTERED, *_SETTINGS, "from", "secret"}),
    "list": (_list, set()),
    "show": (_show, set()),
    "change": (_change, {*_FILTERED, *_SETTINGS, "deny_private", "no_filters"}),
    "rotate": (_rotate, {"keep", "secret"}),
    "pause": (_pause, set()),
    "resume": (_resume, {"skip"}),
    "test": (_test, set()),
    "delete": (_delete, set()),
    "attempts": (_attempts, {"limit", "failed"}),
    "replay": (_replay, {"event", "since", "failed", "dry_run", "yes"}),
}

COMMANDS = (
    Command(
        "webhooks",
        "send events to HTTP endpoints, and see how that goes",
        ("ACTION", "[URL|ID]", "[URL]"),
        _OPTIONS,
        _webhooks,
        details="""\
  tidings webhooks add https://example.org/hook --type 'job.*' --project figrecipe
  tidings webhooks list
  tidings webhooks show|pause|resume|test|delete ID
  tidings webhooks change ID --type 'job.*' | https://example.org/other
  tidings webhooks rotate ID --keep 24h
  tidings webhooks attempts ID --failed
  tidings webhooks replay ID --event ID | --since 2h | --failed

The filters say which events it is sent: all that are given must hold; those given to change take
the place of all there were. change --header 'Name:' takes a header away. The secret is shown once.
`tidings serve` and `tidings worker` deliver, each event at least once and in order for each
aggregate; resume also takes up again what was stopped after five days of failures.""",
    ),
)
