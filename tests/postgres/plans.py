"""What PostgreSQL does for a call: its statements are noted, and each is explained as it was run.

Shared by the tests of this folder; it checks nothing itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from psycopg.pq import TransactionStatus

from tidings.store.postgres.dialing import Line
from tidings.store.postgres.planning import SURE_PLANS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

    from tidings.store.postgres import PostgresStore

__all__ = ["Work", "work_of"]


class Work(NamedTuple):
    """What one statement did.

    `looked_at` is how many rows its scans took into their hands, wanted or not, and `sorted` how
    many were sorted; `kinds` names the nodes of its plan, and `generic` those of the plan that is
    made for any values.
    """

    statement: str
    looked_at: float
    sorted: float
    kinds: set[str]
    generic: set[str]


def work_of(
    store: PostgresStore, call: Callable[[PostgresStore], object], monkeypatch: pytest.MonkeyPatch
) -> list[Work]:
    """What each statement of a call did, run once more in the same circumstances."""
    noted: list[tuple[str, Any, bool]] = []
    execute = Line.execute

    def noting(line: Line, query: Any, params: Any = None, **options: Any) -> Any:
        inside = line.pgconn.transaction_status == TransactionStatus.INTRANS
        if query.startswith("SELECT"):
            noted.append((query, params, inside))
        return execute(line, query, params, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Line, "execute", noting)
        call(store)
    return [_explained(store, *each) for each in noted]


def _explained(store: PostgresStore, query: str, params: Any, inside: bool) -> Work:
    settings = SURE_PLANS if inside else ""
    with store._connections.snapshot(settings) as line:
        explain = "EXPLAIN (ANALYZE, FORMAT JSON, COSTS OFF, TIMING OFF) "
        ((found,),) = line.execute(explain + query, params, prepare=False)
        ((generic,),) = line.execute(
            f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {_numbered(query)}", prepare=False
        )
    nodes = list(_nodes(found[0]["Plan"]))
    return Work(
        query,
        sum(map(_looked_at, nodes)),
        sum(_rows(node) for node in nodes if "Sort" in node["Node Type"]),
        {_kind(node) for node in nodes},
        {_kind(node) for node in _nodes(generic[0]["Plan"])},
    )


def _numbered(query: str) -> str:
    """The query with PostgreSQL's own marks for values in place of psycopg's."""
    first, *others = query.split("%s")
    marked = first + "".join(f"${n}{part}" for n, part in enumerate(others, 1))
    return marked.replace("%%", "%")


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


def _kind(node: dict[str, Any]) -> str:
    if "Scan" in node["Node Type"] and node.get("Relation Name") in ("events", "summaries"):
        return f"{node['Node Type']} on {node.get('Index Name', 'the table')}"
    return str(node["Node Type"])


def _rows(node: dict[str, Any]) -> float:
    return float(node["Actual Rows"] * node["Actual Loops"])


def _looked_at(node: dict[str, Any]) -> float:
    if node.get("Relation Name") not in ("events", "summaries"):
        return 0
    removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return _rows(node) + float(removed * node["Actual Loops"])
