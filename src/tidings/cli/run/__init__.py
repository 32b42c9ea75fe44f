"""`tidings run`: a command, and the events that say how it went.

Keeps promise 4: the command is never hurt. Its streams, signals and exit code are its own whatever
happens to the store; only the start event may hold up its start, by a quarter of a second. The end
event is about the aggregate `run` and caused by the start event.
"""

from __future__ import annotations

import os
from threading import Timer

from tidings.cli.command import Command, Option
from tidings.cli.exit_codes import DONE, KEPT_NOWHERE, NOT_EXECUTABLE, NOT_FOUND
from tidings.cli.run.child import Child, occupy_standard_streams
from tidings.cli.run.events import LINES, SIZE, RunEvents, shown
from tidings.cli.run.signals import SignalWatch
from tidings.cli.show import say
from tidings.cli.values import read_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.cli.command import Given
    from tidings.cli.run.child import Ended

__all__ = ["COMMANDS"]

_OUTPUT_PATIENCE = 1.0
"""How long the end event waits for output that its reader does not take (seconds)."""
_KILL_PATIENCE = 5.0
"""How long after a SIGTERM the command may live before that is recorded (seconds). Batch systems
send SIGKILL next, Slurm after KillWait = 30 s (slurm.conf(5)), and that ends us too."""
_MOST_BYTES = 100_000
"""The longest tail: what JSON makes of it stays below the largest payload."""


def _run(given: Given) -> int:
    occupy_standard_streams()
    watch = SignalWatch()  # before any thread is there, which would take the signals instead
    events = RunEvents(given)
    events.started()
    try:
        child = Child(given.words, events.environment(), events.tail, watch)
    except OSError as error:
        code = _not_started(given.words, events, error)
    else:
        code = _ran(given, child, events, watch)
    if events.hangs:
        # A thread that hangs in a dead store must not keep this process.
        os._exit(code)
    return code


def _ran(given: Given, child: Child, events: RunEvents, watch: SignalWatch) -> int:
    try:
        ended = _waited_for(child, events)
        child.output_finished(_OUTPUT_PATIENCE)
    finally:
        child.give_terminal_back()
    try:
        events.completed(ended)
        events.finish()
    except Exception as error:  # noqa: BLE001 - the command's code is told whatever happens here
        events.lost = True
        say(f"run: an event was kept nowhere: {type(error).__name__}: {error}")
    code = ended.code
    if given["strict"] and events.lost and code == DONE:
        code = KEPT_NOWHERE
    watch.release(lambda: os._exit(code))
    child.output_finished()
    for failure in child.output_failures():
        say(f"run: some of the output could not be written: {failure}")
    return code


def _waited_for(child: Child, events: RunEvents) -> Ended:
    timers: list[Timer] = []

    def at_signal(name: str) -> None:
        if name == "SIGTERM" and not timers:
            timers.append(Timer(_KILL_PATIENCE, events.lives_on_after, (name,)))
            timers[0].daemon = True
            timers[0].start()

    ended = child.wait(at_signal)
    for timer in timers:
        timer.cancel()
    return ended


def _not_started(command: list[str], events: RunEvents, error: OSError) -> int:
    if isinstance(error, FileNotFoundError):
        code, why = NOT_FOUND, "was not found"
    else:
        code, why = NOT_EXECUTABLE, f"cannot be executed: {error.strerror}"
    say(f"run: {shown(command[:1])[0]} {why}")
    events.not_started(code, why)
    events.finish()
    return code


def _read_size(text: str) -> int:
    size = read_whole(text)
    if size > _MOST_BYTES:
        raise ValueError(f"must be at most {_MOST_BYTES} bytes")
    return size


COMMANDS = (
    Command(
        "run",
        "run a command, and keep how it went",
        ("COMMAND", "[ARGUMENT]..."),
        (
            Option(("--type",), "TYPE", "the type of the end event; run.completed"),
            Option(("--project",), "NAME", "what the run belongs to"),
            Option(
                ("--tail-lines",),
                "N",
                f"how many of its last lines are kept; {LINES}, 0 for none",
                read=read_whole,
            ),
            Option(
                ("--tail-bytes",), "N", f"how many bytes they take at most; {SIZE}", read=_read_size
            ),
            Option(("--strict",), "", "exit 75 where it went well but its events are kept nowhere"),
        ),
        _run,
        details="""\
  tidings run --project figrecipe -- pytest -x

Streams and signals are the command's own, and so is the exit code: 128+n where signal n ended it,
127 where it was not found, 126 where it cannot be executed. Kept are `run.started`, then the end
event with outcome, exit code or signal, duration (s), memory (bytes) and the last lines of output;
`run.signaled` where the command still lives 5 s after a SIGTERM. The command line is kept as it is:
pass secrets in variables or files.""",
        ends_options=True,
    ),
)
