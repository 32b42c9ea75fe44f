"""Migrating: what it refuses to touch, and that it says why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.transfer.events import fill
from tidings.errors import TransferError
from tidings.event import Event
from tidings.store.memory import MemoryStore
from tidings.store.query import Query
from tidings.transfer import migrate

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.store.base import Store

ABOUT: dict[str, Any] = {"aggregate_type": "agent", "aggregate_id": "a1"}


@pytest.fixture
def source() -> Store:
    """A store with ten events and a record."""
    store = MemoryStore()
    fill(store, 10)
    store.put("record", 1)
    return store


def use(store: Store) -> None:
    """Somebody's own event."""
    store.append([Event("own")])


def record(store: Store) -> None:
    """Somebody's own record."""
    store.put("own", 1)


def prune(store: Store) -> None:
    """Events there were once."""
    store.append([Event("own")])
    store.prune(1)


@pytest.mark.parametrize("prepare", [use, record, prune], ids=lambda each: str(each.__name__))
def test_a_target_in_use_is_refused(source: Store, prepare: Callable[[Store], None]) -> None:
    """A store that no migration filled must be empty; nothing in it is changed."""
    target = MemoryStore()
    prepare(target)
    before = (list(target.read(Query())), target.keys(), target.head())
    with pytest.raises(TransferError, match="is not empty"):
        migrate(source, target)
    assert (list(target.read(Query())), target.keys(), target.head()) == before


def test_a_copy_of_another_store_is_refused(source: Store) -> None:
    """What an earlier migration brought must be the beginning of this source."""
    other, target = MemoryStore(), MemoryStore()
    fill(other, 5)
    migrate(other, target)
    with pytest.raises(TransferError, match=r"holds something else .* position 1: timestamp, id"):
        migrate(source, target)
    assert target.head() == 5


def test_a_copy_that_parted_later_is_refused(source: Store) -> None:
    """Also where only the newest event of the target is another one."""
    target, twin = MemoryStore(), MemoryStore()
    migrate(source, twin)
    twin.append([Event("twin")])
    migrate(source, target)
    fill(source, 5)
    migrate(twin, target)
    with pytest.raises(TransferError, match=r"position 11: type, payload"):
        migrate(source, target)


def test_a_shorter_source_is_refused(source: Store) -> None:
    """A target that others went on writing to after the switch is not overwritten."""
    target = MemoryStore()
    migrate(source, target)
    target.append([Event("after the switch")])
    with pytest.raises(TransferError, match="stands at position 11, and the source only at 10"):
        migrate(source, target)


def test_a_target_whose_records_moved_on_is_refused(source: Store) -> None:
    """A record written to the target after a migration is not overwritten by the next."""
    target = MemoryStore()
    migrate(source, target)
    target.put("session/1", {"by": "a server"})
    target.put("tidings/removed", {"by": "a server"})
    migrate(source, target)
    target.put("record", 2)
    with pytest.raises(TransferError, match="its record 'record' was written after"):
        migrate(source, target)
    found = target.get("record")
    assert found is not None
    assert found.value == 2


def test_a_gap_that_cannot_be_compared_is_refused(source: Store) -> None:
    """Where the source was pruned past the target, only the target's own source may go on."""
    target = MemoryStore()
    migrate(source, target)
    source.append([Event("x")])
    source.prune(11)
    source.url = "memory:other"
    with pytest.raises(TransferError, match="was filled from memory:, and where it stands"):
        migrate(source, target)
    source.url = "memory:"
    assert migrate(source, target).complete


def test_others_who_write_to_the_target_are_noticed(source: Store) -> None:
    """An event that somebody adds meanwhile ends the migration, and stays."""
    target = MemoryStore()

    def meddle(what: str, _: int, __: int) -> None:
        if what == "copied" and target.head() == 10:
            fill(source, 1_000)
            target.append([Event("meddler")])

    with pytest.raises(TransferError, match="is written to by others"):
        migrate(source, target, progress=meddle)
    assert target.latest("meddler") is not None


def test_an_empty_source_is_refused() -> None:
    """A source that holds nothing is more likely a wrong URL; one that was pruned is none."""
    target = MemoryStore()
    with pytest.raises(TransferError, match="is that the store that was meant"):
        migrate(MemoryStore(), target)
    assert target.keys() == []
    source = MemoryStore()
    source.append([Event("x")])
    source.prune(1)
    assert migrate(source, target).complete


def test_a_store_is_not_copied_onto_itself(
    place: Callable[[str], str], opened: Callable[[str], Store]
) -> None:
    """The same store, and the same URL opened twice, are refused."""
    url = place("sqlite")
    source = opened(url)
    fill(source, 1)
    for target in (source, opened(url)):
        with pytest.raises(TransferError, match="onto itself"):
            migrate(source, target)
    assert source.keys() == []


def test_a_dry_run_changes_nothing(source: Store) -> None:
    """It says where both stand, or refuses as the real one would."""
    target = MemoryStore()
    done = migrate(source, target, dry_run=True)
    assert (done.copied, done.position, done.head, target.keys()) == (0, 0, 10, [])
    use(target)
    with pytest.raises(TransferError):
        migrate(source, target, dry_run=True)


def test_a_server_takes_none_of_its_own_records(fresh: Callable[[str], Store]) -> None:
    """Keys, sessions and webhooks are left out where the target is a server; how many is told."""
    source, target = fresh("sqlite"), fresh("http")
    fill(source, 2)
    for key in ("key/abc", "session/1", "webhook/2", "type/x"):
        source.put(key, 1)
    done = migrate(source, target)
    assert (done.records, done.withheld, done.complete) == (1, 3, True)
    assert [key for key in target.keys("") if not key.startswith("tidings/")] == ["type/x"]


def test_secrets_are_not_told(source: Store) -> None:
    """Neither the mark that stays in the target nor a refusal shows a password."""
    target = MemoryStore()
    source.url = "postgresql://ann:s3cret@db/events"
    migrate(source, target)
    assert "s3cret" not in str([target.get(key) for key in target.keys("")])
    target.url = "postgresql://ann:s3cret@other/events"
    target.append([Event("x")])
    with pytest.raises(TransferError) as caught:
        migrate(source, target)
    assert "s3cret" not in str(caught.value)
