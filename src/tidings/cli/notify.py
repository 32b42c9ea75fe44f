"""`tidings notify`: have people told of events, straight in the store.

Thin: what a notice is stands in `tidings.delivery.notices`. Whoever delivers for the store
(`tidings serve`, `tidings worker`) takes notice within a second or so. An address holds secrets,
so it is given once and shown masked from then on.
"""

from __future__ import annotations

from contextlib import contextmanager
from textwrap import fill

from tidings.cli.actions import action_of
from tidings.cli.command import Command, Option, WrongUsage
from tidings.cli.delivering import say_what_is_needed
from tidings.cli.exit_codes import DONE, NO
from tidings.cli.filters import FILTERS, filters_of
from tidings.cli.moments import ago, read_span
from tidings.cli.opening import opened
from tidings.cli.show import Display, printable, say
from tidings.delivery.notices import Notices
from tidings.delivery.notices.notice import GROUPINGS
from tidings.delivery.notices.notices import LATEST, QUIET
from tidings.delivery.notices.templates import NAMES
from tidings.errors import InvalidSetting
from tidings.timestamps import format_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidings.cli.command import Given
    from tidings.delivery.notices.notice import Notice
    from tidings.delivery.notices.notices import Standing

__all__ = ["COMMANDS"]

_SETTINGS = ("title", "group", "quiet", "latest", "every")
_MOST_TEMPLATE_BYTES = 65_536


def _notify(given: Given) -> int:
    action = action_of(given, _ACTIONS)
    settings, filters = _settings(given), filters_of(given)
    if action not in {"add", "change"} and (settings or filters or given["name"]):
        raise WrongUsage("filters and settings are for add and change")
    if len(given.words) > 2 and action != "change":
        raise WrongUsage(f"{action} takes one word at most")
    return _ACTIONS[action](given)


def _add(given: Given) -> int:
    url = given.word(1)
    if url is None:
        raise WrongUsage("say where to: an address such as slack://…, mailto://… or ntfy://…")
    with _notices(given, begins="messages are sent") as notices:
        notice = notices.add(url, filters_of(given), name=given["name"], **_settings(given))
        _show(given, notices, notice)
    return DONE


def _list(given: Given) -> int:
    if len(given.words) > 1:
        raise WrongUsage("list takes no name")
    display = Display(given)
    with _notices(given) as notices:
        for notice in notices.list():
            standing = notices.standing(notice)
            display.record(_data(notice, standing), _said(notice, standing))
    return DONE


def _shown(given: Given) -> int:
    with _notices(given) as notices:
        _show(given, notices, notices.get(_name(given)))
    return DONE


def _change(given: Given) -> int:
    filters, changes = filters_of(given), _settings(given)
    if given["name"]:
        raise WrongUsage("--name is for add; a notice keeps its name")
    if filters:
        changes["filters"] = filters
    if len(given.words) > 2:
        changes["url"] = given.words[2]
    if not changes:
        raise WrongUsage("say what to change: another address, filters or settings")
    with _notices(given) as notices:
        _show(given, notices, notices.change(_name(given), **changes))
    return DONE


def _pause(given: Given) -> int:
    with _notices(given) as notices:
        _show(given, notices, notices.pause(_name(given)))
    return DONE


def _resume(given: Given) -> int:
    with _notices(given) as notices:
        _show(given, notices, notices.resume(_name(given)))
    return DONE


def _test(given: Given) -> int:
    name = _name(given)
    with _notices(given) as notices:
        error = notices.test(name)
    if error:
        say(f"notify: the test was not sent: {error}")
        return NO
    Display(given).record({"tested": name}, f"a test was sent to {printable(name)}")
    return DONE


def _delete(given: Given) -> int:
    name = _name(given)
    with _notices(given) as notices:
        notices.delete(name)
    Display(given).record({"deleted": name}, f"notice {printable(name)} is deleted")
    return DONE


@contextmanager
def _notices(given: Given, *, begins: str = "") -> Iterator[Notices]:
    """The notices of the store.

    Args:
        given: the arguments of the command.
        begins: what begins once somebody delivers, where that is to be said.

    Raises:
        InvalidSetting: the store is behind a server, and no server gives out its notices.
    """
    with opened(given) as bus:
        if bus.url.startswith(("http://", "https://")):
            raise InvalidSetting(
                f"{printable(bus.url)} is a server, which does not give out its notices; run this "
                f"on its machine, with the --url of the store it serves"
            )
        yield Notices(bus.store)
        if begins:
            say_what_is_needed(bus.store, begins)


def _name(given: Given) -> str:
    name = given.word(1)
    if name is None:
        raise WrongUsage("say which notice: its NAME, as `tidings notify list` shows it")
    return name


def _settings(given: Given) -> dict[str, Any]:
    settings = {name: given[name] for name in _SETTINGS if given[name] is not None}
    return settings if given["template"] is None else {**settings, "body": given["template"]}


def _read_template(text: str) -> str:
    """A template, or after `@` the file that holds it."""
    if not text.startswith("@"):
        return text
    try:
        with open(text[1:], encoding="utf-8") as file:
            return file.read(_MOST_TEMPLATE_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot be read: {error}") from None


def _show(given: Given, notices: Notices, notice: Notice) -> None:
    standing = notices.standing(notice)
    Display(given).record(_data(notice, standing), _said(notice, standing))


def _data(notice: Notice, standing: Standing) -> dict[str, Any]:
    fields = {**notice.to_value(), "url": notice.shown, "created_at": _when(notice.created_at)}
    del fields["shown"], fields["from_position"]
    state = standing._asdict()
    failing = standing.failing is not None
    return {
        **fields,
        **state,
        "failing": _when(standing.failing),
        "due": _when(standing.due) if failing else None,
    }


def _said(notice: Notice, standing: Standing) -> str:
    words = [notice.name, printable(notice.shown), printable(notice.words)]
    if notice.every:
        words.append(f"every {notice.every:g} s at most")
    if notice.paused:
        words.append("paused")
    words.append(f"{standing.messages} sent")
    if standing.waiting:
        words.append(f"{standing.waiting} waiting")
    if standing.failing is not None:
        words.append(f"failing since {ago(standing.failing)}: {printable(standing.error)}")
    return "  ".join(words)


def _when(instant: int | None) -> str | None:
    return None if instant is None else format_instant(instant)


_ACTIONS = {
    "add": _add,
    "list": _list,
    "show": _shown,
    "change": _change,
    "pause": _pause,
    "resume": _resume,
    "test": _test,
    "delete": _delete,
}

_NAMES = fill(
    " ".join(f"{{{name}}}" for name in (*NAMES, "payload.KEY", "context.KEY")),
    width=90,
    subsequent_indent="  ",
)

COMMANDS = (
    Command(
        "notify",
        "tell people of events: chat, mail, push and a hundred other services",
        (f"{'|'.join(_ACTIONS)}", "[URL|NAME]", "[URL]"),
        (
            Option(("--name",), "NAME", "add: what to call it; else the service's name"),
            Option(("--title",), "TEXT", "template of the title"),
            Option(
                ("--template",),
                "TEXT",
                "template of the text; @FILE reads one",
                read=_read_template,
            ),
            Option(("--every",), "SPAN", "at most one message in this time", read=read_span),
            Option(
                ("--group",),
                "WHAT",
                "told as one: arrays (else), all undertakings, none",
                choices=GROUPINGS,
            ),
            Option(
                ("--quiet",),
                "SPAN",
                f"an undertaking is told when silent for so long; {QUIET:g}s",
                read=read_span,
            ),
            Option(
                ("--latest",),
                "SPAN",
                f"and at the latest after so long; {LATEST / 3600:g}h",
                read=read_span,
            ),
            *FILTERS,
        ),
        _notify,
        details=f"""\
  tidings notify add 'slack://…' --type job_done --status failure
  tidings notify list
  tidings notify show|pause|resume|test|delete NAME
  tidings notify change NAME [URL] --every 10m

URL is written as Apprise wants it: https://appriseit.com/services/. It is never shown again.
A batch array is told once, when all its tasks have ended: 497 ok, 3 failed.
In templates: {_NAMES}
`tidings serve` or `tidings worker` sends the messages.""",
    ),
)
