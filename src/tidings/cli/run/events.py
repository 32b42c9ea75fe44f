"""The events of one run: what they have in common, and what each of them says."""

from __future__ import annotations

import os
import time

from tidings.cli.exit_codes import DONE
from tidings.cli.patience import patience
from tidings.cli.run.output_tail import OutputTail
from tidings.cli.run.recorder import Recorder
from tidings.cli.show import say
from tidings.fields import name, word
from tidings.ids import new_id
from tidings.timestamps import format_instant, now_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.cli.command import Given
    from tidings.cli.run.child import Ended

__all__ = ["LINES", "SIZE", "RunEvents", "shown"]

LINES = 20
"""How many of the last lines of output the end event shows."""
SIZE = 8192
"""How many bytes they take at most."""

_START_PATIENCE = 0.25
"""How long the command's start waits for the start event to be kept, so that events of the command
usually come after it (seconds)."""
_SHOWN_CHARACTERS = 16_384


class RunEvents:
    """Records one run.

    Args:
        given: the arguments of `tidings run`.

    Raises:
        InvalidEvent: the type or project given breaks its rule.
    """

    def __init__(self, given: Given) -> None:
        self._type = name("type", given["type"] or "run.completed")
        self._project = word("project", given["project"] or "")
        self._command = shown(given.words)
        lines = LINES if given["tail_lines"] is None else given["tail_lines"]
        size = SIZE if given["tail_bytes"] is None else given["tail_bytes"]
        self.tail = OutputTail(lines, size)
        self._says_tail = bool(lines and size)
        self._id, self._start_id = new_id(), new_id()
        self._begin()
        self._correlation_id = _correlation_id() or self._id
        self._recorder = Recorder(given["url"])
        self.lost = False
        """Whether an event could be kept nowhere, as far as is known."""
        self.hangs = False
        """Whether the store has not answered at all."""

    def environment(self) -> dict[str, str]:
        """The command's variables: ours, and those by which its events know what they belong to."""
        from tidings.context import child_environment

        return {**os.environ, **child_environment(self._correlation_id, self._start_id)}

    def started(self) -> None:
        """Record the start, and wait a little for that."""
        self._emit("run.started", "", {}, id=self._start_id)
        self._recorder.settled(_START_PATIENCE)
        self._begin()

    def lives_on_after(self, signal: str) -> None:
        """Record that the command still lives, some time after this signal."""
        facts = {"signal": signal, **self._so_far()}
        self._emit("run.signaled", "", facts, causation_id=self._start_id)

    def completed(self, ended: Ended) -> None:
        """Record the end of a command that ran."""
        how = {"signal": ended.signal} if ended.signal else {"exit_code": ended.code}
        self._completed(ended.code, {**how, "max_rss": ended.max_rss, **self._so_far()})

    def not_started(self, code: int, why: str) -> None:
        """Record the end of a command that could not be started."""
        self._completed(code, {"exit_code": code, "error": why})

    def finish(self) -> None:
        """Wait until all is recorded, within bounds, and say what went wrong."""
        recorder = self._recorder
        self.hangs = not recorder.close(2 * patience())  # the start event may be due as well
        self.lost = self.hangs or bool(recorder.lost)
        if self.hangs:
            say("run: the store does not answer; whether this run's events are kept is not known")
        if recorder.spooled:
            say(f"run: the run's events wait in {recorder.spooled}")
        for reason in recorder.lost:
            say(f"run: an event was kept nowhere: {reason}")

    def _begin(self) -> None:
        self._started_at, self._started = now_instant(), time.monotonic()

    def _completed(self, code: int, facts: dict[str, Any]) -> None:
        status = "success" if code == DONE else "failure"
        self._emit(self._type, status, facts, causation_id=self._start_id)

    def _so_far(self) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "started_at": format_instant(self._started_at),
            "duration": round(time.monotonic() - self._started, 6),
        }
        return {**facts, "tail": self.tail.text()} if self._says_tail else facts

    def _emit(self, event_type: str, status: str, facts: dict[str, Any], **fields: Any) -> None:
        self._recorder.emit(
            event_type,
            project=self._project,
            status=status,
            payload={"command": self._command, **facts},
            aggregate_type="run",
            aggregate_id=self._id,
            correlation_id=self._correlation_id,
            **fields,
        )


def shown(command: list[str]) -> list[str]:
    r"""The command as an event can hold it: as UTF-8, and not without end.

    >>> shown(["cat", "caf\udce9"])
    ['cat', 'caf�']
    """
    texts: list[str] = []
    left = _SHOWN_CHARACTERS
    for index, argument in enumerate(command):
        text = os.fsencode(argument).decode("utf-8", "replace")
        left -= len(text)
        if left < 0:
            return [*texts, text[:left], f"… and {len(command) - index - 1} more"]
        texts.append(text)
    return texts


def _correlation_id() -> str | None:
    from tidings.context import current

    return current().correlation_id
