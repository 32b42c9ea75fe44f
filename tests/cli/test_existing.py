"""Commands that need a store that is there say so where a path leads to none, and make none."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import PATIENCE
from tidings.bus import Bus
from tidings.cli.existing import missing_path
from tidings.event import Event
from tidings.spool import Spool

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Shell


@pytest.mark.parametrize("scheme", ["sqlite", "shared"])
@pytest.mark.parametrize(
    "arguments",
    [
        ("migrate", "STORE", "sqlite:///to.db"),
        ("export", "written", "--url", "STORE"),
        ("backup", "written", "--url", "STORE"),
        ("check", "--url", "STORE"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_mistyped_path_is_told(
    shell: Shell, tmp_path: Path, arguments: tuple[str, ...], scheme: str
) -> None:
    """The message names the path that was looked at and what to do; nothing is made anywhere."""
    (tmp_path / "here").mkdir()
    given = [f"{scheme}:///typo" if word == "STORE" else word for word in arguments]
    process = shell.start(*given, cwd=tmp_path / "here")
    said, error = process.communicate(timeout=PATIENCE)
    assert (process.returncode, said) == (69, b"")
    expected = (
        f"tidings: {arguments[0]}: there is no store at {tmp_path}/here/typo; correct the path "
        f"({scheme}:/// leads on from the working directory, {scheme}://// from the root), or "
        f"emit an event there first (`tidings collect` takes in what waits in the spool)\n"
    )
    assert error.decode() == expected
    assert os.listdir(tmp_path / "here") == []
    assert not shell.home.exists() or not list(shell.home.rglob("*.db"))


def test_a_default_store_that_was_never_made_is_told(shell: Shell) -> None:
    """A backup under the wrong `TIDINGS_HOME` is no backup; by `TIDINGS_URL` it is the same."""
    for url in ("", f"sqlite:///{shell.home}/other.db"):
        done = shell("backup", f"{shell.home}/copy.db", TIDINGS_URL=url)
        assert done.returncode == 69
        assert b"tidings: backup: there is no store at " in done.stderr
    assert not os.path.exists(f"{shell.home}/copy.db")


def test_what_waits_in_the_spool_is_a_store_to_export(shell: Shell) -> None:
    """Events that no store could take yet make one, and are exported from it."""
    Spool(str(shell.spool)).put(Event("late"))
    done = shell("export", "-")
    assert (done.returncode, json.loads(done.stdout)["type"]) == (0, "late")


def test_a_read_says_that_it_makes_the_store_it_was_told_to_read(shell: Shell) -> None:
    """Once, on the standard error, and only where somebody named the store."""
    named = f"sqlite:///{shell.home}/nope.db"
    note = f"tidings: there was no store at {shell.home}/nope.db: an empty one is made\n".encode()
    first, again = shell("history", "--url", named), shell("history", "--url", named)
    assert [(done.returncode, done.stderr) for done in (first, again)] == [(0, note), (0, b"")]
    by_default = shell("history")
    assert (by_default.returncode, by_default.stderr) == (0, b"")


def test_a_shared_directory_that_went_away_is_no_mistyped_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where this machine has a replica of it, the store is opened and says what became of it."""
    monkeypatch.setenv("TIDINGS_CACHE", str(tmp_path / "cache"))
    url = f"shared:///{tmp_path}/log"
    assert missing_path(url) == str(tmp_path / "log")
    with Bus(url, deadline=PATIENCE) as bus:
        bus.emit("kept")
    assert missing_path(url) is None
    shutil.rmtree(tmp_path / "log")
    assert missing_path(url) is None
