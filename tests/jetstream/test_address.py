"""What a `nats:` URL says, and what is refused, without showing a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tidings.errors import InvalidSetting
from tidings.store import open_store
from tidings.store.jetstream.address import Address
from tidings.store.jetstream.log import JetStreamLog

if TYPE_CHECKING:
    from pathlib import Path


def test_all_parts(tmp_path: Path) -> None:
    """Servers, name, who asks and options are all read."""
    address = Address.from_url(
        "nats://ann:p%40ss@N1,10.0.0.1:4333,[::1]:5/lab-1?replicas=3&durability=power&replica=/r"
    )
    assert address.hosts == ("n1:4222", "10.0.0.1:4333", "[::1]:5")
    assert (address.name, address.user, address.password) == ("lab-1", "ann", "p@ss")
    assert (address.replicas, address.durability, address.replica) == (3, "power", "/r")
    assert address.url == "nats://n1,10.0.0.1:4333,[::1]:5/lab-1"
    assert not address.tls
    seed = tmp_path / "seed"
    seed.write_text("S")
    assert Address.from_url(f"nats://h/a?nkey={seed}").nkey == str(seed)
    assert Address.from_url(f"nats://h/a?credentials={seed}").credentials == str(seed)
    assert Address.from_url("nats://t0ken@h/a").token == "t0ken"  # noqa: S105 - no secret
    assert Address.from_url("tls://h/a").tls
    assert Address.from_url(f"nats://h/a?ca={seed}").tls


def test_who_name_the_same_servers_share_a_replica() -> None:
    """The order of the servers and who asks make no other store."""
    one, other = (Address.from_url(f"nats://{hosts}/lab") for hosts in ("a,b", "u:p@b:4222,a"))
    assert one.plain == other.plain


@pytest.mark.parametrize(
    "url",
    [
        "nats://h",
        "nats://h/",
        "nats:///lab",
        "nats://h/a.b",
        "nats://h/a/b",
        "nats://h/a*",
        f"nats://h/{'a' * 65}",
        "nats://h/a#b",
        "nats://h,/a",
        "nats://h:0/a",
        "nats://h:99999/a",
        "nats://h h/a",
        "nats://h/a?colour=red",
        "nats://h/a?replicas=0",
        "nats://h/a?replicas=9",
        "nats://h/a?replicas=three",
        "nats://h/a?replicas=1&replicas=3",
        "nats://h/a?replica=",
        "nats://h/a?durability=none",
        "nats://h/a?credentials=/not/there",
        "nats://h/a?certificate=/dev/null",
        "nats://t0ken@h/a?nkey=/dev/null",
    ],
)
def test_what_is_refused(url: str) -> None:
    """A URL that is no good is refused, in words."""
    with pytest.raises(InvalidSetting, match=r"nats: URL|replicas=|durability="):
        Address.from_url(url)


@pytest.mark.parametrize("rest", ["@h/a.b", "@h h/a", "@h/a?x=1", "@h/a?replicas=x", "@/a"])
def test_no_error_shows_a_secret(rest: str) -> None:
    """What is wrong with a URL is told without the password in it."""
    with pytest.raises(InvalidSetting) as raised:
        open_store(f"nats://ann:s3cret{rest}")
    assert "s3cret" not in str(raised.value)


def test_files_that_are_no_certificates(tmp_path: Path) -> None:
    """Files for TLS that hold something else are refused when the store is opened."""
    (tmp_path / "ca").write_text("nonsense")
    with pytest.raises(InvalidSetting, match="TLS for tls://h/a cannot use"):
        JetStreamLog(Address.from_url(f"tls://h/a?ca={tmp_path}/ca"), "nowhere")
