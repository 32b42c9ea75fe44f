"""Errors as a model reads them: what was wrong, and what to do next.

Keeps promise 5 towards models. A store that is away is an error that says so, never an empty
answer. Whoever is not on this machine (over HTTP) is told no paths of it.
"""

from __future__ import annotations

from tidings.errors import (
    HistoryPruned,
    IdConflict,
    InvalidEvent,
    InvalidQuery,
    NotAllowed,
    NotKept,
    OutcomeUnknown,
    SchemaViolation,
    StoreClosed,
    StoreUnavailable,
    VersionConflict,
    shorten,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import ValidationError

    from tidings.errors import TidingsError

__all__ = ["BUG", "refused", "told", "unknown"]

BUG = (
    "something went wrong inside the Tidings server, and its log says what; calling again with the "
    "same arguments will hardly help, so tell the user"
)
"""What a model is told of an error of ours, which may hold anything."""

_REMEDIES = (
    (
        SchemaViolation,
        (
            "Nothing was kept; list_types with the type as prefix shows the schema, so correct it "
            "and call again."
        ),
    ),
    (InvalidEvent, "Nothing was kept; correct the argument and call again."),
    (
        VersionConflict,
        (
            "Nothing was kept; search_events with its aggregate_type and aggregate_id shows what "
            "happened to it."
        ),
    ),
    (IdConflict, "Nothing was kept."),
    (InvalidQuery, "Correct the argument and call again."),
    (HistoryPruned, "What lies before is gone for good."),
    (NotAllowed, "Nothing was done; this is for the user to settle, not to be tried again."),
)
"""What to do after an error that says by itself what was wrong; the first that fits counts."""

_MOST_ERRORS = 5
_MISSING = "missing"


def told(error: TidingsError, *, emitting: bool = False, near: bool = True) -> str:
    """What a model is told of an error.

    Args:
        error: what was raised.
        emitting: whether something was to be kept; else it was to be read.
        near: whether the client is on this machine, and may know what its paths are.

    >>> told(InvalidQuery("limit 0 must be from 1 on"))
    'limit 0 must be from 1 on. Correct the argument and call again.'
    """
    text = str(error)
    for kind, remedy in _REMEDIES:
        if isinstance(error, kind):
            return f"{text}. {remedy}"
    if isinstance(error, OutcomeUnknown):
        return (
            "The connection to the store broke in the middle, so whether it was kept is not known. "
            "Where the call had an id, call again with the same arguments: that repeats nothing."
        )
    if isinstance(error, (StoreUnavailable, StoreClosed)):
        return _away(error, emitting=emitting, near=near)
    if isinstance(error, NotKept):
        notes = "; ".join(getattr(error, "__notes__", ()))
        details = f" ({text}{'; ' if notes else ''}{notes})" if near else ""
        return f"The event could be kept nowhere{details}. Tell the user; it is lost otherwise."
    return text


def _away(error: TidingsError, *, emitting: bool, near: bool) -> str:
    details = f"{type(error).__name__}: {error}" if near else type(error).__name__
    done = "nothing was kept" if emitting else "so what it holds is not known; it may hold events"
    return (
        f"The event store cannot be reached now ({details}), {done}. Try again in a few seconds; "
        f"if it stays so, tell the user to run `tidings doctor`."
    )


def refused(tool: str, error: ValidationError, known: Iterable[str]) -> str:
    """What a model is told of arguments that do not fit.

    Args:
        tool: its name.
        error: what pydantic says.
        known: the arguments that it takes, with a mark at those that are needed.
    """
    errors = error.errors(include_url=False, include_context=False)
    said = [_one_of(each["loc"], each["type"], each["msg"], each["input"]) for each in errors]
    more = len(said) - _MOST_ERRORS
    shown = [*said[:_MOST_ERRORS], *([f"and {more} more"] if more > 0 else [])]
    return f"{'; '.join(shown)}. Nothing was done. {_takes(tool, known)}"


def unknown(tool: str, names: Iterable[str], known: Iterable[str]) -> str:
    """What a model is told of arguments that the tool does not have: ignored, they would mislead.

    >>> unknown("latest", ["typ"], ["type", "project"])
    "latest has no argument 'typ'; did you mean type? Nothing was done. It takes: type, project."
    """
    from difflib import get_close_matches

    wrong = sorted(map(str, names))
    takes = [each.partition(" ")[0] for each in known]
    close = [
        match
        for name in wrong
        for match in get_close_matches(name, takes, n=1) or _holding_each_other(name, takes)
    ]
    hint = f"; did you mean {', '.join(close)}?" if close else "."
    shown = ", ".join(map(shorten, wrong[:_MOST_ERRORS]))
    return f"{tool} has no argument {shown}{hint} Nothing was done. {_takes('It', known)}"


def _takes(who: str, known: Iterable[str]) -> str:
    names = ", ".join(known)
    return f"{who} takes: {names}." if names else f"{who} takes no arguments."


def _holding_each_other(name: str, takes: Iterable[str]) -> list[str]:
    """Names that are part of another's, such as `type` and `event_type`."""
    return [each for each in takes if len(each) > 2 and (each in name or name in each)][:1]


def _one_of(place: tuple[int | str, ...], kind: str, rule: str, value: object) -> str:
    where = ".".join(map(str, place)) or "the arguments"
    if kind == _MISSING:
        return f"{where} must be given"
    rule = rule.replace("valid dictionary", "valid object").replace("valid list", "valid array")
    return f"{where} {shorten(value)}: {rule[:1].lower()}{rule[1:]}"
