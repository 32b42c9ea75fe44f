"""The ledger is read once a second at most, however many events are checked."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.unit.catalog.schemas import BAD, GOOD, SCHEMA, registered
from tidings import catalog as module
from tidings.catalog import Catalog
from tidings.errors import (
    SchemaViolation,
    StoreLocked,
)
from tidings.event import Event
from tidings.store.base import LedgerRecord
from tidings.store.memory import MemoryStore


class Counted(MemoryStore):
    """A store that counts what is read from its ledger, and can be out of reach."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: Counter[str] = Counter()
        self.away = False

    def get(self, key: str) -> LedgerRecord | None:
        """The record, counted."""
        self._count("get")
        return super().get(key)

    def keys(self, prefix: str = "", after: str = "", limit: int | None = None) -> list[str]:
        """The keys, counted."""
        self._count("keys")
        return super().keys(prefix, after, limit)

    def _count(self, call: str) -> None:
        self.reads[call] += 1
        if self.away:
            raise StoreLocked("others hold the lock")


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(module, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The catalog's clock, in the test's hand."""
    return Clock(monkeypatch)


class TestCache:
    """What checks go by, and for how long."""

    def test_reads(self, clock: Clock) -> None:
        """One look at the names a second, and one at each schema in use."""
        store = Counted()
        catalog = registered(store, SCHEMA)
        catalog.register("other", schema=SCHEMA)
        store.reads.clear()
        for second in range(1, 4):
            for _ in range(1000):
                catalog.check(GOOD, "strict")
                catalog.check(Event("unknown"), "strict")
                clock.now += 0.001
            assert store.reads == {"keys": second, "get": second}
        catalog.check(GOOD, "off")
        assert store.reads["keys"] == 3

    def test_what_another_process_registers(self, clock: Clock) -> None:
        """Counts a second later; what is registered here counts at once."""
        store = MemoryStore()
        here, elsewhere = Catalog(store), Catalog(store)
        here.check(BAD, "strict")
        elsewhere.register("job_done", schema=SCHEMA)
        here.check(BAD, "strict")
        clock.now += 1
        with pytest.raises(SchemaViolation):
            here.check(BAD, "strict")
        elsewhere.register("job_done")
        clock.now += 1
        here.check(BAD, "strict")
        here.register("job_done", schema=SCHEMA)
        with pytest.raises(SchemaViolation):
            here.check(BAD, "strict")
        store.delete("type/job_done")
        clock.now += 1
        here.check(BAD, "strict")

    def test_a_ledger_that_is_away(self, clock: Clock) -> None:
        """What was known before holds, and the ledger is asked no more often than before."""
        store = Counted()
        catalog = registered(store, SCHEMA)
        catalog.check(GOOD, "strict")
        store.reads.clear()
        store.away = True
        for _ in range(2):
            clock.now += 1
            for _ in range(10):
                with pytest.raises(SchemaViolation):
                    catalog.check(BAD, "strict")
        assert store.reads["keys"] == 2

    def test_a_ledger_that_never_came(self, clock: Clock) -> None:
        """Events pass unchecked, and once it is there they are checked."""
        store = Counted()
        registered(store, SCHEMA)
        catalog = Catalog(store)
        store.away = True
        catalog.check(BAD, "strict")
        store.away = False
        clock.now += 1
        with pytest.raises(SchemaViolation):
            catalog.check(BAD, "strict")
