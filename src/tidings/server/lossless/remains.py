"""What pruned events left behind: given to a client that migrates the store, or taken from one.

Keeps promise 5: a summary that is sent is checked as strictly as an event, as it stands for some.
"""

from __future__ import annotations

import asyncio

from tidings.errors import InvalidEvent, InvalidQuery, shorten
from tidings.fields import name, word
from tidings.server.lossless.bodies import (
    answer_json,
    asked_json,
    listed,
    natural,
    problem_with_rule,
)
from tidings.store.base import REMAINS_PAGE, Summary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.server.calls import Call

__all__ = ["adopt", "remains"]

_MOST_BYTES = 16 * 1024 * 1024
_LARGEST = 2**63 - 1
_EARLIEST, _LATEST = -62_135_596_800_000_000, 253_402_300_799_999_999
"""The years 1 to 9999, in microseconds since 1970: no other moment can be written."""

_TEXTS = ("kind", "project", "state", "status", "first_type", "last_type")
_NUMBERS = (
    (("version", "first_position", "last_position"), 1, _LARGEST),
    (("successes", "failures"), 0, _LARGEST),
    (("first_instant", "last_instant"), _EARLIEST, _LATEST),
)


async def remains(call: Call) -> None:
    """Answer `POST /log/remains`: one page of summaries that began before what is left."""
    call.caller.require_all_projects()
    asked = await asked_json(call, set(), {"after"})
    after = asked.get("after")
    if after is not None:
        after = tuple(listed("after", after))
        if len(after) != 2 or not all(isinstance(word, str) for word in after):
            raise InvalidQuery(f"after {shorten(after)} must be a kind and an id")
    found = await asyncio.to_thread(call.service.store.remains, after)
    await answer_json(call, {"summaries": [list(each) for each in found]})


async def adopt(call: Call) -> None:
    """Answer `POST /log/adopt`: summaries are kept as they are sent, and positions are gone."""
    call.caller.require_all_projects()
    asked = await asked_json(call, {"pruned", "summaries"}, most=_MOST_BYTES)
    pruned, rows = natural("pruned", asked["pruned"]), listed("summaries", asked["summaries"])
    if len(rows) > REMAINS_PAGE:
        raise InvalidQuery(f"summaries must be at most {REMAINS_PAGE:,}, not {len(rows):,}")
    try:
        summaries = [_summary_of(row) for row in rows]
        await asyncio.to_thread(call.service.store.adopt, pruned, summaries)
    except InvalidEvent as error:
        raise problem_with_rule(error) from error
    finally:
        call.service.live.forget()
    await answer_json(call, {"adopted": len(rows)})


def _summary_of(row: object) -> Summary:
    """The summary of a row that a client sent."""
    if not isinstance(row, list) or len(row) != len(Summary._fields):
        raise InvalidEvent("summary", row, f"must be a list of {len(Summary._fields)} values")
    summary = Summary(*row)
    for field in _TEXTS:
        word(field, getattr(summary, field))
    name("id", summary.id)
    if summary.correlation_id is not None:
        name("correlation_id", summary.correlation_id)
    for fields, least, most in _NUMBERS:
        for field in fields:
            _ensure_whole(field, getattr(summary, field), least, most)
    return summary


def _ensure_whole(field: str, value: object, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidEvent(field, value, f"must be a whole number from {least} to {most}")
