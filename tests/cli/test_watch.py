"""`tidings watch`: what it adds, shows and refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tidings.delivery.watches import Watches, duties
from tidings.store import open_store
from tidings.subscriptions.leases import Leases
from tidings.timestamps import now_instant

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

DAY = 86_400_000_000


def test_a_watch_is_added_shown_paused_and_deleted(shell: Shell) -> None:
    """Each word does what it says, and tells how the watch stands then."""
    added = shell.json(
        "watch", "add", "nightly", "--type", "build_result", "--status", "success", "--within=1d"
    )
    (told,) = added
    assert (told["name"], told["expects"], told["within"]) == ("nightly", "event", 86_400.0)
    assert (told["of"], told["status"]) == ("type build_result, status success", "new")
    shell("watch", "add", "ghosts", "--heard", "--of", "agent", "--within", "30m")
    assert [told["name"] for told in shell.json("watch", "list")] == ["ghosts", "nightly"]
    assert shell.json("watch", "pause", "ghosts")[0]["status"] == "paused"
    assert shell.json("watch", "resume", "ghosts")[0]["status"] == "new"
    assert shell.json("watch", "delete", "ghosts") == [{"deleted": "ghosts"}]
    assert shell.json("watch", "show", "nightly") == added


def test_what_is_missed_is_shown(shell: Shell) -> None:
    """Once a process has judged it, a watch shows what it missed."""
    shell("watch", "add", "nightly", "--within", "1h")
    with open_store(shell.url) as store:
        (duty,) = duties(store)
        leases = Leases(store, patience=60)
        leases.offer(duty.key, duty.first)
        leases.turn()
        lease = leases.held(duty.key)
        assert lease is not None
        duty.turn(lease, now_instant() + DAY)
        missed = Watches(store).get("nightly").missed
        assert missed is not None
    (told,) = shell.json("watch", "list")
    assert (told["status"], told["deadline"]) == ("missed", None)
    assert told["missed"] is not None


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["watch"], b"add|list|show"),
        (["watch", "ad", "x"], b"did you mean add?"),
        (["watch", "add"], b"which watch"),
        (["watch", "list", "x"], b"takes no name"),
        (["watch", "add", "x"], b"--within 24h"),
        (["watch", "add", "x", "--within", "soon"], b"span"),
        (["watch", "add", "x", "--within", "0"], b"within"),
        (["watch", "add", "x", "--within", "1h", "--ends", "--heard"], b"two kinds"),
        (["watch", "add", "x", "--within", "1h", "--of", "run", "--agent", "a"], b"contradicts"),
        (["watch", "pause", "x", "--within", "1h"], b"for add"),
        (["watch", "pause", "x", "--type", "a"], b"for add"),
    ],
)
def test_wrong_usage_is_refused(shell: Shell, arguments: list[str], complaint: bytes) -> None:
    """It says what was wrong and what to do, with exit code 2, and nothing is added."""
    done = shell(*arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert not shell.home.exists() or shell.json("watch", "list") == []


def test_what_is_not_there_is_not_found(shell: Shell) -> None:
    """A name that no watch has is said, and where to find one."""
    done = shell("watch", "show", "nightly")
    assert done.returncode != 0
    assert b"tidings watch list" in done.stderr


def test_people_read_it_in_words(shell: Shell, seat: object) -> None:
    """At a terminal, a line says what is expected and how it stands."""
    from tests.cli.conftest import COMMAND

    shell("watch", "add", "long", "--ends", "--of", "run", "--within", "1d2h30m")
    terminal = seat(*COMMAND, "watch", "show", "long")  # type: ignore[operator]  # the fixture's
    shown = terminal.until(b"stuck")
    assert b"long  new  ends: about any run  within 1d2h30m" in shown
    assert terminal.ended() == 0
