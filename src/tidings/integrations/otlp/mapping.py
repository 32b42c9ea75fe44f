"""Spans as events: what started, what completed or failed, in which workflow, and because of what.

A trace is a workflow, and its root span says when that begins and ends. Spans of agents, tools and
models are events about those, other spans about themselves. Every id follows from the span's own
ids, so a span that is sent again repeats nothing; and a span names its parent's started event as
its cause whether or not that has come, so the order in which they come does not matter.

    trace id              correlation id, and the workflow's id
    <trace id>-<span id>  the aggregate, of type agent, tool, model, span, or a workflow within one
    parent span           causation id: that span's started event
    service.name          project; `tidings.project` among the resource's attributes goes before it
"""

from __future__ import annotations

from typing import NamedTuple

from tidings.errors import TooLarge
from tidings.event import Event
from tidings.fields import MAX_CHARACTERS, EncodedObject, encode_json, forbidden
from tidings.ids import derived
from tidings.integrations.otlp.conventions import kind_of, names_of
from tidings.integrations.otlp.saying import Saying
from tidings.outcome import infer_status
from tidings.timestamps import format_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.integrations.discretion import Discretion
    from tidings.integrations.otlp.spans import Resource, Span

__all__ = ["SOURCE", "Mapping"]

SOURCE = "otlp"
"""The source of every event that is made of a span."""

_PLACES = {
    "host.name": "host",
    "process.owner": "user",
    "process.pid": "pid",
    "process.working_directory": "cwd",
}
_CHECKOUT = {"vcs.ref.head.revision": "commit", "vcs.ref.head.name": "branch"}
_NOT_SAID_OF_RESOURCES = ("telemetry.sdk.", "tidings.")
_MICROSECOND = 1000  # nanoseconds
_LONGEST_CONTEXT = 4 * 1024
"""Every event of a request has its resource; a large one would become as many large ones."""


class _Subject(NamedTuple):
    """What a span's events are about, the ids of the first and the last, and what caused it."""

    kind: str
    aggregate_id: str
    started: str
    ended: str
    cause: str | None


class Mapping:
    """Makes events of the spans of one request.

    Args:
        discretion: what of content and secrets is kept.
        max_payload: the bound on an event's encoded payload (bytes).
    """

    def __init__(self, discretion: Discretion, max_payload: int) -> None:
        self._saying = Saying(discretion)
        self._max_payload = max_payload
        self._resource: Resource | None = None
        self._project = ""
        self._context = EncodedObject()

    def events(self, span: Span) -> list[Event]:
        """The events that a span stands for; one without an end has only started.

        Raises:
            InvalidEvent: it cannot be an event.
        """
        if span.resource is not self._resource:
            self._learn(span.resource)
        subjects = _subjects(span, kind_of(span.attributes))
        names = names_of(span.attributes)
        said = self._saying.of_start(span, names)
        events = [self._event(span, each, "started", said, {}) for each in subjects]
        if span.end is not None:
            verb = "failed" if _has_failed(span) else "completed"
            said, more = self._saying.of_end(span, names, failed=verb == "failed")
            events += [self._event(span, each, verb, said, more) for each in reversed(subjects)]
        return events

    def _event(
        self, span: Span, subject: _Subject, verb: str, said: dict[str, Any], more: dict[str, Any]
    ) -> Event:
        """One event; without the rest that it says where that is more than an event may hold."""
        try:
            return self._made(span, subject, verb, {**said, **more})
        except TooLarge:
            return self._made(span, subject, verb, {**said, "truncated": True})

    def _made(self, span: Span, subject: _Subject, verb: str, payload: dict[str, Any]) -> Event:
        is_first = verb == "started"
        event_type = f"{subject.kind}.{verb}"
        moment = span.start or span.end if is_first else span.end
        user = span.attributes.get("user.id") or span.attributes.get("enduser.id")
        return Event(
            event_type,
            self._project,
            infer_status(event_type, None),
            payload,
            SOURCE,
            "" if moment is None else format_instant(moment // _MICROSECOND),
            id=subject.started if is_first else subject.ended,
            aggregate_type=subject.kind,
            aggregate_id=subject.aggregate_id,
            correlation_id=span.trace_id,
            causation_id=subject.cause if is_first else subject.started,
            user_id=_word(user) or None,
            context=self._context,
            max_payload=self._max_payload,
        )

    def _learn(self, resource: Resource) -> None:
        """Where the spans that follow were made; most requests have one resource."""
        attributes = resource.attributes
        service = _word(attributes.get("service.name"))
        self._project = _word(attributes.get("tidings.project")) or (
            "" if service.startswith("unknown_service") else service
        )
        places = {ours: attributes.get(theirs) for theirs, ours in _PLACES.items()}
        git = {ours: attributes.get(theirs) for theirs, ours in _CHECKOUT.items()}
        rest = {
            name: value
            for name, value in attributes.items()
            if name not in _PLACES and name not in _CHECKOUT
            and not name.startswith(_NOT_SAID_OF_RESOURCES)
        }  # fmt: skip
        kept, _ = self._saying.kept(rest)
        fields = {**self._saying.scalars(places), "git": self._saying.scalars(git)}
        fields |= {"scope": self._saying.scalars({"name": resource.scope}), "resource": kept}
        text = encode_json({name: value for name, value in fields.items() if value})
        if len(text) > _LONGEST_CONTEXT:
            del fields["resource"]
            text = encode_json({name: value for name, value in fields.items() if value})
        self._context = EncodedObject(text)
        self._resource = resource


def _subjects(span: Span, kind: str) -> list[_Subject]:
    """What a span is about: at the root of a trace also the workflow, which is then the first."""
    trace, own = span.trace_id, span.span_id
    is_root = not span.parent_id
    cause = None if is_root else _id_of(trace, span.parent_id, "started")
    workflow = _Subject(
        "workflow", trace, _id_of(trace, own, "started"), _id_of(trace, own, "ended"), None
    )
    if is_root and kind in ("workflow", "span"):
        return [workflow]
    aggregate = f"{trace}-{own}"
    if not is_root:
        return [workflow._replace(kind=kind, aggregate_id=aggregate, cause=cause)]
    # Children name the started event of the span itself as their cause.
    around = workflow._replace(
        started=_id_of(trace, own, "workflow.started"), ended=_id_of(trace, own, "workflow.ended")
    )
    return [around, workflow._replace(kind=kind, aggregate_id=aggregate, cause=around.started)]


def _id_of(trace: str, span: str, what: str) -> str:
    return derived(SOURCE, trace, span, what)


def _has_failed(span: Span) -> bool:
    # Claude Code's traces say it in `success`, the conventions in `error.type`.
    attributes = span.attributes
    return span.failed or bool(attributes.get("error.type")) or attributes.get("success") is False


def _word(value: object) -> str:
    """A text as a field may hold it; empty where it is none."""
    if not isinstance(value, str):
        return ""
    text = value[:MAX_CHARACTERS]
    if text.isprintable():
        return text
    return "".join("\ufffd" if forbidden(character) else character for character in text)
