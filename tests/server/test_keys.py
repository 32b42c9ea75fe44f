"""API keys: kept as hashes, shown once, gone when revoked, also seen from other processes."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from tests.cli.conftest import COMMAND, Shell, Terminal
from tests.server.conftest import PATIENCE
from tidings.bus import Bus
from tidings.errors import InvalidEvent, InvalidSetting, StoreLocked
from tidings.server import keys as module
from tidings.server.keys import PRIVATE_PREFIXES, KeyRing
from tidings.store.base import Store
from tidings.store.memory import MemoryStore
from tidings.timestamps import now_instant, parse_instant

MINUTE = 60 * 1_000_000


@pytest.fixture
def store() -> Iterator[Store]:
    """An empty store."""
    with MemoryStore() as opened:
        yield opened


@pytest.fixture
def ring(store: Store) -> KeyRing:
    """The keys of that store."""
    return KeyRing(store)


@pytest.fixture
def shell(own_home: Path) -> Iterator[Shell]:
    """A shell whose store is empty."""
    opened = Shell(own_home / "tidings")
    yield opened
    opened.close()


# The ring ----------------------------------------------------------------------------------------


def test_a_token_opens_until_it_is_revoked(ring: KeyRing) -> None:
    """A key is known by its token, then not at all."""
    key, token = ring.create("ci", ["emit", "read"], ["figrecipe"])
    found = ring.check(token)
    assert found == key
    assert found.scopes == {"emit", "read"}
    assert found.projects == frozenset(["figrecipe"])
    assert ring.revoke(key.id)
    ring.refresh()
    assert ring.check(token) is None
    assert ring.known(key.id) is None
    assert not ring.revoke(key.id)


def test_the_secret_is_kept_nowhere(ring: KeyRing, store: Store) -> None:
    """The ledger holds a hash of the 256-bit secret, and nothing shows either."""
    key, token = ring.create("ci", ["emit"])
    secret = token.rsplit("_", 1)[1]
    assert len(bytes.fromhex(secret)) == 32
    assert store.keys("") == [f"key/{key.id}"]
    assert secret not in repr(store.get(f"key/{key.id}"))
    assert secret not in repr(key)
    assert secret not in repr(ring.list())
    assert '"hash"' not in json.dumps(key.to_dict())


def test_what_is_nearly_a_token_opens_nothing(ring: KeyRing) -> None:
    """Cut, longer, another case, another id: none is the key, and none is an error."""
    key, token = ring.create("ci", ["emit"])
    for near in (
        token[:-1],
        f"{token}0",
        token.upper(),
        token[:-1] + ("0" if token[-1] != "0" else "1"),
        token.replace("tid_", "tid_/"),
        f"tid_{'0' * 12}{token[16:]}",
        f"tid_{key.id}_{'0' * 64}",
        f"tid_{key.id}_{store_hash(ring, key.id)}",
        token.split("_")[2],
        f" {token}",
        f"{token}\n",
        "",
        "tid__",
        "tid_\x00_\xff",
        "tid_" + "\u0663" * 12 + "_" + "\u0663" * 64,
        "x" * 1_000_000,
    ):
        assert ring.check(near) is None
        assert ring.check_anew(near) is None
    assert ring.check(token) == key


def store_hash(ring: KeyRing, key_id: str) -> str:
    """What the ledger holds of a key's secret."""
    record = ring._store.get(f"key/{key_id}")
    assert record is not None
    return str(record.value["hash"])


def test_a_key_ends_at_its_time(ring: KeyRing, monkeypatch: pytest.MonkeyPatch) -> None:
    """From its end on a key is refused, though it is known; keys are still needed then."""
    ends = now_instant() + MINUTE
    key, token = ring.create("ci", ["emit"], None, ends)
    assert ring.check(token) == key
    monkeypatch.setattr(module, "now_instant", lambda: ends)
    assert ring.check(token) is None
    assert ring.check_anew(token) is None
    assert ring.known(key.id) is None
    assert ring.any()


def test_what_makes_no_sense_is_refused(ring: KeyRing) -> None:
    """No scope, an unknown one, an end in the past or a forged name make no key."""
    with pytest.raises(InvalidSetting, match="at least one"):
        ring.create("ci", [])
    with pytest.raises(InvalidSetting, match="'write' must be of emit, read, admin"):
        ring.create("ci", ["write"])
    with pytest.raises(InvalidSetting, match="past"):
        ring.create("ci", ["emit"], None, now_instant() - 1)
    with pytest.raises(InvalidEvent, match="control characters"):
        ring.create("ci\nroot", ["emit"])
    assert ring.list() == []


def test_another_ring_learns_of_a_new_key_at_once(ring: KeyRing, store: Store) -> None:
    """A key made elsewhere is found in the ledger when its token first comes."""
    other = KeyRing(store)
    assert not other.any()
    key, token = ring.create("ci", ["emit"])
    assert other.check(token) is None
    assert other.check_anew(token) == key
    assert other.check(token) == key
    assert other.any()


def test_revoking_the_last_key_opens_nothing(ring: KeyRing) -> None:
    """Who revokes the last key wants to keep somebody out: keys are still needed."""
    key, _ = ring.create("ci", ["emit"])
    assert ring.any()
    ring.revoke(key.id)
    ring.refresh()
    assert ring.any()


def test_keys_hold_while_the_ledger_cannot_be_read(
    ring: KeyRing, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A ring that cannot read goes on with what it knows, and neither opens nor shuts out."""
    key, token = ring.create("ci", ["emit"])
    failed = Event()

    def fail(prefix: str = "") -> list[str]:
        failed.set()
        raise StoreLocked(f"others hold the lock of {prefix}")

    monkeypatch.setattr(module, "_REFRESH_SECONDS", 0.001)
    ring.watch()
    monkeypatch.setattr(store, "keys", fail)
    with caplog.at_level(logging.WARNING):
        assert failed.wait(PATIENCE)
        failed.clear()
        assert failed.wait(PATIENCE)
    assert ring.any()
    assert ring.check(token) == key
    assert [record.message for record in caplog.records] == [
        "keys cannot be read, those last known hold: others hold the lock of key/"
    ]


def test_a_record_that_is_no_key_opens_nothing(ring: KeyRing, store: Store) -> None:
    """What somebody else wrote under a key's name is left out, and keys are needed all the same."""
    wrong: tuple[object, ...] = ({}, None, [], {"hash": 1, "scopes": 7, "projects": 3})
    for number, value in enumerate(wrong):
        store.put(f"key/00000000000{number}", value)
    assert ring.list() == []
    assert ring.any()
    assert ring.check("tid_" + "0" * 12 + "_" + "0" * 64) is None


def test_the_last_use_is_written_once_a_minute(
    ring: KeyRing, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Uses within a minute are one write, also by several workers; none is on the hot path."""
    now = now_instant()
    monkeypatch.setattr(module, "now_instant", lambda: now)
    key, token = ring.create("ci", ["emit"])
    assert ring.last_used(key.id) is None
    ring.check(token)
    assert ring.last_used(key.id) is None
    ring._write_uses()
    assert ring.last_used(key.id) == now
    first = store.get(f"key-use/{key.id}")
    other = KeyRing(store)
    now += MINUTE - 1
    for each in (ring, other):
        each.check(token)
        each._write_uses()
    assert store.get(f"key-use/{key.id}") == first
    now += 1
    other.check(token)
    other._write_uses()
    assert ring.last_used(key.id) == now
    ring.revoke(key.id)
    assert ring.last_used(key.id) is None
    assert store.keys("") == []


def test_secrets_of_the_ledger_are_named() -> None:
    """What no route may give out has names that begin like this."""
    secret = {"key/", "key-use/", "session/", "webhook/", "notice/"}
    answers = {"webhook-at/", "webhook-log/", "webhook-ask/"}
    engine = {"webhook-shard/", "webhook-changed"}
    assert set(PRIVATE_PREFIXES) == secret | answers | engine


# The command -------------------------------------------------------------------------------------


def test_create_shows_the_key_once(shell: Shell) -> None:
    """`keys create` prints a token that opens; neither the list nor the store's files hold it."""
    (made,) = shell.json(
        "keys", "create", "ci", "--scope", "emit", "--scope", "read", "--project", "a",
        "--project", "b", "--expires", "90d",
    )  # fmt: skip
    token = made.pop("token")
    assert made["scopes"] == ["emit", "read"]
    assert made["projects"] == ["a", "b"]
    assert not made["expired"]
    days = (parse_instant(made["expires_at"]) - parse_instant(made["created_at"])) / (1440 * MINUTE)
    assert round(days, 3) == 90
    assert shell.json("keys", "list") == [made]
    with Bus(shell.url) as bus:
        found = KeyRing(bus.store).check(token)
        assert found is not None
        assert found.id == made["id"]
    for file in Path(shell.home).iterdir():
        if file.is_file():
            assert token.rsplit("_", 1)[1].encode() not in file.read_bytes()


def test_quiet_prints_the_key_alone(shell: Shell) -> None:
    """A script gets the token with no JSON around it, and nothing on the standard error."""
    done = shell("keys", "create", "--scope", "admin", "-q")
    assert done.returncode == 0
    assert done.stderr == b""
    with Bus(shell.url) as bus:
        found = KeyRing(bus.store).check(done.stdout.decode().strip())
        assert found is not None
        assert (found.name, found.scopes) == ("", frozenset(["admin"]))


def test_an_end_may_be_a_date(shell: Shell) -> None:
    """`--expires` takes a day in the future, and no other text."""
    (made,) = shell.json("keys", "create", "--scope", "read", "--expires", "2999-01-01T00:00:00Z")
    assert made["expires_at"] == "2999-01-01T00:00:00.000000Z"
    for text in ("2020-01-01", "soon", "-1d", "99999999999d"):
        assert shell("keys", "create", "--scope", "read", f"--expires={text}").returncode == 2


@pytest.mark.parametrize("whole", [False, True])
def test_revoke_takes_the_id_or_the_whole_key(shell: Shell, whole: bool) -> None:
    """Who finds a key in a log can revoke it as it stands there; it is not shown again."""
    (made,) = shell.json("keys", "create", "ci", "--scope", "read")
    named = made["token"] if whole else made["id"]
    done = shell("keys", "revoke", named)
    assert (done.returncode, json.loads(done.stdout)) == (0, {"revoked": made["id"]})
    assert b"it was the last one" in done.stderr
    assert shell.json("keys", "list") == []
    again = shell("keys", "revoke", named)
    assert again.returncode == 1
    assert f"there is no key {made['id']}".encode() in again.stderr
    assert made["token"].encode() not in again.stderr + again.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), b"create|list|revoke is missing"),
        (("creat", "ci"), b"did you mean create?"),
        (("create", "ci"), b"--scope emit"),
        (("create", "ci", "--scope", "write"), b"must be one of emit, read, admin"),
        (("create", "a\nb", "--scope", "read"), b"control characters"),
        (("list", "ci"), b"takes no name"),
        (("list", "--scope", "read"), b"are for create"),
        (("revoke",), b"say which key"),
    ],
)
def test_wrong_usage_makes_no_key(shell: Shell, arguments: tuple[str, ...], said: bytes) -> None:
    """What is wrong is said, with exit code 2, and nothing is done."""
    done = shell("keys", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert shell.json("keys", "list") == []


def test_list_shows_the_last_use(shell: Shell) -> None:
    """What a server wrote of a key's use stands in the list."""
    (made,) = shell.json("keys", "create", "ci", "--scope", "read")
    with Bus(shell.url) as bus:
        bus.store.put(f"key-use/{made['id']}", {"used_at": 0})
    assert shell.json("keys", "list")[0]["used_at"] == "1970-01-01T00:00:00.000000Z"


def test_a_terminal_shows_words(shell: Shell) -> None:
    """On a terminal a key is a line of words, and what a terminal obeys is spelled out."""
    shell.json("keys", "create", "c\u202ei", "--scope", "read", "--project", "a", "--expires", "2d")
    terminal = Terminal([*COMMAND, "keys", "list"], {**shell.environment, "TERM": "xterm"})
    try:
        assert b"c\\u202ei  read  for a  expires in 1d" in terminal.until(b"in 1d")
        assert terminal.ended() == 0
    finally:
        terminal.close()
