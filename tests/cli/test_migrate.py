"""`tidings migrate`: a whole store into another one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from tidings.bus import Bus
from tidings.event import Event

if TYPE_CHECKING:
    from tests.cli.conftest import Shell


@pytest.fixture
def filled(shell: Shell) -> Shell:
    """A store with 25 events and a described type."""
    with Bus(shell.url) as bus:
        bus.emit_many([Event("job_done", payload={"n": n}) for n in range(25)])
        bus.store.put("type/job_done", {"description": "a job is done"})
    return shell


@pytest.fixture
def to(shell: Shell) -> str:
    """The URL of a store that does not exist yet."""
    return f"sqlite:///{shell.home}/copy.db"


def test_a_store_is_copied(filled: Shell, to: str) -> None:
    """The copy holds the same events at the same places; another run copies what came since."""
    (said,) = filled.json("migrate", filled.url, to)
    assert said == {
        "from": filled.url, "to": to, "copied": 25, "position": 25, "head": 25, "compared": 25,
        "records": 1, "behind": 0, "withheld": 0, "differences": [], "complete": True,
    }  # fmt: skip
    filled("emit", "job_done", "--url", filled.url)
    (said,) = filled.json("migrate", filled.url, to, "--quick")
    assert (said["copied"], said["compared"], said["complete"]) == (1, 1, True)
    with Bus(to) as bus:
        assert list(bus.read()) == filled.events()


def test_a_dry_run_copies_nothing(filled: Shell, to: str) -> None:
    """It says where both stand."""
    (said,) = filled.json("migrate", filled.url, to, "--dry-run")
    assert said == {"from": filled.url, "to": to, "position": 0, "head": 25}
    with Bus(to) as bus:
        assert bus.store.head() == 0


def test_a_target_that_holds_something_else_is_refused(filled: Shell, to: str) -> None:
    """The message says what is in the way and what to do, with exit code 74; nothing is changed."""
    filled("emit", "own", "--url", to)
    done = filled("migrate", filled.url, to)
    assert done.returncode == 74
    assert b"copy.db is not empty (events up to position 1), and no migration" in done.stderr
    assert b"name a new store" in done.stderr
    with Bus(to) as bus:
        assert [event.type for event in bus.read()] == ["own"]


def test_a_copy_that_differs_exits_with_1(filled: Shell, to: str) -> None:
    """What differs is told line by line on the standard error."""
    with Bus(filled.url) as bus:
        bus.emit_many([Event("other", id=f"other {n}") for n in range(75)])
    filled("migrate", filled.url, to)
    filled("redact", "--url", to, "--yes", "--id", "other 1")
    done = filled("migrate", filled.url, to)
    assert done.returncode == 1
    assert b"migrate: position 27: payload, redacted differs" in done.stderr
    assert b'"complete":false' in done.stdout


def test_wrong_usage_is_told_without_secrets(filled: Shell, to: str) -> None:
    """A store too few or too many, --url, and URLs that name nothing exit with 2."""
    url = "postgresql://ann:s3cret@host/db"
    for arguments in (
        (filled.url,),
        (filled.url, to, url),
        (filled.url, to, "--url", url),
        (filled.url, url.replace("postgresql", "htp")),
        ("", to),
    ):
        done = filled("migrate", *arguments)
        assert done.returncode == 2, done.stderr
        assert b"s3cret" not in done.stderr


def test_words_at_a_terminal(filled: Shell, to: str, seat: Any) -> None:
    """At a terminal the result is a sentence."""
    terminal = seat(sys.executable, "-m", "tidings", "migrate", filled.url, to)
    terminal.until(b"25 events copied, 25 compared, 1 records alike; the copy is whole")
    assert terminal.ended() == 0
    terminal = seat(sys.executable, "-m", "tidings", "migrate", filled.url, to, "--dry-run")
    terminal.until(b"the copy stands at position 25, the source at 25; nothing was copied")
    assert terminal.ended() == 0
