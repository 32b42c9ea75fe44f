"""A writer killed at any moment loses nothing that was acknowledged (promise 1)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.crash.fork_server import ForkServer, Writer
from tidings.store.query import Query
from tidings.store.sqlite import SQLiteStore


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    """The process that forks the writers."""
    with ForkServer() as running:
        yield running


@pytest.mark.parametrize("seed", range(5))
def test_acknowledged_is_kept_when_writers_are_killed(
    server: ForkServer, tmp_path: Path, seed: int
) -> None:
    """Ten times writers die in the middle, alone or together, while the store grows."""
    history = _History(server, tmp_path / "events.db", Random(seed))
    for _ in range(10):
        history.go_on()


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 140))
def test_acknowledged_is_kept_over_a_thousand_kills(
    server: ForkServer, tmp_path: Path, seed: int
) -> None:
    """The same, 25 times on each of 40 stores."""
    history = _History(server, tmp_path / "events.db", Random(seed))
    for _ in range(25):
        history.go_on()


class _History:
    """A store to which writers write until they are killed, and what they reported."""

    def __init__(self, server: ForkServer, path: Path, random: Random) -> None:
        self._server = server
        self._url = f"sqlite:///{path}"
        self._path = str(path)
        self._random = random
        self._kept: dict[str, int] = {}
        self._acknowledged: set[str] = set()
        self._numbers: dict[str, int] = {}
        self._writers = 0

    def go_on(self) -> None:
        """One to three writers write; one is killed, the store is looked at, then the rest."""
        writers = [self._start() for _ in range(self._random.choice((1, 1, 2, 3)))]
        writers[0].read(self._random.choice((0, 0, 1, 5, 40, 200)))
        for writer in writers:
            writer.kill(self._random.uniform(0, 0.01))
            self._note(writer)
            if writer is writers[0]:
                self._look()
        self._look()

    def _start(self) -> Writer:
        self._writers += 1
        return self._server.start(self._url, self._writers)

    def _note(self, writer: Writer) -> None:
        for line in writer.reported:
            name, is_number, number = line.partition("=")
            if is_number:
                self._numbers[name] = int(number)
            else:
                self._acknowledged.add(line)

    def _look(self) -> None:
        """Nothing is wrong, missing, or there twice, and positions leave none out."""
        with SQLiteStore(self._path, deadline=30) as store:
            assert store.check() == []
            seen = len(self._kept)
            for event in store.read(Query(after=seen)):
                seen += 1
                assert event.position == seen
                assert event.id not in self._kept
                self._kept[event.id] = seen
            assert self._acknowledged <= self._kept.keys()
            for name, number in self._numbers.items():
                record = store.get(name)
                assert record is not None
                assert record.value >= number
