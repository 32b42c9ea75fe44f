"""What an event is part of: a batch array or another undertaking, and which of its jobs.

Read from the correlation id and the context, as `tidings.context` writes them. Contexts may be
anybody's, so what is not of that form counts as not there.
"""

from __future__ import annotations

from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.event import Event

__all__ = ["Place", "described", "place_of", "task_of"]

_BATCH = ("slurm", "pbs", "lsf")
_NUMBERED = {"github": "run", "gitlab": "pipeline"}
_MOST_TASKS = 10_000_000


class Place(NamedTuple):
    """Where an event belongs.

    Attributes:
        undertaking: names the array or undertaking.
        correlation_id: of all its events; empty where they have none.
        array: the array's number; empty where it is none.
        job: tells the jobs of the undertaking apart.
        attempt: tells a job's attempts apart, as after a requeue.
        tasks: how many jobs there are, where that is known.
        words: what people call the undertaking.
    """

    undertaking: str
    correlation_id: str
    array: str
    job: str
    attempt: str
    tasks: int | None
    words: str


def place_of(event: Event, grouping: str) -> Place | None:
    """The undertaking an event is told with; none where it is told by itself.

    Args:
        event: whose place.
        grouping: `arrays`, `all` or `none`.

    >>> from tidings.event import Event
    >>> slurm = {"array_job_id": "4711", "array_task_id": "9", "array_task_count": "500"}
    >>> event = Event("job_done", correlation_id="slurm:alps:4711", context={"slurm": slurm})
    >>> place_of(event, "arrays").words, place_of(event, "arrays").tasks, place_of(event, "none")
    ('slurm array 4711', 500, None)
    """
    if grouping == "none":
        return None
    correlation = event.correlation_id or ""
    task = task_of(event)
    if task is not None:
        system, array, job, attempt, tasks = task
        name = f"{correlation}/{system}:{array}"
        return Place(name, correlation, array, job, attempt, tasks, f"{system} array {array}")
    if not correlation or not (grouping == "all" or _may_be_array(event, correlation)):
        return None
    return Place(correlation, correlation, "", _thing(event), "", None, described(correlation))


def described(correlation_id: str) -> str:
    """What people call an undertaking.

    >>> described("slurm:alps:4711"), described("github:ada/figrecipe:17"), described("nightly")
    ('slurm 4711', 'github run 17', 'nightly')
    """
    system, _, number = correlation_id.partition(":")
    number = number.rpartition(":")[2]
    if number and system in _BATCH:
        return f"{system} {number}"
    if number and system in _NUMBERED:
        return f"{system} {_NUMBERED[system]} {number}"
    return correlation_id


def task_of(event: Event) -> tuple[str, str, str, str, int | None] | None:
    """The task of a batch array that an event was made in; none where it was not.

    Returns:
        System, array, task, attempt, and how many tasks the array has, where that is known.
    """
    context = event.context
    for system, read in _TASKS.items():
        facts = context.get(system)
        if isinstance(facts, dict):
            array, task, attempt, tasks = read(facts)
            if array and task:
                return system, array, task, attempt, tasks
    return None


def _slurm(facts: dict[str, Any]) -> tuple[str, str, str, int | None]:
    count = _text(facts, "array_task_count")
    known = count.isascii() and count.isdecimal() and 0 < int(count[:9]) <= _MOST_TASKS
    return (
        _text(facts, "array_job_id"),
        _text(facts, "array_task_id"),
        f"{_text(facts, 'job_id')}.{_text(facts, 'restart_count')}",
        int(count[:9]) if known else None,
    )


def _pbs(facts: dict[str, Any]) -> tuple[str, str, str, int | None]:
    array = _text(facts, "array_id") or _text(facts, "job_id")
    return array.partition("[")[0].partition(".")[0], _text(facts, "array_index"), "", None


def _lsf(facts: dict[str, Any]) -> tuple[str, str, str, int | None]:
    index = _text(facts, "index")
    return _text(facts, "job_id"), "" if index == "0" else index, "", None  # 0: it is no array


def _text(facts: dict[str, Any], key: str) -> str:
    value = facts.get(key)
    return value if isinstance(value, str) else str(value) if isinstance(value, int) else ""


_TASKS = {"slurm": _slurm, "pbs": _pbs, "lsf": _lsf}


def _may_be_array(event: Event, correlation: str) -> bool:
    """Whether it comes from a batch job whose context says no more, as the shell emitter's."""
    if correlation.partition(":")[0] not in _BATCH:
        return False
    context: dict[str, Any] = event.context
    return not any(system in context for system in _BATCH)


def _thing(event: Event) -> str:
    if event.aggregate_type is None:
        return event.id
    return f"{event.aggregate_type}/{event.aggregate_id}"
