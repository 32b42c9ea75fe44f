"""A JSON object in, a JSON object out: what a call asks for, and what it is told."""

from __future__ import annotations

import asyncio

from tidings.errors import InvalidEvent, InvalidQuery, shorten
from tidings.fields import encode_json
from tidings.server.ingest.strict_json import read_json
from tidings.server.problems import problem_of
from tidings.store.wire import object_with

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.server.calls import Call
    from tidings.server.problems import Problem

__all__ = ["answer_json", "asked_json", "listed", "natural", "problem_with_rule"]

_MOST_ASKED_BYTES = 1024 * 1024
_LITTLE = 64 * 1024
"""Bodies up to this size (bytes) are decoded in the event loop: a thread would take longer."""

_LONGEST_TOLD_BYTES = 1024


async def asked_json(
    call: Call,
    needed: set[str],
    allowed: set[str] | None = None,
    *,
    most: int = _MOST_ASKED_BYTES,
) -> dict[str, Any]:
    """What a call asks for: a JSON object with these members and no others.

    Args:
        call: the call.
        needed: members it must have.
        allowed: members it may have.
        most: the largest body that is taken (bytes).

    Raises:
        Problem, InvalidQuery: the body is too large, or has another form.
    """
    body = await call.body(most)
    data = read_json(body) if len(body) < _LITTLE else await asyncio.to_thread(read_json, body)
    return object_with("the request", data, needed, allowed)


async def answer_json(call: Call, data: Any) -> None:
    """Answer with a JSON value, or with its text as bytes."""
    await call.answer(200, data if isinstance(data, bytes) else encode_json(data).encode())


def natural(name: str, value: object) -> int:
    """A whole number from 0 on.

    Raises:
        InvalidQuery: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise InvalidQuery(f"{name} {shorten(value)} must be a whole number from 0 on")
    return value


def listed(name: str, value: object) -> list[Any]:
    """A list.

    Raises:
        InvalidQuery: it is none.
    """
    if not isinstance(value, list):
        raise InvalidQuery(f"{name} {shorten(value)} must be a list")
    return value


def problem_with_rule(error: Exception) -> Problem:
    """An error's problem, with what a client needs to raise the very same error."""
    problem = problem_of(error)
    if isinstance(error, InvalidEvent):
        problem.members["value"] = _told(error.value)
        problem.members["rule"] = error.rule
    return problem


def _told(value: Any) -> Any:
    """A value that was refused, where JSON can say it in few words; else as messages show it."""
    try:
        small = len(encode_json(value).encode()) <= _LONGEST_TOLD_BYTES
    except (TypeError, ValueError, RecursionError):
        small = False
    return value if small else shorten(value)
