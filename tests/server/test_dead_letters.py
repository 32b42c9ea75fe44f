"""Whether administrators can look at dead letters over HTTP, and decide about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tidings.bus import Bus
from tidings.event import Event
from tidings.store.base import Put
from tidings.store.query import Query
from tidings.subscriptions.dead_letters import REPLAY, DeadLetter, DeadLetters
from tidings.subscriptions.progress import Attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.server.conftest import Server
    from tidings.store.base import Store

SECOND = 1_000_000
START = 1_767_225_600 * SECOND
"""2026-01-01T00:00:00Z."""


@pytest.fixture
def store(shared_server: Server) -> Iterator[Store]:
    """The server's store, opened beside it; without dead letters."""
    with Bus(shared_server.store_url) as bus:
        for letter in DeadLetters(bus.store):
            DeadLetters(bus.store).remove(letter)
        yield bus.store


def given_up(
    store: Store, subscription: str, count: int, *, held: bool = False, type: str = "job.done"
) -> list[DeadLetter]:
    """Dead letters about new events, one a second; the first says timeout, others refused."""
    letters = []
    for number, event in enumerate(store.append([Event(type, project="p") for _ in range(count)])):
        error = "TimeoutError: too SLOW" if number == 0 else "ConnectionError: refused"
        attempts = (
            Attempt(START, 0.25, "OSError: first"),
            Attempt(START, 0.5, error, 503, "sorry"),
        )
        at = START + number * SECOND
        letters.append(DeadLetter.about(event, subscription, "x", attempts, at, held=held))
        DeadLetters(store).add(letters[-1])
    return letters


def listed(client: httpx.Client, **params: Any) -> list[str]:
    """The ids on the first page of a list."""
    answer = client.get("/dead-letters", params=params)
    assert answer.status_code == 200, answer.text
    return [letter["id"] for letter in answer.json()["dead_letters"]]


def test_one_is_shown_with_all_attempts_and_its_event(client: httpx.Client, store: Store) -> None:
    """Everything there is to know stands in one answer; once pruned, the event is null."""
    (letter,) = given_up(store, "notify", 1)
    shown = client.get(f"/dead-letters/{letter.id}").json()
    assert (shown["given_up_at"], shown["held"]) == ("2026-01-01T00:00:00.000000Z", False)
    assert shown["error"] == "TimeoutError: too SLOW"
    assert [attempt["status"] for attempt in shown["attempts"]] == [None, 503]
    assert shown["event"]["event_id"] == letter.event_id
    store.prune(store.head())
    assert client.get(f"/dead-letters/{letter.id}").json()["event"] is None


def test_the_list_is_filtered_and_paged(client: httpx.Client, store: Store) -> None:
    """Each filter narrows the list, and pages give each letter once, in order."""
    first = [letter.id for letter in given_up(store, "a", 3)]
    other = [letter.id for letter in given_up(store, "b", 2, type="order.made")]
    assert listed(client) == [*first, *other]
    assert listed(client, subscription="b") == listed(client, type="order.*") == other
    assert listed(client, project="p", subscription="a") == first
    assert listed(client, project="q") == []
    assert listed(client, contains="too slow") == [first[0], other[0]]
    assert listed(client, contains="SORRY", since="2026-01-01T00:00:02Z") == [first[2]]
    assert listed(client, until="2026-01-01T00:00:01Z") == [first[0], other[0]]
    page, found = client.get("/dead-letters", params={"limit": 2}).json(), []
    found += page["dead_letters"]
    while page["next"] is not None:
        page = client.get(page["next"]).json()
        assert len(page["dead_letters"]) <= 2
        found += page["dead_letters"]
    assert [letter["id"] for letter in found] == [*first, *other]


def test_one_is_decided(client: httpx.Client, store: Store) -> None:
    """A replay is left for the subscription; a discard is done at once where nothing is held up."""
    replayed, discarded = given_up(store, "notify", 2)
    answer = client.post(f"/dead-letters/{replayed.id}/replay")
    assert (answer.status_code, answer.json()) == (200, {"id": replayed.id, "decided": "replay"})
    assert client.post(f"/dead-letters/{discarded.id}/discard").status_code == 200
    assert [(letter.id, letter.asked) for letter in DeadLetters(store)] == [(replayed.id, REPLAY)]
    assert [letter.id for letter in DeadLetters(store).asked("notify")] == [replayed.id]
    gone = client.post(f"/dead-letters/{discarded.id}/discard")
    assert (gone.status_code, gone.json()["type"]) == (404, "urn:tidings:problem:not-found")


def test_many_are_decided_at_once(client: httpx.Client, store: Store) -> None:
    """By a filter, or all; a dry run counts and changes nothing; what holds up is only asked."""
    slow, *refused = given_up(store, "notify", 3)
    held = given_up(store, "strict", 2, held=True)
    body = {"contains": "refused", "subscription": "notify"}
    dry = client.post("/dead-letters/discard", json={**body, "dry_run": True}).json()
    assert dry == {"count": len(refused), "dry_run": True, "after": None}
    assert len(listed(client)) == 5
    assert client.post("/dead-letters/discard", json=body).json()["count"] == len(refused)
    assert listed(client) == [slow.id, *(letter.id for letter in held)]
    assert client.post("/dead-letters/discard", json={"all": True}).json()["count"] == 3
    assert [letter.asked for letter in DeadLetters(store)] == ["discard", "discard"]
    assert client.post("/dead-letters/replay", json={"subscription": "strict"}).json()["count"] == 2
    assert [letter.asked for letter in DeadLetters(store)] == ["replay", "replay"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "all"),
        ({"all": True, "type": ["job.*"]}, "not both"),
        ({"subscription": "a", "since": "soon"}, "since"),
        ({"subscription": "a", "after": "a"}, "SUBSCRIPTION/POSITION"),
        ({"kind": "x"}, "kind"),
        ([], "body"),
    ],
)
def test_a_wrong_choice_is_refused(
    client: httpx.Client, store: Store, body: object, said: str
) -> None:
    """What is missing, unknown or contradictory is named, and nothing is decided."""
    given_up(store, "a", 1)
    for what in ("replay", "discard"):
        answer = client.post(f"/dead-letters/{what}", json=body)
        assert (answer.status_code, said in answer.json()["detail"]) == (422, True), answer.text
    assert [letter.asked for letter in DeadLetters(store)] == [""]


def test_a_page_of_another_site_decides_nothing(client: httpx.Client, store: Store) -> None:
    """A browser that says a foreign page asks is refused on each route that changes something."""
    (letter,) = given_up(store, "a", 1)
    for path in ("discard", f"{letter.id}/discard", "replay", f"{letter.id}/replay"):
        answer = client.post(
            f"/dead-letters/{path}", json={"all": True}, headers={"origin": "https://evil.example"}
        )
        assert answer.status_code == 403
    assert [each.asked for each in DeadLetters(store)] == [""]
    assert next(store.read(Query(after=letter.position - 1))).id == letter.event_id


def test_very_many_are_decided_in_parts(server: Callable[..., Server]) -> None:
    """One request decides a bounded number, and says with what the next goes on."""
    started = server()
    with Bus(started.store_url) as bus:
        (letter,) = given_up(bus.store, "notify", 1)
        many = [letter._replace(position=position) for position in range(2, 10_102)]
        bus.store.append([], put=[Put(each.key, each.to_value()) for each in many])
    with started.client() as client:
        dry = {"all": True, "dry_run": True}
        first = client.post("/dead-letters/replay", json=dry).json()
        assert first["count"] == 10_000
        second = client.post("/dead-letters/replay", json={**dry, "after": first["after"]}).json()
        assert (second["count"], second["after"]) == (101, None)
