"""Which dead letters somebody means, and what becomes of all of them.

For the shell and HTTP alike, so that a filter means the same in both. However many letters there
are, they are read and decided a page at a time: whoever stops it in the middle has decided what was
counted so far, and may simply ask again for the rest.
"""

from __future__ import annotations

from typing import NamedTuple

from tidings.errors import HistoryPruned, InvalidQuery, NotFound, shorten
from tidings.handlers import NAME
from tidings.store.query import Query, fold, matches_type
from tidings.subscriptions.bell import Bell
from tidings.subscriptions.dead_letters import PREFIX, DeadLetters
from tidings.timestamps import format_instant, now_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidings.event import Event
    from tidings.store.base import Store
    from tidings.subscriptions.dead_letters import DeadLetter, Kept
    from tidings.subscriptions.progress import Attempt

__all__ = [
    "Choice",
    "Page",
    "counted",
    "decide",
    "decided",
    "event_of",
    "letter_called",
    "page",
    "pages",
    "said",
]

_PAGE = 500
"""So many letters are looked at at once; then whoever carries out what was decided hears of it."""

_LARGEST = 2**63 - 1


class Choice(NamedTuple):
    """Which dead letters are meant; all that is given must hold.

    Attributes:
        subscription: whose; none for all.
        types: of these types of events, exact or such as `job.*`; none for all.
        projects: of events of these projects; none for all.
        since: given up at or after this instant (microseconds since 1970).
        until: given up before this instant.
        contains: text in the error or the answer of one of its attempts, capitals or not.
    """

    subscription: str | None = None
    types: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None
    contains: str | None = None

    def wants(self, letter: DeadLetter) -> bool:
        """Whether a letter is meant."""
        return (
            (not self.types or any(matches_type(each, letter.type) for each in self.types))
            and (not self.projects or letter.project in self.projects)
            and (self.since is None or letter.at >= self.since)
            and (self.until is None or letter.at < self.until)
            and (not self.contains or self._is_told(letter))
            and self.subscription in {None, letter.subscription}
        )

    def before(self, instant: int) -> Choice:
        """The same, of those that were given up before an instant."""
        return self._replace(until=instant if self.until is None else min(self.until, instant))

    def _is_told(self, letter: DeadLetter) -> bool:
        text = fold(self.contains or "")
        return any(text in fold(f"{each.error}\n{each.answer}") for each in letter.attempts)


class Page(NamedTuple):
    """A part of the letters that are meant.

    Attributes:
        kept: the letters.
        after: the id from which the next page goes on; none at the end.
    """

    kept: list[Kept]
    after: str | None


def page(
    store: Store, choice: Choice, after: str = "", limit: int = _PAGE, most: int = _PAGE
) -> Page:
    """A page of the letters that are meant, by subscription and position.

    Args:
        store: where they are.
        choice: which ones.
        after: the id of the letter up to which was looked before; empty at first.
        limit: at most so many, from 1 on.
        most: at most so many are looked at, so that a page takes no longer where few are meant.

    Raises:
        InvalidQuery: `after` is no id.
    """
    found: list[Kept] = []
    looked = 0
    for each in DeadLetters(store).walk(choice.subscription or "", _key(after) if after else ""):
        if len(found) == limit or looked == most:
            return Page(found, after)
        looked, after = looked + 1, each.letter.id
        if choice.wants(each.letter):
            found.append(each)
    return Page(found, None)


def pages(store: Store, choice: Choice, after: str = "") -> Iterator[Page]:
    """All pages; arguments as for `page`."""
    going_on: str | None = after
    while going_on is not None:
        some = page(store, choice, going_on)
        going_on = some.after
        yield some


def counted(store: Store, choice: Choice, after: str = "") -> Iterator[tuple[int, str | None]]:
    """After each page, how many letters are meant so far, and its `after`."""
    count = 0
    for some in pages(store, choice, after):
        count += len(some.kept)
        yield count, some.after


def decided(
    store: Store, choice: Choice, what: str, after: str = ""
) -> Iterator[tuple[int, str | None]]:
    """Have all letters that are meant replayed or discarded.

    What was given up since this began is left alone: nobody who asked for it has seen it.

    Args:
        store: where they are.
        choice: which ones.
        what: `REPLAY` or `DISCARD`.
        after: as for `page`.

    Yields:
        After each page how many were decided so far, and its `after`.
    """
    letters, bell = DeadLetters(store), Bell(store)
    count = 0
    for some in pages(store, choice.before(now_instant() + 1), after):
        if some.kept:
            count += letters.ask_all(some.kept, what)
            bell.ring()
        yield count, some.after


def decide(store: Store, name: str, what: str) -> None:
    """Have one letter replayed or discarded.

    Args:
        store: where it is.
        name: its id.
        what: `REPLAY` or `DISCARD`.

    Raises:
        InvalidQuery: that is no id of a letter.
        NotFound: there is no such letter.
    """
    subscription, position = _read_id(name)
    if not DeadLetters(store).ask(subscription, position, what):
        raise _not_found(name)


def letter_called(store: Store, name: str) -> DeadLetter:
    """The letter with this id.

    Raises:
        InvalidQuery: that is no id of a letter.
        NotFound: there is no such letter.
    """
    letter = DeadLetters(store).find(*_read_id(name))
    if letter is None:
        raise _not_found(name)
    return letter


def event_of(store: Store, letter: DeadLetter) -> Event | None:
    """The event that was given up; none where it was pruned since."""
    window = Query(after=letter.position - 1, before=letter.position + 1)
    try:
        return next(store.read(window), None)
    except HistoryPruned:
        return None


def said(letter: DeadLetter) -> dict[str, Any]:
    """What a letter says, as people and programs are told."""
    return {
        "id": letter.id,
        "subscription": letter.subscription,
        "position": letter.position,
        "event_id": letter.event_id,
        "type": letter.type,
        "project": letter.project,
        "given_up_at": format_instant(letter.at),
        "held": letter.held,
        "asked": letter.asked,
        "error": letter.attempts[-1].error if letter.attempts else "",
        "attempts": [_said_attempt(attempt) for attempt in letter.attempts],
    }


def _read_id(name: str) -> tuple[str, int]:
    """The subscription and the position that a letter's id names.

    Raises:
        InvalidQuery: it is not of the form `SUBSCRIPTION/POSITION`.

    >>> _read_id("notify/17")
    ('notify', 17)
    """
    subscription, _, position = name.rpartition("/")
    whole = position.isascii() and position.isdecimal() and len(position) < 20
    if not NAME.fullmatch(subscription) or not whole or int(position) > _LARGEST:
        raise InvalidQuery(
            f"{shorten(name)} is no dead letter; name one as SUBSCRIPTION/POSITION, such as "
            f"notify/4711"
        )
    return subscription, int(position)


def _key(name: str) -> str:
    subscription, position = _read_id(name)
    return f"{PREFIX}{subscription}/{position:020d}"


def _said_attempt(attempt: Attempt) -> dict[str, Any]:
    told = {
        "at": format_instant(attempt.at),
        "seconds": round(attempt.seconds, 6),
        "error": attempt.error,
    }
    if attempt.status is not None:
        told["status"] = attempt.status
    if attempt.answer:
        told["answer"] = attempt.answer
    return told


def _not_found(name: str) -> NotFound:
    return NotFound("dead letter", name, "`tidings dead-letters list` shows what there is")
