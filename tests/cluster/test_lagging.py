"""What a server does whose replica lags behind what other servers have acknowledged."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from tidings.errors import StoreUnavailable
from tidings.event import Event
from tidings.server.keys import KeyRing
from tidings.server.probe import Probe
from tidings.server.sessions import Sessions
from tidings.store.base import Store
from tidings.store.memory import MemoryStore
from tidings.testing.elsewhere import PATIENCE


class Lagging:
    """A copy of a ledger and a log that takes in what is new when it is asked to, and not before.

    Attributes:
        truth: what it is a copy of.
        cut: whether it cannot be asked.
    """

    def __init__(self, truth: Store) -> None:
        self.truth = truth
        self.cut = False
        self._copy = MemoryStore()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._copy, name)

    def catch_up(self) -> int:
        """Copy the ledger; the head of the truth."""
        if self.cut:
            raise StoreUnavailable("the test cut the line")
        for key in self.truth.keys():  # noqa: SIM118 - a method of stores, not of a dict
            record = self.truth.get(key)
            assert record is not None
            self._copy.put(key, record.value)
        return self.truth.head()


@pytest.fixture
def truth() -> Store:
    """What every server is told of."""
    return MemoryStore()


@pytest.fixture
def lagging(truth: Store) -> Lagging:
    """What one server has of it."""
    return Lagging(truth)


def test_a_key_made_elsewhere_opens_at_once(truth: Store, lagging: Lagging) -> None:
    """Also where the ledger here has not heard of it; one that is unknown still opens nothing."""
    here = KeyRing(cast("Store", lagging))
    here.refresh()
    key, token = KeyRing(truth).create("k", ["read"])
    assert here.check(token) is None
    assert here.check_anew(token) == key
    assert here.check_anew(f"tid_{'0' * 12}_{'0' * 64}") is None


def test_a_server_that_starts_knows_whether_keys_are_needed(truth: Store, lagging: Lagging) -> None:
    """An empty replica must not let everybody in; one that cannot catch up decides nothing."""
    KeyRing(truth).create("k", ["read"])
    lagging.cut = True
    with pytest.raises(StoreUnavailable):
        KeyRing(cast("Store", lagging)).any()
    lagging.cut = False
    assert KeyRing(cast("Store", lagging)).any()


def test_a_session_begun_elsewhere_is_known_at_once(truth: Store, lagging: Lagging) -> None:
    """A page that logs in at one server may ask another a moment later."""
    key, _ = KeyRing(truth).create("k", ["read"])
    keys = KeyRing(cast("Store", lagging))
    keys.refresh()
    session = Sessions(truth, KeyRing(truth)).begin(key)
    here = Sessions(cast("Store", lagging), keys)
    assert here.look_up(session) == key
    assert here.look_up("nobody's") is None


def test_a_replica_that_is_cut_off_is_not_well(
    truth: Store, lagging: Lagging, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own head can be read, but whoever is sent here would be told what is old."""
    monkeypatch.setattr("tidings.server.probe._PATIENCE", PATIENCE)
    truth.append([Event("a")])

    async def answers() -> bool:
        return await Probe(cast("Store", lagging)).store_answers()

    assert asyncio.run(answers())
    lagging.cut = True
    assert not asyncio.run(answers())
