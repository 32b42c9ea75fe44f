"""The memory store fulfils the contract; what is its own: backup files and what `check` finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tidings.errors import NotAStore, StoreUnavailable
from tidings.event import Event
from tidings.store import open_store
from tidings.store.memory import MemoryStore
from tidings.testing import StoreContract

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from tidings.store.base import Store


class TestMemoryStore(StoreContract):
    """The contract, held to the memory store."""

    def open_store(self, directory: Path) -> Store:
        """A memory store has no place; each is its own."""
        del directory
        return open_store("memory:")

    def open_backup(self, path: str) -> Store:
        """A backup is read back into memory."""
        return MemoryStore.from_backup(path)


def test_it_promises_no_durability() -> None:
    """The memory store says that nothing survives its process."""
    assert (MemoryStore.durability, MemoryStore.atomic_put) == ("none", True)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "no json\n",
        "[]\n",
        "{}\n",
        '{"format": "other"}\n',
        '{"format": "tidings memory backup 1"}\n',
    ],
)
def test_another_file_is_no_backup(tmp_path: Path, content: str) -> None:
    """A file of another form is refused with its path."""
    path = tmp_path / "copy"
    path.write_text(content)
    with pytest.raises(NotAStore, match="copy"):
        MemoryStore.from_backup(str(path))


def test_a_damaged_backup_is_refused(tmp_path: Path) -> None:
    """A backup with a line that makes no sense is refused, not read in part."""
    path = tmp_path / "copy"
    with MemoryStore() as store:
        store.append([Event("x"), Event("y")])
        store.backup(str(path))
    for wrong in (
        '{"event": {"type": ""}}',
        '{"event": 1}',
        '{"record": []}',
        '{"other": [1]}',
        "7",
    ):
        damaged = tmp_path / "damaged"
        damaged.write_text(path.read_text() + wrong + "\n")
        with pytest.raises(NotAStore, match="damaged"):
            MemoryStore.from_backup(str(damaged))


def test_a_missing_backup_is_told(tmp_path: Path) -> None:
    """A backup that is not there is named."""
    with pytest.raises(StoreUnavailable, match="missing"):
        MemoryStore.from_backup(str(tmp_path / "missing"))


def test_check_finds_what_contradicts_itself() -> None:
    """Each kind of damage to a memory store's insides is told in a sentence."""
    about: dict[str, Any] = {"aggregate_type": "agent", "aggregate_id": "a"}

    def damaged() -> MemoryStore:
        store = MemoryStore()
        store.append([Event("x", **about), Event("y"), Event("x", **about)])
        return store

    found = []
    for damage in (
        lambda log: log.records.reverse(),
        lambda log: setattr(log, "head", 1),
        lambda log: log.types.pop("y"),
        lambda log: log.aggregates.clear(),
        lambda log: log.records.pop(1),
    ):
        with damaged() as store:
            damage(store._log)
            found.append(store.check())
    assert [bool(problems) for problems in found] == [True] * 5
    assert all(problem.endswith(".") for problems in found for problem in problems)
