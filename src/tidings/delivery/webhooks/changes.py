"""What people changed and asked for, as the engine reads it when the bell has rung.

Keeps no promise alone: what is missed here is found when the shard is loaded, or a minute later.
Everything here asks the ledger, so it is called in a thread.
"""

from __future__ import annotations

from itertools import islice
from typing import NamedTuple

from tidings.delivery.webhooks.keys import ASKED, CHANGED, ENDPOINT, shard_of
from tidings.subscriptions.dead_letters import REPLAY, DeadLetters
from tidings.subscriptions.progress import MOST_LANES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from typing import Any

    from tidings.store.base import Store
    from tidings.subscriptions.dead_letters import DeadLetter

__all__ = ["Ask", "Changes", "asked_letters", "asks", "endpoint_of"]


class Ask(NamedTuple):
    """Something that was asked for: the key of its record, of which endpoint, and what."""

    key: str
    id: str
    value: dict[str, Any]


class Changes:
    """Which endpoints were changed since this was last asked.

    Args:
        store: whose endpoints they are.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen = -1

    def ids(self) -> set[str] | None:
        """Their ids; none where it may be any of them."""
        record = self._store.get(CHANGED)
        value: dict[str, Any] = {"count": 0, "recent": []} if record is None else record.value
        new, self._seen = value["count"] - self._seen, value["count"]
        recent = value["recent"]
        if not 0 <= new <= len(recent):
            return None
        return set(recent[len(recent) - new :])

    def compared(self, known: Collection[str], shards: Collection[int]) -> set[str]:
        """The ids of endpoints in some shards that came or went, beside those known."""
        keys = self._store.keys(ENDPOINT)
        there = {id for key in keys if shard_of(id := key.removeprefix(ENDPOINT)) in shards}
        return there ^ set(known)


def asks(store: Store, shards: Collection[int]) -> Iterator[Ask]:
    """What is asked for of endpoints in some shards, the oldest first for each."""
    for key in store.keys(ASKED):
        id = endpoint_of(key)
        record = store.get(key) if shard_of(id) in shards else None
        if record is not None:
            yield Ask(key, id, record.value)


def endpoint_of(key: str) -> str:
    """The id of the endpoint of which something is asked in a record."""
    return key.removeprefix(ASKED).partition("/")[0]


def asked_letters(store: Store, replayed: Mapping[str, Collection[int]]) -> list[DeadLetter]:
    """Some of the dead letters that are to be sent again; ask again for the rest.

    Args:
        store: whose they are.
        replayed: of which endpoints; and the positions of those that are on their way already.
    """
    letters = DeadLetters(store)
    found: list[DeadLetter] = []
    for name in letters.asked_of("webhook:"):
        id = name.removeprefix("webhook:")
        if id in replayed:
            asked = (
                letter
                for letter in letters.asked(name)
                if letter.asked == REPLAY and letter.position not in replayed[id]
            )
            found += islice(asked, MOST_LANES)
    return found
