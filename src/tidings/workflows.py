"""Workflows as trees: who started whom, how it ended, and how long it took.

The tree holds a workflow and its agents. An agent's parent is the first other agent on the way back
along what caused it. That begins with what its first event names, or what its parent names
(`agent.spawned`), who knows better: an aggregate's id (an agent, or the workflow) or an earlier
event's id, and then the agent that event is about, or else whatever caused the event. Found by
indexes; no more agents are looked at than are shown. Who may see what is the caller's to say
(`narrow`); how a tree is told is its business too.
"""

from __future__ import annotations

from typing import NamedTuple

from tidings.record import AGGREGATE_TYPE
from tidings.store.base import CORRELATION
from tidings.store.query import Filter, Query
from tidings.timestamps import format_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from typing import Any, TypeAlias

    from tidings.event import Event
    from tidings.store.base import Store, Summary

    Narrow: TypeAlias = Callable[[Query], Query]
    _Step: TypeAlias = tuple[str | None, str | None]

__all__ = ["Beginning", "WorkflowNode", "WorkflowTree", "beginning_of", "whole", "workflow_tree"]

_IDS_AT_ONCE = 32
"""So many ids are looked up by their index in one read; see `store.sqlite.planning`."""

_MOST_STEPS = 64
"""So many events may lie between an agent and the one that started it."""

_MOST_EVENTS = 10_000
"""So many events in all are looked up for that; agents whose way back is longer are not placed."""

_FIRST = 8
"""So many of an agent's events are looked at for how it began."""

_SPAWNED = "agent.spawned"
"""What a parent says of an agent that it started; its causation id says by what."""

_ENDED = ("done", "failed")
_MICROSECONDS = 1_000_000


class WorkflowNode(NamedTuple):
    """A workflow or an agent in the tree.

    Attributes:
        id: of the agent, or of the workflow.
        kind: `workflow` or `agent`.
        name: the agent's, as its first event says, else from its id; the workflow's id.
        parent_id: the node above it; none at the root.
        caused_by: what its first event, or its parent, names as its cause, as it stands there.
        depth: how many nodes stand above it.
        children: the agents it started, by their ids.
        state: `running`, `done`, `failed`, or empty where its events do not say.
        status: its newest outcome: `success`, `failure`, or empty.
        events: how many events it has had.
        started_at: when its first event happened (RFC 3339).
        last_event_at: when its newest event happened (RFC 3339).
        duration: from its first event to its newest (seconds), where it has ended.
    """

    id: str
    kind: str
    name: str
    parent_id: str | None
    caused_by: str | None
    depth: int
    children: tuple[str, ...]
    state: str
    status: str
    events: int
    started_at: str | None
    last_event_at: str | None
    duration: float | None


class WorkflowTree(NamedTuple):
    """Who started whom in a workflow.

    Attributes:
        workflow_id: the workflow.
        nodes: the workflow, then each node before its children, the first to start first.
        truncated: whether there are more agents than are shown.
    """

    workflow_id: str
    nodes: tuple[WorkflowNode, ...]
    truncated: bool


class Beginning(NamedTuple):
    """What an agent's first events say of it.

    Attributes:
        name: its name; where they do not say, the first word of its id, as seed 002 has it.
        cause: what caused it.
    """

    name: str
    cause: str | None


def workflow_tree(
    store: Store, workflow_id: str, narrow: Narrow = lambda query: query, most: int = 1000
) -> WorkflowTree | None:
    """The tree of a workflow.

    An agent whose cause is not known, or leads back to itself, stands right below the workflow.

    Args:
        store: where its events are.
        workflow_id: the workflow's id, which is its agents' correlation id.
        narrow: limits a query to what whoever asks may see. What has events that they may not see
            is left out as a whole, since how it stands would tell of those.
        most: the most agents that are shown.

    Returns:
        The tree; none where no event speaks of the workflow.

    Raises:
        TidingsError: the store cannot be read, or `narrow` refuses.

    >>> from tidings import Bus
    >>> with Bus("memory:") as bus:
    ...     _ = bus.emit("agent.started", aggregate_type="agent", aggregate_id="a-1",
    ...                  correlation_id="w-1", status="")
    ...     tree = workflow_tree(bus.store, "w-1")
    >>> [(node.id, node.depth, node.state) for node in tree.nodes]
    [('w-1', 0, ''), ('a-1', 1, 'running')]
    """
    query = narrow(Query(correlation_id=workflow_id))
    found = store.summaries("agent", query.replace(limit=most + 1))
    agents = whole(store, query.project or None, "agent", found[:most])
    agents.sort(key=lambda agent: agent.first_instant)  # events may come late
    root = _root(store, narrow, workflow_id)
    if root is None and not agents:
        return None
    beginnings = {agent.id: beginning_of(store, narrow, agent.id) for agent in agents}
    parents = _parents(store, narrow, workflow_id, beginnings)
    nodes = [_node(agent, beginnings[agent.id], parents[agent.id]) for agent in agents]
    in_order = tuple(_in_depth([_top(workflow_id, root), *nodes]))
    return WorkflowTree(workflow_id, in_order, truncated=len(found) > most)


def beginning_of(store: Store, narrow: Narrow, agent_id: str) -> Beginning:
    """What an agent's first events say that are left and that may be seen."""
    query = Query(aggregate_type="agent", aggregate_id=agent_id, limit=_FIRST)
    first = list(store.read(narrow(query)))
    spawned = [event for event in first if event.type == _SPAWNED and event.causation_id]
    causes = [event.causation_id for event in (*spawned, *first)]
    return Beginning(_name(agent_id, first), causes[0] if causes else None)


def whole(
    store: Store, projects: Collection[str] | None, kind: str, summaries: list[Summary]
) -> list[Summary]:
    """Those that tell of nothing but these projects: a summary is of all its events.

    Args:
        store: where they are from.
        projects: what may be seen; none for everything.
        kind: what they are of; see `Store.summaries`.
        summaries: those to choose from.
    """
    if projects is None:
        return summaries
    others = Filter(project=sorted(projects))
    return [
        summary
        for summary in summaries
        if next(store.read(_about(kind, summary.id).replace(exclude=others, limit=1)), None) is None
    ]


def _about(kind: str, name: str) -> Query:
    if kind == CORRELATION:
        return Query(correlation_id=name)
    return Query(aggregate_type=kind, aggregate_id=name)


def _name(agent_id: str, first: list[Event]) -> str:
    for event in first:
        given = event.payload.get("agent_name") if isinstance(event.payload, dict) else None
        if isinstance(given, str) and given:
            return given
    return agent_id.split("-", maxsplit=1)[0] if "-" in agent_id else "unknown"


def _root(store: Store, narrow: Narrow, workflow_id: str) -> Summary | None:
    """The summary of the workflow, or of what has its id as correlation id."""
    query = narrow(Query(aggregate_id=workflow_id, limit=1))
    for kind in ("workflow", CORRELATION):
        found = whole(store, query.project or None, kind, store.summaries(kind, query))
        if found:
            break
    return found[0] if found else None


def _parents(
    store: Store, narrow: Narrow, workflow_id: str, agents: dict[str, Beginning]
) -> dict[str, str]:
    """For each agent the node above it, of which there is always one and never a circle."""
    causes = {agent: beginning.cause for agent, beginning in agents.items()}
    known = _behind(store, narrow, causes)
    parents = {
        agent: _agent_behind(agent, cause, causes, known) or workflow_id
        for agent, cause in causes.items()
    }
    return _without_circles(parents, workflow_id)


def _agent_behind(
    agent: str, cause: str | None, agents: Collection[str], known: dict[str, _Step]
) -> str | None:
    """The first other agent on the way back along what caused one."""
    seen = set()
    while cause is not None and cause not in seen:
        if cause in agents and cause != agent:
            return cause
        seen.add(cause)
        about, cause = known.get(cause, (None, None))
        if about in agents and about != agent:
            return about
    return None


def _behind(store: Store, narrow: Narrow, causes: dict[str, str | None]) -> dict[str, _Step]:
    """The events on the ways back from agents, by their ids, as far as no agent is met.

    Args:
        store: where they are.
        narrow: limits a query to what may be seen.
        causes: what caused each agent.
    """
    known: dict[str, _Step] = {}
    wanted = {cause for cause in causes.values() if cause} - causes.keys()
    for _ in range(_MOST_STEPS):
        left = _MOST_EVENTS - len(known)
        if not wanted or left <= 0:
            break
        found = _steps(store, narrow, sorted(wanted)[:left])
        known |= found
        further = {
            cause
            for name, (about, cause) in found.items()
            # What it says of itself leads on: its end may have come before its start.
            if cause and (about not in causes or causes[about] == name)
        }
        wanted = further - known.keys() - causes.keys()
    return known


def _steps(store: Store, narrow: Narrow, wanted: Sequence[str]) -> dict[str, _Step]:
    """Of events, by their ids: the agent each is about, if it is about one, and what caused it."""
    steps = {}
    for start in range(0, len(wanted), _IDS_AT_ONCE):
        some = wanted[start : start + _IDS_AT_ONCE]
        for event in store.read(narrow(Query(ids=some))):
            is_agent = event.record[AGGREGATE_TYPE] == "agent"
            steps[event.id] = (event.aggregate_id if is_agent else None, event.causation_id)
    return steps


def _without_circles(parents: dict[str, str], top: str) -> dict[str, str]:
    """The same, but who would stand below themselves stands below the top."""
    sound = {top}
    for agent in parents:
        path: list[str] = []
        seen = set()
        at = agent
        while at not in sound:
            if at in seen:
                parents[at] = top
                break
            seen.add(at)
            path.append(at)
            at = parents[at]
        sound.update(path)
    return parents


def _top(workflow_id: str, summary: Summary | None) -> WorkflowNode:
    bare = WorkflowNode(
        workflow_id, "workflow", workflow_id, None, None, 0, (), "", "", 0, None, None, None
    )
    return bare if summary is None else bare._replace(**_told(summary))


def _node(summary: Summary, beginning: Beginning, parent: str) -> WorkflowNode:
    return WorkflowNode(
        id=summary.id,
        kind="agent",
        name=beginning.name,
        parent_id=parent,
        caused_by=beginning.cause,
        depth=0,
        children=(),
        **_told(summary),
    )


def _told(summary: Summary) -> dict[str, Any]:
    """What a summary says of a node: how it stands, and its times."""
    took = max(0, summary.last_instant - summary.first_instant) / _MICROSECONDS
    return {
        "state": summary.state,
        "status": summary.status,
        "events": summary.version,
        "started_at": format_instant(summary.first_instant),
        "last_event_at": format_instant(summary.last_instant),
        "duration": took if summary.state in _ENDED else None,
    }


def _in_depth(nodes: list[WorkflowNode]) -> Iterator[WorkflowNode]:
    """Each node before its children, with its depth and their ids; the first is the top.

    A tree may be as deep as it has agents, so no function calls itself here.
    """
    children: dict[str | None, list[WorkflowNode]] = {}
    for node in nodes[1:]:
        children.setdefault(node.parent_id, []).append(node)
    left = [(nodes[0], 0)]
    while left:
        node, depth = left.pop()
        # An agent may have the workflow's id; it then has no children of its own.
        below = children.pop(node.id, [])
        yield node._replace(depth=depth, children=tuple(child.id for child in below))
        left += [(child, depth + 1) for child in reversed(below)]
