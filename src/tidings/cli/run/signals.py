"""The signals passed on to a command: awaited one by one, so that none comes at a bad moment."""

from __future__ import annotations

import os
import signal

from tidings.cli.run.terminal import in_foreground

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType
    from typing import Any

__all__ = ["SignalWatch", "name_of"]

_PASSED_ON = (
    "SIGHUP SIGINT SIGQUIT SIGTERM SIGUSR1 SIGUSR2 SIGALRM SIGXCPU SIGTSTP SIGCONT SIGWINCH SIGPWR"
)
_FROM_KEYBOARD = ("SIGINT", "SIGQUIT", "SIGTSTP", "SIGWINCH", "SIGHUP", "SIGCONT")
_ENDING = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM")
_IGNORED_BY_DEFAULT = ("SIGCHLD", "SIGCONT", "SIGWINCH")


class SignalWatch:
    """Holds back the signals that are to be passed on, and tells of each.

    Attributes:
        before: the signals that were blocked before; what the command is to start with.
    """

    def __init__(self) -> None:
        self._awaited = _present((*_PASSED_ON.split(), "SIGCHLD"))
        self.before: set[int | signal.Signals] = signal.pthread_sigmask(
            signal.SIG_BLOCK, self._awaited
        )
        for number in _present(_IGNORED_BY_DEFAULT):
            # Some systems drop a blocked signal that would be ignored; one with a handler is kept.
            # A launcher may also have us ignore SIGCHLD, and then nobody could be waited for.
            signal.signal(number, _do_nothing)

    def next(self) -> tuple[int, bool]:
        """Wait for a signal; returns it, and whether the command's process group got it too.

        What the keyboard or the terminal's end brings about the kernel sends to the whole group;
        what another process sends it may send to us alone. si_code tells which (sigaction(2)).
        """
        if hasattr(signal, "sigwaitinfo"):
            info = signal.sigwaitinfo(self._awaited)
            return info.si_signo, info.si_code > 0
        number = signal.sigwait(self._awaited)  # macOS, which does not say who sent it
        return number, name_of(number) in _FROM_KEYBOARD and in_foreground()

    def hold_back_terminal_stops(self) -> None:
        """Let no read or change of a terminal stop us in the background; such a read then fails."""
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTTIN, signal.SIGTTOU))

    def stop_with_group(self) -> None:
        """Stop our whole process group until someone sends SIGCONT, as Ctrl-Z does."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTSTP,))
        os.kill(0, signal.SIGTSTP)
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTSTP,))

    def release(self, at_signal: Callable[[], Any]) -> None:
        """Hold nothing back any more; one that asks us to end calls this, others do nothing."""

        def end(_number: int, _frame: FrameType | None) -> None:
            at_signal()

        for number in _present(_PASSED_ON.split()):
            if number != signal.SIGTSTP:
                signal.signal(number, end if name_of(number) in _ENDING else signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, self.before)


def name_of(number: int) -> str:
    """A signal's name, such as `SIGTERM`; `SIG40` for one that has none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"


def _present(names: Iterable[str]) -> set[int]:
    return {int(getattr(signal, name)) for name in names if hasattr(signal, name)}


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    """Stand in for SIG_IGN; blocked, it is never called."""
