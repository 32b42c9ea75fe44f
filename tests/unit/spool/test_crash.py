"""A collector may die at any moment, and another may run beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.dying import calls_of, kill
from tests.unit.spool.files import drop, kept, listed
from tidings.event import Event
from tidings.spool import Spool
from tidings.store import open_store

COLLECTOR = """
import sys
from tests.dying import killed_at
from tidings.spool import Spool, collecting
from tidings.store import open_store
collecting._GROUP_FILES = 3
store = open_store(sys.argv[3])
store.head()
with killed_at(int(sys.argv[1])):
    Spool(sys.argv[2]).collect(store)
"""


class TestCrash:
    """A collector may die at any moment, and another may run beside it."""

    def waiting_events(self, spool: Spool) -> list[str]:
        """Fill a spool; the ids of its events."""
        events = [Event("job", id=f"event-{number}", payload=number) for number in range(7)]
        for number, event in enumerate(events):
            drop(spool, f"{number}", json.dumps(event.to_dict()))
        drop(spool, "3x", "torn")
        drop(spool, "4x", '{"type": "by hand"}')
        return [event.id for event in events]

    def test_killed_at_any_call(self, tmp_path: Path) -> None:
        """Before and after calls of the system or of SQLite, some thirty of them."""
        spool = Spool(str(tmp_path / "counted"))
        self.waiting_events(spool)
        calls = calls_of(COLLECTOR, spool.directory, f"sqlite:///{tmp_path}/counted.db")
        assert calls > 60
        for call in range(os.getpid() % 3 + 1, calls, calls // 30):
            spool, url = Spool(str(tmp_path / str(call))), f"sqlite:///{tmp_path}/{call}.db"
            ids = self.waiting_events(spool)
            kill(COLLECTOR, call, spool.directory, url)
            with open_store(url) as store:
                spool.collect(store)
                found = kept(store)
            assert [event.id for event in found if event.type == "job"] == ids
            assert len(found) == len(ids) + 1
            assert spool.waiting() == 0
            assert "3x" in listed(spool, "rejected")

    def test_two_collectors_at_once(self, tmp_path: Path) -> None:
        """Two collectors beside four writers: each event is counted and kept once."""
        spool, url = Spool(str(tmp_path / "spool")), f"sqlite:///{tmp_path}/events.db"
        open_store(url).close()
        put = (
            "import sys; from tidings.event import Event; from tidings.spool import Spool\n"
            "for n in range(50): Spool(sys.argv[1]).put(Event('job', payload={'n': n}))"
        )
        collect = (
            "import sys; from tidings.spool import Spool; from tidings.store import open_store\n"
            "store, spool, kept = open_store(sys.argv[2], deadline=60), Spool(sys.argv[1]), 0\n"
            "for _ in range(100): kept += spool.collect(store).kept\n"
            "sys.stdin.read()\n"
            "print(kept + spool.collect(store).kept)"
        )
        writers = [subprocess.Popen([sys.executable, "-c", put, spool.directory]) for _ in range(4)]
        collectors = [
            subprocess.Popen(
                [sys.executable, "-c", collect, spool.directory, url],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(2)
        ]
        assert [writer.wait(60) for writer in writers] == [0] * 4
        counts = [int(collector.communicate(timeout=60)[0]) for collector in collectors]
        assert sum(counts) == 200
        store = open_store(url)
        assert len({event.id for event in kept(store)}) == store.head() == 200
        store.close()
