"""Migrating: killed at any moment, or started twice, it is simply started again."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.dying import calls_of, kill
from tests.transfer.events import fill
from tests.transfer.migration import answers, ensure_same, hostile
from tidings.errors import TransferError
from tidings.event import Event
from tidings.store.memory import MemoryStore
from tidings.store.query import Query
from tidings.testing.elsewhere import PATIENCE
from tidings.transfer import migrate, migrating

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tidings.store.base import Store

MIGRATE = """
import sys
from tests.dying import killed_at
from tidings.store import open_store
from tidings.transfer import migrate, migrating

migrating._PART_EVENTS = 3
with open_store(sys.argv[2]) as source, open_store(sys.argv[3]) as target:
    source.head(), target.head()
    with killed_at(int(sys.argv[1])):
        migrate(source, target)
"""

DIE_ON_THE_WAY = """
import os, signal, sys
from tidings.store import open_store
from tidings.transfer import migrate, migrating

def die(what, done, whole):
    if what == sys.argv[3] and done >= int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)

migrating._PART_EVENTS = 50
with open_store(sys.argv[1], deadline=60) as source, open_store(sys.argv[2], deadline=60) as target:
    migrate(source, target, progress=die)
"""

SHARES = (0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 0.95, 0.99)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A source in a file, hostile and at rest."""
    return f"sqlite:///{tmp_path}/source.db"


def test_it_goes_on_where_it_was_killed(
    url: str, tmp_path: Path, opened: Callable[[str], Store]
) -> None:
    """Killed at any of ten moments it leaves a beginning, and the next run ends whole."""
    source = opened(url)
    hostile(source)
    calls = calls_of(MIGRATE, url, f"sqlite:///{tmp_path}/whole.db")
    stood = set()
    for number, share in enumerate(SHARES):
        path = f"sqlite:///{tmp_path}/target-{number}.db"
        kill(MIGRATE, int(calls * share), url, path)
        target = opened(path)
        here = [event.position for event in target.read(Query())]
        assert here == [event.position for event in source.read(Query(before=target.head() + 1))]
        stood.add(target.head())
        assert target.check() == []
        done = migrate(source, target)
        assert (done.complete, done.copied) == (True, 10 - len(here))
        assert answers(target) == answers(source)
    assert len(stood) > 3  # it was killed before, between and after the parts
    ensure_same(source, target)


@pytest.mark.parametrize("kind", ["http", "postgresql", "nats", "shared"])
def test_it_is_killed_while_others_keep_the_copy(
    place: Callable[[str], str], opened: Callable[[str], Store], kind: str
) -> None:
    """A process that dies after some parts, and while it compares, leaves what it acknowledged."""
    origin, to = place("sqlite"), place(kind)
    source = opened(origin)
    source.append(
        [Event("x", aggregate_type="agent", aggregate_id=f"a{n % 40}") for n in range(1_200)]
    )
    source.prune(30)
    for what, done, least in (
        ("copied", 200, 230),
        ("copied", 300, 530),
        ("compared", 1_000, 1_200),
    ):
        command = [sys.executable, "-c", DIE_ON_THE_WAY, origin, to, what, str(done)]
        died = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert died.returncode == -signal.SIGKILL, died.stderr
        target = opened(to)
        assert target.catch_up() == least
        target.close()
    target = opened(to)
    found = migrate(source, target)
    assert (found.copied, found.compared, found.complete) == (0, 1_170, True)
    assert (answers(target), target.check()) == (answers(source), [])


def test_two_at_once_do_not_mix(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second migration of the same stores that is quicker ends whole, and the first says so."""
    monkeypatch.setattr(migrating, "_PART_EVENTS", 50)
    source, target = MemoryStore(), MemoryStore()
    fill(source, 500)
    quicker: list[bool] = []

    def overtake(_: str, done: int, __: int) -> None:
        if done == 100 and not quicker:
            quicker.append(True)
            quicker.append(migrate(source, target).complete)

    with pytest.raises(TransferError, match="is written to by others"):
        migrate(source, target, progress=overtake)
    assert quicker == [True, True]
    assert answers(target) == answers(source)
