"""Hypothesis strategies of events and queries that meet often, with hostile strings among them.

Values come from small pools, so that filters find something, ids recur and aggregates grow. It
makes arguments, not objects: a test shows what it was given, and an oracle can be asked a query.
"""

from __future__ import annotations

from hypothesis import strategies as st

from tidings.store.standing import STATES, Standing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["IDS", "KINDS", "conditions", "events", "queries", "standings", "words"]

IDS = ("a", "b", "01890000-0000-7000-8000-000000000001")
"""Ids that come again and again; the last one is a UUID."""

KINDS = ("agent", "workflow", "run", "correlation", "a/b")
"""Aggregate types; one is named like the summaries of correlations."""

_TYPES = (
    "job.started", "job.done", "job.", "job", "job_done", "JOB.done", "job.*", "*", "j_b", "j%b",
    "agent.started", "agent.completed", "agent.failed", "tool.completed", "workflow.started",
    "workflow.completed", "run.started", "tidings.notice", "jöb.x", "Ünïcode 🎉", "o'brien", 'a"b',
)  # fmt: skip
_PATTERNS = ("*", "job.*", "job*", "j*", "JOB*", "j_*", "j%*", "agent.*", "o'*", "jö*", "x*")
_WORDS = ("figrecipe", "Figrecipe", "fig%", "fig_", "%", "_", "o'brien", 'a"b', "\\", "🎉", "é",
          "e\u0301", " ", "null", "0", "'; DROP TABLE events; --", "İ", "ß")  # fmt: skip
_NAMES = ("a", "b", "A", "c%", "🎉", "w1")
_STATUSES = ("success", "failure", "", "odd")
_SOURCES = ("local", "ci", "hpc", "")
_MINUTE = 60_000_000
_MOMENTS = tuple(
    f"{day}T{time}"
    for day in ("1969-12-31", "1970-01-01", "2026-02-28")
    for time in ("00:00:00Z", "12:34:56.789012Z", "23:59:59.999999+00:00", "01:00:00.5-11:30")
)
_INSTANTS = (-86_400_000_000, -1, 0, 1, 45_296_789_012, 1_772_236_800_000_000)
_KEYS = ("a", "A", "a.b", 'a"b', "%", "é", "🎉", "", "$", "a b")

words = st.one_of(
    st.sampled_from(_WORDS),
    st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), min_size=1, max_size=8),
)
"""Strings that a field may hold, hostile ones among them."""

_leaves = st.one_of(
    st.sampled_from([None, True, False, 0, 1, -1, 1.0, 0.1, 1e300, 2**63, -(2**70), "", "x"]),
    words,
)
_values = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(_KEYS), inner, max_size=2)
    ),
    max_leaves=4,
)
_payloads = st.one_of(st.dictionaries(st.sampled_from(_KEYS), _values, max_size=3), _values)
_name = st.sampled_from(_NAMES)


def events() -> st.SearchStrategy[dict[str, Any]]:
    """Arguments of `Event` without an id."""
    objects = st.dictionaries(words, _leaves, min_size=1, max_size=2)
    return st.fixed_dictionaries(
        {"type": st.sampled_from(_TYPES)},
        optional={
            "project": words,
            "status": st.sampled_from(_STATUSES),
            "payload": _payloads,
            "source": st.sampled_from(_SOURCES),
            "timestamp": st.sampled_from(_MOMENTS),
            "about": st.tuples(st.sampled_from(KINDS), _name),
            "correlation_id": _name,
            "causation_id": _name,
            "user_id": words,
            "context": objects,
            "extensions": objects,
        },
    ).map(_with_aggregate)


def conditions() -> st.SearchStrategy[dict[str, Any]]:
    """Arguments of `Filter`, few enough that something may fit them all."""
    return st.lists(st.sampled_from(sorted(_CONDITIONS)), max_size=3, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: _CONDITIONS[name] for name in names})
    )


def queries() -> st.SearchStrategy[dict[str, Any]]:
    """Arguments of `Query`, `exclude` as the arguments of its filter."""
    window = st.fixed_dictionaries(
        {},
        optional={
            "after": st.integers(0, 30),
            "before": st.integers(0, 30),
            "limit": st.integers(0, 6),
            "backwards": st.booleans(),
            "exclude": conditions(),
        },
    )
    return st.tuples(conditions(), window).map(lambda parts: {**parts[0], **parts[1]})


def standings() -> st.SearchStrategy[Standing]:
    """How summaries may be asked to stand."""
    return st.builds(
        Standing, st.none() | st.sampled_from(STATES), st.none() | st.sampled_from(_INSTANTS)
    )


def _several(pool: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(pool), min_size=1, max_size=3)


_CONDITIONS: dict[str, st.SearchStrategy[Any]] = {
    "ids": _several(IDS),
    "types": _several(_TYPES + _PATTERNS),
    "project": st.lists(words | st.just(""), min_size=1, max_size=3),
    "status": _several(_STATUSES),
    "source": _several(_SOURCES),
    "aggregate_type": st.sampled_from((*KINDS, "")),
    "aggregate_id": _name,
    "correlation_id": _name,
    "causation_id": _name,
    "user_id": words,
    "since": st.sampled_from(_INSTANTS),
    "until": st.sampled_from(_INSTANTS),
    "payload": st.dictionaries(st.sampled_from(_KEYS), _values, min_size=1, max_size=2),
    "contains": st.one_of(words, st.sampled_from(["a", "A", "null", ":1", '"', "{", "é", "X"])),
}


def _with_aggregate(fields: dict[str, Any]) -> dict[str, Any]:
    about = fields.pop("about", None)
    if about is None:
        return fields
    return {**fields, "aggregate_type": about[0], "aggregate_id": about[1]}
