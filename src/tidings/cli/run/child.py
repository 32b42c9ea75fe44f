"""The command's own process: started, passed signals, waited for.

No shell, no fork of this process (`posix_spawn` is safe beside threads). Standard input, working
directory, process group and other open files are ours, the output goes over relays; a command in
front of a terminal gets one of its own (see `terminal`).
"""

from __future__ import annotations

import errno
import os
import resource  # noqa: F401 - wait4 imports it, and by then a job may have used up all descriptors
import signal
import sys
from threading import Timer
from typing import NamedTuple

from tidings.cli.exit_codes import SIGNALLED
from tidings.cli.run.relay import Relay
from tidings.cli.run.signals import name_of
from tidings.cli.run.terminal import Keyboard, PseudoTerminal, in_foreground, same_terminal
from tidings.cli.show import is_terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from tidings.cli.run.output_tail import OutputTail
    from tidings.cli.run.signals import SignalWatch

__all__ = ["Child", "Ended", "occupy_standard_streams"]

_RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes on macOS, else kB
_SHELL = "/bin/sh"
_TIDY_UP = 0.1
"""How long a full-screen program may tidy up before it is stopped (seconds)."""


def occupy_standard_streams() -> None:
    """Keep the numbers of standard streams that are closed, so that no pipe of ours gets one.

    What is opened for that is not handed on: the command finds them closed, as we did.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)


class Ended(NamedTuple):
    """How the command ended.

    Attributes:
        code: as a shell gives it: its exit code, or 128+n for signal n.
        signal: the signal's name where one ended it, such as `SIGKILL`.
        max_rss: the most memory it or one of its own children held at once (bytes). Linux counts
            ours at its start too, so no command shows less than that (some 20 MB).
    """

    code: int
    signal: str | None
    max_rss: int


class Child:
    """A command that runs.

    Args:
        command: its name and arguments.
        environment: all its variables.
        tail: is fed with its output.
        watch: holds the signals that are passed on to it.

    `occupy_standard_streams` is to be called before.

    Raises:
        OSError: it cannot be started; FileNotFoundError where there is none of that name.
    """

    def __init__(
        self,
        command: list[str],
        environment: Mapping[str, str],
        tail: OutputTail,
        watch: SignalWatch,
    ) -> None:
        self._watch = watch
        self._terminals: list[PseudoTerminal] = []
        self._relays: list[Relay] = []
        self._stop: Timer | None = None
        plan = _Plan(watch.before)
        try:
            self._keyboard = self._plan_streams(plan, tail)
        except OSError:
            # No descriptor or terminal is left: the command runs on our own streams, with no tail.
            self._keyboard, self._relays = None, []
            plan = _Plan(watch.before)
        try:
            self.pid = plan.spawn(command, environment)
        finally:
            plan.close()
        if self._keyboard is not None:
            watch.hold_back_terminal_stops()
            self._keyboard.start(self.pid)
        for relay in self._relays:
            relay.start()

    def wait(self, at_signal: Callable[[str], None]) -> Ended:
        """Pass signals on until the command has ended; tells `at_signal` of each by name."""
        while True:
            number, group_had_it = self._watch.next()
            if number == signal.SIGCHLD:
                ended = self._reap()
                if ended is not None:
                    for relay in self._relays:
                        relay.command_ended()
                    return ended
            else:
                self._pass_on(number, group_had_it=group_had_it)
                at_signal(name_of(number))

    def output_finished(self, timeout: float | None = None) -> bool:
        """Wait until its output is carried, so long at most (seconds) for each stream."""
        finished = all(relay.finished(timeout) for relay in self._relays)
        if finished:
            self.give_terminal_back()
        return finished

    def give_terminal_back(self) -> None:
        """Leave the user's terminal as it was found."""
        if self._keyboard is not None:
            self._keyboard.end()

    def output_failures(self) -> list[str]:
        """Why output could not be written, for each stream that could not."""
        return [str(relay.failure) for relay in self._relays if relay.failure is not None]

    def _plan_streams(self, plan: _Plan, tail: OutputTail) -> Keyboard | None:
        outlets, keyboard = _outlets(), None
        if in_foreground(0) and same_terminal(0, 1):
            terminal = PseudoTerminal(0, finishes_output=True)
            self._terminals.append(terminal)
            keyboard = Keyboard(0, terminal, self._suspend)
            taken = [fd for fd in (0, 1, 2) if same_terminal(0, fd)]
            plan.takes_session(terminal.writer, taken)
            self._relays.append(Relay(terminal.reader, 1, tail.feed))
            outlets = [group for group in outlets if group[0] not in taken]
        for group in outlets:
            reader, writer = self._outlet(group[0])
            plan.writes_to(writer, group)
            self._relays.append(Relay(reader, group[0], tail.feed))
        return keyboard

    def _outlet(self, sink: int) -> tuple[int, int]:
        """Make a terminal or pipe for an outlet: the end to read from, the end to write to."""
        if is_terminal(sink):
            try:
                terminal = PseudoTerminal(sink, finishes_output=False)
            except OSError:
                return os.pipe()  # The machine has no pseudo-terminal left; colours are lost.
            self._terminals.append(terminal)
            return terminal.reader, terminal.writer
        return os.pipe()

    def _pass_on(self, number: int, *, group_had_it: bool) -> None:
        if number == signal.SIGWINCH:
            for terminal in self._terminals:
                terminal.follow_size()
            # In our group it may have asked for the size before we had set it.
            os.kill(self.pid, number)
        elif self._keyboard is None:
            if not group_had_it:
                os.kill(self.pid, number)
        elif number == signal.SIGTSTP:
            self._suspend()
        elif number == signal.SIGCONT:
            self._resume()
        else:
            os.kill(self.pid, number)

    def _suspend(self) -> None:
        # In an orphaned process group only SIGSTOP stops. What handles SIGTSTP may tidy up before.
        self._tell_group(signal.SIGTSTP)
        self._stop = Timer(_TIDY_UP, self._tell_group, (signal.SIGSTOP,))
        self._stop.daemon = True
        self._stop.start()

    def _resume(self) -> None:
        if self._stop is not None:
            self._stop.cancel()  # It stopped by itself, and goes on so soon.
        if self._keyboard is not None:
            self._keyboard.take()
            self._tell_group(signal.SIGCONT)
            self._tell_group(signal.SIGWINCH)  # Full-screen programs draw themselves anew.
        else:
            os.kill(self.pid, signal.SIGCONT)

    def _tell_group(self, number: int) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return  # It has ended meanwhile.

    def _reap(self) -> Ended | None:
        pid, status, usage = os.wait4(self.pid, os.WNOHANG | os.WUNTRACED)
        if pid == 0:
            return None
        if os.WIFSTOPPED(status):
            self._stop_too(os.WSTOPSIG(status))
            return None
        max_rss = usage.ru_maxrss * _RSS_UNIT
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            return Ended(SIGNALLED + number, name_of(number), max_rss)
        return Ended(os.WEXITSTATUS(status), None, max_rss)

    def _stop_too(self, number: int) -> None:
        # The user's shell waits for us, so it must see that the command was stopped (Ctrl-Z). Where
        # there is no such shell the kernel stops nobody, and the command goes on. Who uses the
        # terminal from the background is stopped with its whole group, so with us.
        if number in (signal.SIGTTIN, signal.SIGTTOU) or not any(map(in_foreground, (0, 1, 2))):
            return
        if self._keyboard is not None:
            self._keyboard.give_back()
        self._watch.stop_with_group()
        self._resume()


class _Plan:
    """How the command is to be started: what becomes of its streams, and of its session."""

    def __init__(self, mask: set[int | signal.Signals]) -> None:
        self._mask = mask
        self._actions: list[tuple[Any, ...]] = []
        self._session = False
        self._pipes: list[int] = []

    def writes_to(self, writer: int, streams: tuple[int, ...]) -> None:
        """Give these streams of the command to a pipe or terminal."""
        self._actions += [(os.POSIX_SPAWN_DUP2, writer, stream) for stream in streams]
        if not is_terminal(writer):
            self._pipes.append(writer)

    def takes_session(self, terminal: int, streams: list[int]) -> None:
        """Give the command a session of its own, controlled by a terminal that is these streams."""
        # The first terminal that a session's leader opens becomes its controlling one.
        first, *others = streams
        self._actions.append((os.POSIX_SPAWN_OPEN, first, os.ttyname(terminal), os.O_RDWR, 0))
        self._actions += [(os.POSIX_SPAWN_DUP2, first, stream) for stream in others]
        self._session = True

    def close(self) -> None:
        """Close the command's ends of pipes; we would not see their end otherwise.

        Those of terminals stay open: a command may close all it has of one before it ends, and
        would be sent SIGHUP if nobody else held it.
        """
        for descriptor in self._pipes:
            os.close(descriptor)

    def spawn(self, command: list[str], environment: Mapping[str, str]) -> int:
        """Start the command; returns its process id.

        Raises:
            OSError: it cannot be started.
        """
        try:
            return self._spawn(command[0], command, environment)
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            # A script without a #! line: execvp(3), and so env(1) and timeout(1), give it to sh.
            script = [_SHELL, _found(command[0]), *command[1:]]
            return self._spawn(_SHELL, script, environment)

    def _spawn(self, path: str, arguments: list[str], environment: Mapping[str, str]) -> int:
        return os.posix_spawnp(
            path,
            arguments,
            environment,
            file_actions=self._actions,
            setsid=self._session,
            setsigmask=self._mask,
            # Python itself ignores these two; the command shall not inherit that.
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
        )


def _outlets() -> list[tuple[int, ...]]:
    """Standard output and error; together where both lead to one place: their order then holds."""
    there = {descriptor: _place_of(descriptor) for descriptor in (1, 2)}
    if there[1] is not None and there[1] == there[2]:
        return [(1, 2)]
    return [(descriptor,) for descriptor, place in there.items() if place is not None]


def _place_of(descriptor: int) -> tuple[int, int] | None:
    if os.get_inheritable(descriptor) is False:
        return None  # It was closed when we started; the command finds it closed too.
    facts = os.fstat(descriptor)
    return facts.st_dev, facts.st_ino


def _found(name: str) -> str:
    if "/" in name:
        return name
    for directory in os.get_exec_path():
        path = os.path.join(directory, name)
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
    return name
