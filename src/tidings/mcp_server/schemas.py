"""JSON Schemas as models read them: without what says nothing and costs tokens.

Titles repeat names; that an optional value may be null, or is empty where it is left out, goes
without saying.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

__all__ = ["plain"]

_NULL = {"type": "null"}


def plain(schema: dict[str, Any], nullable: Collection[str] = ()) -> dict[str, Any]:
    """The schema of an object without what tells nothing.

    Args:
        schema: as pydantic derives it.
        nullable: properties that may truly be null.

    >>> plain({"properties": {"n": {"title": "N", "anyOf": [{"type": "integer"}, {"type": "null"}],
    ...                             "default": None}}})
    {'properties': {'n': {'type': 'integer'}}}
    """
    properties = {
        name: _plain(found, nullable=name in nullable)
        for name, found in schema.get("properties", {}).items()
    }
    kept = {key: value for key, value in schema.items() if key != "title"}
    return {**kept, "properties": properties}


def _plain(found: dict[str, Any], *, nullable: bool) -> dict[str, Any]:
    kept = {key: value for key, value in found.items() if key != "title"}
    if kept.get("default", ...) in (None, ""):
        del kept["default"]
    kinds = [kind for kind in kept.get("anyOf", ()) if kind != _NULL]
    if nullable or not kinds:
        return kept
    del kept["anyOf"]
    return {**kept, **kinds[0]} if len(kinds) == 1 else {**kept, "anyOf": kinds}
