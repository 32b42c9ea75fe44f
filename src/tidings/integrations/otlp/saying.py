"""What the events of a span say: its names, its end, and its other attributes, within bounds.

Prompts, outputs and whatever else is content are left out unless they are asked for, and the
attributes that were left out are named, so that whoever looks knows there was something. What was
asked for, and every other text, goes through the discretion that all integrations share.
"""

from __future__ import annotations

from tidings.integrations.otlp.conventions import CONTENT, NAMES, content_of
from tidings.timestamps import format_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tidings.integrations.discretion import Discretion
    from tidings.integrations.otlp.spans import Span, SpanEvent

__all__ = ["Saying"]

MOST_LEFT_OUT = 32
"""So many attributes that were left out are named."""


_WITH_THE_START = ("prompt", "system_instructions", "input", "tool_definitions", "query")
_WITH_THE_END = ("input_tokens", "output_tokens", "error_type", "exit_code", "status_code", "model")
_KEYS = {row.attribute: row.key for row in NAMES}
_SAID_ELSEWHERE = frozenset(("user.id", "enduser.id"))
_CONTENT = frozenset(row.attribute for row in CONTENT)
_SECOND = 1_000_000_000  # nanoseconds
_MICROSECOND = 1000


class Saying:
    """Makes the payloads of the events of spans.

    Args:
        discretion: what of content and secrets is kept.
    """

    def __init__(self, discretion: Discretion) -> None:
        self._discretion = discretion

    def of_start(self, span: Span, names: Mapping[str, Any]) -> dict[str, Any]:
        """What is known when a span starts.

        It is the same when a span is sent first without its end, and then with it.
        """
        said = self._said(span, {k: v for k, v in names.items() if k not in _WITH_THE_END})
        return said | self._content(span, at_start=True)

    def of_end(
        self, span: Span, names: Mapping[str, Any], *, failed: bool
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """What is known at a span's end: what is always told, and what there may be no room for."""
        said = self._said(span, names)
        if span.start is not None and span.end is not None:
            said["duration"] = (span.end - span.start) / _SECOND
        if failed:
            said |= self._error(span)
        kept, left_out = self.kept(
            {k: v for k, v in span.attributes.items() if not self._is_told(k, v, names)}
        )
        more = {
            "attributes": kept,
            "events": [self._span_event(event) for event in span.events],
            "links": [{"trace_id": link.trace_id, "span_id": link.span_id} for link in span.links],
            "left_out": left_out[:MOST_LEFT_OUT],
            "dropped": span.dropped,
        }
        more |= self._content(span, at_start=False)
        return said, {name: value for name, value in more.items() if value}

    def kept(self, attributes: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """The attributes that are kept, as they are kept, and the names of those that are not."""
        kept: dict[str, Any] = {}
        left_out: list[str] = []
        for name, value in attributes.items():
            if value is None:
                continue
            level = content_of(name, value)
            if not level or self._discretion.keeps(level):
                kept |= self._discretion.value({name: value})
            else:
                left_out.append(self._discretion.text(name))
        return kept, left_out

    def scalars(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Those that are texts or numbers."""
        return {
            name: self._discretion.value(value)
            for name, value in attributes.items()
            if isinstance(value, str | int | float) and value != ""
        }

    def _said(self, span: Span, names: Mapping[str, Any]) -> dict[str, Any]:
        said = self.scalars({"name": span.name, **names})
        ids = {"trace_id": span.trace_id, "span_id": span.span_id, "parent_span_id": span.parent_id}
        return said | {name: value for name, value in {"kind": span.kind, **ids}.items() if value}

    def _content(self, span: Span, *, at_start: bool) -> dict[str, Any]:
        """Content that is asked for and has a name of ours."""
        found: dict[str, Any] = {}
        for row in CONTENT:
            value = span.attributes.get(row.attribute)
            wanted = (row.key in _WITH_THE_START) is at_start
            if value is not None and wanted and self._discretion.keeps(row.level):
                found.setdefault(row.key, self._discretion.value(value))
        return found

    def _is_told(self, attribute: str, value: object, names: Mapping[str, Any]) -> bool:
        """Whether an attribute is told under a name of ours."""
        if attribute in _CONTENT:
            return self._discretion.keeps(content_of(attribute, value))
        return attribute in _SAID_ELSEWHERE or names.get(_KEYS.get(attribute, "")) == value

    def _error(self, span: Span) -> dict[str, Any]:
        """Why a span failed: what its status says, else its newest exception."""
        exceptions = [each.attributes for each in span.events if each.name == "exception"]
        exception = exceptions[-1] if exceptions else {}
        message = span.message or exception.get("exception.message")
        kind = span.attributes.get("error.type") or exception.get("exception.type")
        return self.scalars({"error": message, "error_type": kind})

    def _span_event(self, event: SpanEvent) -> dict[str, Any]:
        kept, _ = self.kept(event.attributes)
        said = {"name": self._discretion.text(event.name), "attributes": kept}
        if event.time is not None:
            said["time"] = format_instant(event.time // _MICROSECOND)
        return {name: value for name, value in said.items() if value}
