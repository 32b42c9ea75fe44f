"""`tidings run` at a terminal: real ones, with real keys and a real shell's jobs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import termios
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

RUN = (sys.executable, "-m", "tidings", "run", "--")
RUN_LINE = " ".join(RUN).encode()


def python(code: str) -> tuple[str, str, str]:
    """A command that runs this code."""
    return (sys.executable, "-c", code)


def test_the_command_sees_a_terminal(shell: Shell, seat: Any) -> None:
    """All three streams are terminals, of the right size, and the controlling one is there."""
    code = (
        "import os\n"
        "print(*map(os.isatty, range(3)), *os.get_terminal_size(2), open('/dev/tty').isatty())"
    )
    terminal = seat(*RUN, *python(code))
    assert terminal.until(b"\n") == b"True True True 80 24 True\r\n"
    assert terminal.ended() == 0
    assert shell.events()[-1].payload["tail"] == "True True True 80 24 True"


@pytest.mark.parametrize("piped", ["stdin", "stdout", "stderr"])
def test_streams_that_are_no_terminal_stay_so(shell: Shell, seat: Any, piped: str) -> None:
    """Each stream is a terminal for the command exactly where ours is one."""
    code = (
        "import os; open('%s', 'w').write(' '.join(str(os.isatty(n)) for n in range(3)))\n"
        "os.write(1, b'out'); os.write(2, b'err')"
    )
    found = shell.home / "found"
    shell.home.mkdir()
    reader, writer = os.pipe()
    terminal = seat(*RUN, *python(code % found), **{piped: reader if piped == "stdin" else writer})
    os.close(writer)
    assert terminal.ended() == 0
    place = ("stdin", "stdout", "stderr").index(piped)
    assert found.read_text().split() == [str(n != place) for n in range(3)]
    if piped != "stdin":
        assert os.read(reader, 100) == piped.removeprefix("std").encode()
    os.close(reader)


def test_what_is_typed_reaches_the_command(seat: Any) -> None:
    """Lines, the end of input, and single keys in raw mode pass."""
    code = (
        "import sys, tty, os\n"
        "print('got', repr(input('name? ')), sys.stdin.read().split())\n"
        "tty.setraw(0); print('keys', end='', flush=True); print(os.read(0, 1), os.read(0, 1))"
    )
    terminal = seat(*RUN, *python(code))
    terminal.until(b"name? ")
    terminal.type(b"ada\rone\rtwo\r\x04")
    terminal.until(b"got 'ada' ['one', 'two']\r\n")
    terminal.until(b"keys")
    terminal.type(b"\x03\x1a")
    terminal.until(b"b'\\x03' b'\\x1a'")
    assert terminal.ended() == 0


@pytest.mark.parametrize("streams", ["all", "output to a pipe"])
def test_ctrl_c_ends_the_command(shell: Shell, seat: Any, streams: str) -> None:
    """A command that Ctrl-C ends gives 130, and its end is recorded."""
    line = "echo ready >&2; exec sleep 1000"
    reader, writer = os.pipe()
    given = {} if streams == "all" else {"stdout": writer}
    terminal = seat(*RUN, "sh", "-c", line, **given)
    terminal.until(b"ready")
    terminal.type(b"\x03")
    assert terminal.ended() == 130
    assert shell.events()[-1].payload["signal"] == "SIGINT"
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("streams", ["all", "output to a pipe"])
def test_ctrl_c_reaches_the_command_once(seat: Any, streams: str) -> None:
    """It gets it once, also where the kernel sends it to our whole process group."""
    code = (
        "import signal, sys\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])\n"
        "print('ready', file=sys.stderr, flush=True)\n"
        "signal.sigwait([signal.SIGINT])\n"
        "print('had it', file=sys.stderr, flush=True)\n"
        "sys.stdin.readline(); raise SystemExit(40 + len(signal.sigpending()))"
    )
    reader, writer = os.pipe()
    terminal = seat(*RUN, *python(code), **({} if streams == "all" else {"stdout": writer}))
    terminal.until(b"ready")
    terminal.type(b"\x03")
    terminal.until(b"had it")
    terminal.type(b"x\r")
    assert terminal.ended() == 40
    os.close(reader)
    os.close(writer)


def test_a_new_window_size_reaches_the_command(seat: Any) -> None:
    """SIGWINCH comes, and by then the size is the new one."""
    # Awaited, not handled: Python runs a handler only where its main thread next looks, and a
    # signal just ahead of a read that then blocks would be answered when that read ends.
    code = (
        "import os, signal\n"
        "signal.signal(signal.SIGWINCH, lambda *_: None)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGWINCH])\n"
        "print('ready', flush=True); size = None\n"
        "while size != (132, 50):\n"
        "    signal.sigwait([signal.SIGWINCH]); size = os.get_terminal_size(1)\n"
        "print('%dx%d' % size)"
    )
    for streams in ({}, {"stderr": subprocess.DEVNULL}, {"stdin": subprocess.PIPE}):
        terminal = seat(*RUN, *python(code), **streams)
        terminal.until(b"ready")
        termios.tcsetwinsize(terminal.other_end, (50, 132))
        terminal.until(b"132x50")
        assert terminal.ended() == 0
        if terminal.process.stdin:
            terminal.process.stdin.close()


def test_the_terminal_is_left_as_it_was_found(seat: Any) -> None:
    """After any end, also of a command that left it raw or was killed, the modes are back."""
    for code in ("import tty; tty.setraw(0)", "import os; os.kill(os.getpid(), 9)", "1/0"):
        terminal = seat(
            "sh", "-c", 'stty rows 24; "$@"; echo end $?; read x', "sh", *RUN, *python(code)
        )
        terminal.until(b"end ")
        assert terminal.modes() == terminal.found


def test_a_full_screen_program_works(seat: Any) -> None:
    """A curses program draws, takes keys without echo, and leaves the terminal as it was."""
    code = (
        "import curses\n"
        "def main(screen):\n"
        "    screen.addstr(5, 10, 'drawn'); screen.refresh()\n"
        "    return [screen.getkey() for _ in range(2)]\n"
        "print('keys', *curses.wrapper(main))"
    )
    terminal = seat(*RUN, *python(code))
    terminal.until(b"drawn")
    terminal.type(b"q\x1bOA")
    assert b"q" not in terminal.until(b"keys ")
    terminal.until(b"q KEY_UP\r\n")
    assert terminal.ended() == 0


@pytest.mark.parametrize("keyboard", ["os.ttyname(2)", "'/dev/tty'", "2"])
def test_a_pager_finds_the_keyboard(seat: Any, keyboard: str) -> None:
    """Wherever a pager looks for keys while its input is a pipe, it gets them."""
    code = (
        "import os, sys, tty\n"
        f"place = {keyboard}\n"
        "keys = place if isinstance(place, int) else os.open(place, os.O_RDONLY)\n"
        "tty.setcbreak(keys); print(sys.stdin.read(), end=':', flush=True)\n"
        "print('key', os.read(keys, 1))"
    )
    terminal = seat(*RUN, "sh", "-c", 'echo page | "$@"', "sh", *python(code))
    terminal.until(b"page\r\n:")
    terminal.type(b"G")
    terminal.until(b"key b'G'")
    assert terminal.ended() == 0


def test_a_password_is_asked_for_without_echo(shell: Shell, seat: Any) -> None:
    """/dev/tty is the terminal, and what is typed there is neither shown nor kept."""
    terminal = seat(
        *RUN, *python("import getpass; print('length', len(getpass.getpass('secret? ')))")
    )
    terminal.until(b"secret? ")
    terminal.type(b"hunter2\r")
    assert b"hunter2" not in terminal.until(b"length 7")
    assert terminal.ended() == 0
    assert "hunter2" not in shell.events()[-1].payload["tail"]


def test_a_hang_up_reaches_the_command(shell: Shell, seat: Any) -> None:
    """SIGHUP to the wrapper ends the command, and the end is recorded."""
    terminal = seat(*RUN, "sh", "-c", "echo ready; exec sleep 1000")
    terminal.until(b"ready")
    terminal.process.send_signal(signal.SIGHUP)
    assert terminal.ended() == 129
    assert shell.events()[-1].payload["signal"] == "SIGHUP"


class TestJobs:
    """A real shell's job control."""

    @pytest.fixture
    def bash(self, seat: Any) -> Any:
        """An interactive bash whose prompt is `outer> `."""
        terminal = seat(
            "env", "PS1=outer> ", "INPUTRC=/dev/null", "bash", "--norc", "--noediting", "-i"
        )
        terminal.until(b"outer> ")
        return terminal

    def test_ctrl_z_stops_and_fg_goes_on(self, shell: Shell, bash: Any) -> None:
        """The shell gets its terminal back at Ctrl-Z, and `fg` goes on where it was."""
        line = b" sh -c 'echo rea''dy; read x; echo got $x; exit 4'\r"
        bash.type(RUN_LINE + line)
        bash.until(b"ready\r\n")
        bash.type(b"\x1a")
        bash.until(b"Stopped")
        bash.until(b"outer> ")
        bash.type(b"echo meanwhi''le\r")
        bash.until(b"meanwhile")
        bash.until(b"outer> ")
        bash.type(b"fg\r")
        bash.until(b"exit 4'\r\n")
        bash.type(b"word\r")
        bash.until(b"got word")
        bash.until(b"outer> ")
        bash.type(b"echo code=$?\r")
        bash.until(b"code=4")
        assert shell.events()[-1].payload["exit_code"] == 4

    def test_bg_goes_on_beside_the_shell(self, bash: Any) -> None:
        """After `bg` the command runs on, and the keyboard is the shell's."""
        bash.type(RUN_LINE + b" sh -c 'echo rea''dy; read x; echo got $x'\r")
        bash.until(b"ready\r\n")
        bash.type(b"\x1a")
        bash.until(b"outer> ")
        bash.type(b"bg\r")
        bash.until(b"outer> ")
        bash.type(b"echo mi''ne\r")
        bash.until(b"mine")
        bash.until(b"outer> ")
        bash.type(b"fg\r")
        bash.until(b"got $x'\r\n")
        bash.type(b"yours\r")
        bash.until(b"got yours")

    def test_a_job_in_the_background_is_stopped_when_it_reads(self, bash: Any) -> None:
        """A command started with & stops for input, as without us, and can be brought back."""
        bash.type(RUN_LINE + b" sh -c 'echo rea''dy; read x; echo got $x' &\r")
        shown = bash.until(b"outer> ")
        bash.type(b"until [[ $(jobs) == *Stopped* ]]; do :; done; fg\r")
        shown += bash.until(b"fg\r\n")
        bash.type(b"word\r")
        shown += bash.until(b"got word")
        assert b"ready\r\n" in shown  # before or after any of the shell's own lines

    def test_a_shell_in_the_run_has_jobs_of_its_own(self, bash: Any) -> None:
        """Ctrl-Z in an inner shell stops the inner shell's job, not the run."""
        bash.type(RUN_LINE + b" env 'PS1=in''ner> ' bash --norc --noediting -i\r")
        bash.until(b"inner> ")
        bash.type(b"cat\r")
        bash.until(b"cat\r\n")
        bash.type(b"word\r")
        bash.until(b"word\r\nword\r\n")
        bash.type(b"\x1a")
        bash.until(b"Stopped")
        bash.until(b"inner> ")
        bash.type(b"fg\r")
        bash.until(b"cat\r\n")
        bash.type(b"\x04")
        bash.until(b"inner> ")
        bash.type(b"exit 3\r")
        bash.until(b"outer> ")
        bash.type(b"echo code=$?\r")
        bash.until(b"code=3")


def test_ctrl_z_where_nobody_could_wake_it_goes_on(seat: Any) -> None:
    """With no shell above, Ctrl-Z does not leave the command stopped for good."""
    # Awaited, not handled, as for the window size. What is typed while the terminal is given back
    # for a moment would be a line's, so the keys come once it is taken again.
    code = (
        "import signal, sys\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCONT])\n"
        "print('ready', flush=True)\n"
        "signal.sigwait([signal.SIGCONT]); print('woken', flush=True)\n"
        "print(sys.stdin.read().split())"
    )
    terminal = seat(*RUN, *python(code))
    terminal.until(b"ready\r\n")
    terminal.type(b"\x1a")
    terminal.until(b"woken\r\n")
    terminal.type(b"two\r\x04")
    terminal.until(b"['two']")
    assert terminal.ended() == 0


def test_colours_pass_to_the_terminal_and_not_into_the_event(shell: Shell, seat: Any) -> None:
    """The tail is plain text, and of a progress bar its last state."""
    code = (
        "for n in range(1000): print(f'\\r{n:3}%', end='', flush=True)\n"
        "print('\\n\\x1b[32mgreen\\x1b[0m', '\\x1b]0;title\\x07done')"
    )
    terminal = seat(*RUN, *python(code))
    shown = terminal.until(b"done\r\n")
    assert b"\x1b[32mgreen\x1b[0m \x1b]0;title\x07done" in shown
    assert len(re.findall(rb"\r *\d+%", shown)) == 1000
    assert terminal.ended() == 0
    assert shell.events()[-1].payload["tail"] == "999%\ngreen done"
