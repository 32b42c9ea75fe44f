"""Who may do what on a running server: keys, projects, sessions, hosts and pages of other sites."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from time import monotonic, sleep
from typing import Any

import httpx
import pytest

from tests.server.conftest import PATIENCE, Server
from tidings.bus import Bus
from tidings.event import Event
from tidings.server.access import ANYONE, NOBODY, Caller
from tidings.server.keys import KeyRing
from tidings.server.problems import Problem
from tidings.server.routes import BARE
from tidings.store.query import Query

BOUND = Caller("ci", frozenset(["read"]), frozenset(["a", "b"]), "k1")


# The caller --------------------------------------------------------------------------------------


def test_admin_includes_the_others() -> None:
    """Who may administer may emit and read; no other scope includes another."""
    boss = Caller("", frozenset(["admin"]), None, "k")
    assert all(boss.may(scope) for scope in ("emit", "read", "admin", ""))
    assert [scope for scope in ("emit", "read", "admin", "") if BOUND.may(scope)] == ["read", ""]
    assert not any(NOBODY.may(scope) for scope in ("emit", "read", "admin"))


def test_a_refusal_says_what_is_missing() -> None:
    """Without a key it is 401, with one that is not enough 403, which names the scope."""
    with pytest.raises(Problem) as nobody:
        NOBODY.require("read")
    assert nobody.value.status == 401
    with pytest.raises(Problem, match="does not allow emit") as bound:
        BOUND.require("emit")
    assert (bound.value.status, bound.value.members["scope"]) == (403, "emit")


def test_a_key_is_narrowed_to_its_projects() -> None:
    """A query sees the key's projects only, and is refused where it asks for others alone."""
    assert BOUND.narrow(Query()).project == ("a", "b")
    assert BOUND.narrow(Query(project=["b", "c"], limit=3)) == Query(project="b", limit=3)
    for other in ("c", "", "A", "a "):
        with pytest.raises(Problem) as refused:
            BOUND.narrow(Query(project=other))
        assert refused.value.status == 403
        with pytest.raises(Problem):
            BOUND.require_project(other)
    BOUND.require_project("a")
    with pytest.raises(Problem):
        BOUND.require_all_projects()
    query = Query(project="c")
    assert ANYONE.narrow(query) is query
    ANYONE.require_all_projects()


# The server --------------------------------------------------------------------------------------


class Keyed:
    """A running server with keys.

    Attributes:
        server: the server.
        tokens: a key for each purpose.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        with Bus(server.store_url) as bus:
            ring = KeyRing(bus.store)
            made = {
                "emit": ring.create("emitter", ["emit"]),
                "read": ring.create("reader", ["read"]),
                "admin": ring.create("boss", ["admin"]),
                "bound": ring.create("bound", ["admin"], ["a"]),
                "guest": ring.create("guest", ["admin"], ["g"]),
            }
            bus.emit_many(
                [
                    Event(
                        "job.done",
                        project=project,
                        payload={"of": project},
                        id=f"id-{project}",
                        aggregate_type="workflow",
                        aggregate_id=f"w-{project}",
                        correlation_id="c",
                    )
                    for project in ("a", "b")
                ]
            )
        self.tokens = {name: token for name, (_, token) in made.items()}
        until = monotonic() + PATIENCE
        while httpx.get(f"{server.url}/events/", timeout=PATIENCE).status_code != 401:
            assert monotonic() < until
            sleep(0.05)

    def client(self, who: str, **options: Any) -> httpx.Client:
        """A client with one of the keys."""
        return self.server.client(headers=bearer(self.tokens[who]), **options)


def bearer(token: str) -> dict[str, str]:
    """The header that gives a key."""
    return {"authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    """One server for the tests that only look; and it started before its keys."""
    server = Server(tmp_path_factory.mktemp("keyed"), (), {"TIDINGS_ALLOWED_HOSTS": "example.org"})
    yield Keyed(server)
    server.kill()


def test_a_server_takes_notice_of_its_first_key(keyed: Keyed) -> None:
    """The first key closes a server that runs, which then says that it asks for keys."""
    with keyed.server.client() as client:
        assert client.get("/events/").status_code == 401
        assert client.get("/session").json() == {
            "keys": True,
            "authenticated": False,
            "name": "",
            "scopes": [],
            "projects": [],
        }


def closed_routes(client: httpx.Client) -> list[tuple[str, str]]:
    """Every route that is not open to all: those of the OpenAPI document, and the bare ones."""
    opened = ("/health", "/session", "/docs", "/ui", "/openapi.json")
    undocumented = [(route.method, route.path) for route in BARE if not route.operation]
    return undocumented + [
        (method.upper(), path.replace("{", "").replace("}", ""))
        for path, methods in client.get("/openapi.json").json()["paths"].items()
        for method in methods
        if path != "/" and not path.startswith(opened)
    ]


def test_every_route_wants_a_key(keyed: Keyed) -> None:
    """No route answers without a key, or with a wrong one."""
    with keyed.server.client() as client:
        routes = closed_routes(client)
        assert len(routes) > 20
        for method, path in [*routes, ("GET", "/nowhere"), ("GET", "//events/")]:
            answer = client.request(method, keyed.server.url + path)
            assert answer.status_code == 401, (method, path)
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert answer.headers["content-type"] == "application/problem+json"
        wrong = bearer(f"tid_{'0' * 12}_{'0' * 64}")
        assert client.get("/events/", headers=wrong).status_code == 401
        for path in ("/", "/health", "/health/live", "/health/ready", "/docs", "/openapi.json"):
            assert client.get(path).status_code < 400, path


def test_every_route_wants_its_scope(keyed: Keyed) -> None:
    """A key that emits reads nothing, one that reads changes nothing, on any route."""
    with keyed.client("emit") as emitter, keyed.client("read") as reader:
        for method, path in closed_routes(reader):
            if path.startswith(("/ledger", "/mcp")):
                # What any key may read there is the catalog; each tool asks. See their own tests.
                continue
            refused = emitter if method == "GET" else reader
            if path.startswith("/log/"):
                refused = emitter if path != "/log/append" else reader
            answer = refused.request(method, path)
            assert answer.status_code == 403, (method, path, answer.text)
            assert answer.json()["type"] == "urn:tidings:problem:scope-missing"


def test_a_bound_key_sees_its_projects_only(keyed: Keyed) -> None:
    """On each kind of route, events of other projects are not there."""
    with keyed.client("bound") as client:
        listed = client.get("/events/").json()
        assert [event["project"] for event in listed["events"]] == ["a"]
        assert listed["total"] == 1
        assert client.get("/events/?project=b").status_code == 403
        assert client.get("/events/by-id/id-a").status_code == 200
        assert client.get("/events/by-id/id-b").status_code == 404
        assert client.get("/events/workflows/w-b").json()["events"] == []
        workflows = client.get("/events/workflows").json()["workflows"]
        assert "w-b" not in json.dumps(workflows)
        assert "w-a" in json.dumps(workflows)
        assert "w-b" not in client.get("/events/workflows/c/tree").text
        assert client.get("/events/workflows/w-b/tree").status_code == 404
        assert "id-b" not in client.get("/events/stream?after=0&until=head").text
        assert "id-a" in client.get("/events/stream?after=0&until=head").text
        assert client.get("/events/stream?project=b&until=head").status_code == 403
        counts = client.get("/events/histogram?interval=1d").text
        assert '"success":1' in counts.replace(" ", "")
        for path in ("/metrics", "/log/types", "/log/check", "/log/backup"):
            assert client.get(path).status_code == 403, path
        assert client.post("/log/prune", json={"through": 1}).status_code == 403
        assert client.post("/log/restore", json={"events": []}).status_code == 403
        assert client.post("/ledger/keys", json={"prefix": ""}).status_code == 403


def test_a_bound_key_reads_its_projects_only_from_the_log(keyed: Keyed) -> None:
    """The lossless routes are narrowed as the others are, and what is redacted too."""
    with keyed.client("bound") as client, keyed.client("read") as reader:
        for name in ("read", "redact", "count"):
            other = {"query": {"project": ["b"]}}
            assert client.post(f"/log/{name}", json=other).status_code == 403, name
        read = client.post("/log/read", json={"query": {}}).text
        assert "id-a" in read
        assert "id-b" not in read
        assert client.post("/log/count", json={"query": {}}).json()["count"] == 1
        assert "id-a" in client.post("/log/latest", json={}).text
        asked = {"kind": "workflow", "query": {}}
        assert "w-b" not in client.post("/log/summaries", json=asked).text
        counted = client.post("/log/histogram", json={"query": {}, "interval": 10**15}).json()
        assert len(counted["bins"]) == 1
        client.post("/log/redact", json={"query": {"ids": ["id-b"]}})
        assert reader.get("/events/by-id/id-b").json()["payload"] == {"of": "b"}


def test_a_bound_key_emits_for_its_projects_only(keyed: Keyed) -> None:
    """Emitting for another project, or for none, keeps nothing, alone and in a batch."""
    with keyed.client("guest") as client, keyed.client("read") as reader:
        before = reader.get("/events/").json()["total"]
        for project in ("b", "", "A"):
            one = {"type": "x", "project": project}
            assert client.post("/events/", json=one).status_code == 403
        assert client.post("/events/", json={"type": "x"}).status_code == 403
        agent = {"agent_id": "x", "event_name": "started"}
        assert client.post("/events/emit/agent", json=agent).status_code in (403, 422)
        client.post("/events/", json=[{"type": "x", "project": "b"}])
        assert reader.get("/events/").json()["total"] == before
        assert client.post("/events/", json={"type": "x", "project": "g"}).is_success


def test_the_servers_own_records_are_not_given_out(keyed: Keyed) -> None:
    """Keys and sessions cannot be read, written or removed over HTTP, not even by `admin`."""
    with keyed.client("admin") as client:
        names = client.post("/ledger/keys", json={"prefix": ""}).json()["keys"]
        assert not [name for name in names if name.startswith(("key", "session"))]
        with Bus(keyed.server.store_url) as bus:
            mine = bus.store.keys("key/")[0]
        assert client.post("/ledger/get", json={"key": mine}).json() == {"record": None}
        forged = {"key": "key/000000000000", "value": {}}
        assert client.post("/ledger/put", json=forged).status_code == 403
        assert client.post("/ledger/delete", json={"key": mine}).json() == {"deleted": False}
        assert client.get("/events/").is_success


def test_a_session_is_a_cookie_that_scripts_cannot_read(keyed: Keyed) -> None:
    """A page trades its key for a cookie, uses it, and lets go of it."""
    with keyed.server.client() as page:
        answer = page.post("/session", json={"key": keyed.tokens["guest"]})
        assert answer.json() == {
            "keys": True,
            "authenticated": True,
            "name": "guest",
            "scopes": ["admin"],
            "projects": ["g"],
        }
        assert keyed.tokens["guest"] not in answer.text + str(answer.headers)
        flags = {flag.strip() for flag in answer.headers["set-cookie"].split(";")[1:]}
        assert flags >= {"HttpOnly", "SameSite=Strict", "Path=/"}
        assert "Secure" not in flags
        assert page.get("/session").json()["authenticated"]
        assert page.get("/events/by-id/id-a").status_code == 404
        assert page.get("/events/stream?after=0&until=head").is_success
        new = {"type": "x", "project": "g"}
        own = {"origin": keyed.server.url}
        assert page.post("/events/", json=new).status_code == 403
        assert page.post("/events/", json=new, headers={"origin": "null"}).status_code == 403
        assert page.post("/events/", json=new, headers=own).is_success
        cookies = dict(page.cookies)
        assert page.delete("/session").status_code == 403
        assert page.delete("/session", headers=own).status_code == 204
        assert not page.cookies
        again = "; ".join(f"{name}={value}" for name, value in cookies.items())
        assert page.get("/events/", headers={"cookie": again}).status_code == 401
        assert not page.get("/session", headers={"cookie": again}).json()["authenticated"]


def test_a_session_wants_a_key(keyed: Keyed) -> None:
    """What is no key begins no session, and is not said back."""
    with keyed.server.client() as page:
        assert page.post("/session").status_code == 401
        for body in (b"{", b"[1]", b'{"key": 7}', b'{"kez": "s3cret"}', b"[" * 4000):
            answer = page.post("/session", content=body)
            assert answer.status_code == 422
            assert "s3cret" not in answer.text
        answer = page.post("/session", json={"key": "tid_s3cret"})
        assert (answer.status_code, "s3cret" in answer.text) == (401, False)
        assert page.post("/session", content=b"x" * 5000).status_code == 413
        assert not page.cookies
        headers = bearer(keyed.tokens["read"])
        assert page.post("/session", headers=headers).json()["name"] == "reader"


def test_a_key_in_the_url_is_refused(keyed: Keyed) -> None:
    """400 says what to do instead, and the key works nowhere but in the header."""
    with keyed.server.client() as client:
        answer = client.get(f"/events/?access_token={keyed.tokens['read']}")
        assert answer.status_code == 400
        assert "Authorization: Bearer" in answer.json()["detail"]
        assert keyed.tokens["read"] not in answer.text


def test_other_names_and_pages_are_refused(keyed: Keyed) -> None:
    """A foreign Host is 421, a foreign page that posts 403; what is allowed is let in."""
    with keyed.client("admin") as client:
        assert client.get("/health/live", headers={"host": "evil.example"}).status_code == 421
        assert client.get("/health/live", headers={"host": "example.org:1"}).is_success
        page = {"origin": "https://evil.example"}
        answer = client.post("/events/", json={"type": "x"}, headers=page)
        assert (answer.status_code, answer.json()["type"]) == (
            403,
            "urn:tidings:problem:cross-site",
        )
        dev = {"origin": "http://localhost:3000"}
        allowed = client.get("/events/", headers=dev).headers
        assert allowed["access-control-allow-origin"] == "http://localhost:3000"
        assert "Origin" in allowed["vary"]
        asked = {**dev, "access-control-request-method": "POST"}
        preflight = client.options("/events/", headers=asked)
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == "http://localhost:3000"


def test_every_answer_has_the_headers(keyed: Keyed) -> None:
    """Answers of all kinds, errors too, carry the request's id and are safe to show."""
    with keyed.client("read") as client:
        for path in ("/events/", "/nowhere", "/health/live", "/docs", "/events/?limit=x", "/ui/"):
            headers = client.get(path, headers={"x-request-id": "mine"}).headers
            assert headers.get_list("x-request-id") == ["mine"], path
            assert headers["x-content-type-options"] == "nosniff"
            (policy,) = headers.get_list("content-security-policy")
            assert "frame-ancestors 'none'" in policy
            assert "script-src 'unsafe-inline'" not in policy
        assert client.get("/events/").headers["cache-control"] == "no-store"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_revoked_key_stops_working(server: Callable[..., Server], workers: int) -> None:
    """A key made and revoked beside a running server opens, then is refused by every worker."""
    running = server("--workers", str(workers))

    def shell(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "tidings", "keys", *arguments],
            env=running.environment,
            capture_output=True,
            check=True,
            timeout=PATIENCE,
        )
        return done.stdout.decode().strip()

    token = shell("create", "ci", "--scope", "read", "-q")
    other = shell("create", "other", "--scope", "read", "-q")

    def answers(given: str) -> list[int]:
        # A connection each, so that each worker has its turn.
        return [
            httpx.get(f"{running.url}/events/", headers=bearer(given), timeout=PATIENCE).status_code
            for _ in range(4 * workers)
        ]

    assert set(answers(token)) == {200}
    shell("revoke", token)
    until = monotonic() + PATIENCE
    # The worker that learns of it first may have had enough of wrong keys (429) by the time the
    # other one learns of it too.
    while not (said := set(answers(token))) <= {401, 429}:
        assert said <= {200, 401, 429}
        assert monotonic() < until
        sleep(0.05)
    assert set(answers(other)) == {200}


@pytest.mark.parametrize(
    "arguments", [("list",), ("create", "x", "--scope", "read"), ("revoke", "000000000000")]
)
def test_keys_are_not_managed_through_a_server(keyed: Keyed, arguments: tuple[str, ...]) -> None:
    """`tidings keys` on a server's URL says where to run it, and does nothing."""
    done = subprocess.run(
        [sys.executable, "-m", "tidings", "keys", *arguments, "--url", keyed.server.url],
        env={**keyed.server.environment, "TIDINGS_KEY": keyed.tokens["admin"]},
        capture_output=True,
        check=False,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"run this on its machine" in done.stderr


def test_keys_stand_in_no_log(server: Callable[..., Server]) -> None:
    """With all logging on, neither keys nor sessions nor their hashes are logged."""
    running = server("--access-log", "--log-level", "debug")
    with Bus(running.store_url) as bus:
        _, token = KeyRing(bus.store).create("ci", ["read"])
    with running.client() as client:
        assert client.post("/session", json={"key": token}).is_success
        session_id = client.cookies["tidings_session"]
        client.get("/events/", headers=bearer(token))
        client.get("/events/", headers=bearer(f"{token}x"))
        client.get(f"/events/?token={token}")
        client.get(f"/nowhere?a={token}")
    code, errors = running.stop()
    assert code == 0
    assert "/events/" in errors
    for secret in (token.rsplit("_", 1)[1], session_id):
        assert secret not in errors


def test_a_stream_ends_with_its_session(keyed: Keyed) -> None:
    """Who signs out is told nothing more, on the stream that is open too."""
    with keyed.server.client(headers={"origin": keyed.server.url}) as browser:
        token = keyed.tokens["read"]
        assert browser.post("/session", json={"key": token}).status_code < 300
        with browser.stream("GET", "/events/stream") as stream:
            lines = stream.iter_lines()
            assert next(lines)
            with keyed.server.client(
                headers=dict(browser.headers), cookies=browser.cookies
            ) as same:
                assert same.delete("/session").status_code < 300
            assert "id: x" not in list(lines), "the stream ends by itself"
