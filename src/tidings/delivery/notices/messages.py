"""What people are told: the words for one event, for an undertaking, and for many things at once.

Makes text of what others have counted and read; it decides neither what is told nor when. Texts are
plain; Apprise makes of them what a service wants.
"""

from __future__ import annotations

import shlex

from tidings.delivery.notices.sending import Message
from tidings.delivery.notices.templates import Template, said
from tidings.delivery.notices.undertakings import described, task_of
from tidings.fields import forbidden

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tidings.delivery.notices.notice import Notice
    from tidings.delivery.notices.state import Group, Waiting
    from tidings.delivery.notices.tally import Tally
    from tidings.event import Event

__all__ = ["about_event", "about_group", "about_many", "outcomes", "trial"]

_TELLING = ("exit_code", "signal", "state", "job_id", "host", "error", "reason", "message")
"""What of a failed job's payload stands in its line."""

_TAILS = ("tail", "output_tail", "log_tail")
"""Where the end of the output may be."""

_LINES = 3
"""So many lines of it are shown for each of several jobs that failed."""

_MORE_LINES = 15
"""So many for one event by itself."""

_MOST_KEYS = 20
_MOST_GROUPS = 20
_MOST_LINE = 300
_MOST_TITLE = 200
_MOST_TEXT = 6_000


def about_event(notice: Notice, event: Event) -> Message:
    """What one event says."""
    # Which watch it is, say; what others are about is often a long id.
    own = f"{event.aggregate_type}/{event.aggregate_id}" if _is_own(event) else ""
    where = ", ".join(filter(None, (event.project, described(event.correlation_id or ""), own)))
    how = f": {event.status}" if event.status else ""
    summary = f"{event.type}{how}{f' ({where})' if where else ''}"
    more = f"tidings history --id {shlex.quote(event.id)}"
    facts = {
        **_facts(event),
        "summary": summary,
        "details": _paragraphs("\n".join(_fields(event)), _place(event), f"More: {more}"),
        "count": "1",
        "ok": str(int(event.status == "success")),
        "failed": str(int(event.status == "failure")),
        "failures": _failure(event) if event.status == "failure" else "",
        "more": more,
        "notice": notice.name,
    }
    return _message(notice, facts, {"payload": event.payload, "context": event.context})


def _is_own(event: Event) -> bool:
    return event.type.startswith("tidings.") and event.aggregate_id is not None


def about_group(
    notice: Notice, group: Group, tally: Tally, failures: Sequence[Event], new: int
) -> Message:
    """What became of an undertaking.

    Args:
        notice: for which it is told.
        group: the undertaking.
        tally: how its jobs ended.
        failures: the first events of those that failed since it was last told of.
        new: how many failed since.
    """
    summary = _group_line(group, tally)
    more = _group_more(group, failed=bool(tally.failed))
    listed = _failures(failures, new)
    again = "Only what failed since the last notice is listed." if group.told and listed else ""
    facts = {
        "summary": summary,
        "details": _paragraphs(listed, again, f"More: {more}"),
        "type": ", ".join(tally.types),
        "project": tally.project,
        "status": _worst(tally.failed, tally.ok),
        "position": str(group.last),
        "workflow": group.correlation_id,
        "undertaking": group.words,
        "count": str(group.count),
        "ok": str(tally.ok),
        "failed": str(tally.failed),
        "tasks": "" if group.tasks is None else str(group.tasks),
        "failures": listed,
        "more": more,
        "notice": notice.name,
    }
    return _message(notice, facts, {})


def about_many(
    notice: Notice,
    waiting: Waiting,
    groups: Sequence[tuple[Group, Tally]],
    failures: Sequence[Event],
    new: int,
) -> Message:
    """What happened since the last message, where it is too much to be told one by one.

    Args:
        notice: for which it is told.
        waiting: the events that were to be told by themselves.
        groups: the undertakings that are to be told.
        failures: the first events of what failed, in either.
        new: how many failed, in both, that were not told before.
    """
    failed = waiting.of_outcome("failure") + sum(tally.failed for _, tally in groups)
    ok = waiting.of_outcome("success") + sum(tally.ok for _, tally in groups)
    count = waiting.count + sum(group.count for group, _ in groups)
    summary = f"{count} {'event' if count == 1 else 'events'}: {outcomes(ok, failed)}"
    kinds = [_kind_line(kind, count) for kind, count in sorted(waiting.kinds.items())]
    listed = _failures(failures, new, apart=True)
    start = min([waiting.first] if waiting.count else [group.last for group, _ in groups])
    more = f"tidings history --after {max(0, start - 1)}"
    facts = {
        "summary": summary,
        "details": _paragraphs(
            "\n".join(kinds),
            _group_lines(groups),
            listed,
            f"More: {more}",
        ),
        "type": ", ".join(sorted({kind.partition("\t")[2] for kind in waiting.kinds})),
        "status": _worst(failed, ok),
        "position": str(max(waiting.last, *(group.last for group, _ in groups), 0)),
        "count": str(count),
        "ok": str(ok),
        "failed": str(failed),
        "failures": listed,
        "more": more,
        "notice": notice.name,
    }
    return _message(notice, facts, {})


def trial(notice: Notice) -> Message:
    """A message that only says that messages arrive."""
    return Message(
        _line(f"A test of the notice {notice.name}", _MOST_TITLE),
        f"Whoever reads this is told by Tidings of: {notice.words}",
        "info",
    )


def outcomes(ok: int, failed: int, silent: int = 0) -> str:
    """How jobs ended, in words.

    >>> outcomes(497, 3), outcomes(500, 0), outcomes(0, 0, 2)
    ('497 ok, 3 failed', '500 ok', '2 without an outcome')
    """
    parts = ((ok, "ok"), (failed, "failed"), (silent, "without an outcome"))
    return ", ".join(f"{count} {word}" for count, word in parts if count) or "no outcomes"


# Lines --------------------------------------------------------------------------------------------


def _group_line(group: Group, tally: Tally) -> str:
    ended = outcomes(tally.ok, tally.failed, tally.silent)
    missing = 0 if group.tasks is None else group.tasks - tally.ended - tally.silent
    if missing > 0:
        ended += f", {missing} of {group.tasks} not heard of yet"
    where = ", ".join(filter(None, (tally.project, group.words)))
    return f"{', '.join(tally.types)}: {ended} ({where})"


def _group_lines(groups: Sequence[tuple[Group, Tally]]) -> str:
    """A line for each undertaking, those with failures first."""
    worst = sorted(groups, key=lambda pair: -pair[1].failed)
    lines = [_line(_group_line(*pair), _MOST_LINE) for pair in worst[:_MOST_GROUPS]]
    more = len(groups) - _MOST_GROUPS
    return "\n".join([*lines, f"… and {more} more"] if more > 0 else lines)


def _group_more(group: Group, *, failed: bool) -> str:
    if not group.correlation_id:
        return "tidings history"
    only = " --status failure" if failed else ""
    return f"tidings history --workflow {shlex.quote(group.correlation_id)}{only}"


def _kind_line(kind: str, count: int) -> str:
    status, _, type_ = kind.partition("\t")
    return f"{type_}: {count}{f' {status}' if status else ''}"


def _failures(events: Sequence[Event], failed: int, *, apart: bool = False) -> str:
    """The jobs that failed, and how many more there are; `apart` says of each which array's."""
    parts = [_failure(event, apart=apart) for event in events]
    if failed > len(events):
        parts.append(f"… and {failed - len(events)} more failed" if parts else "")
    return "\n".join(filter(None, parts))


def _failure(event: Event, *, apart: bool = False) -> str:
    """One job that failed: which, what is known of it, and the end of its output."""
    payload = event.payload if isinstance(event.payload, dict) else {}
    known = {key: said(payload[key]) for key in _TELLING if said(payload.get(key))}
    known.setdefault("host", said(event.context.get("host")))
    slurm = event.context.get("slurm")
    if isinstance(slurm, dict):
        known.setdefault("job_id", said(slurm.get("job_id")))
    facts = ", ".join(f"{key} {value}" for key, value in known.items() if value)
    job = _job(event, apart=apart)
    line = _line(f"{job}: {facts}" if facts else job, _MOST_LINE)
    return "\n".join([line, *(f"    {each}" for each in _tail(event, _LINES))])


def _job(event: Event, *, apart: bool) -> str:
    """What a job is called."""
    task = task_of(event)
    if task is not None:
        return f"{task[0]} array {task[1]}, task {task[2]}" if apart else f"task {task[2]}"
    if event.aggregate_type is not None and event.aggregate_type != "run":
        return f"{event.aggregate_type}/{event.aggregate_id}"
    return " ".join(filter(None, (event.type, event.project)))


def _tail(event: Event, lines: int) -> list[str]:
    payload = event.payload if isinstance(event.payload, dict) else {}
    text = next((said(payload[key]) for key in _TAILS if said(payload.get(key))), "")
    return [_line(line, _MOST_LINE) for line in text.strip("\n").split("\n") if line][-lines:]


def _fields(event: Event) -> list[str]:
    """The payload, a line for each key."""
    if event.redacted:
        return ["(redacted)"]
    if not isinstance(event.payload, dict):
        return [_line(said(event.payload), _MOST_LINE)]
    shown = [key for key in event.payload if key not in _TAILS]
    lines = [_line(f"{key}: {said(event.payload[key])}", _MOST_LINE) for key in shown[:_MOST_KEYS]]
    more = [f"… and {len(shown) - _MOST_KEYS} more"] if len(shown) > _MOST_KEYS else []
    return [*lines, *more, *(f"    {line}" for line in _tail(event, _MORE_LINES))]


def _place(event: Event) -> str:
    """Where and when it happened."""
    task = task_of(event)
    where = [
        said(event.context.get("host")) and f"on {said(event.context.get('host'))}",
        task and f"{task[0]} array {task[1]}, task {task[2]}",
        f"at {event.timestamp}",
    ]
    return _line(", ".join(filter(None, where)), _MOST_LINE)


# Facts and texts ----------------------------------------------------------------------------------


def _facts(event: Event) -> dict[str, str]:
    about = "" if event.aggregate_type is None else f"{event.aggregate_type}/{event.aggregate_id}"
    task = task_of(event)
    return {
        "type": event.type,
        "project": event.project,
        "status": event.status,
        "source": event.source,
        "id": event.id,
        "position": str(event.position or ""),
        "timestamp": event.timestamp,
        "user": event.user_id or "",
        "aggregate": about,
        "workflow": event.correlation_id or "",
        "undertaking": described(event.correlation_id or ""),
        "host": said(event.context.get("host")),
        "tasks": "" if task is None or task[4] is None else str(task[4]),
    }


def _message(notice: Notice, facts: dict[str, str], trees: dict[str, Any]) -> Message:
    title = Template(notice.title or "{summary}", "title").filled(facts, trees)
    text = Template(notice.body or "{details}").filled(facts, trees)
    status = facts.get("status", "")
    kind = status if status in {"success", "failure"} else "info"
    # Services want some text, and mail some title.
    return Message(_line(title, _MOST_TITLE) or notice.name, _text(text) or facts["summary"], kind)


def _worst(failed: int, ok: int) -> str:
    return "failure" if failed else "success" if ok else ""


def _paragraphs(*parts: str) -> str:
    return "\n\n".join(filter(None, parts))


def _line(text: str, most: int) -> str:
    """The text as one line, with nothing in it that ends a header of a mail or moves a cursor."""
    text = "".join(" " if forbidden(character) else character for character in text).strip()
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _text(text: str) -> str:
    r"""The text with no control characters but the ends of lines and tabs, cut to what is read."""
    text = "".join(
        character if character in "\n\t" or not forbidden(character) else " " for character in text
    ).strip("\n")
    return text if len(text) <= _MOST_TEXT else f"{text[: _MOST_TEXT - 1]}…"
