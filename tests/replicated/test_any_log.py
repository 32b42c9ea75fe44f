"""Any log of commands gives every replica the same content, and every caller its true result."""

from __future__ import annotations

import shutil
import sqlite3
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.replicated.commands import MACHINES, Written, written
from tests.replicated.oracle import Oracle, content, same_result
from tidings.store.replicated import applying, bookkeeping
from tidings.store.replicated.command import Command
from tidings.store.replicated.log import Entry
from tidings.store.replicated.replica import Replica
from tidings.testing.elsewhere import PATIENCE

_TABLES = ("events", "types", "summaries", "ledger", "numbers", "replica", "outcomes", "parts")

_SETTINGS = settings(deadline=None, max_examples=50)

_steps = st.lists(
    st.tuples(
        st.sampled_from(["apply"] * 6 + ["restart", "elsewhere", "snapshot", "again", "recall"]),
        st.integers(1, 9),
    ),
    min_size=1,
    max_size=8,
)


class Machine:
    """A machine with its replica, that gets through a log in steps of its own."""

    def __init__(self, directory: Path, entries: list[Entry], own: dict[str, Command]) -> None:
        self.told: dict[str, list[Any]] = {}
        self._directory = directory
        self._entries = entries
        self._own = own
        self._files = count()
        self._done = 0
        self.replica = self._opened(self._new_file())

    def step(self, what: str, size: int, others: list[Machine]) -> None:
        """Do one thing of those that happen to replicas."""
        if what == "apply":
            self._apply(self._done, self._done + size)
        elif what == "again":
            self._apply(max(0, self._done - size), self._done + 1)
        elif what == "restart":
            self.replica.close()
            self.replica = self._opened(self.replica.path)
        elif what == "elsewhere":
            with self._opened(self.replica.path) as same:
                begin = self._place(same)
                same.apply(self._sequence(begin), self._entries[begin : begin + size], {})
        elif what == "recall":
            self._hear(self.replica.recall(self._own)[1])
        else:
            self._take_copy_of(others[size % len(others)])

    def finish(self) -> None:
        """Get to the end of the log, in one transaction, and hear of all that was asked."""
        self._apply(self._done, len(self._entries))
        self._hear(self.replica.recall(self._own)[1])

    def tables(self) -> dict[str, list[Any]]:
        """Every row there is."""
        with sqlite3.connect(self.replica.path) as connection:
            rows = {
                table: sorted(connection.execute(f"SELECT * FROM {table}").fetchall(), key=repr)  # noqa: S608
                for table in _TABLES
            }
        connection.close()
        return rows

    def _apply(self, begin: int, end: int) -> None:
        self._hear(self.replica.apply(self._sequence(begin), self._entries[begin:end], self._own))
        self._done = min(max(self._done, end), len(self._entries))

    def _hear(self, outcomes: dict[str, list[Any]]) -> None:
        for command, results in outcomes.items():
            self.told.setdefault(command, results)

    def _take_copy_of(self, other: Machine) -> None:
        """Go on from another machine's snapshot; mostly from one that is further."""
        path = self._new_file(other.replica)
        self.replica.close()
        self.replica = self._opened(path)
        self._done = self._place(self.replica)

    def _place(self, replica: Replica) -> int:
        sequence = replica.state().sequence
        return sum(entry.sequence <= sequence for entry in self._entries)

    def _sequence(self, done: int) -> int:
        return self._entries[done - 1].sequence if done else 0

    def _new_file(self, source: Replica | None = None) -> str:
        path = str(self._directory / f"{next(self._files)}.db")
        if source is None:
            shutil.copy(self._directory.parent / "empty.db", path)
        else:
            source.copy(path)
        return path

    def _opened(self, path: str) -> Replica:
        return Replica(path, "log:", PATIENCE)


def hold_against_oracle(log: Written, steps: list[list[tuple[str, int]]], remembered: int) -> None:
    """Let machines get through a log, and compare them with each other and the oracle."""
    oracle = Oracle(remembered)
    oracle.take_all(log.entries, log.commands)
    with TemporaryDirectory() as directory:
        Replica.make(f"{directory}/empty.db", "log:", "the log", PATIENCE)
        machines = []
        for number in range(MACHINES):
            home = Path(directory, str(number))
            home.mkdir()
            own = {id: log.commands[id] for id in log.asked[number]}
            machines.append(Machine(home, log.entries, own))
        for turn in range(max(map(len, steps))):
            for machine, own_steps in zip(machines, steps, strict=True):
                if turn < len(own_steps):
                    machine.step(*own_steps[turn], machines)
        for machine in machines:
            machine.finish()
        expected = content(oracle)
        for machine in machines:
            assert content(machine.replica) == expected
            assert machine.replica.check() == []
            assert machine.tables() == machines[0].tables()
        check_results(log, machines, oracle)
        for machine in machines:
            machine.replica.close()


def check_results(log: Written, machines: list[Machine], oracle: Oracle) -> None:
    """Who asked for something that is whole was told its result, and nobody was told another."""
    for asked, machine in zip(log.asked, machines, strict=True):
        assert set(machine.told) <= asked & set(oracle.results)
        for command, told in machine.told.items():
            assert any(same_results(told, true) for true in oracle.results[command]), (
                command, told, oracle.results[command],
            )  # fmt: skip


def same_results(told: list[Any], true: list[Any]) -> bool:
    """Whether all requests of a command ended so."""
    return len(told) == len(true) and all(map(same_result, told, true))


@_SETTINGS
@given(log=written(), steps=st.tuples(*[_steps] * MACHINES).map(list))
def test_replicas_and_results_are_alike(log: Written, steps: list[list[tuple[str, int]]]) -> None:
    """However replicas get through a log, they end alike, as if each command came once."""
    hold_against_oracle(log, steps, bookkeeping.REMEMBERED)


@_SETTINGS
@given(log=written(least=6, again=12), steps=st.tuples(*[_steps] * MACHINES).map(list))
def test_all_forget_the_same(log: Written, steps: list[list[tuple[str, int]]]) -> None:
    """What is forgotten is forgotten at the same place, wherever transactions end."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (bookkeeping, applying):
            patch.setattr(module, "REMEMBERED", 3)
        hold_against_oracle(log, steps, 3)


@pytest.mark.soak
@settings(deadline=None, max_examples=2_000)
@given(log=written(most=40), steps=st.tuples(*[_steps] * MACHINES).map(list), small=st.booleans())
def test_very_many_logs(log: Written, steps: list[list[tuple[str, int]]], *, small: bool) -> None:
    """The same with longer logs, and many more of them."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (bookkeeping, applying):
            patch.setattr(module, "REMEMBERED", 5 if small else bookkeeping.REMEMBERED)
        hold_against_oracle(log, steps, bookkeeping.REMEMBERED)
