"""`tidings webhooks`: the same on a store and on a server, and no secret is shown twice."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import COMMAND, Shell, Terminal
from tests.delivery.webhooks.receivers import Receiver, answer
from tests.server.conftest import Server
from tidings.cli import main
from tidings.delivery.webhooks.endpoints import Endpoints
from tidings.event import Event
from tidings.store import open_store
from tidings.subscriptions.dead_letters import DeadLetter, DeadLetters

OWN = "whsec_" + "QUJD" * 10
HOOK = "https://example.org/hook"


class Place:
    """A store, and where the command is told to find it.

    Attributes:
        url: what the command is given.
        store_url: the store itself.
    """

    def __init__(self, url: str, store_url: str, output: pytest.CaptureFixture[str]) -> None:
        self.url = url
        self.store_url = store_url
        self._output = output
        self.said = ""

    def __call__(self, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
        """Run `tidings webhooks`, which must end with this code; what it printed."""
        ended = main(["webhooks", *arguments, "--url", self.url])
        printed, self.said = self._output.readouterr()
        assert ended == code, self.said
        return [json.loads(line) for line in printed.splitlines()]

    def add(self, *arguments: str) -> str:
        """Add a webhook; its id."""
        (made,) = self("add", HOOK, *arguments)
        return str(made["id"])

    def endpoint(self, webhook_id: str) -> Any:
        """What is kept."""
        with open_store(self.store_url) as store:
            return Endpoints(store).get(webhook_id)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that delivers nothing, so that nobody outside is asked."""
    started = Server(tmp_path_factory.mktemp("served"), ("--no-deliver",), {})
    yield started
    started.kill()


@pytest.fixture
def kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Place:
    """A store of one's own."""
    url = f"sqlite:///{tmp_path}/events.db"
    return Place(url, url, capsys)


@pytest.fixture(params=["store", "server"])
def place(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Place:
    """A store, reached directly and through a server."""
    if request.param == "store":
        url = f"sqlite:///{tmp_path}/events.db"
        return Place(url, url, capsys)
    served: Server = request.getfixturevalue("served")
    return Place(served.url, served.store_url, capsys)


# On a store and on a server -----------------------------------------------------------------------


def test_a_secret_is_shown_once(place: Place) -> None:
    """By `add` and `rotate`; neither it nor a header's value is in any other answer."""
    (made,) = place("add", HOOK, "--header", "Authorization: Bearer s3cr3t")
    assert made["secret"].startswith("whsec_")
    assert "only time" in place.said
    (rotated,) = place("rotate", made["id"], "--keep", "1h")
    assert rotated["secret"] != made["secret"]
    secrets = [secret.text for secret in place.endpoint(made["id"]).secrets]
    assert secrets == [rotated["secret"], made["secret"]]
    for arguments in (
        ("list",),
        ("show", made["id"]),
        ("change", made["id"], "--description", "ours"),
        ("pause", made["id"]),
        ("resume", made["id"]),
    ):
        shown = json.dumps(place(*arguments))
        assert made["id"] in shown
        assert "authorization" in shown
        assert not any(word in shown for word in ("s3cr3t", "whsec_", "Bearer"))


def test_all_filters_count(place: Place) -> None:
    """What is typed is what the webhook's query asks, payload, moments and exclusions included."""
    webhook_id = place.add(
        *(
            "--type",
            "job.*",
            "--type",
            "build",
            "--project",
            "figrecipe",
            "--not-status",
            "success",
        ),
        *("--where", "n:=3", "--agent", "a1", "--until", "2030-01-01T00:00:00Z"),
    )
    query = place.endpoint(webhook_id).query()
    assert query.types == ("job.*", "build")
    assert query.project == ("figrecipe",)
    assert (query.aggregate_type, query.aggregate_id) == ("agent", "a1")
    assert query.payload == {"n": 3}
    assert query.exclude.status == ("success",)
    assert query.until == 1_893_456_000_000_000


def test_a_change_keeps_what_it_does_not_name(place: Place) -> None:
    """Headers are replaced one by one, and dropped without a value; filters all at once."""
    webhook_id = place.add(
        "--type", "a", "--project", "p", "--header", "X-One: 1", "--header", "X-Two: 2"
    )
    place("change", webhook_id, "--type", "b", "--header", "x-one:", "--header", "x-three: 3")
    endpoint = place.endpoint(webhook_id)
    assert endpoint.filters == {"types": ["b"]}
    assert endpoint.headers == {"x-two": "2", "x-three": "3"}
    place(
        *("change", webhook_id, f"{HOOK}/2", "--body", "plain"),
        *("--concurrency", "2", "--description", "ours"),
    )
    endpoint = place.endpoint(webhook_id)
    assert endpoint.filters == {"types": ["b"]}
    assert (endpoint.url, endpoint.body) == (f"{HOOK}/2", "plain")
    assert (endpoint.concurrency, endpoint.description) == (2, "ours")
    place("change", webhook_id, "--no-filters")
    assert place.endpoint(webhook_id).filters == {}
    place("change", webhook_id, code=2)
    assert "say what shall be otherwise" in place.said


def test_what_is_paused_or_disabled_is_resumed(place: Place) -> None:
    """The state says which it is, and `resume` ends both."""
    webhook_id = place.add()
    assert place("pause", webhook_id)[0]["state"] == "paused"
    assert place("resume", webhook_id)[0]["state"] == "active"
    with open_store(place.store_url) as store:
        Endpoints(store).disable(webhook_id, "failing", HOOK)
    (shown,) = place("show", webhook_id)
    assert (shown["state"], shown["disabled"]) == ("disabled", "failing")
    assert place("resume", webhook_id, "--skip")[0]["state"] == "active"


def test_what_is_deleted_is_gone(place: Place) -> None:
    """Also from the list, and the others stay."""
    first, second = place.add(), place.add()
    assert place("delete", first) == [{"deleted": first}]
    ids = [webhook["id"] for webhook in place("list")]
    assert first not in ids
    assert second in ids


@pytest.mark.parametrize(
    "arguments",
    [
        ["show"], ["change", "--type", "a"], ["rotate"], ["pause"], ["resume"], ["test"],
        ["delete"], ["attempts"], ["replay", "--failed", "--yes"],
    ],
    ids=lambda arguments: arguments[0],
)  # fmt: skip
def test_what_is_not_there_is_told(place: Place, arguments: list[str]) -> None:
    """Exit code 1, and what lists those that are."""
    place(arguments[0], "wh_nothing", *arguments[1:], code=1)
    assert "there is no webhook 'wh_nothing'" in place.said
    assert "tidings webhooks list" in place.said


def test_a_replay_is_counted_first(place: Place) -> None:
    """One event by id or position, all since a moment, all that failed; asked for before it is."""
    webhook_id = place.add("--type", "replayed", "--from", "beginning")
    assert place("replay", webhook_id, "--failed")[0]["events"] == 0  # so nothing is asked
    with open_store(place.store_url) as store:
        events = store.append([Event("replayed"), Event("other"), Event("replayed")])
        name = f"webhook:{webhook_id}"
        letter = DeadLetter.about(events[0], name, "event:1", (), 0, held=False)
        DeadLetters(store).add(letter)
    since = place("replay", webhook_id, "--since", "1h", "--dry-run")[0]["events"]
    assert since >= 2
    assert place("replay", webhook_id, "--failed", "--dry-run")[0]["events"] == 1
    place("replay", webhook_id, "--failed", code=2)
    assert "1 event will be sent again; give --yes" in place.said
    assert place("replay", webhook_id, "--failed", "--yes")[0]["events"] == 1
    for name in (events[0].id, str(events[0].position)):
        assert place("replay", webhook_id, "--event", name)[0]["events"] == 1
    place("replay", webhook_id, "--event", "nothing", code=1)
    assert "there is no event 'nothing'" in place.said
    place("replay", webhook_id, "--event", "x", "--failed", code=2)
    assert "--event ID, --since WHEN or --failed" in place.said


def test_a_private_address_must_be_allowed(place: Place) -> None:
    """Where the store is it is, by `--allow-private`; a server allows it to nobody by a request."""
    place("add", "http://127.0.0.1:9/hook", code=2)
    assert "127.0.0.1 (loopback)" in place.said
    if place.url == place.store_url:
        (made,) = place("add", "http://127.0.0.1:9/hook", "--allow-private")
        place("change", made["id"], "--deny-private", code=2)
        place("change", made["id"], HOOK, "--deny-private")
        assert not place.endpoint(made["id"]).allow_private
    else:
        place("add", "http://127.0.0.1:9/hook", "--allow-private", code=2)
        assert "cannot be set over HTTP" in place.said


# On a store ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ad"], "there is no ad, only add, list"),
        (["add"], "say where to send"),
        (["add", "ftp://example.org"], "must be http:// or https://"),
        (["add", HOOK, "--header", "Bearer s3cr3t"], "--header must be 'Name: value'"),
        (["add", HOOK, "--from", "then"], "must be beginning, now or a position"),
        (["add", HOOK, "--body", "xml"], "must be one of cloudevents, plain"),
        (["add", HOOK, "--keep", "1h"], "--keep is not for add"),
        (["add", HOOK, "--secret", "s3cr3t"], "secret"),
        (["list", "wh_1"], "one word too many"),
        (["list", "--type", "a"], "--type is not for list"),
        (["show"], "say which webhook"),
        (["change", "wh_1", "--allow-private", "--deny-private"], "contradict"),
        (["replay", "wh_1"], "say what to send again"),
    ],
)
def test_wrong_usage_says_what_was_wrong(kept: Place, arguments: list[str], said: str) -> None:
    """And makes nothing, and shows no secret."""
    kept(*arguments, code=2)
    assert said in kept.said
    assert "s3cr3t" not in kept.said
    assert kept("list") == []


def test_a_secret_of_ones_own_needs_no_argument(
    kept: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a dash it is read, so that no list of processes shows it."""
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{OWN}\n"))
    (made,) = kept("add", HOOK, "--secret", "-")
    assert made["secret"] == OWN
    assert kept.endpoint(made["id"]).secrets[0].text == OWN


def test_a_test_is_sent_at_once_and_listed(kept: Place) -> None:
    """Signed; the exit code says whether the receiver took it, and `attempts` how each went."""
    with Receiver(secrets=[OWN]) as receiver:
        (made,) = kept("add", receiver.url, "--allow-private", "--secret", OWN)
        (taken,) = kept("test", made["id"])
        assert (taken["ok"], taken["status"], taken["answer"]) == (True, 200, "ok")
        (got,) = receiver.got
        assert got.verified
        receiver.answer = answer(500, b"broken")
        (refused,) = kept("test", made["id"], code=1)
        assert (refused["ok"], refused["status"], refused["answer"]) == (False, 500, "broken")
    listed = kept("attempts", made["id"])
    assert [(each["status"], each["trigger"]) for each in listed] == [(500, "test"), (200, "test")]
    assert [each["status"] for each in kept("attempts", made["id"], "--failed")] == [500]
    assert len(kept("attempts", made["id"], "--limit", "1")) == 1


def test_a_terminal_is_shown_words(shell: Shell, seat: Callable[..., Terminal]) -> None:
    """One line for each webhook, and nothing in it that a terminal would obey."""
    with open_store(shell.url) as store:
        Endpoints(store).create(HOOK, {"types": ["job.*"]}, description="our \x1b[31mhook")
    listed = seat(*COMMAND, "webhooks", "list", "--no-color")
    shown = listed.until(b"hook\r\n").decode()
    assert f"active  {HOOK}  type job.*  our \\x1b[31mhook" in shown
    assert listed.ended() == 0
