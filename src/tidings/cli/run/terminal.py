"""Pseudo-terminals for a command's output, and the takeover of the terminal of a command in front.

Where standard input and output are one terminal and we are in its foreground, the command gets a
terminal of its own in a session of its own, and what is typed is carried to it (`Keyboard`):
editors, pagers, passwords and Ctrl-C then work as without us. In a pipeline or in the background
only its *output* goes over a terminal, and it stays in our process group and session.
"""

from __future__ import annotations

import os
import termios
from select import select
from threading import Event as Flag
from threading import Lock, Thread

from tidings.cli.show import is_terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Modes = list[Any]

__all__ = ["Keyboard", "PseudoTerminal", "in_foreground", "same_terminal"]

_INPUT, _OUTPUT, _CONTROL, _LOCAL, _CHARACTERS = 0, 1, 2, 3, 6  # places in what tcgetattr gives
_LOOK_EVERY = 0.2
"""How long after `fg` the keyboard is ours again, where the command had been running (seconds)."""


class PseudoTerminal:
    """A pseudo-terminal in the likeness of a real one.

    Args:
        real: the descriptor of the real terminal.
        finishes_output: whether it turns line feeds into what the real one needs; where the real
            one still does so, twice would be wrong.

    Raises:
        OSError: the machine gives none, or the real one has gone.
    """

    def __init__(self, real: int, *, finishes_output: bool) -> None:
        self._real = real
        self.reader, self.writer = os.openpty()
        try:
            modes: Modes = termios.tcgetattr(real)
            if not finishes_output:
                modes[_OUTPUT] &= ~termios.OPOST
            termios.tcsetattr(self.writer, termios.TCSANOW, modes)
        except termios.error as error:  # which is no OSError
            raise OSError(*error.args) from None
        self.follow_size()

    def follow_size(self) -> None:
        """Give it the real terminal's size, as when that was changed."""
        try:
            termios.tcsetwinsize(self.reader, termios.tcgetwinsize(self._real))
        except (OSError, termios.error):
            # A terminal that has gone has no size; the last one stands.
            return


class Keyboard:
    """Carries what is typed at the real terminal to the command's.

    Args:
        real: the descriptor of the real terminal, of which we are in the foreground.
        terminal: the command's.
        suspend: stops the command; called for Ctrl-Z, where the command has no jobs of its own.
    """

    def __init__(self, real: int, terminal: PseudoTerminal, suspend: Callable[[], None]) -> None:
        self._real = real
        self._terminal = terminal.reader
        self._suspend = suspend
        self._modes: Modes = termios.tcgetattr(real)
        self._lock = Lock()
        self._ended = Flag()
        self._lent = False  # to the shell, while the command is stopped
        self._taken = False

    def start(self, command: int) -> None:
        """Begin to carry to the command with this process id."""
        self._command = command
        self.take()
        Thread(target=self._carry, daemon=True).start()

    def take(self) -> None:
        """Have every key given to us as it is typed, as soon as we are in the foreground."""
        with self._lock:
            self._lent = False
        self._holds()

    def give_back(self) -> None:
        """Leave the real terminal as it was found, until we take it again."""
        with self._lock:
            self._lent = True
            if self._taken and in_foreground(self._real):
                _set_modes(self._real, self._modes)
            self._taken = False

    def end(self) -> None:
        """Carry nothing more, and leave the real terminal as it was found."""
        self._ended.set()
        self.give_back()

    def _holds(self) -> bool:
        """Whether every key is given to us now; sees to it where that is our turn."""
        with self._lock:
            if self._lent or not in_foreground(self._real):
                # Who brings us to the foreground again may have changed the modes.
                self._taken = False
            elif not self._taken:
                _set_modes(self._real, _raw(self._modes))
                self._taken = True
            return self._taken

    def _carry(self) -> None:
        while not self._ended.is_set():
            if not self._holds():
                self._ended.wait(_LOOK_EVERY)
                continue
            # Not poll(2), which on macOS knows no terminals.
            ready, _, _ = select([self._real], [], [], _LOOK_EVERY)
            if ready and not self._carry_some():
                return

    def _carry_some(self) -> bool:
        """Carry what was typed; returns false once one of the terminals has gone."""
        try:
            typed = os.read(self._real, 1024)
            key = self._suspending_key()
            *before, last = typed.split(key) if key else (typed,)
            for part in before:
                _write_all(self._terminal, part)
                self._suspend()
            _write_all(self._terminal, last)
        except (OSError, termios.error):
            # In the background since a moment ago (SIGTTIN is blocked), or gone for good.
            return is_terminal(self._real) and not self._ended.is_set()
        return True

    def _suspending_key(self) -> bytes:
        """The key that asks for a stop, where it is for us to answer.

        A command in a session of its own has no parent there, and then the kernel stops nothing
        (POSIX, "orphaned process group"). A shell with jobs puts them into groups of their own, and
        stops them itself.
        """
        modes = termios.tcgetattr(self._terminal)
        ours = os.tcgetpgrp(self._terminal) == self._command
        key = modes[_CHARACTERS][termios.VSUSP]
        return key if ours and modes[_LOCAL] & termios.ISIG and key != b"\x00" else b""


def in_foreground(terminal: int = 0) -> bool:
    """Whether a descriptor is the terminal whose keyboard signals reach our process group."""
    try:
        return is_terminal(terminal) and os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False


def same_terminal(one: int, other: int) -> bool:
    """Whether two descriptors are one terminal."""
    return (
        is_terminal(one) and is_terminal(other) and os.fstat(one).st_rdev == os.fstat(other).st_rdev
    )


def _raw(modes: Modes) -> Modes:
    """The modes in which every byte passes as it is; see cfmakeraw(3)."""
    raw = [*modes[:_CHARACTERS], [*modes[_CHARACTERS]]]
    raw[_INPUT] &= ~(
        termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP
        | termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON
    )  # fmt: skip
    raw[_OUTPUT] &= ~termios.OPOST
    raw[_CONTROL] = raw[_CONTROL] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
    raw[_LOCAL] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
    raw[_CHARACTERS][termios.VMIN], raw[_CHARACTERS][termios.VTIME] = 1, 0
    return raw


def _set_modes(terminal: int, modes: Modes) -> None:
    try:
        termios.tcsetattr(terminal, termios.TCSADRAIN, modes)
    except (OSError, termios.error):
        # It has gone; there is nothing left to set.
        return


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
