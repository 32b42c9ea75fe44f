"""Looking after a store from the shell: check, backup, prune, redact, collect, doctor."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tidings.bus import Bus
from tidings.event import Event
from tidings.spool import Spool
from tidings.subscriptions.leases import Leases

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Shell

TIDINGS = (sys.executable, "-m", "tidings")


@pytest.fixture
def filled(shell: Shell) -> Shell:
    """A store with ten events."""
    with Bus(shell.url) as bus:
        bus.emit_many([Event("x", payload={"n": number, "key": "s3cret"}) for number in range(10)])
    return shell


class TestCheck:
    """`check` answers whether a store is whole."""

    def test_a_whole_store_has_no_problems(self, filled: Shell) -> None:
        """Exit code 0, and nothing to read."""
        done = filled("check")
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")

    def test_a_damaged_store_is_named(self, filled: Shell) -> None:
        """Bytes changed in the middle of the file exit with 1 or 69, and something is said."""
        with Bus(filled.url) as bus:
            bus.emit_many([Event("y", payload={"text": "z" * 500}) for _ in range(500)])
        path = filled.home / "events.db"
        data = bytearray(path.read_bytes())
        middle = data.index(b"z" * 500, len(data) // 2)
        data[middle : middle + 100] = b"\xff" * 100
        path.write_bytes(data)
        done = filled("check")
        assert done.returncode in (1, 69)
        assert done.stdout or done.stderr


def test_backup_is_a_store(filled: Shell, tmp_path: Path) -> None:
    """The copy can be read and checked like the original."""
    path = tmp_path / "copy.db"
    (said,) = filled.json("backup", str(path))
    assert said == {"backup": str(path), "bytes": path.stat().st_size}
    assert len(filled.json("history", "--url", f"sqlite:///{path}")) == 10
    assert filled("check", "--url", f"sqlite:///{path}").returncode == 0


def test_backup_to_nowhere_says_so(filled: Shell, tmp_path: Path) -> None:
    """A target that cannot be written is told, and there is no traceback."""
    (tmp_path / "file").touch()
    done = filled("backup", str(tmp_path / "file" / "copy.db"))
    assert done.returncode not in (0, 2)
    assert b"Traceback" not in done.stderr
    assert b"copy.db" in done.stderr


class TestPrune:
    """`prune` removes the oldest for good, and wants to be sure."""

    def test_removes_up_to_a_position(self, filled: Shell) -> None:
        """The rest keeps its positions."""
        assert filled.json("prune", "--through", "4", "--dry-run") == [
            {"would_prune": 4, "through": 4}
        ]
        assert filled.json("prune", "--through", "4", "--yes") == [{"pruned": 4, "through": 4}]
        assert [event.position for event in filled.events()] == [5, 6, 7, 8, 9, 10]

    def test_removes_what_was_kept_before_a_moment(self, filled: Shell) -> None:
        """--before goes by when the store took an event."""
        assert filled.json("prune", "--before", "1h", "--yes") == [{"pruned": 0, "through": 0}]
        (said,) = filled.json("prune", "--before", "0s", "--yes")
        assert said["pruned"] == 10
        assert filled.events() == []

    @pytest.mark.parametrize(
        "arguments",
        [(), ("--yes",), ("--before", "1h", "--through", "3", "--yes"), ("--through", "3")],
    )
    def test_does_nothing_unasked(self, filled: Shell, arguments: tuple[str, ...]) -> None:
        """Unless it is said how far, and --yes where nobody can be asked, nothing is removed."""
        assert filled("prune", *arguments).returncode == 2
        assert len(filled.events()) == 10

    @pytest.mark.parametrize(
        ("answer", "code", "left"), [(b"y", 0, 7), (b"", 1, 10), (b"no", 1, 10)]
    )
    def test_asks_at_a_terminal(
        self, filled: Shell, seat: Any, answer: bytes, code: int, left: int
    ) -> None:
        """Only a yes is a yes."""
        terminal = seat(*TIDINGS, "prune", "--through", "3")
        assert b"3 events up to position 3 will be removed" in terminal.until(b"Go on? [y/N] ")
        terminal.type(answer + b"\r")
        assert terminal.ended() == code
        assert len(filled.events()) == left


class TestRedact:
    """`redact` empties payloads for good."""

    def test_empties_what_fits(self, filled: Shell) -> None:
        """The chosen payloads are gone from the store and its files; the rest stays."""
        chosen = filled.events()[3].id
        assert filled.json("redact", "--id", chosen, "--dry-run") == [{"would_redact": 1}]
        assert filled.json("redact", "--id", chosen, "--yes") == [{"redacted": 1}]
        assert filled.json("redact", "--where", "key=s3cret", "--yes") == [{"redacted": 9}]
        assert all(event.redacted and event.payload is None for event in filled.events())
        for file in filled.home.iterdir():
            assert b"s3cret" not in file.read_bytes()

    @pytest.mark.parametrize("arguments", [(), ("--yes",), ("--type", "x")])
    def test_does_nothing_unasked(self, filled: Shell, arguments: tuple[str, ...]) -> None:
        """Without a filter, or without --yes where nobody can be asked, nothing is emptied."""
        assert filled("redact", *arguments).returncode == 2
        assert not any(event.redacted for event in filled.events())


class TestCollect:
    """`collect` moves what waits."""

    def test_moves_events_and_sets_the_rest_aside(self, shell: Shell) -> None:
        """Counts are printed; a file that is no event exits with 1."""
        spool = Spool(str(shell.spool))
        for number in range(3):
            spool.put(Event("waited", payload={"n": number}))
        (said,) = shell.json("collect")
        assert said == {"kept": 3, "rejected": 0, "waiting": 0, "spool": str(shell.spool)}
        assert len(shell.events()) == 3
        (shell.spool / "new" / "1.x").write_text("{")
        done = shell("collect")
        assert done.returncode == 1
        assert json.loads(done.stdout)["rejected"] == 1

    def test_says_why_it_cannot(self, shell: Shell) -> None:
        """A store that takes nothing exits with 69, and everything goes on waiting."""
        (shell.home / "events.db").mkdir(parents=True)
        shell("emit", "x")
        assert shell("collect").returncode == 69
        assert Spool(str(shell.spool)).waiting() == 1


class TestDoctor:
    """`doctor` finds what is wrong."""

    def test_is_content_with_a_good_place(self, filled: Shell) -> None:
        """All is well, and every setting in force is told with where it comes from."""
        done = filled("doctor", TIDINGS_DEADLINE="")
        assert done.returncode == 0, done.stdout
        findings = [json.loads(line) for line in done.stdout.splitlines()]
        assert all(finding["well"] for finding in findings)
        found = {finding["about"]: finding["found"] for finding in findings}
        assert found["TIDINGS_HOME"] == f"{filled.home} (set)"
        assert found["TIDINGS_DEADLINE"].endswith("(default)")
        assert "head 10" in found["store"]
        assert found["delivery"] == "nothing is to be delivered"
        assert "webhooks" in found["extras"]
        assert "forward" not in found
        assert {"spool", "file system", "disk space", "durable write", "surroundings"} <= {*found}

    def test_names_a_dead_store_and_bad_settings(self, shell: Shell) -> None:
        """What is bad is marked, with a remedy, and exits with 1."""
        (shell.home / "events.db").mkdir(parents=True)
        done = shell("doctor", TIDINGS_SCHEMA_CHECK="sometimes")
        assert done.returncode == 1
        bad = [json.loads(line) for line in done.stdout.splitlines() if b'"well":false' in line]
        assert {"TIDINGS_SCHEMA_CHECK"} < {finding["about"] for finding in bad}
        assert all(finding["found"] for finding in bad)

    def test_says_what_is_to_be_delivered_and_by_whom(self, shell: Shell) -> None:
        """Who waits for events that nobody delivers is told what is missing."""
        added = shell("watch", "add", "nightly", "--within", "24h")
        assert b"it begins once `tidings serve` or `tidings worker` runs" in added.stderr
        found = {finding["about"]: finding for finding in shell.json("doctor")}
        assert found["delivery"]["found"] == "1 watch; signed on for them: 0"
        assert "`tidings worker`" in found["delivery"]["remedy"]
        with Bus(shell.url) as bus:
            leases = Leases(bus.store)
            leases.turn()
            assert shell("watch", "add", "weekly", "--within", "7d").stderr == b""
            leases.close()

    @pytest.mark.parametrize(
        ("url", "key", "well", "says"),
        [
            ("cloud.example.org", "k", False, "cannot be forwarded to cloud.example.org"),
            ("https://cloud.example.org", "", True, "is set, and TIDINGS_API_KEY is not"),
            ("https://cloud.example.org", "k", True, "0 events wait, 0 were put aside"),
        ],
    )
    def test_tells_of_the_forward(
        self, shell: Shell, url: str, key: str, well: bool, says: str
    ) -> None:
        """Where anything is said of a cloud, it is told what comes of it."""
        done = shell("doctor", TIDINGS_API_URL=url, TIDINGS_API_KEY=key)
        lines = map(json.loads, done.stdout.splitlines())
        (told,) = [line for line in lines if line["about"] == "forward"]
        assert (told["well"], says in told["found"]) == (well, True)

    def test_leaves_nothing_behind(self, filled: Shell) -> None:
        """What it wrote to measure is gone."""
        before = {path.name for path in filled.home.iterdir()}
        filled("doctor")
        assert {path.name for path in filled.home.iterdir()} == before


def test_looking_at_another_store_moves_nothing_into_it(filled: Shell, tmp_path: Path) -> None:
    """What waits in the spool stays out of a backup that is looked at, and comes into the store."""
    path = tmp_path / "backup.db"
    assert filled("backup", str(path)).returncode == 0
    dead = f"sqlite:///{tmp_path}"  # a directory is no store
    assert b"waits in" in filled("emit", "late", TIDINGS_URL=dead).stderr
    url = f"sqlite:///{path}"
    for arguments in (["latest"], ["history"], ["tail"], ["export", "-"]):
        assert b'"late"' not in filled(*arguments, "--url", url).stdout
    assert filled.json("latest")[0]["type"] == "late"
