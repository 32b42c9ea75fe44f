"""`tidings demo`: a made-up research project's events, to look at before there are one's own.

Events cannot be taken out of a store one by one, so the story goes into a store of its own. Into
another it goes only where `--url` names it, and among others' events only with `--force`. What
happens in it stands in `tidings.demo`.
"""

from __future__ import annotations

import shlex
from time import sleep

from tidings import settings
from tidings.cli.command import Command, Option, WrongUsage
from tidings.cli.exit_codes import DONE
from tidings.cli.show import Display, say
from tidings.cli.values import read_whole
from tidings.demo import USER, day, live, told
from tidings.errors import OutcomeUnknown, StoreUnavailable
from tidings.event import Event
from tidings.ids import new_key
from tidings.masking import masked
from tidings.store import open_store
from tidings.store.query import Filter, Query
from tidings.timestamps import now_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.cli.command import Given
    from tidings.store.base import Store

__all__ = ["COMMANDS"]

_AT_ONCE = 500
"""So many events are kept in one append."""
_PAUSE = 1.0
"""How long to wait for a store that is away (seconds)."""
_PORT = 8766
"""Beside a server on the usual one."""
_SECOND = 1_000_000


def _demo(given: Given) -> int:
    url = given["url"] or settings.demo_url()
    display = Display(given, live=True)
    with open_store(url) as store:
        if not given["force"]:
            _refuse_others(store)
        kept = _tell_day(store, given["seed"])
        display.record(
            {"kept": kept, "store": masked(url)},
            f"{kept:,} events of the last two hours were kept in {masked(url)}"
            if kept
            else f"the last two hours are in {masked(url)} already",
        )
        say(_what_next(url, own=given["url"] is None))
        if not given["once"]:
            say("the story goes on until Ctrl-C")
            _tell_live(store, display, given["seed"])
    return DONE


def _refuse_others(store: Store) -> None:
    others = Query(limit=1, exclude=Filter(user_id=USER))
    if next(iter(store.read(others)), None) is not None:
        raise WrongUsage(
            f"{masked(store.url)} holds other events, and the story could not be taken out of it "
            "again. Leave --url out: then it gets a store of its own; or give --force"
        )


def _tell_day(store: Store, seed: int | None) -> int:
    """Keep the past, once; returns how many events were kept."""
    if next(iter(store.read(Query(user_id=USER, limit=1))), None) is not None:
        return 0
    scenes = day(1 if seed is None else seed)
    begin = now_instant() - scenes[-1].at
    events = [Event.from_dict(told(scene, begin)) for scene in scenes]
    for start in range(0, len(events), _AT_ONCE):
        _keep(store, events[start : start + _AT_ONCE])
    return len(events)


def _tell_live(store: Store, display: Display, seed: int | None) -> None:
    """Keep what happens from now on, each event when it happens."""
    begin = now_instant()
    # What is told twice into one store shall not happen to the same workflows.
    for scene in live(int.from_bytes(new_key()) if seed is None else seed):
        sleep(max(0, begin + scene.at - now_instant()) / _SECOND)
        (event,) = _keep(store, [Event.from_dict(told(scene, begin))])
        display.event(event)


def _keep(store: Store, events: list[Event]) -> list[Event]:
    """Keep events, however long the store is away: under its id each is kept once."""
    while True:
        try:
            return store.append(events)
        except (StoreUnavailable, OutcomeUnknown) as error:
            say(f"demo: {error}; it is tried again")
            sleep(_PAUSE)


def _what_next(url: str, *, own: bool) -> str:
    shown = masked(url)
    if url.startswith(("http://", "https://")):
        look = f"to look at it, open {shown.rstrip('/')}/"
    else:
        serve = f"tidings serve --port {_PORT} --url {shlex.quote(shown)}"
        look = f"to look at it: {serve}, and open http://127.0.0.1:{_PORT}/"
    if own:
        rid = f"to be rid of it: rm -r {shlex.quote(settings.demo_directory())}"
    else:
        rid = f"all of it happens on behalf of the user {USER}: tidings history --user {USER}"
    return f"{look}\n{rid}"


COMMANDS = (
    Command(
        "demo",
        "keep a made-up project's events, to look at",
        (),
        (
            Option(("--once",), "", "keep the last two hours, and do not go on live"),
            Option(
                ("--seed",), "N", "another story; the same for the same number", read=read_whole
            ),
            Option(("--force",), "", "among the events of others too, and for good"),
        ),
        _demo,
        details="""\
A Slurm array of 500 tasks of which one fails, CI runs, builds of a manuscript, and AI agents at
work; then more of it as it happens, until Ctrl-C. It has a store of its own in the directory demo
of ~/.tidings, whatever TIDINGS_URL says; --url names another one, or a server.""",
    ),
)
