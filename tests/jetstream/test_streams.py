"""Which streams keep a log, what they are bounded by, and who may use them."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import nkeys  # type: ignore[import-untyped]  # it brings no types
import pytest
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

from tests.engines.nats import NatsServer
from tests.jetstream.streams import administer, stream_of
from tests.replicated.log_elsewhere import named, publish_all, read_until
from tidings.errors import InvalidSetting, NotAllowed, StoreFull, StoreUnavailable
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tidings.store.jetstream.log import JetStreamLog

# What docs/how-to/nats.md says a user needs.
_RIGHTS = """
authorization {
    users: [
        {user: admin, password: admin}
        {user: ann, password: "s3cret", permissions: {
            publish: [
                "tidings.lab.log"
                "$JS.API.STREAM.INFO.lab", "$JS.API.STREAM.CREATE.lab"
                "$JS.API.STREAM.PURGE.lab", "$JS.API.CONSUMER.CREATE.lab", "$JS.FC.lab.>"
                "$O.tidings-lab-snapshots.>", "$JS.API.*.*.OBJ_tidings-lab-snapshots"
                "$JS.API.STREAM.MSG.*.OBJ_tidings-lab-snapshots"
            ]
            subscribe: ["_INBOX.>"]
        }}
        {user: eve, password: eve, permissions: {
            publish: ["$JS.API.STREAM.INFO.lab", "$JS.API.CONSUMER.CREATE.lab", "$JS.FC.lab.>"]
            subscribe: ["_INBOX.>"]
        }}
        {user: bob, password: bob, permissions: {
            publish: ["tidings.lab.log", "$JS.API.STREAM.INFO.lab"], subscribe: ["_INBOX.>"]
        }}
    ]
}
"""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A server with users."""
    with NatsServer(tmp_path_factory.mktemp("nats"), more=_RIGHTS) as server:
        yield server


def _make(url: str, **changes: Any) -> None:
    """Make a stream that differs from the one Tidings makes."""
    server, name, subject = stream_of(url)
    config = StreamConfig(name=name, subjects=[subject], storage=StorageType.FILE)
    administer(server, lambda jetstream: jetstream.add_stream(config.evolve(**changes)))


class TestFitness:
    """A stream that would forget is refused, in words that say what to change."""

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"storage": StorageType.MEMORY}, "storage is memory"),
            ({"max_age": 3600}, "max_age is set"),
            ({"subjects": ["tidings.other"]}, "its subjects are"),
            ({"retention": RetentionPolicy.WORK_QUEUE}, "retention is not limits"),
            ({"max_bytes": 1 << 20}, "set discard to new"),
            ({"max_msgs_per_subject": 5}, "max_msgs_per_subject is set"),
            ({"max_msg_size": 100}, "max_msg_size is below"),
            ({"deny_purge": True}, "denies purges"),
            ({"no_ack": True}, "no_ack"),
        ],
        ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
    )
    def test_what_forgets_is_refused(
        self, opened: Callable[[str], JetStreamLog], url: str, changes: dict[str, Any], words: str
    ) -> None:
        """A stream with a setting that loses history is refused, before anything is written."""
        if "subjects" in changes:
            changes = {"subjects": [f"other.{stream_of(url)[1]}"]}
        _make(url, **changes)
        for ask in (
            lambda log: log.identity(),
            lambda log: log.publish(named(b"1"), PATIENCE),
            _read_on,
        ):
            with pytest.raises(StoreUnavailable, match=f"cannot keep a store.*{words}"):
                ask(opened(url))

    def test_an_administrators_stream(
        self, opened: Callable[[str], JetStreamLog], url: str
    ) -> None:
        """A stream that an administrator made with bounds that forget nothing will do."""
        _make(url, max_bytes=1 << 20, discard=DiscardPolicy.NEW, max_msg_size=100_000)
        log = opened(url)
        assert log.most_bytes < 100_000
        publish_all(log, bytes(log.most_bytes))
        assert log.check() == []

    def test_a_full_stream(self, opened: Callable[[str], JetStreamLog], url: str) -> None:
        """A stream that is full takes nothing, says so, and keeps what it has."""
        _make(url, max_msgs=2, discard=DiscardPolicy.NEW)
        log = opened(url)
        publish_all(log, b"1", b"2")
        with pytest.raises(StoreFull, match="maximum messages exceeded"):
            log.publish(named(b"3"), PATIENCE)
        assert [each.data for each in read_until(log, b"2")] == [b"1", b"2"]

    def test_a_taken_subject(self, opened: Callable[[str], JetStreamLog], url: str) -> None:
        """A stream whose subject another stream takes is not made, and the reason is told."""
        server, name, _ = stream_of(url)
        other = StreamConfig(name=f"{name}-other", subjects=[f"tidings.{name}.*"])
        administer(server, lambda jetstream: jetstream.add_stream(other))
        with pytest.raises(StoreUnavailable, match="another stream takes its subject"):
            opened(url).identity()

    def test_too_few_servers(self, opened: Callable[[str], JetStreamLog], url: str) -> None:
        """Three replicas on one server are refused, new or where the stream has fewer."""
        with pytest.raises(InvalidSetting, match="lower replicas= or add servers"):
            opened(f"{url}?replicas=3").identity()
        opened(url).identity()
        with pytest.raises(InvalidSetting, match=r"kept on 1 server\(s\), not on 3"):
            opened(f"{url}?replicas=3").identity()

    def test_a_small_max_payload(
        self, opened: Callable[[str], JetStreamLog], tmp_path: Path
    ) -> None:
        """The largest entry fits what the server takes."""
        with NatsServer(tmp_path / "nats", max_payload=70_000) as server:
            log = opened(f"{server.url}/lab")
            wanted = bytes(log.most_bytes)
            assert 64_000 < len(wanted) < 70_000
            publish_all(log, wanted)
            assert [each.data for each in read_until(log, wanted)] == [wanted]

    def test_removed_from_the_middle(self, opened: Callable[[str], JetStreamLog], url: str) -> None:
        """Entries that an administrator removed one by one are missed by the check."""
        _make(url)
        log = opened(url)
        publish_all(log, b"1", b"2", b"3")
        server, name, _ = stream_of(url)
        administer(server, lambda jetstream: jetstream.delete_msg(name, 2))
        assert [each.data for each in read_until(log, b"3")] == [b"1", b"3"]
        assert any("missing from the middle" in problem for problem in log.check())


class TestRights:
    """Servers that ask who is there, and let users do no more than they must."""

    def test_documented_rights_are_enough(
        self, opened: Callable[[str], JetStreamLog], guarded: NatsServer, tmp_path: Path
    ) -> None:
        """A user with the rights that the documentation lists can do all a store does."""
        log = opened(f"nats://ann:s3cret@127.0.0.1:{guarded.port}/lab")
        publish_all(log, *[b"%d" % n + b"." * 900_000 for n in range(20)], b"last")
        entries = read_until(log, b"last")
        assert len(entries) == 21
        (tmp_path / "made").write_bytes(b"as it was")
        for entry in entries[:2]:
            log.put_snapshot(entry.sequence, str(tmp_path / "made"))
        log.trim(entries[1].sequence)
        assert log.fetch_snapshot(str(tmp_path / "fetched")) == entries[1].sequence
        assert log.check() == []
        assert "s3cret" not in f"{log.url} {log.describe()} {log.identity()}"

    def test_who_may_not_write(
        self,
        opened: Callable[[str], JetStreamLog],
        guarded: NatsServer,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A user without the right to publish is told so, and nothing is left open."""
        # Sent a second time before the refusal came, nobody would know what became of the first.
        monkeypatch.setattr("tidings.store.jetstream.publishing._FIRST_TRY", PATIENCE)
        opened(f"nats://admin:admin@127.0.0.1:{guarded.port}/lab").identity()
        log = opened(f"nats://eve:eve@127.0.0.1:{guarded.port}/lab")
        with pytest.raises(NotAllowed, match="permissions violation for publish"):
            log.publish(named(b"1"), PATIENCE)

    def test_who_may_not_read(
        self, opened: Callable[[str], JetStreamLog], guarded: NatsServer
    ) -> None:
        """A user without the right to make a consumer is told so."""
        opened(f"nats://admin:admin@127.0.0.1:{guarded.port}/lab").identity()
        log = opened(f"nats://bob:bob@127.0.0.1:{guarded.port}/lab")
        end = log.head(PATIENCE)
        with pytest.raises(NotAllowed, match=r"consumer\.create"):
            _read_on(log, end)

    @pytest.mark.parametrize("who", ["", "ann:wr0ng@", "t0ken@"])
    def test_strangers(
        self, opened: Callable[[str], JetStreamLog], guarded: NatsServer, who: str
    ) -> None:
        """Who is not known is told so at once, and no message shows what was tried."""
        log = opened(f"nats://{who}127.0.0.1:{guarded.port}/lab")
        for ask in (
            lambda: log.publish(named(b"1"), PATIENCE),
            lambda: log.head(PATIENCE),
            lambda: _read_on(log),
        ):
            with pytest.raises(NotAllowed, match=r"(?i)authorization violation") as raised:
                ask()
            assert not who or who.strip("@").rpartition(":")[2] not in str(raised.value)

    def test_an_nkey(self, opened: Callable[[str], JetStreamLog], tmp_path: Path) -> None:
        """A server that challenges a key is answered with the seed in a file."""
        seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
        public = nkeys.from_seed(bytearray(seed)).public_key.decode()
        (tmp_path / "ann.nk").write_bytes(seed)
        users = f"authorization {{ users: [{{nkey: {public}}}] }}"
        with NatsServer(tmp_path / "nats", more=users) as server:
            log = opened(f"nats://127.0.0.1:{server.port}/keyed?nkey={tmp_path}/ann.nk")
            assert log.head(PATIENCE) == 0

    def test_a_token(self, opened: Callable[[str], JetStreamLog], tmp_path: Path) -> None:
        """A server that wants a token is shown it."""
        with NatsServer(tmp_path / "nats", more='authorization { token: "t/k" }') as server:
            log = opened(f"nats://t%2Fk@127.0.0.1:{server.port}/lab")
            publish_all(log, b"1")
            assert read_until(log, b"1")


class TestTLS:
    """Servers that speak TLS, and want to know whom they speak to."""

    def test_certificates_on_both_sides(
        self, opened: Callable[[str], JetStreamLog], tmp_path: Path
    ) -> None:
        """Over TLS servers are known by `ca=`, and we by `certificate=`; neither goes without."""
        certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
             "-nodes", "-days", "2", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost",
             "-keyout", key, "-out", certificate],
            check=True,
            capture_output=True,
            timeout=60,
        )  # fmt: skip
        files = f'cert_file: "{certificate}", key_file: "{key}", ca_file: "{certificate}"'
        with NatsServer(tmp_path / "nats", more=f"tls {{ {files}, verify: true }}") as server:
            place = f"localhost:{server.port}/lab"
            known, ours = f"ca={certificate}", f"certificate={certificate}&certificate_key={key}"
            log = opened(f"tls://{place}?{known}&{ours}")
            publish_all(log, b"1")
            assert read_until(log, b"1")
            for url in (f"nats://{place}", f"tls://{place}?{ours}", f"tls://{place}?{known}"):
                with pytest.raises(StoreUnavailable, match="does not answer"):
                    opened(url).head(PATIENCE)

    def test_never_in_the_clear(
        self, opened: Callable[[str], JetStreamLog], tmp_path: Path
    ) -> None:
        """A server without TLS is sent nothing where the URL wants TLS, not even the password."""
        with NatsServer(tmp_path / "nats", more="debug: true, trace: true") as server:
            for options in ("", f"?ca={_authorities()}"):
                scheme = "nats" if options else "tls"
                log = opened(f"{scheme}://ann:s3cr3t@127.0.0.1:{server.port}/lab{options}")
                with pytest.raises(StoreUnavailable, match="speaks no TLS") as raised:
                    log.head(PATIENCE)
                assert "s3cr3t" not in str(raised.value)


def _authorities() -> str:
    """A file of certificates that this machine trusts."""
    import certifi

    return certifi.where()


def _read_on(log: JetStreamLog, after: int = 0) -> None:
    assert log.wait(after, PATIENCE)
    log.read(after)
