"""The conditions of a query in words, as commands and messages show them to people.

Only for reading: programs are given the conditions themselves (`wire.query_data`).
"""

from __future__ import annotations

from tidings.fields import encode_json
from tidings.timestamps import format_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.store.query import Filter, Query

__all__ = ["words_of"]

_NAMES = {
    "types": "type",
    "ids": "id",
    "correlation_id": "of workflow",
    "causation_id": "caused by",
    "user_id": "of user",
}


def words_of(query: Query) -> str:
    """The conditions of a query in words; that nobody asked for our own types is not said.

    >>> from tidings.store.query import Filter, Query
    >>> words_of(Query(types=["build_result"], project=["a", "b"], payload={"branch": "main"}))
    'type build_result, payload branch=main, project a or b'
    >>> words_of(Query(aggregate_type="run", exclude=Filter(status="success")))
    'about any run, not status success'
    >>> words_of(Query())
    'any event'
    """
    said = _said(query)
    if query.exclude is not None:
        said += [f"not {each}" for each in _said(query.exclude) if each != "type tidings.*"]
    return ", ".join(said) or "any event"


def _said(conditions: Filter) -> list[str]:
    given = dict(conditions.conditions())
    about = given.pop("aggregate_type", None)
    if about is not None:
        one = given.pop("aggregate_id", None)
        given["about"] = f"any {about}" if one is None else f"{about}/{one}"
    names = sorted(given, key=lambda name: name != "types")
    return [f"{_NAMES.get(name, name)} {_value(name, given[name])}" for name in names]


def _value(name: str, value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={_value(key, each)}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return " or ".join(map(str, value))
    if name in {"since", "until"} and isinstance(value, int):
        return format_instant(value)
    return value if isinstance(value, str) else encode_json(value)
