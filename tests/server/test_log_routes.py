"""`/log` and `/ledger`: strangers are refused with reasons, keys see their own, secrets stay."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.server.conftest import PATIENCE, Server
from tidings.bus import Bus
from tidings.errors import (
    IdConflict,
    InvalidEvent,
    InvalidQuery,
    NotAllowed,
    RevisionConflict,
    SchemaViolation,
)
from tidings.event import Event
from tidings.record import CHECKSUM, CONTEXT, FOREIGN_ID, INSTANT, KEY, PAYLOAD, TYPE, WRITTEN
from tidings.server.keys import PRIVATE_PREFIXES, KeyRing
from tidings.store import open_store
from tidings.store.base import Batch, Put
from tidings.store.query import Query
from tidings.store.remote import RemoteStore
from tidings.store.wire import batch_data, event_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HIDDEN = "whsec_never-to-be-seen"


@pytest.fixture
def remote(shared_server: Server) -> Iterator[RemoteStore]:
    """The shared server's store."""
    with RemoteStore(shared_server.url, deadline=PATIENCE) as store:
        yield store


@pytest.fixture
def keyed(tmp_path: Path) -> Iterator[Callable[..., RemoteStore]]:
    """Opens the store of a server that wants keys, with one of the scopes and projects given."""
    home = tmp_path / "served"
    with open_store(f"sqlite:///{home}/events.db") as local:
        ring = KeyRing(local)
        keys = {
            name: ring.create(name, scopes, projects)[1]
            for name, scopes, projects in (
                ("emit", ["emit"], None),
                ("read", ["read"], None),
                ("admin", ["admin"], None),
                ("bound", ["emit", "read"], ["mine"]),
                ("bound admin", ["admin"], ["mine"]),
            )
        }
        for prefix in PRIVATE_PREFIXES:
            local.put(f"{prefix}secret", HIDDEN)
    # One that delivers keeps a record of itself, sooner or later.
    server = Server(home, ("--no-deliver",), {})
    stores: list[RemoteStore] = []

    def opened(name: str) -> RemoteStore:
        stores.append(RemoteStore(server.url, key=keys.get(name), deadline=PATIENCE))
        return stores[-1]

    yield opened
    for store in stores:
        store.close()
    server.kill()


def sent(event: Event, **values: Any) -> dict[str, Any]:
    """A batch of one event, values of its row changed by index (`_7=…`)."""
    data = batch_data(Batch([event]))
    for index, value in values.items():
        data["events"][0][int(index[1:])] = value
    return data


HOSTILE = [
    ("type", {f"_{TYPE}": ""}),
    ("type", {f"_{TYPE}": None}),
    ("type", {f"_{TYPE}": ["x"]}),
    ("type", {f"_{TYPE}": "x\ny"}),
    ("type", {f"_{TYPE}": "x" * 256}),
    ("type", {f"_{TYPE}": "\ud800"}),
    ("id", {f"_{KEY}": None}),
    ("id", {f"_{KEY}": "00"}),
    ("id", {f"_{KEY}": "g" * 32}),
    ("id", {f"_{FOREIGN_ID}": "another"}),
    ("id", {f"_{FOREIGN_ID}": "x" * 300}),
    ("timestamp", {f"_{INSTANT}": "2026"}),
    ("timestamp", {f"_{INSTANT}": True}),
    ("timestamp", {f"_{INSTANT}": 1.5}),
    ("timestamp", {f"_{INSTANT}": 2**70}),
    ("timestamp", {f"_{INSTANT}": -(2**62)}),
    ("timestamp", {f"_{WRITTEN}": "2020-01-01T00:00:00Z"}),
    ("timestamp", {f"_{WRITTEN}": "2020-01-01T00:00:00"}),
    ("timestamp", {f"_{WRITTEN}": "soon"}),
    ("timestamp", {f"_{WRITTEN}": 7}),
    ("aggregate_id", {"_9": "agent"}),
    ("payload", {f"_{PAYLOAD}": {"n": 1}}),
    ("payload", {f"_{PAYLOAD}": "{"}),
    ("payload", {f"_{PAYLOAD}": "NaN"}),
    ("payload", {f"_{PAYLOAD}": '"\\ud800"'}),
    ("payload", {f"_{PAYLOAD}": "[" * 100_000}),
    ("payload", {f"_{PAYLOAD}": "[" * 300 + "]" * 300}),
    ("payload", {f"_{PAYLOAD}": "9" * 5000}),
    ("payload", {f"_{PAYLOAD}": json.dumps("x" * 1024 * 1024)}),
    ("context", {f"_{CONTEXT}": "[1]"}),
    ("checksum", {f"_{CHECKSUM}": 7}),
    ("checksum", {f"_{CHECKSUM}": "7"}),
    ("timestamp_given", {f"_{CHECKSUM + 1}": 1}),
]


@pytest.mark.parametrize(("field", "values"), HOSTILE)
def test_each_value_of_an_event_is_judged(
    client: httpx.Client, field: str, values: dict[str, Any]
) -> None:
    """A value that `Event` would refuse is named in the place of its batch; the others are kept."""
    good = sent(Event("good"))
    body = json.dumps({"batches": [sent(Event("bad"), **values), good]})
    answer = client.post("/log/append", content=body)
    assert answer.status_code == 200, answer.text
    refused, kept = answer.json()["results"]
    problem = refused["problem"]
    status = 413 if problem["type"].endswith(":event-too-large") else 422
    assert (problem["status"], problem["errors"][0]["field"]) == (status, field)
    assert len(kept["kept"]) == 1
    restored = json.loads(json.dumps(sent(Event("bad"), **values)["events"][0][: CHECKSUM + 1]))
    if field != "timestamp_given":
        again = client.post("/log/restore", content=json.dumps({"events": [restored]}))
        assert (again.status_code, again.json()["errors"][0]["field"]) == (status, field)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"batches": 7}',
        '{"batches": [], "more": 1}',
        '{"batches": [], "batches": []}',
        b"\xff",
        "[" * 100_000,
    ],
)
def test_a_request_of_another_form_is_refused(client: httpx.Client, body: str | bytes) -> None:
    """What is no JSON, or not what the route takes, is told as a problem."""
    for path in ("/log/append", "/log/read", "/log/wait", "/ledger/put", "/ledger/get"):
        answer = client.post(path, content=body)
        assert (answer.status_code, answer.headers["content-type"]) == (
            422,
            "application/problem+json",
        )


@pytest.mark.parametrize(
    "batch",
    [
        7,
        {},
        {"events": 7},
        {"events": [7]},
        {"events": [[]]},
        {"events": [], "expected_version": "x"},
        {"events": [], "expected_version": True},
        {"events": [], "put": [["k", 1]]},
        {"events": [], "put": 7},
        {"events": [], "other": 1},
    ],
)
def test_a_batch_of_another_form_is_refused_alone(client: httpx.Client, batch: object) -> None:
    """One batch that makes no sense does not disturb the next."""
    answer = client.post("/log/append", json={"batches": [batch, sent(Event("good"))]})
    refused, kept = answer.json()["results"]
    assert refused["problem"]["status"] == 422
    assert len(kept["kept"]) == 1


@pytest.mark.parametrize(
    "query",
    [
        None,
        7,
        {"other": 1},
        {"after": -1},
        {"after": "1"},
        {"limit": True},
        {"before": 2**63},
        {"backwards": "yes"},
        {"types": 7},
        {"types": {"a": 1}},
        {"types": [7]},
        {"types": ["a*b"]},
        {"project": ["\ud800"]},
        {"since": "soon"},
        {"payload": []},
        {"exclude": 7},
        {"exclude": {"after": 1}},
        {"exclude": {"types": 7}},
        {"contains": 1},
    ],
)
def test_a_query_that_makes_no_sense_is_refused(client: httpx.Client, query: object) -> None:
    """Each condition is judged as `Query` judges it."""
    for path in ("/log/read", "/log/count", "/log/redact"):
        answer = client.post(path, content=json.dumps({"query": query}))
        assert answer.status_code == 422, (path, answer.text)


def test_a_body_that_is_too_large_is_refused(client: httpx.Client) -> None:
    """No route takes more than its bound, whatever is in it."""
    for path, size in (("/log/read", 2), ("/ledger/get", 2), ("/ledger/put", 18)):
        answer = client.post(path, content=b" " * (size * 1024 * 1024))
        assert answer.status_code == 413


def test_many_batches_are_many_requests(client: httpx.Client, remote: RemoteStore) -> None:
    """A request takes so many batches; a store that has more to keep sends several requests."""
    assert client.post("/log/append", json={"batches": [7] * 5001}).status_code == 422
    results = remote.append_all([Batch([Event("batch", payload=n)]) for n in range(5001)])
    assert all(isinstance(result, list) for result in results)
    assert [e.payload for e in remote.read(Query(types="batch"))] == list(range(5001))


def test_a_batch_that_no_request_can_take_is_refused(remote: RemoteStore) -> None:
    """It is told before anything is sent, and the batches beside it are kept."""
    large = Batch([Event("large batch", payload="x" * 1_000_000) for _ in range(34)])
    refused, kept = remote.append_all([large, Batch([Event("beside")])])
    assert isinstance(refused, InvalidEvent)
    assert "several batches" in refused.rule
    assert isinstance(kept, list)
    many = [Batch([Event("one of many", payload="x" * 1_000_000)]) for _ in range(20)]
    assert [type(result) for result in remote.append_all(many)] == [list] * 20


def test_what_a_stranger_says_of_places_does_not_count(client: httpx.Client) -> None:
    """Position, version and time of keeping are the server's to give."""
    row = sent(Event("x", aggregate_type="agent", aggregate_id="place"))
    row["events"][0][0] = 10**9
    row["events"][0][11] = 10**9
    row["events"][0][18] = 5
    ((place,),) = [
        r["kept"] for r in client.post("/log/append", json={"batches": [row]}).json()["results"]
    ]
    assert place[0] < 10**6
    assert place[1] == 1
    assert place[2] > 10**15


def test_odd_json_is_kept_as_we_write_it(client: httpx.Client, remote: RemoteStore) -> None:
    """A payload written with blanks is found by its value, as every other."""
    event = Event("blanks")
    data = sent(event, **{f"_{PAYLOAD}": '{ "n" : 1.50 , "t": "\\u00e9" }'})
    (result,) = client.post("/log/append", json={"batches": [data]}).json()["results"]
    assert len(result["kept"][0]) == CHECKSUM + 1  # the whole row, as it is not what was sent
    (found,) = remote.read(Query(types="blanks", payload={"n": 1.5}))
    assert (found, found.payload) != (event, event.payload)
    assert found.payload == {"n": 1.5, "t": "é"}


def test_times_without_offset_keep_what_they_meant(remote: RemoteStore) -> None:
    """A local time of a client elsewhere in the world is the instant it was there."""
    event = Event("local", timestamp="2026-03-01T12:00:00")
    record = list(event.record)
    record[INSTANT] += 9 * 3600 * 1_000_000
    (kept,) = remote.append([Event.from_record(tuple(record))])
    assert (kept.timestamp, kept.instant) == ("2026-03-01T12:00:00", record[INSTANT])
    assert list(remote.read(Query(types="local"))) == [kept]


def test_errors_come_back_as_they_were(remote: RemoteStore) -> None:
    """The same class with the same attributes as from a store of one's own."""
    remote.append([Event("x", id="taken", payload=1)])
    with pytest.raises(IdConflict) as conflict:
        remote.append([Event("x", id="taken", payload=2)])
    assert conflict.value.differs == ("payload",)
    revision = remote.put("record", 1)
    with pytest.raises(RevisionConflict) as changed:
        remote.put("record", 2, expected=revision + 1)
    assert (changed.value.key, changed.value.actual) == ("record", revision)
    with pytest.raises(InvalidEvent) as invalid:
        remote.append([Event("x")], expected_version=0)
    assert (invalid.value.field, invalid.value.value) == ("expected_version", 0)
    assert invalid.value.rule in str(invalid.value)
    with pytest.raises(InvalidQuery, match="interval"):
        remote.histogram(Query(), 0)


def test_a_strict_server_refuses_by_schema(tmp_path: Path) -> None:
    """A payload that breaks the schema of its type is a `SchemaViolation` for the client too."""
    server = Server(tmp_path / "served", (), {"TIDINGS_SCHEMA_CHECK": "strict"})
    try:
        with Bus(server.url, deadline=PATIENCE) as bus:
            bus.register_type("checked", schema={"required": ["n"]})
            bus.emit("checked", payload={"n": 1})
        with RemoteStore(server.url, deadline=PATIENCE) as store, pytest.raises(SchemaViolation):
            store.append([Event("checked")])
    finally:
        server.kill()


def test_a_page_is_bounded(client: httpx.Client, remote: RemoteStore) -> None:
    """However much is asked for, a page holds a thousand events or two mebibytes, and goes on."""
    remote.append([Event("many", payload=n) for n in range(1500)])
    remote.append([Event("large", payload="x" * 500_000) for _ in range(8)])
    many = client.post("/log/read", json={"query": {"types": ["many"], "limit": 5000}}).json()
    assert (len(many["events"]), many["ended"], many["complete"]) == (1000, False, True)
    large = client.post("/log/read", json={"query": {"types": ["large"]}}).json()
    assert 4 <= len(large["events"]) <= 5
    assert not large["ended"]
    assert [len(list(remote.read(Query(types=name)))) for name in ("many", "large")] == [1500, 8]
    newest = [e.payload for e in remote.read(Query(types="many", backwards=True, limit=1200))]
    assert newest == list(range(1499, 299, -1))


def test_many_summaries_come_in_pages(remote: RemoteStore) -> None:
    """More summaries than a page holds come all, in order, forwards and backwards."""
    names = [f"a{n}" for n in range(1500)]
    remote.append([Event("x", aggregate_type="many", aggregate_id=name) for name in names])
    assert [each.id for each in remote.summaries("many", Query())] == names
    assert [each.id for each in remote.summaries("many", Query(backwards=True))] == names[::-1]
    assert len(remote.summaries("many", Query(limit=1200))) == 1200


def test_scopes(keyed: Callable[..., RemoteStore]) -> None:
    """Each key may do what its scope says; without a key nothing is told."""
    emit, read, admin, none = (keyed(name) for name in ("emit", "read", "admin", "none"))
    assert emit.append([Event("x")])[0].position == 1
    assert (read.head(), read.wait(0), len(list(read.read(Query())))) == (1, 1, 1)
    assert (admin.head(), admin.check()) == (1, [])
    admin.put("mine", 1)
    with admin, Bus(admin, context=False) as bus:
        bus.register_type("known", "said by the admin")
    for store in (emit, read):
        assert store.keys("type/") == ["type/known"]
        assert (store.get("type/known") or Put("", None)).value is not None
    forbidden: list[Callable[[], object]] = [
        emit.head,
        lambda: emit.read(Query()),
        lambda: emit.get("mine"),
        emit.keys,
        lambda: emit.append([Event("x")], put=[Put("k", 1)]),
        lambda: read.append([Event("x")]),
        lambda: read.keys("typ"),
        lambda: read.put("type/known", 1),
        lambda: read.delete("type/known"),
        lambda: read.prune(1),
        lambda: read.redact(Query()),
        read.check,
        lambda: read.restore([Event("x")]),
        lambda: read.adopt(1),
        lambda: none.append([Event("x")]),
        none.head,
        none.describe,
        lambda: none.keys("type/"),
        lambda: none.get("type/known"),
    ]
    for call in forbidden:
        with pytest.raises(NotAllowed, match="TIDINGS_KEY"):
            call()
    assert read.head() == 1


def test_a_key_bound_to_projects_sees_only_these(keyed: Callable[..., RemoteStore]) -> None:
    """Reading is narrowed, emitting elsewhere is refused, and what is about all is not for it."""
    admin, bound, bound_admin = keyed("admin"), keyed("bound"), keyed("bound admin")
    about: dict[str, Any] = {"aggregate_type": "agent", "aggregate_id": "a"}
    admin.append([Event("x", "mine"), Event("x", "theirs", payload="theirs"), Event("y", "theirs")])
    admin.append([Event("z", "theirs", **about)])
    assert [event.project for event in bound.read(Query())] == ["mine"]
    assert [bound.latest(name) and 1 for name in (None, "x", "y", "x*")] == [1, 1, None, None]
    assert (bound.count(Query()).value, bound.summaries("agent", Query())) == (1, [])
    assert bound.append([Event("w", "mine")])[0].position == 5
    good, refused = bound.append_all([Batch([Event("w", "mine")]), Batch([Event("w", "theirs")])])
    assert (isinstance(good, list), isinstance(refused, NotAllowed)) == (True, True)
    assert bound_admin.redact(Query(types="x")) == 1
    forbidden: list[Callable[[], object]] = [
        lambda: bound.append([Event("w", "theirs")]),
        lambda: bound.append([Event("w")]),
        lambda: bound.read(Query(project="theirs")),
        bound.types,
        lambda: bound_admin.put("k", 1),
        lambda: bound_admin.prune(1),
        lambda: bound_admin.restore([Event("w")]),
        lambda: bound_admin.adopt(1),
        bound_admin.remains,
        bound_admin.check,
    ]
    for call in forbidden:
        with pytest.raises(NotAllowed, match="only for 'mine'"):
            call()
    assert [event.payload for event in admin.read(Query(types="x"))] == [None, "theirs"]


def test_the_servers_own_records_are_not_there(
    keyed: Callable[..., RemoteStore], tmp_path: Path
) -> None:
    """Keys, sessions and webhook secrets cannot be read, listed, written, removed or copied."""
    admin = keyed("admin")
    admin.put("cursor/mine", 7)
    admin.append([Event("x")])
    assert (admin.keys(), admin.keys("key/")) == (["cursor/mine"], [])
    for prefix in PRIVATE_PREFIXES:
        key = f"{prefix}secret"
        assert (admin.get(key), admin.delete(key)) == (None, False)
        with pytest.raises(RevisionConflict):
            admin.delete(key, expected=1)
        for call in (
            lambda key=key: admin.put(key, 1),
            lambda key=key: admin.append([Event("x")], put=[Put(key, 1)]),
        ):
            with pytest.raises((InvalidQuery, NotAllowed), match="own"):
                call()
    admin.backup(str(tmp_path / "copy"))
    assert HIDDEN.encode() not in (tmp_path / "copy").read_bytes()
    assert [each.name for each in tmp_path.glob("copy*")] == ["copy"]
    with open_store(f"sqlite:///{tmp_path}/copy") as copy:
        assert (copy.keys(), copy.head(), copy.check()) == (["cursor/mine"], 1, [])


def test_no_path_of_the_server_is_told(remote: RemoteStore, shared_server: Server) -> None:
    """What the store says of itself names no file of the server's machine."""
    facts = remote.describe()
    assert facts["url"] == shared_server.url
    assert str(shared_server.home) not in json.dumps(facts)
    assert (facts["durability"], remote.durability, remote.atomic_put) == ("power", "power", True)


def test_waiting_ends_when_the_server_does(tmp_path: Path) -> None:
    """A server that is asked to end answers those who wait, and does not wait for them."""
    server = Server(tmp_path / "served", (), {})

    def wait() -> httpx.Response:
        with server.client() as client:
            return client.post("/log/wait", json={"after": 0, "timeout": 25})

    with ThreadPoolExecutor(1) as pool, server.client() as client:
        waiting = pool.submit(wait)
        while "tidings_waits_open 1.0" not in client.get("/metrics").text:
            assert not waiting.done()
        code, _ = server.stop()
        answer = waiting.result(PATIENCE)
    assert (code, answer.status_code, answer.json()) == (0, 200, {"head": 0})


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_a_page_of_another_site_can_do_nothing(client: httpx.Client, origin: str) -> None:
    """A browser sends a plain text across origins without asking; it is refused, keys or none."""
    for path in ("/log/append", "/log/prune", "/ledger/put"):
        headers = {"origin": origin, "content-type": "text/plain"}
        answer = client.post(path, content='{"through": 9}', headers=headers)
        assert answer.status_code == 403


def test_rows_are_what_the_store_holds(remote: RemoteStore) -> None:
    """Every value of a record comes through, the checksum included."""
    (kept,) = remote.append(
        [
            Event(
                "every",
                "p",
                "odd",
                {"é": [1, 1.0, None]},
                "ci",
                "2026-01-01T00:00:00+01:00",
                id="build 42",
                aggregate_type="run",
                aggregate_id="r",
                correlation_id="c",
                causation_id="d",
                user_id="u",
                context={"host": "n12"},
                extensions={"x": 1},
            )
        ]
    )
    (read,) = remote.read(Query(types="every"))
    assert event_row(read) == event_row(kept)
    assert None not in event_row(read)
