"""The one thread of a process that follows a log, and applies what comes to the replica.

Whoever asks for something publishes a command and waits here until this thread has seen it in the
log and applied it, or found that another process of the machine had. Keeps: an outcome is what the
log's order made of a command, never what somebody guessed. How a replica is found and made is
`attaching`'s matter.
"""

from __future__ import annotations

import os
import time
import weakref
from contextlib import contextmanager
from threading import Condition, Thread, current_thread

from tidings.errors import (
    NotAStore,
    OutcomeUnknown,
    StoreClosed,
    StoreDamaged,
    StoreUnavailable,
    TidingsError,
)
from tidings.store.replicated.absence import Absence, again, unforeseen
from tidings.store.replicated.attaching import ENGINE_PATIENCE, Attaching, LogContradicts
from tidings.store.replicated.command import entries_of
from tidings.store.replicated.log import LogTrimmed
from tidings.store.replicated.replica import FellBehind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidings.store.replicated.command import Command
    from tidings.store.replicated.log import Entry, Log
    from tidings.store.replicated.replica import Replica

__all__ = ["Follower"]

_LOOK = 1.0
"""How long the log is waited for at once (seconds); `close` is noticed in between."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
"""Between attempts to go on when something is wrong (seconds)."""


class Follower:
    """Keeps this machine's replica up with a log.

    Args:
        log: what to follow.
        deadline: the longest to wait for a lock of the replica (seconds).
    """

    def __init__(self, log: Log, deadline: float) -> None:
        self._log = log
        self._deadline = deadline
        self._attaching = Attaching(log, deadline)
        self._retired: list[Replica] = []
        self._replica: Replica | None = None
        self._closed = False
        self._start_anew()
        _followers.add(self)

    def _start_anew(self) -> None:
        self._moved = Condition()
        self._thread: Thread | None = None
        self._pending: dict[str, Command] = {}
        self._outcomes: dict[str, list[Any]] = {}
        self._seen = 0
        self._goal = 0
        self._attached = False
        self._current = False
        self._trouble: TidingsError | None = None
        self._of_no_use: str | None = None
        self._suspicious = False
        self._busy_since: float | None = None
        self._hopeless = False
        self._absence = Absence(self._log.url, self._deadline)

    # What callers ask -----------------------------------------------------------------------------

    def replica(self, deadline: float | None) -> Replica:
        """The replica, once it has caught up with what was in the log when it was opened.

        Args:
            deadline: the longest to wait (seconds); none waits for as long as it comes nearer.

        Raises:
            StoreUnavailable: it could not catch up; the subclass or the text says why.
        """
        with self._moved:
            if not self._current:
                self._await_current(deadline)
            return self._opened()

    def ensure_near(self, deadline: float) -> None:
        """Refuse to be asked for an outcome where the replica could not tell it in time.

        Nor is a log asked that did not answer a moment ago. A follower that always finds more to do
        may be far behind, or just busy: the log knows.

        Args:
            deadline: the longest to wait (seconds).
        """
        self.replica(deadline)
        self._absence.ensure_over()
        busy_since = self._busy_since
        if busy_since is not None and time.monotonic() - busy_since > deadline / 4:
            until = time.monotonic() + deadline
            head = self._log.head(deadline)
            self.follow_to(head, max(0.0, until - time.monotonic()))

    def follow_to(self, sequence: int, deadline: float | None) -> Replica:
        """The replica, once it has applied the log up to an entry; else as `replica`."""
        with self._moved:
            self._await_current(deadline)
            self._await(lambda: self._seen >= sequence, deadline)
            return self._opened()

    def head(self, deadline: float) -> int:
        """The log's newest entry; where it has fewer than were seen here, that is looked into."""
        with self._moved:
            seen = self._seen if self._attached else 0
        head = self._log.head(deadline)
        if head < seen:
            with self._moved:
                self._suspicious = True
                self._await(lambda: not self._suspicious, None)
        return head

    def run(self, command: Command, deadline: float, publish_within: float) -> list[Any]:
        """Publish a command and return its results, once it is applied here.

        Args:
            command: what to do.
            deadline: the longest to wait in all (seconds).
            publish_within: the longest the log may take to take it (seconds).

        Raises:
            StoreUnavailable: it was not published.
            OutcomeUnknown: it was, or may have been, and its outcome did not come in time.
        """
        begun = time.monotonic()
        until = begun + deadline
        with self._moved:
            self._pending[command.id] = command
        try:
            try:
                self._log.publish(entries_of(command, self._log.most_bytes), publish_within)
            except OutcomeUnknown:
                # It may be in the log all the same, and then it comes soon.
                until = min(until, time.monotonic() + publish_within)
            return self._outcome(command, until)
        except (StoreUnavailable, OutcomeUnknown):
            self._absence.note(time.monotonic() - begun)
            raise
        finally:
            with self._moved:
                self._pending.pop(command.id, None)
                self._outcomes.pop(command.id, None)

    def renew(self, replica: Replica) -> None:
        """Make the replica anew: this one is damaged."""
        with self._moved:
            if replica is self._replica:
                self._given_up("it is damaged")

    def replaced(self, replica: Replica) -> None:
        """Look for the replica again: this one's file is not where it was."""
        with self._moved:
            if replica is self._replica:
                self._attached = self._current = False

    def trouble(self) -> TidingsError | None:
        """Why the replica cannot follow now, if it cannot."""
        return self._trouble

    def close(self) -> None:
        """End the thread, and let go of the replica and the log."""
        with self._moved:
            self._closed = True
            thread, self._thread = self._thread, None
            self._moved.notify_all()
        self._log.close()
        if thread is not None and thread is not current_thread():
            thread.join()
        for replica in (*self._retired, self._replica):
            if replica is not None:
                replica.close()

    def after_fork_in_child(self) -> None:
        """The parent's thread is not here, and those who wait are not either."""
        self._start_anew()

    # Waiting --------------------------------------------------------------------------------------

    def _outcome(self, command: Command, until: float) -> list[Any]:
        with self._moved:
            while command.id not in self._outcomes:
                left = until - time.monotonic()
                if left <= 0 or self._closed:
                    self._suspicious = True  # is the log still the one that is read here?
                    raise OutcomeUnknown(self._unknown())
                self._moved.wait(left)
            return self._outcomes.pop(command.id)

    def _unknown(self) -> str:
        why = f"; {self._trouble}" if self._trouble is not None else ""
        return (
            f"{self._log.url} took the request, but what became of it did not come back in time"
            f"{why}; the same events (same ids) may be sent again"
        )

    def _opened(self) -> Replica:
        if self._replica is None:
            raise self._why_not()
        return self._replica

    def _await_current(self, deadline: float | None) -> None:
        self._ensure_thread()
        if self._current:
            return
        if self._hopeless and deadline is not None:
            # A job that emits again and again must not wait each time for a log that is away.
            raise self._why_not()
        try:
            self._await(lambda: self._current, deadline)
        except StoreUnavailable:
            self._hopeless = True
            raise

    def _await(self, is_so: Any, deadline: float | None) -> None:
        """Wait for something the thread brings about; the lock is held."""
        begun = time.monotonic()
        seen = self._seen
        while not is_so():
            if self._closed:
                raise StoreClosed(f"{self._log.url} is closed; open it again")
            if deadline is None and self._seen != seen:
                begun, seen = time.monotonic(), self._seen
            left = begun + self._patience(deadline) - time.monotonic()
            if left <= 0:
                raise self._why_not()
            self._moved.wait(left)

    def _patience(self, deadline: float | None) -> float:
        """How long to wait (seconds): longer where nobody set a limit and nothing is wrong."""
        if deadline is not None:
            return deadline
        return self._deadline if self._trouble else max(self._deadline, ENGINE_PATIENCE)

    def _why_not(self) -> TidingsError:
        if self._trouble is not None:
            return again(self._trouble)
        if not self._attached:
            return StoreUnavailable(
                f"{self._log.url} has not answered in time; is it reachable from this machine?"
            )
        return StoreUnavailable(
            f"this machine's replica of {self._log.url} is still catching up (it is at entry "
            f"{self._seen} of {self._goal}); try again when it has"
        )

    def _ensure_thread(self) -> None:
        if self._closed:
            raise StoreClosed(f"{self._log.url} is closed; open it again")
        if self._thread is None:
            self._thread = Thread(target=self._follow, name="tidings-follower", daemon=True)
            self._thread.start()

    # The thread -----------------------------------------------------------------------------------

    def _follow(self) -> None:
        pause = _FIRST_PAUSE
        while not self._closed:
            try:
                self._go_on()
                pause = _FIRST_PAUSE
            except TidingsError as error:
                self._rest(error, pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            except Exception as error:  # noqa: BLE001 - callers must be told whatever it is
                self._rest(unforeseen(self._log.url, error), pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _go_on(self) -> None:
        """Do what is next: open the replica, make it anew, or apply what the log has."""
        if not self._attached:
            self._attach()
        elif self._suspicious:
            self._compare()
        if not self._pass_over():
            return
        try:
            entries = self._log.read(self._seen)
        except LogTrimmed:
            raise self._given_up("the log was trimmed past it") from None
        if entries:
            if self._busy_since is None:
                self._busy_since = time.monotonic()
            self._apply(entries)
        else:
            self._busy_since = None
            self._arrive(self._seen, {})
            self._log.wait(self._seen, _LOOK)

    def _pass_over(self) -> bool:
        """Do not read what another process of this machine has applied; whether one can go on."""
        with self._usable() as replica:
            if replica.state().sequence > self._seen:
                self._arrive(*replica.recall(dict(self._pending)))
        return self._attached

    def _apply(self, entries: list[Entry]) -> None:
        with self._usable() as replica:
            outcomes = replica.apply(self._seen, entries, dict(self._pending))
            self._arrive(entries[-1].sequence, outcomes)

    @contextmanager
    def _usable(self) -> Iterator[Replica]:
        """The replica, to work on; looked for again or made anew where that shows it is of no use.

        Raises:
            StoreUnavailable: also where it is of no use.
        """
        replica = self._opened()
        try:
            yield replica
        except (StoreDamaged, NotAStore) as error:
            raise self._given_up("it is damaged") from error
        except FellBehind:
            self.replaced(replica)
        except StoreUnavailable:
            if replica.is_in_place():
                raise
            self.replaced(replica)

    def _arrive(self, sequence: int, outcomes: dict[str, list[Any]]) -> None:
        """Say how far the replica is, and what became of commands."""
        with self._moved:
            was = self._seen, self._current, self._trouble
            self._seen = max(self._seen, sequence)
            self._trouble = None
            if sequence > was[0]:
                self._absence.end()
            if self._attached:
                self._current = self._current or self._seen >= self._goal
                self._hopeless = self._hopeless and not self._current
            for id, results in outcomes.items():
                if id in self._pending:
                    self._outcomes.setdefault(id, results)  # how it ended the first time counts
            if outcomes or was != (self._seen, self._current, None):
                self._moved.notify_all()

    def _rest(self, error: TidingsError, pause: float) -> None:
        """Tell those who wait what is wrong, and try again later."""
        with self._moved:
            self._trouble = error
            self._busy_since = 0.0  # long ago: nobody knows what has come meanwhile
            self._moved.notify_all()
            if not self._closed:
                self._moved.wait(pause)

    def _attach(self) -> None:
        """Open the replica, which is made where there is none, or where it is of no use."""
        of_no_use = self._of_no_use
        replica, sequence, head = self._attaching.replica(instead_of=of_no_use)
        _, outcomes = replica.recall(dict(self._pending))
        with self._moved:
            if self._replica is not None:
                self._retired.append(self._replica)
            self._replica, self._seen, self._goal = replica, sequence, head
            self._attached = True
            self._suspicious = False
            if self._of_no_use == of_no_use:
                self._of_no_use = None
        self._arrive(sequence, outcomes)

    def _compare(self) -> None:
        """Find out whether log and replica still fit together."""
        try:
            self._attaching.compared(self._opened())
        except LogContradicts:
            # What is here may be all there is: it is not read on as if nothing had happened.
            with self._moved:
                self._attached = self._current = False
            raise
        except (StoreDamaged, NotAStore) as error:
            raise self._given_up("it is damaged") from error
        with self._moved:
            self._suspicious = False
            self._moved.notify_all()

    def _given_up(self, why: str) -> StoreUnavailable:
        """Let the replica be made anew: it is of no use. Gives what callers are told meanwhile."""
        with self._moved:
            self._attached = self._current = False
            self._of_no_use = None if self._replica is None else self._replica.path
            trouble = StoreUnavailable(
                f"this machine's replica of {self._log.url} is made anew: {why}"
            )
            self._trouble = trouble
            self._moved.notify_all()
            return trouble


_followers: weakref.WeakSet[Follower] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for follower in list(_followers):
        follower.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
