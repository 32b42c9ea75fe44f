"""Dead letters: events that were given up, each with every attempt, until somebody decides.

Keeps promise 3's end: what keeps failing can be listed, replayed or discarded, one by one or all.
They are records in the ledger, so any process can look and decide; carrying the decision out is for
whoever holds the reader's lease (it hears of it by the `Bell`). The event itself stays in the log.
"""

from __future__ import annotations

from typing import NamedTuple

from tidings.errors import RevisionConflict
from tidings.subscriptions.bell import Bell
from tidings.subscriptions.progress import Attempt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidings.event import Event
    from tidings.store.base import Store

__all__ = ["DISCARD", "PREFIX", "REPLAY", "DeadLetter", "DeadLetters"]

PREFIX = "dead-letter/"

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
        return self._under(PREFIX)

    def of(self, subscription: str) -> Iterator[DeadLetter]:
        """Those of one subscription, by position."""
        return self._under(f"{PREFIX}{subscription}/")

    def count(self, subscription: str) -> int:
        """How many a subscription has."""
        return len(self._store.keys(f"{PREFIX}{subscription}/"))

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
                    return self._store.delete(letter.key, record.revision)
                asked = letter._replace(asked=what)
                self._store.put(letter.key, asked.to_value(), record.revision)
            except RevisionConflict:
                continue  # decided by somebody else, or given up again, in between
            if ring:
                Bell(self._store).ring()
            return True

    def remove(self, letter: DeadLetter) -> None:
        """Take a letter away: what was asked has been carried out."""
        self._store.delete(letter.key)

    def _under(self, prefix: str) -> Iterator[DeadLetter]:
        for key in self._store.keys(prefix):
            record = self._store.get(key)
            if record is not None:  # else it was removed since
                yield DeadLetter.of(record.value)
