"""`tidings latest`, `history` and `types`, and the filters of all reading commands."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from tidings.bus import Bus
from tidings.event import Event
from tidings.spool import Spool

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Shell


@pytest.fixture
def filled(shell: Shell) -> Shell:
    """A store with six events of several kinds."""
    early, later = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"
    text = {"job": 1, "text": "Out of MEMORY"}
    planner: dict[str, Any] = {"aggregate_type": "agent", "aggregate_id": "planner"}
    run: dict[str, Any] = {"aggregate_type": "run", "aggregate_id": "r1"}
    run |= {"causation_id": "c", "user_id": "ada"}
    with Bus(shell.url, context=False) as bus:
        bus.emit_many(
            [
                Event("job.started", "fig", "", {"job": 1, "host": "n1"}, timestamp=early),
                Event("job.done", "fig", payload=text, timestamp=later),
                Event("job.failed", "map", "failure", {"job": "1"}, "hpc", correlation_id="wf"),
                Event("agent.completed", "map", **planner),
                Event("run.completed", "", **run),
                Event("tidings.notice", "map", source="ci", id="the-last"),
            ]
        )
    return shell


@pytest.mark.parametrize(
    ("arguments", "positions"),
    [
        ((), [6, 5, 4, 3, 2, 1]),
        (("--type", "job.*"), [3, 2, 1]),
        (("--type", "job.done", "--type", "run.*"), [5, 2]),
        (("--project", "fig"), [2, 1]),
        (("--project", ""), [5]),
        (("--status", "failure"), [3]),
        (("--status", ""), [1]),
        (("--source", "hpc", "--source", "ci"), [6, 3]),
        (("--workflow", "wf"), [3]),
        (("--agent", "planner"), [4]),
        (("--aggregate", "run/r1"), [5]),
        (("--caused-by", "c"), [5]),
        (("--user", "ada"), [5]),
        (("--id", "the-last"), [6]),
        (("--since", "2026-01-15", "--until", "2026-03-01T00:00:00Z"), [2]),
        (("--since", "1h"), [6, 5, 4, 3]),
        (("--until", "1h30m"), [2, 1]),
        (("--where", "job=1"), [3]),
        (("--where", "job:=1"), [2, 1]),
        (("--where", "job:=1", "--where", "host=n1"), [1]),
        (("--contains", "memory"), [2]),
        (("--not-type", "job.*", "--not-project", "map"), [5]),
        (("--not-status", "success", "--not-source", "hpc"), [1]),
        (("-n", "2"), [6, 5]),
        (("2",), [6, 5]),
        (("--after", "4"), [6, 5]),
        (("--before", "3", "--limit", "1"), [2]),
    ],
)
def test_filters_choose(filled: Shell, arguments: tuple[str, ...], positions: list[int]) -> None:
    """Each filter means what its help says, newest first."""
    assert [event["position"] for event in filled.json("history", *arguments)] == positions


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--type", "*.done"), b"a * may stand at the end only"),
        (("--since", "yesterday"), b"--since 'yesterday' must be a moment such as"),
        (("--agent", "a", "--aggregate", "run/1"), b"give one of the two"),
        (("--where", "job"), b"must be key=value"),
        (("many",), b"LIMIT many must be a whole number"),
        (("3", "-n", "4"), b"given twice"),
    ],
)
def test_filters_refuse_nonsense(shell: Shell, arguments: tuple[str, ...], said: bytes) -> None:
    """A filter that makes no sense is wrong usage."""
    done = shell("history", *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_latest_shows_the_newest(filled: Shell) -> None:
    """`latest` shows one event: of all, of a type, or as filters say."""
    assert filled.json("latest")[0]["position"] == 6
    assert filled.json("latest", "job.started")[0]["position"] == 1
    assert filled.json("latest", "--project", "fig")[0]["position"] == 2


def test_latest_answers_no_where_there_is_none(shell: Shell) -> None:
    """Nothing found exits with 1, says so, and prints nothing."""
    for arguments in ((), ("job_done",), ("--project", "x")):
        done = shell("latest", *arguments)
        assert (done.returncode, done.stdout) == (1, b"")
        assert b"no such event" in done.stderr


def test_types_lists_known_and_seen_types(filled: Shell) -> None:
    """Types of the catalog and types of the log, each with what is known of it."""
    rows = {row["type"]: row for row in filled.json("types")}
    assert rows["job.done"]["count"] == 1
    assert rows["job.done"]["last_seen"] == "2026-02-01T00:00:00Z"
    assert rows["agent.completed"]["last_position"] == 4
    assert rows["agent.completed"]["description"]
    assert rows["agent.started"]["count"] == 0


def test_reading_collects_the_spool_first(shell: Shell) -> None:
    """What waits in the spool is read as if it had been kept; what is no event is told."""
    Spool(str(shell.spool)).put(Event("waited"))
    (shell.spool / "new" / "0.nonsense").write_text("not an event")
    done = shell("history")
    assert json.loads(done.stdout)["type"] == "waited"
    assert b"1 files in the spool are no events" in done.stderr


def test_reading_goes_on_without_the_spool(filled: Shell) -> None:
    """A spool that cannot be read is said, and the store is read all the same."""
    filled.spool.mkdir()
    (filled.spool / "new").write_text("in the way")
    done = filled("latest")
    assert done.returncode == 0
    assert b"what waits in the spool is not shown" in done.stderr


def test_a_store_that_cannot_be_read_is_told_from_an_empty_one(
    shell: Shell, tmp_path: Path
) -> None:
    """Reading what is no store exits with 69."""
    path = tmp_path / "notes.txt"
    path.write_text("no database " * 1000)
    done = shell("latest", "--url", f"sqlite:///{path}")
    assert done.returncode == 69
    assert str(path).encode() in done.stderr
    assert path.read_text().startswith("no database")


def test_a_reader_that_had_enough_is_no_failure(filled: Shell) -> None:
    """A broken pipe on the standard output ends quietly with 0."""
    reader, writer = os.pipe()
    os.close(reader)
    process = filled.start("history", stdout=writer)
    os.close(writer)
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, b"")


def test_output_that_cannot_be_written_is_a_failure(filled: Shell) -> None:
    """A full disk under the standard output exits with 74 and says so."""
    with open("/dev/full", "wb") as full:
        process = filled.start("history", stdout=full)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 74
    assert b"No space left" in stderr


def test_json_is_utf_8_in_every_locale(shell: Shell) -> None:
    """NDJSON does not depend on the locale, and holds no control characters, not even in C1."""
    shell("emit", "x", "--payload", '{"text": "grün 日本 \\u009b31m \\u202e \\u0007"}')
    done = shell("latest", LC_ALL="POSIX", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    text = done.stdout.decode("utf-8")
    assert "grün 日本" in text
    assert text.rstrip("\n").isprintable()
    assert json.loads(text)["payload"]["text"] == "grün 日本 \x9b31m \u202e \x07"
