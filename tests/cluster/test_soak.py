"""`make soak`: a quarter of an hour of all that can go wrong, at random, on each engine in turn.

What goes wrong follows from a seed that is printed; when exactly it hits the work under way does
not, so a seed says what was tried, not what happens. `SOAK_SECONDS` (for all engines together) and
`SOAK_SEED` set both. At the end it reports what went wrong and what became of each event.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from random import Random, randrange
from time import monotonic, sleep

import pytest

from tests.cluster.engines import (
    Engine,
    JetStreamClusterEngine,
    JetStreamEngine,
    PostgresEngine,
    SharedEngine,
    SQLiteEngine,
    durable_postgres,
)
from tests.cluster.servers import cluster_on
from tests.cluster.trial import Trial
from tests.engines.nats import NatsCluster, NatsServer

SERVERS = 3
IMPATIENT = {"TIDINGS_DATABASE_TIMEOUT": "1"}
LONGEST_TROUBLE = 6.0
LONGEST_PEACE = 2.0
PATIENCE = 180.0
"""How long it may take until something is acknowledged again after trouble (seconds)."""

CATCHING_UP = 600.0
"""How long the tails may take for what is left when the writing ends (seconds)."""


@contextmanager
def sqlite(directory: Path) -> Iterator[Engine]:
    """One file."""
    yield SQLiteEngine(directory, SERVERS)


@contextmanager
def shared(directory: Path) -> Iterator[Engine]:
    """One directory."""
    yield SharedEngine(directory, SERVERS)


@contextmanager
def postgres(directory: Path) -> Iterator[Engine]:
    """One PostgreSQL."""
    del directory
    with durable_postgres() as server, PostgresEngine(server, SERVERS) as engine:
        yield engine


@contextmanager
def jetstream(directory: Path) -> Iterator[Engine]:
    """One NATS server."""
    (directory / "stream").mkdir()
    with (
        NatsServer(directory / "nats") as nats,
        JetStreamEngine(nats, SERVERS, directory / "stream") as engine,
    ):
        yield engine


@contextmanager
def jetstream_cluster(directory: Path) -> Iterator[Engine]:
    """Three NATS servers."""
    (directory / "stream").mkdir()
    with (
        NatsCluster(directory / "nats") as nats,
        JetStreamClusterEngine(nats, SERVERS, directory / "stream") as engine,
    ):
        yield engine


ENGINES = (sqlite, shared, postgres, jetstream, jetstream_cluster)


class Troubles:
    """What can go wrong with servers on an engine.

    Args:
        random: decides.
        engine: the engine.
        trial: the servers, and who is at work there.

    Attributes:
        met: how often each of them has happened.
    """

    def __init__(self, random: Random, engine: Engine, trial: Trial) -> None:
        self.met: Counter[str] = Counter()
        self._random = random
        self._cluster = cluster = trial.cluster
        self._lines = engine.lines
        self._sudden: dict[str, Callable[[int], None]] = {
            "kill -9 of a server": cluster.restart,
            **{
                name: lambda _, death=death: death()  # type: ignore[misc]  # mypy knows no defaults of lambdas
                for name, death in engine.deaths.items()
            },
        }
        self._sudden["the beginning is pruned"] = lambda _: trial.prune()
        if isinstance(engine, SharedEngine | JetStreamEngine | JetStreamClusterEngine):
            self._sudden["a server loses its replica"] = lambda about: cluster.restart(
                about, engine.lose_replica
            )
        self._lasting: dict[str, Callable[[int], None]] = {
            "a server stands still": self._pause,
            **{
                name: lambda about, pause=pause: self._hold(pause, about)  # type: ignore[misc]
                for name, pause in engine.pauses.items()
            },
        }
        if self._lines:
            self._lasting["a line is cut"] = self._cut
            self._lasting["a line falls silent"] = self._silence

    def happen(self) -> str:
        """Let something go wrong, and end again; its name."""
        random = self._random
        about = random.randrange(SERVERS)
        everything = {**self._sudden, **self._lasting}
        name = random.choice(sorted(everything))
        self.met[name] += 1
        everything[name](about)
        return f"{name} ({about})"

    def _last(self, about: int) -> None:
        """The time that a trouble lasts, in which another may happen elsewhere."""
        seconds = self._random.uniform(0, LONGEST_TROUBLE)
        if self._random.random() < 0.5:
            name = self._random.choice(sorted(self._sudden))
            self.met[f"{name}, meanwhile"] += 1
            self._sudden[name]((about + 1) % SERVERS)
        sleep(seconds)

    def _pause(self, about: int) -> None:
        process = self._cluster.servers[about].process
        process.send_signal(signal.SIGSTOP)
        try:
            self._last(about)
        finally:
            process.send_signal(signal.SIGCONT)

    def _hold(self, pause: Callable[[], AbstractContextManager[object]], about: int) -> None:
        """A part of the engine stands still, and nothing else happens meanwhile."""
        del about
        with pause():
            sleep(self._random.uniform(0, LONGEST_TROUBLE))

    def _cut(self, about: int) -> None:
        self._lines[about].cut()
        try:
            self._last(about)
        finally:
            self._lines[about].restore()

    def _silence(self, about: int) -> None:
        self._lines[about].silence()
        try:
            self._last(about)
        finally:
            # Half of the cables come back before TCP gives up, half do not.
            if self._random.random() < 0.5:
                self._lines[about].cut()
            self._lines[about].restore()


@pytest.mark.soak
@pytest.mark.parametrize("make_engine", ENGINES, ids=lambda make: make.__name__)
def test_everything_goes_wrong_for_a_long_time(
    make_engine: Callable[[Path], Iterator[Engine]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing acknowledged is lost, nothing is twice, and each tail got all of it in order."""
    seed = int(os.environ.get("SOAK_SEED") or randrange(10**6))
    seconds = float(os.environ.get("SOAK_SECONDS") or 900) / len(ENGINES)

    def say(line: str) -> None:
        with capsys.disabled():
            print(line, flush=True)

    say(f"\n{make_engine.__name__}: SOAK_SEED={seed}, {seconds:.0f} s")
    longest = 0.0
    with (
        make_engine(tmp_path) as engine,  # type: ignore[attr-defined]  # they are context managers
        cluster_on(engine.urls, tmp_path, env=IMPATIENT) as cluster,
        Trial(cluster, engine.fresh_url(), tmp_path) as trial,
    ):
        troubles = Troubles(Random(seed), engine, trial)
        random = Random(seed)
        started = monotonic()
        while (at := monotonic() - started) < seconds:
            trial.progress()
            say(f"  {at:6.1f} s, {trial.records.acknowledged:7,} acknowledged: {troubles.happen()}")
            ended = monotonic()
            trial.progress(1, PATIENCE)
            longest = max(longest, monotonic() - ended)
            sleep(random.uniform(0, LONGEST_PEACE))
        verdict = trial.judged(CATCHING_UP)
        hops = sum(tail.hops for tail in trial.tails)
    for name, times in sorted(troubles.met.items()):
        say(f"  {times:4} × {name}")
    say(f"  {verdict.report()}")
    say(f"  tails came to another server {hops:,} times")
    say(f"  after trouble nothing was acknowledged for {longest:.1f} s at the longest")
