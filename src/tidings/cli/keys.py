"""`tidings keys`: make, list and revoke the keys of a server, straight in its store.

A server that runs on the same store takes notice within two seconds. A key is shown once, by
`create`; what a key is stands in `tidings.server.keys`.
"""

from __future__ import annotations

from contextlib import contextmanager

from tidings.cli.actions import action_of
from tidings.cli.command import Command, Option, WrongUsage
from tidings.cli.exit_codes import DONE, NO
from tidings.cli.moments import ago, read_span
from tidings.cli.opening import opened
from tidings.cli.show import Display, printable, say
from tidings.errors import InvalidSetting
from tidings.server.keys import SCOPES, KeyRing
from tidings.timestamps import format_instant, now_instant, parse_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidings.cli.command import Given
    from tidings.server.keys import Key

__all__ = ["COMMANDS"]


def _keys(given: Given) -> int:
    action = action_of(given, _ACTIONS)
    if action != "create" and (given["scope"] or given["project"] or given["expires"]):
        raise WrongUsage("--scope, --project and --expires are for create")
    return _ACTIONS[action](given)


def _create(given: Given) -> int:
    if not given["scope"]:
        raise WrongUsage(f"say what it may do: --scope {', --scope '.join(SCOPES)}")
    with _ring(given) as ring:
        key, token = ring.create(
            given.word(1) or "", given["scope"], given["project"] or None, given["expires"]
        )
    if given["quiet"]:
        Display(given).line(token)
        return DONE
    Display(given).record({**_shown(key, None), "token": token}, f"{token}\nkey {_said(key, None)}")
    say("this is the only time the key is shown; keep it where secrets are kept")
    return DONE


def _list(given: Given) -> int:
    if len(given.words) > 1:
        raise WrongUsage("list takes no name")
    display = Display(given)
    with _ring(given) as ring:
        for key in ring.list():
            used_at = ring.last_used(key.id)
            display.record(_shown(key, used_at), _said(key, used_at))
    return DONE


def _revoke(given: Given) -> int:
    if len(given.words) < 2:
        raise WrongUsage("say which key: its ID, as `tidings keys list` shows it")
    # Who finds a key in a log has the whole of it at hand, and it must not be shown once more.
    key_id = given.words[1].removeprefix("tid_").partition("_")[0]
    with _ring(given) as ring:
        revoked = ring.revoke(key_id)
        last = revoked and not ring.list()
    if not revoked:
        say(f"keys: there is no key {printable(key_id)}; `tidings keys list` shows what there is")
        return NO
    Display(given).record({"revoked": key_id}, f"key {key_id} is revoked")
    if last:
        say("it was the last one: a server that starts from now on needs no key on loopback")
    return DONE


@contextmanager
def _ring(given: Given) -> Iterator[KeyRing]:
    """The keys of the store.

    Raises:
        InvalidSetting: the store is behind a server, and no server gives out its keys.
    """
    with opened(given) as bus:
        if bus.url.startswith(("http://", "https://")):
            raise InvalidSetting(
                f"{printable(bus.url)} is a server, which does not give out its keys; run this on "
                f"its machine, with the --url of the store it serves"
            )
        yield KeyRing(bus.store)


def _shown(key: Key, used_at: int | None) -> dict[str, Any]:
    fields = {"id": key.id, **key.to_dict(), "used_at": used_at}
    for name in ("created_at", "expires_at", "used_at"):
        fields[name] = None if fields[name] is None else format_instant(fields[name])
    return {**fields, "expired": key.expired()}


def _said(key: Key, used_at: int | None) -> str:
    words = [key.id, printable(key.name) or "(no name)", ",".join(sorted(key.scopes))]
    if key.projects is not None:
        words.append(f"for {', '.join(map(printable, sorted(key.projects)))}")
    if key.expires_at is not None:
        words.append(f"{'expired' if key.expired() else 'expires'} {ago(key.expires_at)}")
    if used_at is not None:
        words.append(f"used {ago(used_at)}")
    return "  ".join(words)


def _read_end(text: str) -> int:
    """When a key ends: a span from now, or a moment (microseconds since 1970)."""
    try:
        return now_instant() + int(read_span(text) * 1_000_000)
    except ValueError:
        pass
    try:
        return parse_instant(text)
    except (ValueError, OverflowError):
        raise ValueError("must be a span such as 90d, or a date such as 2030-01-01") from None


_ACTIONS = {"create": _create, "list": _list, "revoke": _revoke}

COMMANDS = (
    Command(
        "keys",
        "make, list or revoke the keys of a server",
        ("create|list|revoke", "[NAME|ID]"),
        (
            Option(("--scope",), "SCOPE", "create: what it allows", repeat=True, choices=SCOPES),
            Option(("--project",), "NAME", "create: the only project it is for", repeat=True),
            Option(("--expires",), "WHEN", "create: its end: 90d, 2030-01-01", read=_read_end),
            Option(("-q", "--quiet"), "", "create: print the key alone"),
        ),
        _keys,
        details="""\
  tidings keys create [NAME] --scope emit --scope read
  tidings keys list
  tidings keys revoke ID

SCOPE is emit, read or admin, which includes both. The key is shown once; the store holds a hash.
Once there is a key, servers on this store want one from everybody.""",
    ),
)
