"""What the tests of CloudEvents share: events and messages, chosen ones and any there may be."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tidings.cloudevents import (
    from_batch,
    from_binary,
    from_cloudevent,
    from_structured,
    to_batch,
    to_binary,
    to_cloudevent,
    to_structured,
)
from tidings.event import Event

MINIMAL = {"specversion": "1.0", "id": "1", "source": "/ci", "type": "build"}
HEADERS = {f"ce-{name}": value for name, value in MINIMAL.items()}

REAL = st.characters(codec="utf-8")
LINE = st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp"))
WORDS = st.text(LINE, max_size=12)
NAMES = st.text(LINE, min_size=1, max_size=12)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(REAL, max_size=12)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(REAL, max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
KNOWN = (
    *("specversion", "id", "source", "type", "time", "subject", "datacontenttype", "dataschema"),
    *("data", "data_base64", "project", "status", "correlationid", "causationid", "userid"),
    *("position", "aggregateversion", "recordedat", "redacted", "context", "tidings", "shard"),
)
TRICKY = st.sampled_from(
    [
        *("", "1.0", "text/plain", "application/json", "application/xml", "image/png", "x/y"),
        *("text/plain; charset=utf-16", "aGk=", "aGk", "true", "3", "0", "é", "a/b", "/home/ada"),
        *("{}", "[", "2026-01-01T00:00:00Z", "2026-01-01", "\ud800", "\n"),
        *('{"extensions": {"a": NaN}}', '{"data": "text"}', '{"timestamp": "2026-01-01"}'),
        *('{"source": 3}', '{"odd": 3}'),
    ]
)
EXTENSIONS = st.dictionaries(
    st.sampled_from((*KNOWN, "a b", "x1", "Aé", "")),
    TRICKY.filter(lambda text: text != "\ud800") | SCALARS | JSON,
    max_size=4,
)
TIMESTAMPS = st.sampled_from(
    [
        *("", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00", "2026-01-01 10:00:00+02:00"),
        *("2026-01-01", "2026-06-30T23:59:60Z", "2026-01-01t00:00:00z"),
        "2026-01-01T00:00:00.123456789-00:30",
    ]
)


@st.composite
def events(draw: st.DrawFn) -> Event:
    """Any event: with or without place, redacted or not, with whatever extensions."""
    about = draw(st.none() | st.tuples(NAMES, NAMES))
    event = Event(
        draw(NAMES | st.sampled_from(["a.completed", "x.failed"])),
        draw(WORDS),
        draw(st.sampled_from(["success", "failure", "", "odd"])),
        draw(JSON),
        draw(WORDS | st.sampled_from(["local", "/a", "https://example.org/%20"])),
        draw(TIMESTAMPS),
        id=draw(NAMES | st.none()),
        aggregate_type=None if about is None else about[0],
        aggregate_id=None if about is None else about[1],
        correlation_id=draw(st.none() | NAMES),
        causation_id=draw(st.none() | NAMES),
        user_id=draw(st.none() | NAMES),
        context=draw(st.dictionaries(WORDS, JSON, max_size=2)),
        extensions=draw(EXTENSIONS),
    )
    return placed(draw, event) if draw(st.booleans()) else event


def placed(draw: st.DrawFn, event: Event) -> Event:
    """The event as a store gives it."""
    data = event.to_dict()
    data["position"] = draw(st.integers(1, 2**63 - 1))
    data["recorded_at"] = "2026-01-01T00:00:00.000001Z"
    data["redacted"] = draw(st.booleans())
    if event.aggregate_id is not None:
        data["version"] = draw(st.integers(1, 2**40))
    return Event.from_dict(data)


RICH = Event.from_dict(
    {
        "type": "run.completed",
        "project": 'fig "€" 100%',
        "status": "success",
        "payload": {"n": [1, "é"]},
        "source": "a b",
        "timestamp": "2026-06-30T23:59:60Z",
        "id": "evt 1",
        "aggregate_type": "run",
        "aggregate_id": "7",
        "version": 3,
        "correlation_id": "slurm:alpha:7",
        "position": 2**40,
        "context": {"host": "n12"},
        "extensions": {"shard": 3, "nested": {"a": 1}},
    }
)


def every_way(event: Event) -> list[Event]:
    """The event as each mode gives it back."""
    return [
        from_cloudevent(to_cloudevent(event)),
        from_structured(to_structured(event)),
        from_structured(to_structured(event).encode()),
        from_binary(*to_binary(event)),
        *from_batch(to_batch([event])),
    ]


def assert_comes_back(event: Event) -> None:
    """It comes back from every mode as it was, its place included."""
    for back in every_way(event):
        assert back == event
        assert back.to_dict() == event.to_dict()


def with_extensions(**extensions: Any) -> Event:
    """A plain event that carries extensions."""
    return Event("build", extensions=extensions)


ANY_TEXT = st.text(max_size=20)
ANY_JSON = st.recursive(
    SCALARS | st.floats() | ANY_TEXT | TRICKY,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=5,
)
MESSAGES = ANY_JSON | st.builds(
    lambda base, more: {**base, **more},
    st.sampled_from([MINIMAL, {**MINIMAL, "time": "2026-01-01T00:00:00Z"}]),
    st.dictionaries(st.sampled_from(KNOWN) | ANY_TEXT, TRICKY | ANY_JSON, max_size=4),
)
HEADER_NAMES = st.sampled_from([*(f"Ce-{name}" for name in KNOWN), "content-type"])
