"""Events for the tests of export and import: any that can be made, and many alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from tidings.event import Event
from tidings.store.query import Query

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.store.base import Store

__all__ = ["EVENTS", "fill", "kept"]

_TEXT = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="\x7f"),
    max_size=20,
)
_NAME = _TEXT.filter(bool)
_VALUE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
_OBJECT = st.dictionaries(_NAME, _VALUE, max_size=3)


@st.composite
def _event(draw: st.DrawFn) -> Event:
    aggregate = draw(st.none() | st.tuples(_NAME, _NAME)) or (None, None)
    return Event(
        draw(_NAME),
        draw(_TEXT),
        draw(_TEXT),
        draw(_VALUE),
        draw(_TEXT),
        draw(st.just("") | st.datetimes().map(lambda moment: f"{moment.isoformat()}+01:00")),
        id=draw(st.none() | _NAME),
        aggregate_type=aggregate[0],
        aggregate_id=aggregate[1],
        correlation_id=draw(st.none() | _NAME),
        causation_id=draw(st.none() | _NAME),
        user_id=draw(st.none() | _NAME),
        context=draw(_OBJECT),
        extensions=draw(st.none() | st.just({"colour": "red", "number": 7})),
    )


EVENTS = st.lists(_event(), max_size=5, unique_by=lambda event: (event.id, event.source))
"""Some events that may stand in one store."""


def fill(store: Store, count: int, size: int = 0) -> Sequence[Event]:
    """Append many events, their payloads of about `size` bytes."""
    text = "x" * size
    return store.append([Event("job", payload={"n": n, "text": text}) for n in range(count)])


def kept(store: Store) -> list[Event]:
    """All events of a store in order."""
    return list(store.read(Query()))
