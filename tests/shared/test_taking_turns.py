"""Processes of one machine that take turns at reading what they all are to apply."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.replicated.log_elsewhere import publish_all, read_until
from tidings.store.shared import SharedLog
from tidings.store.shared.taking_turns import TakingTurns
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def turns(tmp_path: Path) -> Iterator[list[TakingTurns]]:
    """Two who share a replica."""
    both = [TakingTurns(str(tmp_path)) for _ in range(2)]
    yield both
    for each in both:
        each.close()


def test_one_at_a_time(turns: list[TakingTurns]) -> None:
    """One has the turn until it asks for more, and nobody else meanwhile."""
    first, second = turns
    assert first.has(0)
    assert not second.has(0)
    first.done(0)
    assert not second.has(0)
    first.done(5)
    assert second.has(0)


def test_who_ends_has_no_turn(turns: list[TakingTurns]) -> None:
    """One that is closed leaves its turn to others, and hinders nobody after."""
    first, second = turns
    assert first.has(0)
    first.close()
    assert second.has(0)
    assert first.has(0)


def test_a_child_leaves_the_turn_to_its_parent(turns: list[TakingTurns]) -> None:
    """A forked process that lets go of what it was born with takes nothing from its parent."""
    first, second = turns
    assert first.has(0)
    child = os.fork()
    if child == 0:
        first.after_fork_in_child()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert not second.has(0)


def test_without_a_directory_everybody_has_one(tmp_path: Path) -> None:
    """Where there is no replica yet, nobody waits for anybody."""
    assert all(TakingTurns(f"{tmp_path}/none").has(0) for _ in range(2))


def test_who_keeps_the_turn_hinders_nobody(tmp_path: Path) -> None:
    """A process that has the turn and does not go on costs others a moment, and no more."""
    log = SharedLog(f"{tmp_path}/shared", str(tmp_path))
    other = TakingTurns(str(tmp_path))
    assert other.has(0)
    publish_all(log, b"first")
    assert log.wait(0, PATIENCE)
    assert [entry.data for entry in read_until(log, b"first")] == [b"first"]
    other.close()
    log.close()
