"""Where webhooks may lead: what a URL may be, which addresses are refused, what names cannot do."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from weakref import WeakSet

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bus.loops import run
from tests.delivery.webhooks.receivers import Receiver, endpoint_at
from tidings.delivery.webhooks.addresses import (
    Policy,
    allowed_networks,
    check_url,
    fault_of,
    networks_of,
)
from tidings.delivery.webhooks.reaching import AddressNotAllowed, open_session
from tidings.delivery.webhooks.sending import OK, RETRY, Sender, Sent
from tidings.errors import InvalidSetting
from tidings.event import Event

EVENT = Event("job_done")
NAME = "hooks.example.org"

PUBLIC = [
    *("9.9.9.9", "1.1.1.1", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.1"),
    *("198.17.0.1", "198.20.0.1", "223.255.255.255", "2620:fe::9", "2001:4860:4860::8888"),
    *("::ffff:9.9.9.9", "64:ff9b::9.9.9.9"),
]
REFUSED = {
    "loopback": ["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"],
    "private": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fdff::1"],
    "shared by a provider": ["100.64.0.1", "100.127.255.255", "::ffff:100.64.0.1"],
    "metadata of a cloud": [
        *("169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fd00:ec2::254"),
        *("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd20:ce::254"),
    ],
    "link local": ["169.254.0.1", "169.254.170.2", "fe80::1", "fe80::1%eth0", "febf::1"],
    "site local": ["fec0::1"],
    "unspecified": ["0.0.0.0", "0.1.2.3", "::"],  # noqa: S104 - nothing listens there
    "multicast": ["224.0.0.1", "239.255.255.255", "ff02::1"],
    "documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"],
    "benchmarking": ["198.18.0.1", "198.19.255.255", "2001:2::1"],
    "IPv4 within IPv6": [
        *("::127.0.0.1", "::9.9.9.9", "2002:7f00:1::", "2002:a00:1::1", "2001::1"),
        *("64:ff9b:1::a00:1", "64:ff9b:1:ffff::1"),
    ],
    "reserved": ["192.0.0.1", "192.88.99.1", "240.0.0.1", "255.255.255.255", "2001:10::1"],
    "not assigned": ["100::1", "4000::1", "5f00::1", "8000::1", "fe00::1", "64:ff9c::1"],
}
PERMITTED = {"loopback", "private", "shared by a provider"}
"""What `allow_private` allows."""


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    """What anybody can reach, a webhook may reach."""
    assert Policy().objection(ip_address(address)) == ""


@pytest.mark.parametrize("kind", REFUSED)
def test_other_addresses_are_refused(kind: str) -> None:
    """What is not public is refused as what it is; a person may allow what is merely private."""
    addresses = [ip_address(text) for text in REFUSED[kind]]
    assert {Policy().objection(address) for address in addresses} == {kind}
    permitted = {Policy(allow_private=True).objection(address) for address in addresses}
    assert permitted == {"" if kind in PERMITTED else kind}


ADDRESSES = st.one_of(
    st.ip_addresses(v=4),
    st.ip_addresses(v=6),
    st.ip_addresses(v=4).map(lambda inner: IPv6Address(0xFFFF_0000_0000 + int(inner))),
    st.ip_addresses(v=4).map(lambda inner: IPv6Address((0x64_FF9B << 96) + int(inner))),
)


@given(ADDRESSES)
def test_what_is_allowed_is_global(address: IPv4Address | IPv6Address) -> None:
    """Nothing that Python's `ipaddress` holds for special is let through, nor its inner address."""
    if Policy().objection(address):
        return
    inner = getattr(address, "ipv4_mapped", None)
    if address in ip_network("64:ff9b::/96"):
        inner = IPv4Address(int(address) & 0xFFFF_FFFF)
    meant = inner or address
    assert meant.is_global
    special = ("private", "multicast", "reserved", "loopback", "link_local", "unspecified")
    assert [kind for kind in special if getattr(meant, f"is_{kind}")] == []
    assert getattr(meant, "sixtofour", None) is None
    assert getattr(meant, "teredo", None) is None


@given(ADDRESSES)
def test_a_network_list_allows_what_it_names(address: IPv4Address | IPv6Address) -> None:
    """A network that is named is allowed whatever it is, and makes no other address allowed."""
    only = Policy(networks=(ip_network(address),))
    assert only.objection(address) == ""
    elsewhere = IPv4Address("10.11.12.13")
    assert bool(only.objection(elsewhere)) == (address != elsewhere)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org",
        "http://example.org:8080/hook?key=a%20b#part",
        "HTTPS://Example.ORG./hook",
        "https://xn--bcher-kva.example/",
        "https://a_b.example.org/x@y",
        "https://9.9.9.9/",
        "https://[2620:fe::9]:8443/",
        "https://1.example.org/?next=http://127.0.0.1/",
    ],
)
def test_urls_that_are_taken(url: str) -> None:
    """A plain URL that leads outside is taken."""
    check_url(url)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "must be http:// or https://"),
        ("example.org/hook", "must be http:// or https://"),
        ("ftp://example.org/", "must be http:// or https://"),
        ("http\u017f://example.org/", "must be http:// or https://"),
        ("file:///etc/passwd", "must be http:// or https://"),
        ("https:///hook", "must be http:// or https://"),
        ("https://example.org /", "must be http:// or https://"),
        ("https://example.org/a b", "must be http:// or https://"),
        ("https://example.org/\r\nx: y", "must be http:// or https://"),
        ("https://example.org\\@127.0.0.1/", "must hold no user"),
        ("https://127.0.0.1\\.example.org/", "must be http:// or https://"),
        ("https://bücher.example/", "must be http:// or https://"),
        ("https://example.org/" + "x" * 2000, "at most 2000 characters"),
        ("https://ann:secret@example.org/", "must hold no user"),
        ("https://example.org:0/", "must have a port from 1 to 65535"),
        ("https://example.org:65536/", "must have a port from 1 to 65535"),
        ("https://example.org:x/", "must be http:// or https://"),
        ("http://[fe80::1%25eth0]/", "must be http:// or https://"),
        ("http://[::1/", "must be http:// or https://"),
        ("http://[1:2]/", "must have its IPv4 address"),
        ("http://2130706433/", "must have its IPv4 address"),
        ("http://0x7f000001/", "must have its IPv4 address"),
        ("http://0x7f.1/", "must have its IPv4 address"),
        ("http://017700000001/", "must have its IPv4 address"),
        ("http://0177.0.0.1/", "must have its IPv4 address"),
        ("http://127.1/", "must have its IPv4 address"),
        ("http://127.0.0.1./", "must have its IPv4 address"),
        ("http://127.0.0.1../", "must have its IPv4 address"),
        ("http://127.0.0.256/", "must have its IPv4 address"),
        ("http://example.0x/", "must have its IPv4 address"),
        ("http://127.0.0.1/", "leads to 127.0.0.1 (loopback), which is not allowed; allow private"),
        ("http://[::1]/", "leads to ::1 (loopback)"),
        ("http://[::ffff:127.0.0.1]/", "(loopback)"),
        ("http://[0:0:0:0:0:ffff:7f00:1]/", "(loopback)"),
        ("http://localhost/", "leads to 127.0.0.1 (loopback)"),
        ("http://LOCALHOST./", "leads to 127.0.0.1 (loopback)"),
        ("http://a.localhost:8000/", "leads to 127.0.0.1 (loopback)"),
        (
            "http://169.254.169.254/",
            "(metadata of a cloud), which is not allowed; name its network",
        ),
    ],
)
def test_urls_that_are_refused(url: str, why: str) -> None:
    """A URL that is none, hides its address or leads inside is refused, with what to do."""
    with pytest.raises(InvalidSetting, match=r"^webhook URL ") as refused:
        check_url(url)
    assert why in str(refused.value)
    assert "secret" not in str(refused.value)


def test_private_urls_may_be_allowed() -> None:
    """An endpoint in a private network is taken where it may be there, or its network is named."""
    for url in ("http://127.0.0.1:8000/", "http://localhost/", "http://[fd12::1]/"):
        check_url(url, allow_private=True)
        check_url(url, networks=networks_of("127.0.0.0/8,fd12::/16"))
        with pytest.raises(InvalidSetting):
            check_url(url, networks=networks_of("10.0.0.0/8"))
    with pytest.raises(InvalidSetting, match="metadata of a cloud"):
        check_url("http://169.254.169.254/", allow_private=True)


@given(st.text(alphabet="htps:/.@[]0123456789abx%\\?#-_ ", max_size=40).map("http://{}".format))
def test_no_url_is_read_as_two_hosts(url: str) -> None:
    """What is taken leads, as the client reads it, to the very host that was checked."""
    from yarl import URL

    if not fault_of(url, Policy()):
        host = URL(url, encoded=True).raw_host
        assert host is not None
        assert url[7:].lower().startswith((host.lower(), f"[{host.lower()}]"))
        assert URL(url, encoded=True).user is None


def test_a_setting_names_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """`TIDINGS_WEBHOOK_NETWORKS` is a list of networks, and what is none is told."""
    assert allowed_networks() == ()
    monkeypatch.setenv("TIDINGS_WEBHOOK_NETWORKS", "10.20.0.0/16, fd00:1::/32,")
    assert [str(network) for network in allowed_networks()] == ["10.20.0.0/16", "fd00:1::/32"]
    monkeypatch.setenv("TIDINGS_WEBHOOK_NETWORKS", "10.20.0.1/16")
    with pytest.raises(InvalidSetting, match=r"TIDINGS_WEBHOOK_NETWORKS '10\.20\.0\.1/16' must be"):
        Sender()


class Names:
    """A name service whose answers a test decides.

    Attributes:
        answers: what each look-up gives, in order; the last one for good.
        asked: the names that were looked up.
    """

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str) -> Sequence[str]:
        """The addresses of a name."""
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def attempts(
    names: Names, doing: Callable[[Callable[[], Awaitable[Sent]]], Awaitable[None]], url: str
) -> None:
    """Make attempts at a name, where 127.0.0.1 alone is allowed."""

    async def main() -> None:
        async with Sender(networks=["127.0.0.1"], lookup=names) as sender:
            endpoint = endpoint_at(url, allow_private=False)
            await doing(lambda: sender.send(endpoint, EVENT))

    run(main())


def named(receiver: Receiver) -> str:
    """The receiver's URL by a name."""
    return receiver.url.replace("127.0.0.1", NAME)


@pytest.mark.usefixtures("patient_connections")
def test_a_name_that_leads_elsewhere_by_then_is_refused() -> None:
    """A name that was good when it was looked up first is checked again for the next connection."""
    names = Names(["127.0.0.1"], ["127.0.0.2"])

    async def doing(attempt: Callable[[], Awaitable[Sent]]) -> None:
        assert (await attempt()).verdict == OK
        assert (await attempt()).verdict == OK
        assert names.asked == [NAME]  # the connection that was checked was used again
        await asyncio.to_thread(receiver.hang_up)
        refused = await attempt()
        assert refused.verdict == RETRY
        assert refused.attempt.error.startswith(
            f"AddressNotAllowed: {NAME} leads to 127.0.0.2 (loopback), which is not allowed"
        )

    with Receiver(host="0.0.0.0") as receiver:  # noqa: S104 - it would be reached at 127.0.0.2 too
        attempts(names, doing, f"http://{NAME}:{receiver.port}/hook")
        assert receiver.connections == 1


def test_what_was_checked_is_what_is_connected_to() -> None:
    """A name is looked up once for a connection, so that no second answer can lead elsewhere."""
    names = Names(["127.0.0.1"], ["10.0.0.1"])

    async def doing(attempt: Callable[[], Awaitable[Sent]]) -> None:
        assert (await attempt()).verdict == OK

    with Receiver() as receiver:
        attempts(names, doing, named(receiver))
        (got,) = receiver.got
    assert names.asked == [NAME]
    assert got.headers["host"] == f"{NAME}:{receiver.port}"


@pytest.mark.parametrize(
    "mixed", [["127.0.0.1", "127.0.0.2"], ["10.0.0.1", "127.0.0.1"], ["127.0.0.1", "fe80::1%1"]]
)
def test_one_address_that_is_refused_spoils_a_name(mixed: list[str]) -> None:
    """A name with any address that is not allowed is not connected to at all."""

    async def doing(attempt: Callable[[], Awaitable[Sent]]) -> None:
        assert (await attempt()).attempt.error.startswith("AddressNotAllowed: ")

    with Receiver() as receiver:
        attempts(Names(mixed), doing, named(receiver))
        assert receiver.connections == 0


def test_an_address_without_a_name_is_checked_where_it_is_connected_to() -> None:
    """Even a URL that nobody checked before reaches no address that is not allowed."""

    async def main(url: str) -> None:
        async with open_session(
            Policy(), Names([]), ssl.create_default_context(), WeakSet(), keep=True
        ) as session:
            with pytest.raises(aiohttp.ClientConnectorError) as refused:
                await session.post(url)
            assert isinstance(refused.value.os_error, AddressNotAllowed)

    with Receiver() as receiver:
        run(main(receiver.url))
        run(main(f"http://[::ffff:127.0.0.1]:{receiver.port}/"))
        assert receiver.connections == 0


def test_what_was_allowed_for_one_endpoint_serves_no_other() -> None:
    """A connection into a private network is not used for an endpoint that may not lie there."""

    async def main() -> None:
        names = Names(["127.0.0.1"])
        async with Sender(lookup=names) as sender:
            allowed = endpoint_at(named(receiver))
            assert (await sender.send(allowed, EVENT)).verdict == OK
            other = await sender.send(allowed._replace(allow_private=False), EVENT)
            assert other.attempt.error.startswith("AddressNotAllowed: ")

    with Receiver() as receiver:
        run(main())
        assert len(receiver.got) == 1
