"""Whether a session becomes the right events, however its hooks arrive."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.integrations.claude_code.recorded import (
    EXPLORER,
    PROFILER,
    SECRETS,
    SESSION,
    TEXTS,
    TREE,
    record,
    told,
    walk_back,
)
from tidings.bus import Bus
from tidings.errors import InvalidEvent
from tidings.event import Event
from tidings.integrations.claude_code.hook import Hook, hooks_in
from tidings.integrations.claude_code.mapping import events_of
from tidings.integrations.discretion import Discretion
from tidings.store.query import Query
from tidings.workflows import workflow_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

PROMPT = {
    "hook_event_name": "UserPromptSubmit", "session_id": "s", "cwd": "/srv/fig", "prompt": "Go on"
}  # fmt: skip


@pytest.fixture
def bus() -> Iterator[Bus]:
    """A bus with a store of its own."""
    with Bus("memory:") as opened:
        yield opened


def nodes(bus: Bus) -> list[tuple[str, str | None, str, str]]:
    """The nodes of the tree as `TREE` has them, in the order of their ids."""
    tree = workflow_tree(bus.store, SESSION)
    assert tree is not None
    return sorted((each.id, each.parent_id, each.name, each.state) for each in tree.nodes)


def types(bus: Bus, **filters: Any) -> list[str]:
    """The types of the events that fit, in order."""
    return [event.type for event in bus.read(**filters)]


def test_the_tree_of_a_session(bus: Bus) -> None:
    """Agents beside each other and below each other stand where they belong."""
    record(bus, told())
    assert nodes(bus) == sorted(TREE)


def test_what_is_told_twice_is_kept_once(bus: Bus) -> None:
    """Sent again one by one, or all together, hooks that can be told apart repeat nothing."""
    hooks = [hook for hook in told() if hook["hook_event_name"] not in ANEW]
    for hook in hooks:
        assert record(bus, [hook]) == record(bus, [hook])
    kept = bus.store.head()
    record(bus, hooks)
    assert bus.store.head() == kept


ANEW = ("Notification", "PreCompact", "PostCompact", "ConfigChange")
"""Hooks that may be told twice in the same words and mean two things."""


def test_two_equal_prompts_are_two(bus: Bus) -> None:
    """The same words under another prompt's id, or under none, are another prompt."""
    record(bus, [{**PROMPT, "prompt_id": "p1"}, {**PROMPT, "prompt_id": "p2"}, PROMPT, PROMPT])
    assert types(bus, types="workflow.prompted") == ["workflow.prompted"] * 4
    assert types(bus, types="agent.started") == ["agent.started"] * 4


def test_another_prompt_under_the_same_id_is_kept(bus: Bus) -> None:
    """An agent in the background may report under the id of the prompt that is answered."""
    for _ in range(2):
        record(
            bus, [{**PROMPT, "prompt_id": "p", "prompt": words} for words in ("Go", "I am done")]
        )
    assert types(bus, correlation_id="s") == ["workflow.prompted", "agent.started"] * 2


def test_a_call_is_one_thing(bus: Bus) -> None:
    """A tool's start and end are about its call; the end was caused by the start."""
    record(bus, told())
    start, end = bus.read(aggregate_type="tool", aggregate_id="toolu_07Bash")
    assert (start.type, end.type, end.status) == ("tool.started", "tool.failed", "failure")
    assert end.causation_id == start.id
    assert (end.payload["exit_code"], end.payload["duration_ms"]) == (128, 31)
    states = {each.id: each.state for each in bus.store.summaries("tool", Query())}
    assert states.pop("toolu_07Bash") == states.pop("toolu_09Agent") == "failed"
    assert set(states.values()) == {"done"}


def test_a_start_after_its_end_is_kept_apart(bus: Bus) -> None:
    """Hooks in the background overtake each other; a call that is over does not look open."""
    hooks = told()
    for at in range(len(hooks) - 1):
        calls = [hook.get("tool_use_id", "") for hook in hooks[at : at + 2]]
        if calls[0] == calls[1] != "" and hooks[at]["hook_event_name"] == "PreToolUse":
            hooks[at : at + 2] = hooks[at + 1], hooks[at]
    for _ in range(2):
        record(bus, [hook for hook in hooks if hook["hook_event_name"] not in ANEW])
    (end,) = bus.read(aggregate_type="tool", aggregate_id="toolu_04Grep")
    assert walk_back(bus, end)[:3] == ["tool.completed", "tool.started", "agent.started"]
    assert types(bus).count("tool.started") == 9
    assert {each.state for each in bus.store.summaries("tool", Query())} == {"done", "failed"}
    assert nodes(bus) == sorted(TREE)


@pytest.mark.parametrize("seed", range(4))
def test_neighbours_may_overtake_each_other(bus: Bus, seed: int) -> None:
    """Whatever comes up to two places early or late, who started whom stays the same."""
    chance = random.Random(seed)
    hooks = sorted(enumerate(told()), key=lambda each: each[0] + chance.uniform(0, 2.9))
    record(bus, [hook for _, hook in hooks])
    parents = {each[0]: each[1] for each in nodes(bus)}
    assert parents == {each[0]: each[1] for each in TREE}


def test_what_a_parent_says_beats_what_was_inferred(bus: Bus) -> None:
    """Two agents of one type: the guess may be wrong until the call that started one has ended."""
    call = {"session_id": "s", "prompt_id": "p", "tool_name": "Agent", "tool_input": {}}
    below = {**call, "agent_id": "first", "agent_type": "general-purpose"}
    record(
        bus,
        [
            {**PROMPT, "prompt_id": "p"},
            {**call, "hook_event_name": "PreToolUse", "tool_use_id": "t1"},
            {**below, "hook_event_name": "SubagentStart"},
            {**below, "hook_event_name": "PreToolUse", "tool_use_id": "t2"},
            {**call, "hook_event_name": "PreToolUse", "tool_use_id": "t3"},
            {**below, "hook_event_name": "SubagentStart", "agent_id": "second"},
        ],
    )
    second = next(bus.read(types="agent.started", aggregate_type="agent", aggregate_id="second"))
    assert second.payload["inferred"] == ["causation_id"]
    tree = workflow_tree(bus.store, "s")
    assert tree is not None
    assert {each.id: each.parent_id for each in tree.nodes}["second"] == "first"
    ended = {**call, "hook_event_name": "PostToolUse", "tool_use_id": "t3"}
    record(bus, [{**ended, "tool_response": {"agentId": "second", "status": "completed"}}])
    tree = workflow_tree(bus.store, "s")
    assert tree is not None
    assert {each.id: each.parent_id for each in tree.nodes}["second"] == "main-s"


def test_what_was_inferred_is_marked(bus: Bus) -> None:
    """Only of the agents whose parent had not spoken yet; a cause that was told is not marked."""
    record(bus, told())
    marked = [event for event in bus.read() if "inferred" in event.payload]
    assert {(event.type, event.payload["hook"]) for event in marked} == {
        ("agent.started", "SubagentStart")
    }
    assert EXPLORER in {event.aggregate_id for event in marked}
    assert PROFILER not in {event.aggregate_id for event in marked}


def test_from_a_failure_back_to_the_prompt(bus: Bus) -> None:
    """Causes lead from an agent that failed, and from a call of an agent's agent, to the prompt."""
    record(bus, told())
    debugger, turn = bus.read(types="agent.failed")
    assert walk_back(bus, debugger) == [
        "agent.failed", "agent.started", "tool.started", "agent.started", "workflow.prompted",
    ]  # fmt: skip
    assert walk_back(bus, turn) == ["agent.failed", "agent.started", "workflow.prompted"]
    failed = next(bus.read(types="tool.failed"))
    assert walk_back(bus, failed)[-1] == "workflow.prompted"


def test_a_session_without_end_is_running(bus: Bus) -> None:
    """A ghost, of which nobody told the end, can be told from one that has ended, and go on."""
    *hooks, end = told()
    record(bus, hooks)
    (session,) = bus.store.summaries("workflow", Query())
    assert session.state == "running"
    record(bus, [end])
    (session,) = bus.store.summaries("workflow", Query())
    assert session.state == "done"
    resumed = {"hook_event_name": "SessionStart", "session_id": SESSION, "source": "resume"}
    record(bus, [resumed, resumed])
    (session,) = bus.store.summaries("workflow", Query())
    assert session.state == "running"
    assert types(bus, types="workflow.started") == ["workflow.started"] * 3
    assert types(bus, types="workflow.continued") == ["workflow.continued"]


def test_agents_of_claude_code_itself_are_not_in_the_tree(bus: Bus) -> None:
    """What ends without a type was started by nobody; it is kept as what it is."""
    record(bus, told())
    (internal,) = bus.read(types="claude_code.subagent_stop")
    assert (internal.aggregate_type, internal.aggregate_id) == ("workflow", SESSION)


def test_a_hook_nobody_knows_is_kept(bus: Bus) -> None:
    """Under its name, about the session, with its numbers and switches but not its texts."""
    hook = {"hook_event_name": "PostModelSwitch", "session_id": "s", "to_model": "opus",
            "delta": "secret words", "n": 3, "on": True, "many": [1, 2]}  # fmt: skip
    (event,) = record(bus, [hook])
    assert (event.type, event.aggregate_id) == ("claude_code.post_model_switch", "s")
    assert event.payload == {"hook": "PostModelSwitch", "to_model": "opus", "n": 3, "on": True,
                             "delta_characters": 12, "many_count": 2}  # fmt: skip


@pytest.mark.parametrize("content", ["off", "prompts", "all"])
def test_only_what_is_asked_for_is_kept(bus: Bus, content: str) -> None:
    """Prompts, outputs, errors and files are left out unless asked for; secrets always."""
    text = "\n".join(str(event.to_dict()) for event in record(bus, told(), content))
    kept = [words in text for words in TEXTS]
    assert kept == {"off": [False] * 5, "prompts": [True, True, False, False, False],
                    "all": [True] * 5}[content]  # fmt: skip
    assert not [secret for secret in SECRETS if secret in text]
    assert "cProfile" in text
    assert "/src/axes.py" in text


def test_the_project_is_the_directory(bus: Bus) -> None:
    """Unless it is named."""
    assert {event.project for event in record(bus, told())} == {"figrecipe"}
    named = events_of(Hook(PROMPT), Discretion(), "thesis")
    assert {each["project"] for each in named} == {"thesis"}


@pytest.mark.parametrize(
    ("told", "wrong"),
    [
        ([], "body"),
        ({}, "hook_event_name"),
        ({"hook_event_name": "Stop"}, "session_id"),
        ({"hook_event_name": "Stop", "session_id": "s" * 129}, "session_id"),
        ({"hook_event_name": "rm -rf", "session_id": "s"}, "hook_event_name"),
        ({"hook_event_name": "Stop", "session_id": "a\nb"}, "session_id"),
    ],
)
def test_what_is_no_hook_is_refused(told: object, wrong: str) -> None:
    """The error names the field."""
    with pytest.raises(InvalidEvent) as refused:
        Hook(told)
    assert refused.value.field == wrong


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
FIELDS = (
    *("prompt_id", "tool_use_id", "agent_id", "agent_type", "tool_name", "tool_input", "cwd"),
    *("tool_response", "error", "source", "task_id", "effort", "transcript_path", "prompt"),
)
HOOKS = st.fixed_dictionaries(
    {
        "hook_event_name": st.sampled_from(
            [*sorted({hook["hook_event_name"] for hook in told()}), "PermissionDenied", "Setup"]
        ),
        "session_id": st.text(max_size=140),
    },
    optional=dict.fromkeys(FIELDS, VALUES | st.just("Agent") | st.just({"agentId": "a"})),
)


@given(HOOKS | VALUES, st.sampled_from(["off", "prompts", "all"]))
def test_garbage_becomes_an_event_or_is_refused(told: Any, content: str) -> None:
    """Whatever a hook says, there are events that can be kept, or it is refused as no hook."""
    with suppress(InvalidEvent):
        made = [Event(**each) for each in events_of(Hook(told), Discretion(content))]
        assert made
        assert {event.correlation_id for event in made} == {told["session_id"]}


@given(st.binary())
def test_bytes_are_read_or_refused(body: bytes) -> None:
    """No text makes the reader fail in any other way."""
    with suppress(InvalidEvent):
        assert isinstance(hooks_in(body), list)


def test_text_that_utf_8_cannot_hold_is_mended() -> None:
    """A command with half of a character in it is kept, and so is that its call ended."""
    told = {
        "session_id": "s-1",
        "hook_event_name": "PostToolUse",
        "tool_use_id": "t-1",
        "tool_input": {"command": "echo \ud83d"},
    }
    (event,) = events_of(Hook(told), Discretion())
    assert event["payload"]["input"] == {"command": "echo \ufffd"}
    assert events_of(Hook({**told, "prompt_id": "p-1"}), Discretion(), again=True)[0]["id"]


def test_numbers_called_password_are_hidden() -> None:
    """A tool may be given a secret that is a number."""
    told = {
        "session_id": "s-1",
        "hook_event_name": "PreToolUse",
        "tool_input": {"password": 1234, "timeout": 5},
    }
    (event,) = events_of(Hook(told), Discretion())
    assert event["payload"]["input"] == {"password": "[redacted]", "timeout": 5}
