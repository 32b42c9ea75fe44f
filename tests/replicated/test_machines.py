"""Several machines on one log: writers race, lines are cut, and everybody is told the truth."""

from __future__ import annotations

from collections import Counter
from functools import partial
from random import Random
from threading import Event as Flag
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from tests.replicated.machines import Machines, ids
from tests.replicated.oracle import content
from tidings.errors import (
    IdConflict,
    OutcomeUnknown,
    RevisionConflict,
    StoreUnavailable,
    VersionConflict,
)
from tidings.event import Event
from tidings.testing.elsewhere import PATIENCE, in_threads

if TYPE_CHECKING:
    from pathlib import Path

    from tidings.store.replicated.store import ReplicatedStore

_NAMES = ("a", "b", "c")
_TIMES = 25
_UNSURE = (OutcomeUnknown, StoreUnavailable)


def test_machines_race(tmp_path: Path) -> None:
    """Machines write versions, count up and send one event: each is told what became of it."""
    with Machines(tmp_path) as machines:
        stores = [machines.open(name, most_bytes=600) for name in _NAMES]
        parts = [partial(write, store, name) for store, name in zip(stores, _NAMES, strict=True)]
        seen = in_threads(*parts, *parts)
        heads = {store.catch_up() for store in stores}
        versions = sorted(version for told in seen for version in told)
        assert versions == list(range(1, 2 * 3 * _TIMES + 1))
        assert [store.get("count").value for store in stores] == [2 * 3 * _TIMES] * 3  # type: ignore[union-attr]
        assert len(heads) == 1
        assert [content(store) for store in stores[1:]] == [content(stores[0])] * 2
        assert Counter(ids(stores[0]))["shared"] == 1


def write(store: ReplicatedStore, name: str) -> list[int]:
    """Take versions of one aggregate, count up, and send what all send; the versions taken."""
    taken: list[int] = []
    about: dict[str, Any] = {"aggregate_type": "race", "aggregate_id": "one"}
    (shared,) = store.append([Event("shared", id="shared", timestamp="2026-01-01T00:00:00Z")])
    with pytest.raises(IdConflict) as refused:
        store.append([Event("other", id="shared", timestamp="2026-01-01T00:00:00Z")])
    assert refused.value.position == shared.position
    assert refused.value.differs == ("type",)
    expected = 0
    while len(taken) < _TIMES:
        try:
            (kept,) = store.append([Event("step", payload={"by": name}, **about)], expected)
        except VersionConflict as error:
            told = error.expected, error.actual
        else:
            assert kept.version == expected + 1
            taken.append(expected + 1)
            told = expected, expected + 1
        assert told[0] == expected < told[1]
        expected = told[1]
    for _ in range(_TIMES):
        count_up(store)
    return taken


def count_up(store: ReplicatedStore) -> None:
    """Add one by compare-and-set, until it works."""
    while True:
        found = store.get("count")
        value, revision = (0, 0) if found is None else (found.value, found.revision)
        refusal = None
        try:
            told = store.put("count", value + 1, revision)
        except RevisionConflict as error:
            refusal, told = error, error.actual
        assert told > revision
        if refusal is None:
            return
        assert (refusal.key, refusal.expected) == ("count", revision)


def test_lines_are_cut_and_restored(tmp_path: Path) -> None:
    """While lines are cut at random, what was acknowledged is kept once, and nothing else twice."""
    with Machines(tmp_path) as machines:
        stores = [machines.open(name, deadline=0.02, most_bytes=600) for name in _NAMES]
        for store in stores:
            catch_up(store)
        enough = Flag()
        cutting = Thread(target=cut_at_random, args=(machines, enough))
        cutting.start()
        try:
            sent = in_threads(*[partial(send, store, n) for n, store in enumerate(stores)])
        finally:
            enough.set()
            cutting.join(PATIENCE)
        for store in stores:
            catch_up(store)
        kept = ids(stores[0])
        assert len(set(kept)) == len(kept)
        assert sorted(kept) == sorted(event for told in sent for event in told)
        assert [content(store) for store in stores[1:]] == [content(stores[0])] * 2


def cut_at_random(machines: Machines, enough: Flag) -> None:
    """Cut one line after another, or what it brings, and give it back."""
    random = Random(4)
    while not enough.is_set():
        log = machines.logs[random.choice(_NAMES)]
        change = random.choice((log.cut, log.fall_behind))
        change()
        enough.wait(random.random() / 50)
        if change == log.cut:
            log.cut(cut=False)
        else:
            log.fall_behind(behind=False)


def send(store: ReplicatedStore, number: int) -> list[str]:
    """Send events, each again and again until it is acknowledged; their ids."""
    sent = []
    for n in range(40):
        event = Event("step", id=f"{number}-{n}", payload={"text": "x" * (n % 7) * 100})
        while True:
            try:
                (kept,) = store.append([event])
            except _UNSURE:
                continue
            assert kept == event
            sent.append(event.id)
            break
    return sent


def catch_up(store: ReplicatedStore) -> None:
    """Have what all have, though the line may only just have come back."""
    while True:
        try:
            store.catch_up()
        except StoreUnavailable:
            continue
        return
