"""POST /v1/traces: OTLP traces as JSON, from any SDK or collector.

Answers as OTLP/HTTP has it, not as the other routes: 200 with how many spans were refused and why,
and as an error a `google.rpc.Status`. Exporters send again after 429, 502, 503 and 504 and after
nothing else, so these are the statuses of what may be tried again; and a span that is sent again
repeats nothing. Keeps promises 5 and 6: bounded bodies, and no span for another's project.

Source: the OTLP specification 1.x, section "OTLP/HTTP".
"""

from __future__ import annotations

import asyncio
from itertools import islice

from tidings.errors import Conflict, InvalidEvent, TidingsError, shorten
from tidings.fields import encode_json
from tidings.integrations.otlp import Mapping, spans_of
from tidings.server.calls import BareRoute
from tidings.server.ingest.compressed import expanded
from tidings.server.ingest.intake import count_refusal, keep_all
from tidings.server.ingest.operations import TRACES
from tidings.server.ingest.sizes import ARRAY_BYTES
from tidings.server.ingest.strict_json import read_json
from tidings.server.problems import Problem, problem_of
from tidings.store.base import Batch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidings.event import Event
    from tidings.integrations.otlp.spans import Span
    from tidings.server.access import Caller
    from tidings.server.calls import Call
    from tidings.server.metrics import Metrics

__all__ = ["BARE"]

_PROTOBUF = "application/x-protobuf"
_SPANS_AT_ONCE = 500
_SMALL_BODY = 16 * 1024
"""Up to here a body is read in the loop; a thread would take longer than that (bytes)."""

_ABOUT_A_SPAN = (Conflict, InvalidEvent, Problem)
_MOST_REASONS = 5


async def take_traces(call: Call) -> None:
    """Answer POST /v1/traces."""
    refused = _Refused(call.service.metrics)
    try:
        await _take(call, refused)
    except TidingsError as error:
        count_refusal(call.service.metrics, error)
        await _refuse(call, problem_of(error))
        raise  # to be logged where all are, where it is for the log
    await call.answer(200, refused.answer())


async def _take(call: Call, refused: _Refused) -> None:
    """Keep the spans of a request.

    Raises:
        TidingsError: it is no export request, or the store failed. What was kept before stays, and
            is the same when it is sent again.
    """
    _ensure_json(call)
    body = await expanded(call, ARRAY_BYTES)
    is_small = len(body) <= _SMALL_BODY
    request = read_json(body) if is_small else await asyncio.to_thread(read_json, body)
    spans = spans_of(request)
    mapping = Mapping(call.service.discretion, call.service.max_payload)
    has_kept = False
    while True:
        arguments = spans, mapping, call.caller, refused
        some = _read(*arguments) if is_small else await asyncio.to_thread(_read, *arguments)
        if some is None:
            break
        has_kept |= await _keep(call, some, refused)
    if refused.forbidden is not None and not has_kept:
        raise refused.forbidden  # Exporters hide what an answer of 200 says.


def _ensure_json(call: Call) -> None:
    content_type = (call.header("content-type") or "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        detail = (
            f"traces of Content-Type {shorten(content_type)} are not read here; have them sent as "
            f"JSON: set OTEL_EXPORTER_OTLP_PROTOCOL=http/json, or `encoding: json` in a collector"
        )
        raise Problem(415, "unsupported-media-type", detail, headers=(_ACCEPT_POST,))


_ACCEPT_POST = ("accept-post", "application/json")


def _read(
    spans: Iterator[Span | InvalidEvent], mapping: Mapping, caller: Caller, refused: _Refused
) -> list[list[Event]] | None:
    """The events of each of the next spans; none where no span is left.

    Raises:
        InvalidEvent: the request is of another shape.
    """
    some = list(islice(spans, _SPANS_AT_ONCE))
    read = []
    for span in some:
        if isinstance(span, InvalidEvent):
            refused.note(span)
            continue
        try:
            events = mapping.events(span)
            caller.require_project(events[0].project)
        except (InvalidEvent, Problem) as error:
            refused.note(error)
        else:
            read.append(events)
    return read if some else None


async def _keep(call: Call, spans: Sequence[list[Event]], refused: _Refused) -> bool:
    """Keep some spans, each for itself; whether any was.

    Raises:
        TidingsError: the store failed.
    """
    results = await keep_all(call.service, [Batch(events) for events in spans]) if spans else ()
    refusals = list(map(_refusal, results))
    # Of a span that was sent before it had ended, what is new is kept.
    partly = [n for n, why in enumerate(refusals) if isinstance(why, Conflict)]
    singly = [Batch([event]) for n in partly for event in spans[n]]
    again = iter(await keep_all(call.service, singly) if singly else ())
    for n in partly:
        refusals[n] = [_refusal(result) for result in islice(again, len(spans[n]))][-1]
    for refusal in filter(None, refusals):
        refused.note(refusal)
    return None in refusals


def _refusal(result: list[Event] | Exception) -> TidingsError | None:
    """Why a span was not kept, if it was not; an error that is not about it is raised."""
    if isinstance(result, _ABOUT_A_SPAN):
        return result
    if isinstance(result, Exception):
        raise result
    return None


# Answers ------------------------------------------------------------------------------------------


class _Refused:
    """The spans of a request that are refused: how many, and why, in bounded memory.

    Attributes:
        forbidden: the first refusal of a span for a project that the key is not for.
    """

    def __init__(self, metrics: Metrics) -> None:
        self.forbidden: Problem | None = None
        self._metrics = metrics
        self._number = 0
        self._reasons: dict[str, None] = {}

    def note(self, error: TidingsError) -> None:
        """A span is refused."""
        count_refusal(self._metrics, error)
        self._number += 1
        if isinstance(error, Problem) and error.status == 403:
            self.forbidden = self.forbidden or error
        # Not a conflict's own text: it tells of an event that the caller may not see.
        taken = "a span of these ids was kept before, with another content"
        if len(self._reasons) <= _MOST_REASONS:
            self._reasons[taken if isinstance(error, Conflict) else str(error)] = None

    def answer(self) -> bytes:
        """An ExportTraceServiceResponse; a 64-bit number is a text in it."""
        if not self._number:
            return b"{}"
        reasons = list(self._reasons)
        told = [*reasons[:_MOST_REASONS], *(["and more"] if len(reasons) > _MOST_REASONS else [])]
        partial = {"rejectedSpans": str(self._number), "errorMessage": "; ".join(told)}
        return encode_json({"partialSuccess": partial}).encode()


async def _refuse(call: Call, problem: Problem) -> None:
    """Answer an error, in the encoding of the request."""
    status = 400 if problem.status == 422 else problem.status
    headers = [(n.encode("latin-1"), v.encode("latin-1")) for n, v in problem.headers]
    if (call.header("content-type") or "").startswith(_PROTOBUF):
        await call.answer(status, _protobuf_status(problem.detail), _PROTOBUF, headers)
        return
    told: dict[str, object] = {"message": problem.detail}
    violations = [
        {"field": each["field"], "description": each["message"]}
        for each in problem.members.get("errors", ())
    ]
    if violations:
        kind = "type.googleapis.com/google.rpc.BadRequest"
        told["details"] = [{"@type": kind, "fieldViolations": violations}]
    await call.answer(status, encode_json(told).encode(), headers=headers)


def _protobuf_status(message: str) -> bytes:
    """A `google.rpc.Status` that holds a message, its field 2, and nothing else."""
    text = message.encode()
    size, length = len(text), bytearray()
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    length.append(size)
    return b"\x12" + bytes(length) + text


BARE = (BareRoute("POST", "/v1/traces", "emit", take_traces, TRACES),)
