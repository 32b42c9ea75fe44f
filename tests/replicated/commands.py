"""Commands of any kind for the replicas' property tests, and a log that has them in any order.

Values come from small pools, so that ids clash, versions and revisions are met and missed, and what
is restored sometimes fits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import strategies as st

from tidings.event import Event
from tidings.record import POSITION, RECORDED, VERSION
from tidings.store.base import Batch, Put, Summary
from tidings.store.query import Query
from tidings.store.replicated.command import (
    ADOPT,
    APPEND,
    DELETE,
    PRUNE,
    PUT,
    REDACT,
    RESTORE,
    Command,
    entries_of,
)
from tidings.store.replicated.log import Entry
from tidings.testing.strategies import IDS, conditions, events

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Written", "written"]

MACHINES = 3
_START = 1_790_000_000_000_000
_SMALL = 420
"""Entries so small that most commands have several parts (bytes)."""
_LARGE = 1 << 20

_STRANGERS = (b"", b"\n", b"tidings-log", b"tidings-logs 1 append x 0 1 0\n{}", b"\xff\x00 hello")

_ids = st.sampled_from([*IDS, *(f"e{n}" for n in range(12))])
_keys = st.sampled_from(["one", "two", "ünï"])
_numbers = st.integers(0, 24)
_revisions = st.none() | st.integers(0, 6)

_event = st.tuples(events(), _ids).map(lambda parts: Event(**parts[0], id=parts[1]))
_put = st.builds(Put, _keys, st.integers() | st.text("aé\n", max_size=3), _revisions)
_batch = st.builds(
    Batch,
    st.lists(_event, max_size=4),
    st.none() | st.none() | st.integers(0, 4),
    st.just(()) | st.lists(_put, max_size=2),
)


@st.composite
def _restored(draw: st.DrawFn) -> list[Event]:
    """Events with places, mostly rising."""
    position = draw(_numbers)
    placed = []
    for event in draw(st.lists(_event, max_size=4)):
        position += draw(st.integers(0, 3) if draw(st.integers(0, 9)) == 0 else st.integers(1, 3))
        record = list(event.record)
        record[POSITION] = position or None
        record[VERSION] = draw(st.none() | st.integers(1, 6))
        record[RECORDED] = draw(st.none() | st.just(_START - 1))
        placed.append(Event.from_record(tuple(record)))
    return placed


_summary = st.builds(
    Summary,
    kind=st.sampled_from(["", "run", "agent"]),
    id=st.sampled_from(["a", "b", "w1"]),
    project=st.just("p"),
    state=st.just("done"),
    status=st.just("success"),
    version=st.integers(1, 4),
    successes=st.just(1),
    failures=st.just(0),
    first_position=st.integers(1, 4),
    last_position=st.integers(1, 12),
    first_instant=st.just(1),
    last_instant=st.just(2),
    first_type=st.just("x"),
    last_type=st.just("y"),
    correlation_id=st.none() | st.just("a"),
)

_contents: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    APPEND: st.fixed_dictionaries({"batches": st.lists(_batch, min_size=1, max_size=3)}),
    RESTORE: st.fixed_dictionaries({"events": _restored()}),
    ADOPT: st.fixed_dictionaries({"pruned": _numbers, "summaries": st.lists(_summary, max_size=2)}),
    PUT: st.fixed_dictionaries({"put": _put}),
    DELETE: st.fixed_dictionaries({"key": _keys, "expected": _revisions}),
    PRUNE: st.fixed_dictionaries({"through": _numbers}),
    REDACT: st.fixed_dictionaries({"query": conditions().map(lambda given: Query(**given))}),
}
_kinds = st.sampled_from([*[APPEND] * 8, RESTORE, ADOPT, PUT, PUT, DELETE, PRUNE, REDACT])


class Written(NamedTuple):
    """A log, and which machine asked for which commands."""

    entries: list[Entry]
    commands: dict[str, Command]
    asked: list[set[str]]


@st.composite
def written(draw: st.DrawFn, *, least: int = 1, most: int = 14, again: int = 4) -> Written:
    """What several machines published, in any order; some of it twice, and some only in part."""
    commands: dict[str, Command] = {}
    asked: list[set[str]] = [set() for _ in range(MACHINES)]
    lines: list[list[bytes]] = [[] for _ in range(MACHINES)]
    for number, kind in enumerate(draw(st.lists(_kinds, min_size=least, max_size=most))):
        content = draw(_contents[kind])
        if kind in (APPEND, RESTORE):
            content["at"] = _START + draw(st.integers(-3, 3)) + number
        command = Command(kind, content, f"c{number}")
        machine = draw(st.integers(0, MACHINES - 1))
        parts = [data for _, data in entries_of(command, draw(st.sampled_from([_SMALL, _LARGE])))]
        if len(parts) > 1 and draw(st.integers(0, 5)) == 0:
            parts = parts[: draw(st.integers(1, len(parts) - 1))]  # its machine died
        commands[command.id] = command
        asked[machine].add(command.id)
        lines[machine] += parts
    merged = _merged(draw, lines)
    for _ in range(draw(st.integers(0, again))):
        place = draw(st.integers(0, len(merged) - 1))
        merged.insert(draw(st.integers(place, len(merged))), merged[place])
    if draw(st.booleans()):
        stranger = draw(st.sampled_from(_STRANGERS))
        merged.insert(draw(st.integers(0, len(merged))), stranger)
    return Written(_numbered(draw, merged), commands, asked)


def _merged(draw: st.DrawFn, lines: Sequence[list[bytes]]) -> list[bytes]:
    merged = []
    waiting = [list(line) for line in lines if line]
    while waiting:
        line = draw(st.sampled_from(waiting)) if len(waiting) > 1 else waiting[0]
        size = draw(st.integers(1, 4))
        merged += line[:size]
        del line[:size]
        waiting = [each for each in waiting if each]
    return merged


def _numbered(draw: st.DrawFn, merged: list[bytes]) -> list[Entry]:
    """Entries under rising sequences; a log may leave numbers out."""
    holes = draw(st.booleans())
    return [Entry(3 * n if holes else n, data) for n, data in enumerate(merged, 1)]
