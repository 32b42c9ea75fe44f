"""What the tests of migration fill stores with, and how they hold a copy against its source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tidings.errors import HistoryPruned, VersionConflict
from tidings.event import Event
from tidings.record import CHECKSUM
from tidings.store.base import CORRELATION
from tidings.store.query import Query

if TYPE_CHECKING:
    from tidings.store.base import Store

__all__ = ["answers", "ensure_same", "hostile", "rows"]

_KINDS = ("agent", "run", "gone", CORRELATION)
_PARTLY: dict[str, Any] = {"aggregate_type": "agent", "aggregate_id": "partly"}
_RUN: dict[str, Any] = {"aggregate_type": "run", "aggregate_id": "r"}
_GONE: dict[str, Any] = {"aggregate_type": "gone", "aggregate_id": "g/1 🎉"}


def hostile(store: Store) -> None:
    """Fill a store with what is hard to carry: pruned, redacted, foreign, naive, left out.

    It holds 10 events and ends at position 20; the first 5 are pruned, 13 to 17 were never there.
    """
    store.append(
        [
            Event("agent.started", correlation_id="w", **_PARTLY),
            Event("gone.done", **_GONE),
            Event("gone.failed", "p", "failure", correlation_id="lost", **_GONE),
            *(Event("x", "early", correlation_id="w", id=f"pruned {n}") for n in range(2)),
            Event("x", id="foreign/1", source="one", timestamp="2026-02-28T12:00:00"),
            Event(
                "x", id="foreign/1", source="two", payload=[1, 1.0, True, None, "\u2028🎉", 2**70]
            ),
            Event("agent.completed", "late", "success", {"token": "s3cret"}, **_PARTLY),
            Event("y", correlation_id="w", causation_id="foreign/1", extensions={"n": 7}),
            Event("secret", payload={"password": "s3cret"}, context={"host": "n12"}, user_id="ann"),
            Event("z", aggregate_type=CORRELATION, aggregate_id="w"),
            Event("run.started", timestamp="1969-12-31T23:59:59.9+05:30", **_RUN),
        ]
    )
    store.redact(Query(types="secret"))
    store.prune(5)
    place = {"position": 18, "version": 7, "recorded_at": "2026-01-01T00:00:00Z"}
    store.restore([Event.from_dict({"type": "run.moved", **_RUN, **place})])
    store.append([Event("x", id="01890000-0000-7000-8000-00000000000a"), Event("last")])
    store.put("type/x", {"description": "é", "n": 1.0})
    store.put("cursor/mail", {"position": 12})
    store.put("gone", 1)
    store.delete("gone")


def rows(store: Store) -> list[tuple[Any, ...]]:
    """All that a store keeps of each event, but for its checksum."""
    return [event.record[:CHECKSUM] for event in store.read(Query())]


def answers(store: Store) -> dict[str, Any]:
    """What a store says of itself."""
    return {
        "place": (store.first(), store.head()),
        "rows": rows(store),
        "types": store.types(),
        "summaries": {kind: store.summaries(kind, Query()) for kind in _KINDS},
        "remains": sorted(store.remains(), key=lambda kept: (kept.kind, kept.id)),
        "records": {
            key: _value(store, key) for key in store.keys("") if not key.startswith("tidings/")
        },
    }


def ensure_same(source: Store, target: Store) -> None:
    """Hold a copy of a hostile store against it: it answers alike, and goes on alike."""
    assert answers(target) == answers(source)
    assert target.check() == []
    for store in (source, target):
        with pytest.raises(HistoryPruned) as pruned:
            store.read(Query(after=3))
        assert pruned.value.first == 6
        with pytest.raises(VersionConflict) as conflict:
            store.append([Event("gone.again", **_GONE)], expected_version=0)
        assert conflict.value.actual == 2
        again = Event("gone.again", id="again", timestamp="2026-03-01T00:00:00Z", **_GONE)
        stored = store.append([again], expected_version=2)
        assert (stored[0].position, stored[0].version) == (21, 3)
        assert store.append([Event("x", id="foreign/1", source="one")])[0].position == 6
    assert target.summaries("gone", Query()) == source.summaries("gone", Query())


def _value(store: Store, key: str) -> Any:
    record = store.get(key)
    assert record is not None
    return repr(record.value)
