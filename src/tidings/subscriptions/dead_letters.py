"""Dead letters: events that were given up, each with every attempt, until somebody decides.

Keeps promise 3's end: what keeps failing can be listed, replayed or discarded, one by one or all.
They are records in the ledger, so any process can look and decide; carrying the decision out is for
whoever holds the reader's lease (it hears of it by the `Bell`). The event itself stays in the log.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from typing import NamedTuple

from tidings.errors import RevisionConflict
from tidings.store.base import Put
from tidings.store.ledger import end_of
from tidings.subscriptions.bell import Bell
from tidings.subscriptions.progress import Attempt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from tidings.event import Event
    from tidings.store.base import Store

__all__ = ["DISCARD", "PREFIX", "REPLAY", "WEBHOOKS", "DeadLetter", "DeadLetters", "Kept"]

PREFIX = "dead-letter/"

WEBHOOKS = "webhook:"
"""How the names of webhooks' subscriptions start."""

_ASKED = "dead-letter-asked/"
"""Beside each letter that was decided: so those are found among any number of others."""

_PAGE = 1_000
"""So many keys are listed at once."""

_MOST_TEXT_AT_ONCE = 100_000
_AROUND_TEXT = 1_000
"""So much of letters is written at once (characters), and what one holds beside its texts: a log
may take a megabyte at most, and a character is up to six bytes of JSON."""

REPLAY = "replay"
DISCARD = "discard"


class DeadLetter(NamedTuple):
    """An event that a subscription gave up.

    Attributes:
        subscription: the name of the subscription; `webhook:ID` for a webhook.
        position: of the event.
        event_id: its id.
        type: its type.
        project: its project.
        lane: the name of its lane.
        attempts: all of them, oldest first.
        at: when it was given up (microseconds since 1970).
        held: whether its aggregate's later events wait for the decision.
        asked: what was decided and not carried out yet: `replay` or `discard`; empty before.
    """

    subscription: str
    position: int
    event_id: str
    type: str
    project: str
    lane: str
    attempts: tuple[Attempt, ...]
    at: int
    held: bool
    asked: str = ""

    @property
    def key(self) -> str:
        """Its key in the ledger; keys sort by subscription and position."""
        return f"{PREFIX}{self.subscription}/{self.position:020d}"

    @property
    def id(self) -> str:
        """What people call it by: `SUBSCRIPTION/POSITION`."""
        return f"{self.subscription}/{self.position}"

    def to_value(self) -> dict[str, Any]:
        """As a JSON value; `DeadLetter.of` reads it."""
        return {**self._asdict(), "attempts": [list(attempt) for attempt in self.attempts]}

    @classmethod
    def of(cls, value: dict[str, Any]) -> DeadLetter:
        """What `to_value` wrote."""
        attempts = tuple(Attempt(*attempt) for attempt in value["attempts"])
        return cls(**{**value, "attempts": attempts})

    @classmethod
    def about(
        cls,
        event: Event,
        subscription: str,
        lane: str,
        attempts: tuple[Attempt, ...],
        at: int,
        *,
        held: bool,
    ) -> DeadLetter:
        """The letter that says an event was given up; arguments as for the class."""
        position = event.position or 0
        return cls(
            subscription, position, event.id, event.type, event.project, lane, attempts, at, held
        )


class Kept(NamedTuple):
    """A letter as it stood when it was read.

    Attributes:
        letter: what it says.
        revision: its record's, by which a change in between is noticed.
    """

    letter: DeadLetter
    revision: int


class DeadLetters:
    """The dead letters of a store.

    Args:
        store: whose ledger holds them.

    >>> from tidings.event import Event
    >>> from tidings.store.memory import MemoryStore
    >>> store = MemoryStore()
    >>> (event,) = store.append([Event("job_done")])
    >>> letters = DeadLetters(store)
    >>> letters.add(DeadLetter.about(event, "notify", "event:1", (), 0, held=False))
    >>> [letter.id for letter in letters], letters.ask("notify", 1, REPLAY)
    (['notify/1'], True)
    >>> [letter.asked for letter in letters.of("notify")]
    ['replay']
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, letter: DeadLetter) -> None:
        """Keep a letter; one that is there already for the same event is replaced."""
        self._store.put(letter.key, letter.to_value())

    def __iter__(self) -> Iterator[DeadLetter]:
        """All of them, by subscription and position."""
        return (each.letter for each in self.walk())

    def of(self, subscription: str) -> Iterator[DeadLetter]:
        """Those of one subscription, by position."""
        return (each.letter for each in self.walk(subscription))

    def walk(self, subscription: str = "", after: str = "") -> Iterator[Kept]:
        """Letters with their revisions, by subscription and position, in constant memory.

        Each that is there all the while comes once; new ones and removed ones may or may not.

        Args:
            subscription: whose; empty for all.
            after: only those past the letter with this key.
        """
        for key in self._keys(_prefix(PREFIX, subscription), after):
            record = self._store.get(key)
            if record is not None:  # else it was removed since
                yield Kept(DeadLetter.of(record.value), record.revision)

    def count(self, subscription: str, most: int | None = None) -> int:
        """How many a subscription has; it looks at no more than `most`."""
        return sum(1 for _ in islice(self._keys(_prefix(PREFIX, subscription)), most))

    def counts(self, most: int) -> dict[str, int]:
        """How many each subscription has, none left out; those of all webhooks under `WEBHOOKS`.

        Cheap, however many there are: it counts to `most` for each, and leaps over the rest.
        """
        counted: dict[str, int] = {}
        after = ""
        while page := self._store.keys(PREFIX, after, _PAGE):
            after = _count(page, counted, most)
        return counted

    def find(self, subscription: str, position: int) -> DeadLetter | None:
        """The letter about the event at a position, or none."""
        record = self._store.get(f"{PREFIX}{subscription}/{position:020d}")
        return None if record is None else DeadLetter.of(record.value)

    def ask(self, subscription: str, position: int, what: str, *, ring: bool = True) -> bool:
        """Have a letter replayed or discarded by whoever holds its reader's lease.

        Args:
            subscription: whose it is.
            position: of its event.
            what: `REPLAY` or `DISCARD`. What holds nothing up is discarded at once.
            ring: whether readers hear of it now; without it the caller rings when all is asked.

        Returns:
            Whether there was such a letter.
        """
        while True:
            record = self._store.get(f"{PREFIX}{subscription}/{position:020d}")
            if record is None:
                return False
            letter = DeadLetter.of(record.value)
            try:
                if what == DISCARD and not letter.held:
                    self._discard(Kept(letter, record.revision))
                    return True
                self._store.append([], put=_asking(Kept(letter, record.revision), what))
            except RevisionConflict:
                continue  # decided by somebody else, or given up again, in between
            if ring:
                Bell(self._store).ring()
            return True

    def ask_all(self, kept: Sequence[Kept], what: str) -> int:
        """Have many letters replayed or discarded, in few durable writes; the caller rings.

        Args:
            kept: which ones, as `walk` gave them.
            what: `REPLAY` or `DISCARD`.

        Returns:
            How many of them were still there.
        """
        marked = []
        done = 0
        for each in kept:
            if what == DISCARD and not each.letter.held:
                done += self._discard_now(each)
            elif each.letter.asked == what:
                done += 1  # decided so before
            else:
                marked.append(each)
        for some in _together(marked):
            try:
                self._store.append([], put=[put for each in some for put in _asking(each, what)])
                done += len(some)
            except RevisionConflict:
                done += sum(self._ask_again(each, what) for each in some)
        return done

    def asked(self, subscription: str) -> Iterator[DeadLetter]:
        """Those of a subscription that were decided and not carried out yet, by position."""
        prefix = f"{_ASKED}{subscription}/"
        for key in self._keys(prefix):
            marker = self._store.get(key)
            letter = self.find(subscription, int(key.removeprefix(prefix)))
            if letter is not None and letter.asked:
                yield letter
            elif marker is not None:
                # It was removed since, or its event was given up again; if somebody decides just
                # now, that marker is a new one and stays.
                with suppress(RevisionConflict):
                    self._store.delete(key, marker.revision)

    def asked_of(self, start: str) -> list[str]:
        """The subscriptions whose names start so and that have letters that were decided."""
        keys = self._keys(_ASKED + start)
        names = (key.removeprefix(_ASKED).rpartition("/")[0] for key in keys)
        return list(dict.fromkeys(names))

    def remove(self, letter: DeadLetter) -> None:
        """Take a letter away: what was asked has been carried out."""
        self._store.delete(letter.key)
        self._store.delete(_marker(letter))

    def remove_all(self, subscription: str) -> None:
        """Take all letters of a subscription away: it is deleted."""
        for prefix in (PREFIX, _ASKED):
            for key in self._keys(f"{prefix}{subscription}/"):
                self._store.delete(key)

    def _discard(self, kept: Kept) -> bool:
        """Take a letter away that holds nothing up; whether it was there.

        Raises:
            RevisionConflict: it was changed since.
        """
        there = self._store.delete(kept.letter.key, kept.revision)
        if kept.letter.asked:
            self._store.delete(_marker(kept.letter))
        return there

    def _discard_now(self, kept: Kept) -> bool:
        """As `_discard`, whatever became of it since."""
        try:
            return self._discard(kept)
        except RevisionConflict:
            return self._ask_again(kept, DISCARD)

    def _ask_again(self, kept: Kept, what: str) -> bool:
        """Ask for a letter that was changed since it was read."""
        return self.ask(kept.letter.subscription, kept.letter.position, what, ring=False)

    def _keys(self, prefix: str, after: str = "") -> Iterator[str]:
        while page := self._store.keys(prefix, after, _PAGE):
            yield from page
            after = page[-1]


def _count(keys: Sequence[str], counted: dict[str, int], most: int) -> str:
    """Count letters by their keys; returns past which key to go on."""
    for key in keys:
        name = key.removeprefix(PREFIX).partition("/")[0]
        name = WEBHOOKS if name.startswith(WEBHOOKS) else name
        counted[name] = counted.get(name, 0) + 1
        if counted[name] == most:
            return end_of(f"{PREFIX}{name}" if name == WEBHOOKS else f"{PREFIX}{name}/")
    return keys[-1]


def _prefix(kind: str, subscription: str) -> str:
    return f"{kind}{subscription}/" if subscription else kind


def _marker(letter: DeadLetter) -> str:
    return _ASKED + letter.key.removeprefix(PREFIX)


def _asking(kept: Kept, what: str) -> list[Put]:
    """The writes that say what was decided about a letter."""
    letter = kept.letter._replace(asked=what)
    return [Put(letter.key, letter.to_value(), kept.revision), Put(_marker(letter), what)]


def _together(kept: Sequence[Kept]) -> Iterator[list[Kept]]:
    """The letters in groups, each small enough for one message of any log."""
    some: list[Kept] = []
    size = 0
    for each in kept:
        text = sum(len(attempt.error) + len(attempt.answer) for attempt in each.letter.attempts)
        if some and size + text > _MOST_TEXT_AT_ONCE:
            yield some
            some, size = [], 0
        some.append(each)
        size += text + _AROUND_TEXT
    if some:
        yield some
