"""Whether many dead letters are found and decided page by page, on every kind of store."""

from __future__ import annotations

import tracemalloc
from contextlib import ExitStack
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.engines.nats import NatsServer
from tests.engines.postgres import shared_postgres
from tidings.errors import InvalidQuery
from tidings.fields import encode_json
from tidings.store import open_store
from tidings.store.base import Put
from tidings.store.memory import MemoryStore
from tidings.subscriptions.choosing import Choice, counted, decided, page, pages
from tidings.subscriptions.dead_letters import (
    DISCARD,
    REPLAY,
    WEBHOOKS,
    DeadLetter,
    DeadLetters,
    Kept,
)
from tidings.subscriptions.progress import Attempt
from tidings.testing.elsewhere import PATIENCE
from tidings.timestamps import now_instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tidings.event import Event
    from tidings.store.base import Store

AGO = now_instant() - 3_600_000_000


@pytest.fixture(params=["sqlite", "postgresql", "nats"])
def anywhere(
    request: pytest.FixtureRequest, pytestconfig: pytest.Config, tmp_path: Path
) -> Iterator[Store]:
    """A store of each kind."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            url = f"sqlite:///{tmp_path}/events.db"
        elif request.param == "postgresql":
            url = shared_postgres(pytestconfig).url(schema=f"choosing_{uuid4().hex}")
        else:
            url = f"{stack.enter_context(NatsServer(tmp_path / 'nats')).url}/letters"
        yield stack.enter_context(open_store(url, deadline=PATIENCE))


def letter(position: int, *, at: int = AGO, held: bool = False, error: str = "") -> DeadLetter:
    """A letter of the subscription `notify`."""
    attempts = (Attempt(at, 0.1, error),) if error else ()
    return DeadLetter("notify", position, f"e{position}", "job", "p", "x", attempts, at, held)


def fill(store: Store, *letters: DeadLetter) -> None:
    """Keep many letters in one write."""
    store.append([], put=[Put(each.key, each.to_value()) for each in letters])


def test_who_stops_has_decided_what_was_counted() -> None:
    """Each page is decided when it is told, and the rest untouched, until somebody asks again."""
    store = MemoryStore()
    fill(store, *map(letter, range(1, 1_201)))
    steps = decided(store, Choice(), REPLAY)
    done, after = next(steps)
    del steps
    assert 0 < done < 1_200
    assert [each.position for each in DeadLetters(store).asked("notify")] == list(
        range(1, done + 1)
    )
    *_, (rest, end) = decided(store, Choice(), REPLAY, after or "")
    assert (done + rest, end) == (1_200, None)
    assert {each.asked for each in DeadLetters(store)} == {REPLAY}


def test_what_comes_meanwhile_is_left_alone() -> None:
    """A letter that was given up after somebody asked is not decided unseen."""
    store = MemoryStore()
    fill(store, *map(letter, range(1, 1_001)))
    steps = decided(store, Choice(), DISCARD)
    next(steps)
    fill(store, letter(2_000, at=now_instant() + 60_000_000))
    assert [count for count, _ in steps][-1] == 1_000
    assert [each.position for each in DeadLetters(store)] == [2_000]


def test_memory_does_not_grow_with_letters() -> None:
    """To look through thousands of letters takes the memory of a page of them."""
    store = MemoryStore()
    fill(store, *(letter(position, error="OSError: no " * 50) for position in range(1, 8_001)))
    tracemalloc.start()
    try:
        *_, (count, _) = counted(store, Choice(contains="nowhere"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 0
    assert peak < 3_000_000  # the letters themselves would be ten


def test_decisions_beside_others_are_kept(anywhere: Store) -> None:
    """A letter that was removed or decided since it was read is neither brought back nor lost."""
    store, letters = anywhere, DeadLetters(anywhere)
    fill(store, letter(1), letter(2), letter(3, held=True), letter(4), letter(5, held=True))
    read = list(letters.walk("notify"))
    letters.remove(read[0].letter)
    letters.ask("notify", 2, REPLAY)
    letters.ask("notify", 3, REPLAY)
    assert letters.ask_all(read, DISCARD) == 4
    assert [(each.position, each.asked) for each in letters] == [(3, DISCARD), (5, DISCARD)]
    assert [each.position for each in letters.asked("notify")] == [3, 5]
    fill(store, letter(6), letter(7))
    read = list(letters.walk("notify"))
    letters.remove(read[-1].letter)
    assert letters.ask_all(read, REPLAY) == 3
    assert [(each.position, each.asked) for each in letters] == [
        (3, REPLAY),
        (5, REPLAY),
        (6, REPLAY),
    ]


def test_long_letters_are_written_apart() -> None:
    """However long letters are, what is written at once stays far below a log's megabyte."""
    store = _Measuring()
    attempts = tuple(Attempt(0, 0.1, "ä" * 500, 500, "ö" * 500) for _ in range(30))
    fill(store, *(letter(n)._replace(attempts=attempts) for n in range(1, 21)))
    assert DeadLetters(store).ask_all(list(DeadLetters(store).walk()), REPLAY) == 20
    assert max(store.sizes[1:]) < 1_000_000


class _Measuring(MemoryStore):
    """Notes how many bytes each write holds."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def append(
        self,
        events: Sequence[Event],
        expected_version: int | None = None,
        put: Sequence[Put] = (),
    ) -> list[Event]:
        """Note how much is written."""
        self.sizes.append(sum(len(encode_json(each.value).encode()) for each in put))
        return super().append(events, expected_version, put)


def test_pages_are_bounded_by_what_they_look_at() -> None:
    """Where nothing fits, a page is empty and says where to go on, until all were looked at."""
    store = MemoryStore()
    fill(store, *map(letter, range(1, 11)), letter(11, error="found"))
    some = page(store, Choice(contains="FOUND"), limit=5, most=4)
    assert (some.kept, some.after) == ([], "notify/4")
    found: list[Kept] = []
    while some.after is not None:
        some = page(store, Choice(contains="FOUND"), some.after, limit=5, most=4)
        found += some.kept
    assert [each.letter.position for each in found] == [11]
    assert [len(each.kept) for each in pages(store, Choice(subscription="notify"))] == [11]
    assert list(pages(store, Choice(subscription="not"))) == [([], None)]


def test_counting_leaps_over_what_is_too_many() -> None:
    """Each is counted up to a bound, webhooks all together, and none is left out behind many."""
    store = MemoryStore()
    names = {
        "a": 2,
        "a-b": 40,
        "a.b": 3,
        "ab": 1,
        "webhook": 4,
        "webhook:wh_1": 9,
        "webhook:wh_2": 30,
    }
    numbered = [(name, number) for name, count in names.items() for number in range(count)]
    fill(store, *(letter(number)._replace(subscription=name) for name, number in numbered))
    wanted = {"a": 2, "a-b": 10, "a.b": 3, "ab": 1, "webhook": 4, WEBHOOKS: 10}
    assert DeadLetters(store).counts(10) == wanted
    assert DeadLetters(store).counts(1) == dict.fromkeys(wanted, 1)
    assert DeadLetters(store).counts(1_000) == {**wanted, "a-b": 40, WEBHOOKS: 39}


@pytest.mark.parametrize(
    "name", ["notify", "notify/", "/7", "notify/-1", "no/tify/9", "n" * 101 + "/9", "notify/²"]
)
def test_what_is_no_id_is_refused(name: str) -> None:
    """An `after` that names no letter is told, with how one is named."""
    with pytest.raises(InvalidQuery, match="SUBSCRIPTION/POSITION"):
        page(MemoryStore(), Choice(), name)
