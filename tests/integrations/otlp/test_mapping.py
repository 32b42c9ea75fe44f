"""Spans as events: what they are about, what they say, and what they leave out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tidings.integrations.discretion import Discretion
from tidings.integrations.otlp import Mapping, spans_of
from tidings.integrations.otlp.conventions import (
    CONTENT,
    MEANINGS,
    NAMES,
    content_of,
    kind_of,
    names_of,
)
from tidings.integrations.otlp.spans import Span

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.event import Event

ROOT = Path(__file__).parents[3]
LARGEST = 1024 * 1024
TRACE = "5b8efff798038103d269b633813fc60c"


def events_of(
    request: dict[str, Any], content: str = "off", max_payload: int = LARGEST
) -> list[Event]:
    """The events of all spans of a request."""
    mapping = Mapping(Discretion(content), max_payload)
    return [
        event
        for span in spans_of(request)
        if isinstance(span, Span)
        for event in mapping.events(span)
    ]


def one(attributes: dict[str, str] | None = None, /, **fields: Any) -> dict[str, Any]:
    """A request with one span, within others, that took a second."""
    pairs = [
        {"key": key, "value": {"stringValue": text}} for key, text in (attributes or {}).items()
    ]
    span: dict[str, Any] = {
        "traceId": TRACE,
        "spanId": "00000000000000b1",
        "parentSpanId": "00000000000000b0",
    }
    span |= {"name": "work", "startTimeUnixNano": "1000000000", "endTimeUnixNano": "2000000000"}
    span |= {"attributes": pairs, **fields}
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


# The table ----------------------------------------------------------------------------------------


def test_every_row_of_the_table_counts() -> None:
    """Each row decides where a span has nothing else."""
    for row in MEANINGS:
        assert kind_of({row.attribute: row.value}) == row.kind
        assert kind_of({row.attribute: row.value.upper()}) == row.kind
    for name in NAMES:
        assert names_of({name.attribute: "x"}) == {name.key: "x"}
        assert content_of(name.attribute, "x") == ""
    for part in CONTENT:
        assert content_of(part.attribute, "x") == part.level


def test_the_table_is_documented() -> None:
    """The reference shows the rows, and no others, in their order."""
    page = (ROOT / "docs" / "reference" / "otlp.md").read_text()
    shown = [
        tuple(cell.strip(" `") for cell in line.strip("|").split("|"))
        for line in page.splitlines()
        if line.startswith("| `")
    ]
    assert shown == [*MEANINGS, *NAMES, *CONTENT]


def test_newer_names_go_before() -> None:
    """Where a span has an attribute under two names, the one of the newer convention counts."""
    both = {"gen_ai.system": "openai", "gen_ai.provider.name": "azure.ai.openai"}
    assert names_of(both) == {"provider": "azure.ai.openai"}
    signs = {"openinference.span.kind": "CHAIN", "traceloop.span.kind": "agent"}
    assert kind_of(signs) == "agent"


@pytest.mark.parametrize(
    ("attribute", "level"),
    [
        ("acme.lastReply", "all"),
        ("llm.input_messages.0.message.content", "all"),
        ("ai.toolCall.args", "all"),
        ("db.query.text", "all"),
        ("process.command_line", "all"),
        ("gen_ai.response.finish_reasons", ""),
        ("gen_ai.response.id", ""),
        ("messaging.message.id", ""),
        ("http.route", ""),
        ("exception.message", ""),
    ],
)
def test_content_is_told_by_its_name(attribute: str, level: str) -> None:
    """An attribute of no convention is content where its name says so."""
    assert content_of(attribute, "text") == level
    assert content_of(attribute, 7) == ""


# What events are about ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "kind"),
    [("invoke_agent", "agent"), ("execute_tool", "tool"), ("chat", "model"), ("x", "span")],
)
def test_a_span_starts_and_completes(operation: str, kind: str) -> None:
    """Two events about one aggregate, the second caused by the first, that by the parent's."""
    request = one({"gen_ai.operation.name": operation})
    started, completed = events_of(request)
    assert (started.type, completed.type) == (f"{kind}.started", f"{kind}.completed")
    assert (started.status, completed.status) == ("", "success")
    aggregate = (kind, f"{TRACE}-00000000000000b1")
    assert (started.aggregate_type, started.aggregate_id) == aggregate
    assert (completed.aggregate_type, completed.aggregate_id) == aggregate
    (parent, _) = events_of(one(spanId="00000000000000b0", parentSpanId="00000000000000af"))
    assert started.causation_id == parent.id
    assert completed.causation_id == started.id
    assert {started.correlation_id, completed.correlation_id} == {TRACE}
    assert completed.payload["duration"] == 1.0
    assert (started.instant, completed.instant) == (1_000_000, 2_000_000)
    assert {started.source, completed.source} == {"otlp"}


def test_the_same_span_makes_the_same_events() -> None:
    """Ids and content follow from the span alone."""
    assert events_of(one()) == events_of(one())


def test_a_root_is_the_workflow() -> None:
    """A span without parent that stands for nothing else begins and ends the trace's workflow."""
    started, completed = events_of(one(parentSpanId=""))
    assert (started.type, completed.type) == ("workflow.started", "workflow.completed")
    assert started.aggregate_id == TRACE
    assert started.causation_id is None


def test_an_agent_at_the_root_stands_in_the_workflow() -> None:
    """The workflow is around it, and what is below the agent finds the agent."""
    root = one({"gen_ai.operation.name": "invoke_agent"}, parentSpanId="")
    workflow, agent, *ends = events_of(root)
    assert [workflow.type, agent.type] == ["workflow.started", "agent.started"]
    assert [end.type for end in ends] == ["agent.completed", "workflow.completed"]
    assert agent.causation_id == workflow.id
    child, _ = events_of(one(spanId="00000000000000b2", parentSpanId="00000000000000b1"))
    assert child.causation_id == agent.id


def test_a_workflow_within_a_trace() -> None:
    """It is another workflow's part, and has an id of its own."""
    started, _ = events_of(one({"gen_ai.operation.name": "invoke_workflow"}))
    assert (started.type, started.aggregate_id) == ("workflow.started", f"{TRACE}-00000000000000b1")
    assert started.correlation_id == TRACE


def test_a_span_without_end_has_started() -> None:
    """Its start is the same event when it comes again with its end."""
    (pending,) = events_of(one(endTimeUnixNano="0"))
    started, _ = events_of(one({"gen_ai.usage.output_tokens": "7"}))
    assert pending == started


@pytest.mark.parametrize(
    "fields",
    [
        {"status": {"code": 2, "message": "no such file"}},
        {"attributes": [{"key": "error.type", "value": {"stringValue": "OSError"}}]},
        {"attributes": [{"key": "success", "value": {"boolValue": False}}]},
    ],
)
def test_a_span_fails(fields: dict[str, Any]) -> None:
    """By its status, by the kind of its error, or as Claude Code says it."""
    _, failed = events_of(one(**fields))
    assert (failed.type, failed.status) == ("span.failed", "failure")


def test_a_handled_exception_is_no_failure() -> None:
    """An exception that a span only tells of leaves it completed."""
    _, completed = events_of(one(events=[{"name": "exception"}]))
    assert completed.type == "span.completed"


# What they say ------------------------------------------------------------------------------------


def test_names_and_places(export: Callable[[str], dict[str, Any]]) -> None:
    """An event says who, with which model and tokens, in which project, and where it was made."""
    told = {event.type: event for event in events_of(export("collector"))}
    model = told["model.completed"]
    assert model.project == "figrecipe"
    said = {key: model.payload[key] for key in ("model", "input_tokens", "output_tokens")}
    assert said == {"model": "claude-5", "input_tokens": 1200, "output_tokens": 80}
    kept = {"gen_ai.request.model": "claude", "gen_ai.response.finish_reasons": ["tool_use"]}
    assert model.payload["attributes"] == kept
    assert model.context["host"] == "n12"
    assert model.context["pid"] == 4711
    assert model.context["git"]["commit"].startswith("0123")
    assert "--key" not in str(model.context)
    failed = told["agent.failed"].payload
    assert failed["agent_name"] == "Coder"
    assert (failed["error"], failed["error_type"]) == (
        "no such file: data.csv",
        "FileNotFoundError",
    )
    assert told["workflow.completed"].user_id == "ann"
    assert told["tool.started"].payload["tool_name"] == "delegate"


@pytest.mark.parametrize("name", ["collector", "javascript", "claude_code"])
def test_content_is_left_out(name: str, export: Callable[[str], dict[str, Any]]) -> None:
    """No word of prompts, commands and outputs is kept unless it is asked for; it is told of."""
    words = ("Plot", '"to"', "Ada", "secrets", "Lovelace")
    events = events_of(export(name))
    said = "".join(str(event.to_dict()) for event in events)
    assert [word for word in words if word in said] == []
    assert any(event.payload.get("left_out") for event in events)


def test_content_that_was_asked_for(export: Callable[[str], dict[str, Any]]) -> None:
    """Prompts are kept from `prompts` on, what tools give only with `all`."""
    requests = [export("collector"), export("javascript")]
    prompts, everything = (
        "".join(str(event.payload) for request in requests for event in events_of(request, content))
        for content in ("prompts", "all")
    )
    assert "Plot the figure" in prompts
    assert "Lovelace" not in prompts
    assert "Lovelace" in everything
    (tool,) = (
        event for event in events_of(export("collector"), "all") if event.type == "tool.started"
    )
    assert tool.payload["input"] == '{"to":"Coder"}'


def test_secrets_are_cut_out() -> None:
    """Whatever the attribute, what looks like a secret is not kept."""
    request = one({"http.url": "https://ann:hunter2@example.org/", "api_key": "k-123456"})
    assert "hunter2" not in str(events_of(request)[1].payload)
    assert "k-123456" not in str(events_of(request)[1].payload)


def test_too_much_is_cut() -> None:
    """Where an event would be larger than it may be, it keeps what matters."""
    many = {f"detail.{n}": "x" * 900 for n in range(100)}
    _, completed = events_of(one(many), max_payload=4096)
    assert completed.payload["truncated"] is True
    assert completed.payload["duration"] == 1.0
    assert "attributes" not in completed.payload


def test_a_large_resource() -> None:
    """It is not repeated with every event; what tells the place stays."""
    request = one()
    pairs = [{"key": f"label.{n}", "value": {"stringValue": "x" * 900}} for n in range(50)]
    pairs.append({"key": "host.name", "value": {"stringValue": "n12"}})
    request["resourceSpans"][0]["resource"] = {"attributes": pairs}
    for event in events_of(request):
        assert event.context == {"host": "n12"}


def test_a_project_of_ones_own() -> None:
    """`tidings.project` goes before the service, and a service that is not known is none."""
    for attributes, project in (
        ({"service.name": "a", "tidings.project": "b"}, "b"),
        ({"service.name": "unknown_service:node"}, ""),
        ({"service.name": "a\nb" + "c" * 300}, "a\ufffdb" + "c" * 252),
        ({}, ""),
    ):
        request = one()
        pairs = [{"key": key, "value": {"stringValue": text}} for key, text in attributes.items()]
        request["resourceSpans"][0]["resource"] = {"attributes": pairs}
        assert {event.project for event in events_of(request)} == {project}
