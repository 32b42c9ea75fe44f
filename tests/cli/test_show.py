"""What a person sees at a terminal."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from tidings.bus import Bus
from tidings.cli.moments import ago, read_span
from tidings.cli.show import printable

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

TIDINGS = (sys.executable, "-m", "tidings")
HOSTILE = "\x1b[31m\x1b]0;title\x07\r\x9b2J\u202eevil"


def shown(seat: Any, *arguments: str) -> str:
    """All that a command shows at a terminal."""
    terminal = seat("sh", "-c", '"$@"; echo end-of-output', "sh", *TIDINGS, *arguments)
    text: str = terminal.until(b"end-of-output").decode()
    assert terminal.ended() == 0
    return text.replace("\r\n", "\n")


def test_words_and_colour_at_a_terminal(shell: Shell, seat: Any) -> None:
    """A terminal shows words with colours, and JSON only when asked."""
    with Bus(shell.url) as bus:
        bus.emit("job_done", "figrecipe", "failure", {"host": "n12", "job": 4711})
    text = shown(seat, "history")
    assert "\x1b[31mfailure\x1b[0m" in text
    plain = re.sub(r"\x1b\[\d*m", "", text)
    assert re.match(r" +#1 \d\d:\d\d:\d\d +(now|\d+s ago) job_done figrecipe failure", plain)
    assert "host=n12 job=4711" in plain
    assert max(map(len, plain.splitlines())) <= 80
    assert shown(seat, "history", "--json").startswith('{"type":"job_done"')


def test_no_colour_where_it_is_not_wanted(shell: Shell, seat: Any) -> None:
    """NO_COLOR, TERM=dumb and --no-color each take the colours away."""
    with Bus(shell.url) as bus:
        bus.emit("job_done")
    assert "\x1b" in shown(seat, "latest")
    assert "\x1b" not in shown(seat, "latest", "--no-color")
    for setting in ("NO_COLOR=1", "TERM=dumb"):
        terminal = seat("env", setting, *TIDINGS, "latest")
        assert b"\x1b" not in terminal.until(b"recorded_at: ")


def test_events_cannot_command_a_terminal(shell: Shell, seat: Any) -> None:
    """Escape sequences in an event are shown as text, by every command, in words and in JSON."""
    with Bus(shell.url, context=False) as bus:
        bus.emit("x", payload={HOSTILE: HOSTILE, "lines": f"a\n{HOSTILE}"})
    for arguments in (("latest",), ("history",), ("tail",), ("latest", "--json")):
        text = shown(seat, *arguments, "--no-color")
        assert "evil" in text
        assert not set(text) & set("\x1b\x07\x9b\u202e\r")


def test_latest_shows_an_event_in_full(shell: Shell, seat: Any) -> None:
    """Each field has its line, and text of several lines keeps them."""
    with Bus(shell.url) as bus:
        bus.emit("run.completed", payload={"tail": "one\ntwo", "n": {"deep": [1]}})
    text = shown(seat, "latest", "--no-color")
    assert "  payload:\n    tail:\n      one\n      two\n    n:\n      deep: [1]\n" in text
    assert "  source: local\n" in text


@given(st.text())
def test_printable_is_printable(text: str) -> None:
    """Whatever an event holds becomes one line that no terminal obeys."""
    assert printable(text).isprintable()
    assert text.isprintable() is (printable(text) == text)


@given(st.integers(1, 10**9))
def test_ago_says_the_largest_unit(seconds: int) -> None:
    """How long ago is read back as at most that long, and more than half."""
    said = read_span(ago(0, now=seconds * 1_000_000).removesuffix(" ago"))
    assert seconds / 2 < said <= seconds
