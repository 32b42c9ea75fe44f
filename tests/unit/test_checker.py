"""The checker of acknowledged against kept against delivered finds every fault planted for it."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tidings import testing
from tidings.errors import OutcomeUnknown, StoreUnavailable, VersionConflict
from tidings.event import Event
from tidings.store.memory import MemoryStore
from tidings.store.query import Query
from tidings.testing import ReaderRecord, WriterRecord, check
from tidings.testing.checker import FATES, FAULTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tidings.testing import Verdict

ABOUT: dict[str, Any] = {"aggregate_type": "agent", "aggregate_id": "a1"}


class Scene:
    """Three events that were acknowledged, kept and delivered, before something goes wrong."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.writer = WriterRecord(directory, "writer")
        self.reader = ReaderRecord(directory, "reader")
        self.kept: list[Event] = []
        for name in ("a", "b", "c"):
            self.writer.sent([name])
            self.keep(name)
            self.writer.kept(name, len(self.kept))
            self.reader.delivered(name, len(self.kept))

    def keep(self, name: str, position: int | None = None, **fields: Any) -> None:
        """Put an event into the log."""
        place = len(self.kept) + 1 if position is None else position
        self.kept.append(Event.from_dict({"type": "x", "id": name, "position": place, **fields}))

    def verdict(self, **options: Any) -> Verdict:
        """What the checker says."""
        return check(self.directory, self.kept, **options)

    def close(self) -> None:
        """Close the records."""
        self.writer.close()
        self.reader.close()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A scene in which all is well."""
    made = Scene(tmp_path)
    yield made
    made.close()


def test_what_is_well_is_not_blamed(scene: Scene) -> None:
    """Events acknowledged, kept and delivered once are ok, and nothing is at fault."""
    verdict = scene.verdict()
    assert (verdict.fates, verdict.faults) == (dict.fromkeys("abc", "ok"), [])
    assert verdict.report() == "3 ids: 3 ok; 3 deliveries"


def lose(scene: Scene) -> None:
    """An acknowledged event is not in the log."""
    scene.writer.sent(["d"])
    scene.writer.kept("d", 4)


def repeat(scene: Scene) -> None:
    """One id stands at two positions."""
    scene.keep("b")


def keep_refused(scene: Scene) -> None:
    """An event that was refused each time is kept all the same."""
    scene.writer.sent(["d", "d"])
    scene.writer.refused("d", "full")
    scene.writer.refused("d", "full")
    scene.keep("d")


def keep_unsent(scene: Scene) -> None:
    """The log holds what nobody sent."""
    scene.keep("d")


def move(scene: Scene) -> None:
    """An event is kept elsewhere than its writer was told."""
    scene.writer.sent(["d"])
    scene.keep("d", 5)
    scene.writer.kept("d", 4)


def reuse(scene: Scene) -> None:
    """A position is acknowledged twice; the later event has it, the first is gone."""
    scene.kept.pop()
    scene.writer.sent(["d"])
    scene.keep("d")
    scene.writer.kept("d", 3)


def disorder_log(scene: Scene) -> None:
    """The log is read out of order."""
    scene.kept[:2] = scene.kept[1::-1]


def skip(scene: Scene) -> None:
    """A reader is given a later event, but not the one before."""
    for name in ("d", "e"):
        scene.writer.sent([name])
        scene.keep(name)
    scene.reader.delivered("e", 5)


def skip_last(scene: Scene) -> None:
    """A reader that came to the end was not given the newest event."""
    scene.writer.sent(["d"])
    scene.keep("d")
    scene.reader.complete(4)


def deliver_again(scene: Scene) -> None:
    """A reader is given an event a second time."""
    scene.reader.delivered("c", 3)


def deliver_late(scene: Scene) -> None:
    """A reader is given an event after a later one."""
    for name in ("d", "e"):
        scene.writer.sent([name])
        scene.keep(name)
    scene.reader.delivered("e", 5)
    scene.reader.delivered("d", 4)


def misplace(scene: Scene) -> None:
    """A reader is told another position than the log has."""
    scene.writer.sent(["d"])
    scene.keep("d")
    scene.reader.delivered("d", 9)


def deliver_phantom(scene: Scene) -> None:
    """A reader is given what is not kept in the end."""
    scene.writer.sent(["d"])
    scene.reader.delivered("d", 4)


PLANTED: list[tuple[Callable[[Scene], None], dict[str, str]]] = [
    (lose, {"lost": "d"}),
    (repeat, {"twice": "b"}),
    (keep_refused, {"refused-kept": "d"}),
    (keep_unsent, {"never-sent": "d"}),
    (move, {"moved": "d"}),
    (reuse, {"lost": "c", "reused": "c", "phantom": "c"}),
    (disorder_log, {"disordered-log": "a"}),
    (skip, {"skipped": "d"}),
    (skip_last, {"skipped": "d"}),
    (deliver_again, {"repeated": "c"}),
    (deliver_late, {"disordered": "d"}),
    (misplace, {"misplaced": "d"}),
    (deliver_phantom, {"phantom": "d"}),
]


@pytest.mark.parametrize(
    ("plant", "found"), PLANTED, ids=lambda each: getattr(each, "__name__", "")
)
def test_a_fault_is_found(
    scene: Scene, plant: Callable[[Scene], None], found: dict[str, str]
) -> None:
    """Each fault is told with its kind and the id it befell, in the report too."""
    plant(scene)
    verdict = scene.verdict()
    expected = set(found.items())
    told = {(fault.kind, fault.id) for fault in verdict.faults}
    # Readers that were not given what is planted in the log come short too.
    assert expected <= told
    assert {kind for kind, _ in told - expected} <= {"skipped"}
    for kind, id in expected:
        assert kind.upper() in verdict.report()
        assert f"    {id}: " in verdict.report()


def test_every_fault_is_planted() -> None:
    """There is no kind of fault that the tests above do not find."""
    assert {kind for _, found in PLANTED for kind in found} == set(FAULTS)


def test_doubt_is_no_fault(scene: Scene) -> None:
    """What nobody could know may be kept or not: unanswered, unknown, or refused only at times."""
    scene.writer.sent(["killed", "killed too", "unknown", "unknown too"])
    scene.writer.unknown("unknown", "the line broke")
    scene.writer.unknown("unknown too", "the line broke")
    scene.writer.sent(["unknown", "refused"])
    scene.writer.refused("unknown", "away")
    scene.writer.refused("refused", "away")
    scene.keep("killed")
    scene.keep("unknown")
    verdict = scene.verdict()
    assert verdict.faults == []
    assert verdict.counts() == {"ok": 3, "unknown-kept": 2, "unknown-not-kept": 2, "refused": 1}
    assert set(verdict.counts()) <= set(FATES)


def test_what_was_refused_first_may_be_kept_later(scene: Scene) -> None:
    """An id is ok once one attempt was acknowledged, whatever became of the others."""
    scene.writer.sent(["d"])
    scene.writer.refused("d", "away")
    scene.writer.sent(["d"])
    scene.writer.unknown("d", "broken")
    scene.writer.sent(["d"])
    scene.keep("d")
    scene.writer.kept("d", 4)
    assert (scene.verdict().fates["d"], scene.verdict().faults) == ("ok", [])


def test_what_was_promised_has_no_place_yet(scene: Scene) -> None:
    """An event acknowledged without a position must be kept, wherever it is."""
    scene.writer.sent(["d", "e"])
    scene.writer.kept("d", None)
    scene.writer.kept("e", None)
    scene.keep("d", 9)
    assert [(fault.kind, fault.id) for fault in scene.verdict().faults] == [("lost", "e")]


def test_what_was_pruned_is_not_lost(scene: Scene) -> None:
    """Acknowledgements and deliveries from before the first position left are not held against."""
    del scene.kept[:2]
    assert {fault.kind for fault in scene.verdict().faults} == {"lost", "phantom"}
    assert scene.verdict(first=3).faults == []
    del scene.kept[:]
    assert {fault.id for fault in scene.verdict(first=3).faults} == {"c"}


def test_at_least_once_may_repeat(tmp_path: Path) -> None:
    """A reader that takes repeats is held to the order of each aggregate, and to its end."""
    names = ["one", "two", "three", "four"]
    log = [
        Event.from_dict({"type": "x", "id": name, "position": n, "version": n, **ABOUT})
        for n, name in enumerate(names, 1)
    ]
    log.append(Event.from_dict({"type": "x", "id": "alone", "position": 5}))
    with WriterRecord(tmp_path, "w") as writer, ReaderRecord(tmp_path, "r", repeats=True) as reader:
        writer.sent([*names, "alone"])
        for n, name in ((5, "alone"), (1, "one"), (2, "two"), (1, "one"), (2, "two")):
            reader.delivered(name, n)
        assert check(tmp_path, log).faults == []
        reader.complete(4)
        assert {(fault.kind, fault.id) for fault in check(tmp_path, log).faults} == {
            ("skipped", "three"),
            ("skipped", "four"),
        }
        reader.delivered("four", 4)
        reader.delivered("three", 3)
        assert [fault[:2] for fault in check(tmp_path, log).faults] == [("disordered", "three")]


def test_a_reader_begins_where_it_said(tmp_path: Path) -> None:
    """What lies before the position it reads on from is not missed; going on keeps that."""
    log = [Event.from_dict({"type": "x", "id": name, "position": ord(name)}) for name in "abc"]
    with WriterRecord(tmp_path, "w") as writer:
        writer.sent("abc")
    with ReaderRecord(tmp_path, "r", after=ord("a")) as reader:
        reader.delivered("b", ord("b"))
    with ReaderRecord(tmp_path, "r", after=ord("b")) as reader:
        reader.complete(ord("c"))
    assert [fault[:2] for fault in check(tmp_path, log).faults] == [("skipped", "c")]


@pytest.mark.parametrize(
    ("error", "fate"),
    [
        (StoreUnavailable("away"), "refused"),
        (VersionConflict("agent/a1", 1, 2), "refused"),
        (OutcomeUnknown("broken"), "unknown-not-kept"),
    ],
)
def test_an_attempt_records_what_comes_of_it(tmp_path: Path, error: Exception, fate: str) -> None:
    """Stored events are acknowledged; an error says whether anything can be there."""
    store = MemoryStore()

    def fail(_: list[Event]) -> list[Event]:
        raise error

    with WriterRecord(tmp_path, "w") as record:
        stored = record.attempt(store.append, [Event("x", id="good"), Event("x", id="too")])
        assert stored == list(store.read(Query()))
        assert record.attempt(fail, [Event("x", id="bad")]) is error
    verdict = check(tmp_path, store.read(Query()))
    assert (verdict.fates, verdict.faults) == ({"good": "ok", "too": "ok", "bad": fate}, [])


def test_a_killed_writer_leaves_all_it_was_told(tmp_path: Path) -> None:
    """After kill -9 everything recorded is there, and the same record goes on."""
    code = (
        "import os, signal, sys\n"
        "from tidings.testing import WriterRecord\n"
        "record = WriterRecord(sys.argv[1], 'w')\n"
        "record.sent(['a', 'b'])\n"
        "record.kept('a', 1)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    died = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert died.returncode == -signal.SIGKILL
    path = tmp_path / "w.writer.ndjson"
    with path.open("ab") as file:
        file.write(b'{"kept": "b", "posi')  # as a kernel that died too may leave it
    log = [Event.from_dict({"type": "x", "id": "a", "position": 1})]
    assert check(tmp_path, log).fates == {"a": "ok", "b": "unknown-not-kept"}
    with WriterRecord(tmp_path, "w") as record:
        record.kept("b", 2)
    assert [fault[:2] for fault in check(tmp_path, log).faults] == [("lost", "b")]


def test_a_damaged_record_is_told(tmp_path: Path) -> None:
    """A line that is none is named with its file and number, and not passed over."""
    path = tmp_path / "w.writer.ndjson"
    for line in ("nonsense", "[1]", '{"send": "b"}'):
        path.write_text(f'{{"sent": "a"}}\n{line}\n')
        with pytest.raises(ValueError, match=r"w\.writer\.ndjson, line 2"):
            check(tmp_path, [])
    path.rename(tmp_path / "r.reader.ndjson")
    with pytest.raises(ValueError, match=r"r\.reader\.ndjson, line 1"):
        check(tmp_path, [])
    with pytest.raises(ValueError, match="letters"):
        WriterRecord(tmp_path, "../w")


def test_a_reader_killed_at_once_was_given_nothing(tmp_path: Path) -> None:
    """A record in which nothing stands yet is none of a reader that missed something."""
    (tmp_path / "r.reader.ndjson").touch()
    (tmp_path / "torn.reader.ndjson").write_text('{"af')
    assert check(tmp_path, []) == ({}, [], 0)


def test_a_long_report_is_cut(scene: Scene) -> None:
    """Of each kind of fault twenty ids are named, and how many more there are."""
    names = [f"lost {n:02}" for n in range(25)]
    scene.writer.sent(names)
    for name in names:
        scene.writer.kept(name, None)
    report = scene.verdict().report()
    assert "LOST, 25 times (acknowledged, and not kept):\n    lost 00: sent 1 times" in report
    assert "lost 19" in report
    assert "lost 20" not in report
    assert "… and 5 more" in report


def test_it_needs_no_pytest() -> None:
    """Whoever records in another process loads neither pytest nor Hypothesis."""
    assert testing.check is check
    loaded = "{'pytest', 'hypothesis'} & {*sys.modules}"
    code = f"import sys; from tidings.testing import check; print({loaded})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
