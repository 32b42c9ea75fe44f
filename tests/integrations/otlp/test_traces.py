"""POST /v1/traces on a real server: what exporters send, in any order, and what they get."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import zlib
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.common.http import Compression
from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tidings.bus import Bus
from tidings.errors import StoreUnavailable
from tidings.server import create_app
from tidings.server.config import APIServerConfig
from tidings.server.ingest.sizes import ARRAY_BYTES
from tidings.store.query import Query
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.server.conftest import Server
    from tidings.store.base import Store

JSON = {"content-type": "application/json"}
TRACE = "5b8efff798038103d269b633813fc60c"


def post(client: httpx.Client, request: Any, **headers: str) -> httpx.Response:
    """Send an export request."""
    return client.post("/v1/traces", content=json.dumps(request), headers={**JSON, **headers})


def in_another_trace(request: dict[str, Any], trace: str) -> dict[str, Any]:
    """The same spans in a trace of their own, so that tests do not meet."""
    (old,) = {span["traceId"] for span in spans_in(request)}
    text = json.dumps(request).replace(old, trace)
    renamed: dict[str, Any] = json.loads(text)
    return renamed


def spans_in(request: dict[str, Any]) -> list[dict[str, Any]]:
    """The spans of a request, all of one resource and scope."""
    ((group,), (part,)) = (request["resourceSpans"], request["resourceSpans"][0]["scopeSpans"])
    assert group
    spans: list[dict[str, Any]] = part["spans"]
    return spans


def with_spans(request: dict[str, Any], spans: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The same request with other spans."""
    changed: dict[str, Any] = json.loads(json.dumps(request))
    changed["resourceSpans"][0]["scopeSpans"][0]["spans"] = list(spans)
    return changed


def tree_of(client: httpx.Client, trace: str) -> list[tuple[int, str, str]]:
    """The tree of a trace's workflow: depth, name and state of each node."""
    nodes = client.get(f"/events/workflows/{trace}/tree").raise_for_status().json()["nodes"]
    return [
        (node["depth"], "workflow" if node["kind"] == "workflow" else node["name"], node["state"])
        for node in nodes
    ]


def events_in(store: Store, trace: str) -> list[str]:
    """The types of what is kept of a trace, sorted."""
    return sorted(event.type for event in store.read(Query(correlation_id=trace)))


COLLECTOR_TREE = [(0, "workflow", "done"), (1, "Planner", "done"), (2, "Coder", "failed")]


# What is kept -------------------------------------------------------------------------------------


def test_a_recorded_export(
    client: httpx.Client, store: Store, export: Callable[[str], dict[str, Any]]
) -> None:
    """All of it is kept, and the workflow's tree is right; sent again, nothing is repeated."""
    request = export("collector")
    for _ in range(3):
        answer = post(client, request)
        assert (answer.status_code, answer.json()) == (200, {})
        assert answer.headers["content-type"] == "application/json"
    kinds = ("agent", "model", "tool", "workflow")
    assert events_in(store, TRACE) == sorted(
        [f"{kind}.{verb}" for kind in kinds for verb in ("started", "completed")]
        + ["agent.failed", "agent.started"]
    )
    assert tree_of(client, TRACE) == COLLECTOR_TREE


@pytest.mark.parametrize(
    ("name", "tree"),
    [
        ("javascript", [(0, "workflow", "done"), (1, "Researcher", "done")]),
        ("claude_code", [(0, "workflow", "done")]),
    ],
)
def test_other_exporters(
    client: httpx.Client, export: Callable[[str], dict[str, Any]], name: str, tree: object
) -> None:
    """Numbers that are numbers, roots without a parent, and other conventions are read as well."""
    request = export(name)
    assert post(client, request).json() == {}
    assert tree_of(client, spans_in(request)[0]["traceId"]) == tree


@pytest.mark.parametrize("seed", range(4))
def test_spans_come_in_any_order(
    client: httpx.Client, export: Callable[[str], dict[str, Any]], seed: int
) -> None:
    """Each in a request of its own, some twice: the tree is the same."""
    shuffled = random.Random(seed)
    trace = f"{seed + 1:032x}"
    request = in_another_trace(export("collector"), trace)
    spans = spans_in(request)
    order = spans + shuffled.sample(spans, 2)
    shuffled.shuffle(order)
    for span in order:
        assert post(client, with_spans(request, [span])).json() == {}
    assert tree_of(client, trace) == COLLECTOR_TREE


def test_a_span_that_goes_on(client: httpx.Client, store: Store) -> None:
    """It is sent without its end first; its end is kept when it comes, also with new attributes."""
    trace = "aa" * 16
    span = {"traceId": trace, "spanId": "0a" * 8, "name": "fit", "startTimeUnixNano": "1000"}
    request = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    assert post(client, request).json() == {}
    assert events_in(store, trace) == ["workflow.started"]
    span |= {"name": "fit the model", "endTimeUnixNano": "2000"}
    assert post(client, request).json() == {}
    assert events_in(store, trace) == ["workflow.completed", "workflow.started"]


def test_a_real_sdk(client: httpx.Client, traced_server: Server) -> None:
    """What OpenTelemetry's own exporter sends, gzipped, is understood, and so is our answer."""
    finished = InMemorySpanExporter()
    address = f"{traced_server.url}/v1/traces"
    exporter = OTLPSpanExporter(address, compression=Compression.GZIP, timeout=PATIENCE)
    provider = TracerProvider(resource=Resource.create({"service.name": "figrecipe"}))
    provider.add_span_processor(SimpleSpanProcessor(finished))
    tracer = provider.get_tracer("figrecipe")
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "Planner"}
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "delegate"}
    with tracer.start_as_current_span("request") as root:
        trace = f"{root.get_span_context().trace_id:032x}"
        with (
            tracer.start_as_current_span("invoke_agent Planner", attributes=agent),
            tracer.start_as_current_span("execute_tool delegate", attributes=tool),
            pytest.raises(ValueError, match="no such file"),
            tracer.start_as_current_span(
                "invoke_agent Coder", attributes={**agent, "gen_ai.agent.name": "Coder"}
            ),
        ):
            raise ValueError("no such file")
    for span in finished.get_finished_spans():
        assert exporter.export([span]) is SpanExportResult.SUCCESS
    exporter.shutdown()
    provider.shutdown()
    assert tree_of(client, trace) == COLLECTOR_TREE


# Bodies -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("coding", "compress"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)],
)
def test_compressed_bodies(
    client: httpx.Client, coding: str, compress: Callable[[bytes], bytes]
) -> None:
    """A body may be compressed, also in several parts."""
    halves = (b'{"resource', b'Spans": []}')
    body = b"".join(map(compress, halves)) if coding == "gzip" else compress(b"".join(halves))
    headers = {**JSON, "content-encoding": coding}
    answer = client.post("/v1/traces", content=body, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {})


UNREADABLE = {
    "too large": (gzip.compress(bytes(ARRAY_BYTES + 1)), "gzip", 413),
    "cut off": (gzip.compress(b"{}")[:-9], "gzip", 400),
    "in many parts": (gzip.compress(b"") * 100_000, "gzip", 400),
    "no gzip": (b"{}", "gzip", 400),
    "another coding": (b"{}", "zstd", 415),
    "another shape": (b'{"resourceSpans": 3}', "identity", 400),
    "no JSON": (b"{", "identity", 400),
    "no UTF-8": (b"\xff", "identity", 400),
    "deep": (b'{"resourceSpans":' * 100_000, "identity", 400),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_bodies_that_cannot_be_read(client: httpx.Client, name: str) -> None:
    """They are refused with a status after which no exporter tries again, and a message."""
    body, coding, status = UNREADABLE[name]
    headers = {**JSON, "content-encoding": coding}
    answer = client.post("/v1/traces", content=body, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["message"]


def test_bad_data_names_its_place(client: httpx.Client) -> None:
    """As `google.rpc.BadRequest`."""
    answer = post(client, {"resourceSpans": [{"scopeSpans": 3}]})
    (detail,) = answer.json()["details"]
    assert detail["@type"] == "type.googleapis.com/google.rpc.BadRequest"
    assert detail["fieldViolations"][0]["field"] == "resourceSpans[0].scopeSpans"


def test_protobuf_is_told_what_to_set(client: httpx.Client) -> None:
    """In protobuf, which is what such an exporter can read."""
    headers = {"content-type": "application/x-protobuf"}
    answer = client.post("/v1/traces", content=b"\n\x00", headers=headers)
    assert answer.status_code == 415
    assert answer.headers["content-type"] == "application/x-protobuf"
    size = answer.content[1] & 0x7F | answer.content[2] << 7
    assert answer.content[:1] == b"\x12"
    assert len(answer.content) == 3 + size
    assert b"OTEL_EXPORTER_OTLP_PROTOCOL=http/json" in answer.content
    text = client.post("/v1/traces", content=b"{}", headers={"content-type": "text/plain"})
    assert text.status_code == 415
    assert "http/json" in text.json()["message"]


# Refusals -----------------------------------------------------------------------------------------


def test_some_spans_are_refused(
    client: httpx.Client, store: Store, export: Callable[[str], dict[str, Any]]
) -> None:
    """The others are kept, and the answer says how many were not, and why."""
    trace = "cc" * 16
    request = in_another_trace(export("javascript"), trace)
    spans = spans_in(request)
    answer = post(client, with_spans(request, [*spans, {**spans[0], "spanId": "zz"}]))
    assert answer.status_code == 200
    partial = answer.json()["partialSuccess"]
    assert partial["rejectedSpans"] == "1"
    assert "spanId" in partial["errorMessage"]
    many = [{**spans[0], "spanId": f"z{n}"} for n in range(1000)]
    partial = post(client, with_spans(request, many)).json()["partialSuccess"]
    assert partial["rejectedSpans"] == "1000"
    assert partial["errorMessage"].endswith("; and more")
    assert len(partial["errorMessage"]) < 1000
    assert len(events_in(store, trace)) == 8


def test_ids_that_are_taken(client: httpx.Client, export: Callable[[str], dict[str, Any]]) -> None:
    """Another span under the same ids is refused; nothing is told of the one that is kept."""
    request = in_another_trace(export("javascript"), "dd" * 16)
    assert post(client, request).json() == {}
    for span in spans_in(request):
        span["endTimeUnixNano"] += 1_000_000
    partial = post(client, request).json()["partialSuccess"]
    assert partial["rejectedSpans"] == "3"
    assert partial["errorMessage"] == "a span of these ids was kept before, with another content"


def test_keys_and_projects(
    keyed_server: tuple[Server, dict[str, str]], export: Callable[[str], dict[str, Any]]
) -> None:
    """A key must allow to emit, and for a span's project; 403 says so, and nothing is kept."""
    running, tokens = keyed_server
    request = export("collector")
    with running.client() as client:
        refused = {
            name: post(client, request, authorization=f"Bearer {tokens[name]}").status_code
            for name in ("reader", "website")
        }
        assert refused == {"reader": 403, "website": 403}
        assert post(client, request).status_code == 401
        kept = post(client, request, authorization=f"Bearer {tokens['figrecipe']}")
        assert (kept.status_code, kept.json()) == (200, {})
        mixed = {"resourceSpans": request["resourceSpans"] + export("javascript")["resourceSpans"]}
        some = post(client, mixed, authorization=f"Bearer {tokens['figrecipe']}").json()
        assert some["partialSuccess"]["rejectedSpans"] == "3"
    with Bus(running.store_url) as bus:
        assert {event.project for event in bus.read()} == {"figrecipe"}


def test_a_store_that_is_away(export: Callable[[str], dict[str, Any]]) -> None:
    """503 has exporters try again, and says when."""
    app = create_app(APIServerConfig(url="memory:"))

    async def away(batches: Sequence[object]) -> list[object]:
        return [StoreUnavailable("the test took it away") for _ in batches]

    async def answer() -> httpx.Response:
        app.service.bus.keep_all = away  # type: ignore[method-assign,assignment]
        transport = httpx.ASGITransport(app)
        address = "http://127.0.0.1:8765"
        async with httpx.AsyncClient(transport=transport, base_url=address) as client:
            answered = await client.post("/v1/traces", json=export("collector"))
        await app.stop()
        return answered

    answered = asyncio.run(answer())
    assert answered.status_code == 503
    assert answered.headers["retry-after"]
    assert "come back" in answered.json()["message"]


# Strangers ----------------------------------------------------------------------------------------

texts = st.text(st.characters(), max_size=6)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)
kinds = st.sampled_from(
    ["stringValue", "boolValue", "intValue", "doubleValue", "bytesValue", "arrayValue", "x"]
)
pairs = st.lists(
    st.fixed_dictionaries(
        {
            "key": texts | st.sampled_from(["gen_ai.operation.name", "service.name", "error.type"]),
            "value": st.dictionaries(kinds, values, max_size=2) | values,
        }
    )
    | values,
    max_size=3,
)
spans = st.fixed_dictionaries(
    {"traceId": st.just("ef" * 16) | values, "spanId": st.just("ef" * 8) | values},
    optional={
        **dict.fromkeys(
            ["parentSpanId", "name", "kind", "startTimeUnixNano", "endTimeUnixNano", "status",
             "events", "links", "droppedLinksCount"],
            values,
        ),
        "attributes": pairs,
    },
)  # fmt: skip
requests = st.one_of(
    values,
    st.lists(spans | values, max_size=3).map(
        lambda some: {
            "resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [{"spans": some}]}]
        }
    ),
    pairs.map(
        lambda some: {
            "resourceSpans": [{"resource": {"attributes": some}, "scopeSpans": [{"spans": some}]}]
        }
    ),
)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(request_=requests)
def test_whatever_comes(client: httpx.Client, request_: object) -> None:
    """The answer is one that was meant, and JSON; never an error of the server."""
    answer = post(client, request_)
    assert answer.status_code in {200, 400, 413}, answer.text
    assert isinstance(answer.json(), dict)
