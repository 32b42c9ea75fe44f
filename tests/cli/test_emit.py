"""`tidings emit`: what reaches the store, and what is said where it cannot."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import PATIENT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Shell


def test_keeps_an_event_and_prints_it(shell: Shell) -> None:
    """What is printed is what is kept, pairs and fields included."""
    (printed,) = shell.json(
        "emit", "job_done", "--project", "figrecipe", "host=n12", "job_id:=4711", "note=a=b:=c",
        "--aggregate", "run/7", "--correlation", "wf", "--causation", "e1", "--user", "ada",
        "--id", "job-4711", "--timestamp", "2026-01-01T00:00:00Z", "--source", "hpc",
    )  # fmt: skip
    (event,) = shell.events()
    assert event.to_dict() == printed
    assert event.payload == {"host": "n12", "job_id": 4711, "note": "a=b:=c"}
    assert (event.project, event.status, event.source) == ("figrecipe", "success", "hpc")
    assert (event.aggregate_type, event.aggregate_id, event.version) == ("run", "7", 1)
    assert (event.correlation_id, event.causation_id, event.user_id) == ("wf", "e1", "ada")
    assert (event.id, event.timestamp) == ("job-4711", "2026-01-01T00:00:00Z")


def test_takes_a_payload_from_an_argument_a_file_and_standard_input(
    shell: Shell, tmp_path: Path
) -> None:
    """The three ways of --payload give the same, and pairs are added to it."""
    text = '{"a": {"b": [1, null, "ü"]}}'
    (tmp_path / "payload.json").write_text(text)
    shell.json("emit", "one", "--payload", text)
    shell.json("emit", "two", f"--payload=@{tmp_path}/payload.json", "c=1")
    assert shell("emit", "three", "--payload", "-", stdin=text.encode()).returncode == 0
    one, two, three = (event.payload for event in shell.events())
    assert one == three == json.loads(text)
    assert two == {**one, "c": "1"}


def test_says_nothing_with_quiet(shell: Shell) -> None:
    """--quiet keeps the event and prints nothing."""
    done = shell("emit", "x", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert [event.type for event in shell.events()] == ["x"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), b"TYPE is missing"),
        (("",), b"type '' must not be empty"),
        (("x", "novalue"), b"'novalue' must be key=value"),
        (("x", "=v"), b"must be key=value"),
        (("x", "a:=nope"), b"is not JSON after :="),
        (("x", "--payload", "{"), b"is not JSON"),
        (("x", "--payload", "[1]"), b"payload"),
        (("x", "--payload", "[1]", "a=1"), b"--payload must be an object"),
        (("x", "--payload", "@/no/such/file"), b"cannot be read"),
        (("x", "--payload", '{"a": NaN}'), b"payload"),
        (("x", "--projct", "p"), b"did you mean --project?"),
        (("x", "--project"), b"--project needs a value"),
        (("x", "--project", "--quiet"), b"--project needs a value before --quiet"),
        (("x", "--aggregate", "run"), b"must be TYPE/ID"),
        (("x", "--expected-version", "-1"), b"must be a whole number"),
        (("x", "--strict=yes"), b"--strict takes no value"),
        (("x\ny",), b"control characters"),
    ],
)
def test_refuses_wrong_usage(shell: Shell, arguments: tuple[str, ...], said: bytes) -> None:
    """Wrong usage exits with 2, says what is wrong, and keeps nothing."""
    done = shell("emit", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.startswith(b"tidings: emit: ")
    assert done.stdout == b""
    assert shell.events() == []


def test_answers_no_to_a_conflict(shell: Shell) -> None:
    """An unexpected version and a taken id exit with 1 and keep nothing."""
    first = ("emit", "x", "--aggregate", "run/1", "--expected-version", "0", "--id", "a")
    assert shell(*first).returncode == 0
    assert shell(*first[:-1], "b").returncode == 1
    assert shell("emit", "other", "--id", "a").returncode == 1
    assert len(shell.events()) == 1


class TestTrouble:
    """Promise 4: an emit in a job does not fail the job."""

    def test_spools_what_a_locked_store_cannot_take(self, shell: Shell) -> None:
        """A store that others keep locked sends the event to the spool, and stderr says where."""
        shell("emit", "first")
        connection = sqlite3.connect(shell.home / "events.db", isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
        done = shell("emit", "second", "--strict", command=PATIENT, TIDINGS_DEADLINE="0.1")
        connection.close()
        assert done.returncode == 0
        assert str(shell.spool).encode() in done.stderr
        assert b"locked" in done.stderr
        assert "position" not in json.loads(done.stdout)
        assert [event["type"] for event in shell.json("history")] == ["second", "first"]

    @pytest.mark.parametrize("kind", ["directory", "garbage"])
    def test_spools_what_a_broken_store_cannot_take(self, shell: Shell, kind: str) -> None:
        """A store that is a directory, or no database, sends the event to the spool."""
        store = shell.home / "events.db"
        if kind == "directory":
            store.mkdir(parents=True)
        else:
            store.parent.mkdir(parents=True)
            store.write_bytes(b"this is no database, and never was one" * 100)
        done = shell("emit", "x")
        assert done.returncode == 0
        assert b"waits in" in done.stderr
        assert len(list((shell.spool / "new").iterdir())) == 1

    def test_says_so_when_nothing_can_take_it(self, shell: Shell) -> None:
        """With store and spool dead the exit code is 0, or 75 with --strict."""
        (shell.home / "events.db").mkdir(parents=True)
        shell.spool.write_text("in the way")
        for strict, code in (((), 0), (("--strict",), 75)):
            done = shell("emit", "x", *strict)
            assert done.returncode == code
            assert b"kept nowhere" in done.stderr
            assert done.stdout == b""

    def test_keeps_the_event_when_nobody_takes_its_text(self, shell: Shell) -> None:
        """A full or closed standard output, or a reader that is gone, fails no emit."""
        with open("/dev/full", "wb") as full:
            process = shell.start("emit", "full", stdout=full)
            assert b"cannot be written" in process.communicate(timeout=60)[1]
            assert process.returncode == 0
        reader, writer = os.pipe()
        os.close(reader)
        process = shell.start("emit", "gone", stdout=writer)
        os.close(writer)
        assert process.communicate(timeout=60)[1] == b""
        assert process.returncode == 0
        closed = subprocess.run(
            ["sh", "-c", f"exec {sys.executable} -m tidings emit closed >&- 2>&-"],
            env=shell.environment,
            check=False,
        )
        assert closed.returncode == 0
        assert [event.type for event in shell.events()] == ["full", "gone", "closed"]

    def test_gives_up_a_store_that_hangs(self, shell: Shell) -> None:
        """A store that never answers holds up the job for a bounded time; the event then waits."""
        # Its second counts from where the store hangs, and the spool has all the time it needs.
        code = (
            "import os; from threading import Event, Thread\n"
            "from tidings.bus import Bus; from tidings.cli import emit, main, patience\n"
            "hangs = Event()\n"
            "Bus.publish = lambda *_, **__: (hangs.set(), os.read(os.pipe()[0], 1))\n"
            "class Late(Thread):\n"
            "    def join(self, seconds): hangs.wait(60); super().join(seconds)\n"
            "patience.Thread = Late; emit.SPARE = 60\n"
            "main()"
        )

        def emit(*options: str) -> subprocess.CompletedProcess[bytes]:
            return subprocess.run(
                [sys.executable, "-c", code, "emit", "x", *options],
                env={**shell.environment, "TIDINGS_DEADLINE": "0"},
                capture_output=True,
                timeout=60,
                check=False,
            )

        done = emit("--strict")
        assert done.returncode == 0
        assert b"waits in" in done.stderr
        assert [json.loads(done.stdout)["type"]] == [
            event["type"] for event in shell.json("history")
        ]
        done = emit("--strict", "--aggregate", "a/b", "--expected-version", "0")
        assert done.returncode == 75
        assert b"kept nowhere: the store has not answered" in done.stderr
        shutil.rmtree(shell.spool)
        shell.spool.write_text("in the way")
        for strict, expected in (((), 0), (("--strict",), 75)):
            done = emit(*strict)
            assert done.returncode == expected
            assert b"kept nowhere: the store has not answered" in done.stderr

    def test_refuses_a_setting_that_makes_no_sense(self, shell: Shell) -> None:
        """A URL of no backend is wrong usage."""
        done = shell("emit", "x", "--url", "mysql://nowhere")
        assert done.returncode == 2
        assert b"names no backend" in done.stderr
