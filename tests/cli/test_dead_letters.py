"""`tidings dead-letters`: looking at events that were given up, and deciding about them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.server.conftest import Server
from tidings.bus import Bus
from tidings.cli import main
from tidings.event import Event
from tidings.subscriptions.dead_letters import DeadLetter, DeadLetters
from tidings.subscriptions.progress import Attempt
from tidings.timestamps import now_instant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Shell

TIDINGS = (sys.executable, "-m", "tidings")


@pytest.fixture
def letters(shell: Shell) -> Iterator[DeadLetters]:
    """Three letters of `notify`, given up an hour ago, and one of `strict` that holds up, new."""
    with Bus(shell.url) as bus:
        now = now_instant()
        found = DeadLetters(bus.store)
        events = bus.store.append([Event("job.done", project=f"p{n}") for n in range(4)])
        for number, event in enumerate(events):
            attempts = (Attempt(now, 0.5, f"OSError: \x1b[31mnumber {number}", 503, "sorry"),)
            name, at = ("strict", now) if number == 3 else ("notify", now - 3_600_000_000)
            found.add(DeadLetter.about(event, name, "x", attempts, at, held=number == 3))
        yield found


def asked(letters: DeadLetters) -> dict[str, str]:
    """What was decided about each letter there is."""
    return {letter.id: letter.asked for letter in letters}


def test_the_list_is_filtered(shell: Shell, letters: DeadLetters) -> None:
    """Each filter narrows it, and those that are given must all hold."""
    every = [letter.id for letter in letters]
    for arguments, wanted in (
        ((), every),
        (("--subscription", "strict"), every[3:]),
        (("--type", "job.*", "--project", "p0", "--project", "p1"), every[:2]),
        (("--contains", "NUMBER 2"), every[2:3]),
        (("--since", "30m"), every[3:]),
        (("--until", "30m", "--limit", "1"), every[:1]),
    ):
        assert [line["id"] for line in shell.json("dead-letters", "list", *arguments)] == wanted


@pytest.mark.usefixtures("letters")
def test_one_is_shown(shell: Shell) -> None:
    """One is shown with every attempt and its event."""
    (shown,) = shell.json("dead-letters", "show", "notify/2")
    assert (shown["error"], shown["held"]) == ("OSError: \x1b[31mnumber 1", False)
    assert shown["attempts"][0]["answer"] == "sorry"
    assert shown["event"]["project"] == "p1"
    done = shell("dead-letters", "show", "notify/4711")
    assert (done.returncode, b"tidings dead-letters list" in done.stderr) == (1, True)


def test_one_is_replayed_or_discarded(shell: Shell, letters: DeadLetters) -> None:
    """A replay needs no yes; a discard does, where nobody can be asked."""
    assert shell.json("dead-letters", "replay", "notify/1") == [{"replayed": 1}]
    refused = shell("dead-letters", "discard", "notify/2")
    assert (refused.returncode, b"--yes" in refused.stderr) == (2, True)
    assert shell.json("dead-letters", "discard", "notify/2", "--dry-run") == [{"would_discard": 1}]
    assert asked(letters) == {"notify/1": "replay", "notify/2": "", "notify/3": "", "strict/4": ""}
    assert shell.json("dead-letters", "discard", "notify/2", "--yes") == [{"discarded": 1}]
    assert list(asked(letters)) == ["notify/1", "notify/3", "strict/4"]


def test_many_are_decided_by_filter(shell: Shell, letters: DeadLetters) -> None:
    """Those that fit are; a dry run says how many, and changes nothing."""
    dry = shell.json("dead-letters", "discard", "--subscription", "notify", "--dry-run")
    assert (dry, len(asked(letters))) == ([{"would_discard": 3}], 4)
    done = shell.json("dead-letters", "discard", "--subscription", "notify", "-y")
    assert (done, asked(letters)) == ([{"discarded": 3}], {"strict/4": ""})
    assert shell.json("dead-letters", "discard", "--all", "-y") == [{"discarded": 1}]
    assert asked(letters) == {"strict/4": "discard"}
    assert shell.json("dead-letters", "replay", "--project", "none") == [{"replayed": 0}]


@pytest.mark.parametrize(
    "arguments",
    [
        ("replay",),
        ("discard", "--all", "--project", "p"),
        ("replay", "notify/1", "--all"),
        ("show",),
        ("show", "notify"),
        ("list", "notify/1"),
        ("list", "--all"),
        ("burn", "--all"),
    ],
)
def test_wrong_usage_decides_nothing(
    shell: Shell,
    letters: DeadLetters,
    arguments: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is not guessed what was meant."""
    monkeypatch.setenv("TIDINGS_HOME", str(shell.home))
    assert main(["dead-letters", *arguments]) == 2
    assert capsys.readouterr().err.startswith("tidings: dead-letters: ")
    assert set(asked(letters).values()) == {""}


def test_a_terminal_is_asked_with_the_count(seat: Any, letters: DeadLetters) -> None:
    """How many are meant is said first, and only a yes is a yes."""
    for answer, left in ((b"n", 4), (b"y", 1)):
        terminal = seat(*TIDINGS, "dead-letters", "discard", "--until", "30m")
        assert b"3 dead letters will be discarded for good" in terminal.until(b"[y/N] ")
        terminal.type(answer + b"\r")
        assert terminal.ended() == (answer == b"n")
        assert len(asked(letters)) == left
    shown = seat(*TIDINGS, "dead-letters", "list").until(b"number 3")
    assert b"strict/4" in shown
    assert b"holds up its aggregate" in shown
    assert b"\\x1b[31m" in shown


def test_a_store_behind_a_server(shell: Shell, letters: DeadLetters) -> None:
    """The same over HTTP: what a server keeps is listed, shown, replayed and discarded."""
    server = Server(shell.home, ("--no-deliver",), {})
    try:
        at = ("--url", server.url)
        assert len(shell.json("dead-letters", "list", *at)) == 4
        (shown,) = shell.json("dead-letters", "show", "notify/3", *at)
        assert shown["event"]["project"] == "p2"
        done = shell.json("dead-letters", "replay", "--subscription", "notify", "--yes", *at)
        assert done == [{"replayed": 3}]
        assert shell.json("dead-letters", "discard", "notify/1", "-y", *at) == [{"discarded": 1}]
        assert asked(letters) == {"notify/2": "replay", "notify/3": "replay", "strict/4": ""}
        assert [letter.id for letter in letters.asked("notify")] == ["notify/2", "notify/3"]
    finally:
        server.kill()
