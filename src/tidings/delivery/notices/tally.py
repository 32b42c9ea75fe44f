"""How the jobs of one undertaking ended, each counted once.

A job that was tried again counts by its last outcome, and one with several steps has failed if any
of its steps has: the last outcome of a step (a type, and a command where `tidings run` says one)
is what counts, and a new attempt of the whole job (a requeue) begins with nothing. Kept in memory
only, as an array may have a hundred thousand jobs; it can always be counted anew from the log.
"""

from __future__ import annotations

from tidings.fields import encode_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.delivery.notices.undertakings import Place
    from tidings.event import Event

__all__ = ["Tally"]

_MOST_TYPES = 5
_STEP_CHARACTERS = 200


class _Job:
    """One job: its attempt, whether anything of it ended well, and the steps that failed."""

    __slots__ = ("attempt", "failures", "well")

    def __init__(self, attempt: str) -> None:
        self.attempt = attempt
        self.well = False
        self.failures: dict[str, int] | None = None  # most jobs never fail

    @property
    def outcome(self) -> str:
        if self.failures:
            return "failure"
        return "success" if self.well else ""


class Tally:
    """How the jobs of one undertaking ended.

    Attributes:
        ok: so many ended well.
        failed: so many failed.
        silent: so many were heard of, but not how they ended.
        project: the first project that is named.
        types: the types of the events, in order of appearance; not all where they are many.

    >>> from tidings.delivery.notices.undertakings import Place
    >>> from tidings.event import Event
    >>> tally, task = Tally(), Place("a", "a", "7", "1", "", None, "array 7")
    >>> tally.take(Event("job_done", status="failure"), 1, task)
    >>> tally.take(Event("job_done"), 2, task)
    >>> tally.ok, tally.failed
    (1, 0)
    """

    def __init__(self) -> None:
        self.ok = self.failed = self.silent = 0
        self.project = ""
        self.types: list[str] = []
        self._jobs: dict[str, _Job] = {}

    @property
    def ended(self) -> int:
        """Of so many jobs it is known how they ended."""
        return self.ok + self.failed

    def take(self, event: Event, position: int, place: Place) -> None:
        """Count an event; all of an undertaking's, in order."""
        job = self._jobs.get(place.job)
        before = None if job is None else job.outcome
        if job is None or job.attempt != place.attempt:
            job = self._jobs[place.job] = _Job(place.attempt)
        if event.status == "failure":
            job.failures = {**(job.failures or {}), _step(event): position}
        elif event.status == "success":
            job.well = True
            if job.failures:
                job.failures.pop(_step(event), None)
        self._count(before, -1)
        self._count(job.outcome, 1)
        self.project = self.project or event.project
        if event.type not in self.types and len(self.types) < _MOST_TYPES:
            self.types.append(event.type)

    def failures(self, after: int = 0) -> list[int]:
        """The positions of the last failure of each failed job, those past a position."""
        return sorted(
            last
            for job in self._jobs.values()
            if job.failures and (last := max(job.failures.values())) > after
        )

    def _count(self, outcome: str | None, by: int) -> None:
        if outcome == "success":
            self.ok += by
        elif outcome == "failure":
            self.failed += by
        elif outcome is not None:
            self.silent += by


def _step(event: Event) -> str:
    """What of a job an outcome is about."""
    thing = "" if event.aggregate_type in {None, "run"} else f"{event.aggregate_id}"
    payload = event.payload
    command = payload.get("command") if isinstance(payload, dict) else None
    said = encode_json(command) if command is not None else ""
    return f"{event.type}\n{thing}\n{said}"[:_STEP_CHARACTERS]
