"""Which addresses webhooks may reach: none in a private network, unless allowed.

Keeps promise 6 where the server itself could be sent to what only it can reach (server-side request
forgery): its own machine, the network around it, a cloud's metadata service. A URL is checked when
an endpoint is made; each address is checked again when it is connected to, because a name may lead
elsewhere by then. What is not known to be public is refused. It resolves no names and opens no
connections; `sending` does. Sources: IANA IPv4 and IPv6 Special-Purpose Address Registries.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import NamedTuple, TypeAlias

from tidings import settings
from tidings.errors import InvalidSetting, shorten
from tidings.masking import masked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

    Address: TypeAlias = IPv4Address | IPv6Address
    Network: TypeAlias = IPv4Network | IPv6Network
    Networks: TypeAlias = tuple[Network, ...]

__all__ = [
    "Policy",
    "allowed_networks",
    "check_url",
    "fault_of",
    "networks_of",
]

_Kinds: TypeAlias = "tuple[tuple[str, Networks], ...]"


def _kinds(**texts: str) -> _Kinds:
    """Networks by what they are, underscores in a name standing for spaces."""
    return tuple(
        (name.replace("_", " "), tuple(map(ip_network, text.split())))
        for name, text in texts.items()
    )


# Never meant where a webhook is meant, and the prize of who makes a server ask for another.
_METADATA = _kinds(
    metadata_of_a_cloud="169.254.169.254 fd00:ec2::254 fd20:ce::254 100.100.100.200 168.63.129.16 "
    "192.0.0.192"
)

# What a person may allow for one endpoint; what else is not public needs a list of networks.
_PRIVATE = _kinds(
    loopback="127.0.0.0/8 ::1",
    private="10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7",
    shared_by_a_provider="100.64.0.0/10",
)

_SPECIAL = _kinds(
    link_local="169.254.0.0/16 fe80::/10",
    site_local="fec0::/10",
    unspecified="0.0.0.0/8 ::",
    multicast="224.0.0.0/4 ff00::/8",
    documentation="192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 2001:db8::/32 3fff::/20",
    benchmarking="198.18.0.0/15 2001:2::/48",
    IPv4_within_IPv6="::/96 2001::/32 2002::/16 64:ff9b:1::/48",
    reserved="192.0.0.0/24 192.88.99.0/24 240.0.0.0/4 2001::/23",
    # All that is public in IPv6 lies in 2000::/3. Source: IANA IPv6 Address Space.
    not_assigned="::/3 4000::/2 8000::/1",
)

_IPV4_MAPPED = ip_network("::ffff:0:0/96")
_NAT64 = ip_network("64:ff9b::/96")
"""Where a network without IPv4 shows all of it. Source: RFC 6052, section 2.1."""

_LONGEST_URL = 2000
_URL = re.compile(
    r"(?i:https?)://(?P<host>[A-Za-z0-9_][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?(?:[/?#][!-~]*)?",
    re.ASCII,
)
"""Narrower than RFC 3986, so that no two parsers can read two hosts in it."""

_PATH = re.compile(r"[/?#]")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_THIS_MACHINE = (IPv4Address("127.0.0.1"), IPv6Address("::1"))
_NAMES_OF_THIS_MACHINE = ("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback")


class Policy(NamedTuple):
    """Which addresses are allowed.

    Attributes:
        allow_private: whether the machine itself, private networks and those a provider shares are.
        networks: those that are allowed besides, whatever they are.
    """

    allow_private: bool = False
    networks: Networks = ()

    def objection(self, address: Address) -> str:
        """What an address is that is refused; empty where it is allowed.

        >>> Policy().objection(IPv4Address("9.9.9.9")), Policy().objection(IPv6Address("::1"))
        ('', 'loopback')
        >>> Policy(allow_private=True).objection(IPv4Address("169.254.169.254"))
        'metadata of a cloud'
        """
        meant = _meant(address)
        if any(address in network or meant in network for network in self.networks):
            return ""
        private = _kind(meant, _PRIVATE)
        metadata = _kind(meant, _METADATA)
        if private and self.allow_private and not metadata:
            return ""
        return metadata or private or _kind(meant, _SPECIAL)

    def refusal(self, address: Address) -> str:
        """Why what leads to an address is refused, and what to do; empty where it is not.

        >>> Policy().refusal(IPv4Address("10.0.0.1"))
        'leads to 10.0.0.1 (private), which is not allowed; allow private addresses for this
        endpoint (--allow-private), or name its network in TIDINGS_WEBHOOK_NETWORKS'
        """
        kind = self.objection(address)
        if not kind:
            return ""
        enough = not self._replace(allow_private=True).objection(address)
        allow = "allow private addresses for this endpoint (--allow-private), or " if enough else ""
        return (
            f"leads to {address} ({kind}), which is not allowed; {allow}name its network in "
            f"TIDINGS_WEBHOOK_NETWORKS"
        )


def check_url(url: str, *, allow_private: bool = False, networks: Networks = ()) -> None:
    """Refuse a URL that no webhook is sent to, as far as can be told without resolving its name.

    Args:
        url: where an endpoint would be.
        allow_private: whether it may lie in a private network.
        networks: further networks where it may lie.

    Raises:
        InvalidSetting: it is no http or https URL in plain form, or names an address that is not
            allowed.

    >>> check_url("https://example.org/hook")
    >>> check_url("http://10.0.0.1/hook")
    Traceback (most recent call last):
    ...
    tidings.errors.InvalidSetting: webhook URL 'http://10.0.0.1/hook' leads to 10.0.0.1 (private),
    which is not allowed; ...
    """
    why = fault_of(url, Policy(allow_private, networks))
    if why:
        raise InvalidSetting(f"webhook URL {shorten(masked(url))} {why}")


def fault_of(url: str, policy: Policy) -> str:
    """What is wrong with a URL, without showing it; empty where nothing is. See `check_url`."""
    if "@" in _PATH.split(url.partition("//")[2], maxsplit=1)[0]:
        return "must hold no user and no password; send them as a header `authorization`"
    found = _URL.fullmatch(url)
    if found is None or len(url) > _LONGEST_URL:
        return (
            f"must be http:// or https://, a name or an address, and a path; in ASCII (a name in "
            f"its xn-- form) and at most {_LONGEST_URL} characters"
        )
    if found["port"] is not None and not 1 <= int(found["port"]) <= 65_535:
        return "must have a port from 1 to 65535"
    try:
        addresses = _addresses_said(found["host"])
    except ValueError:
        return (
            "must have its IPv4 address as four decimal numbers, such as 198.51.100.7, and one of "
            "IPv6 in brackets, such as [2001:db8::7]"
        )
    # A name of this machine stands for two addresses, and one that is allowed is enough.
    refusals = [policy.refusal(address) for address in addresses]
    return refusals[0] if refusals and all(refusals) else ""


def networks_of(text: str) -> Networks:
    """The networks in a list such as `10.20.0.0/16, fd00:1::/32`.

    Raises:
        InvalidSetting: one of them is no network.

    >>> networks_of("10.20.0.0/16, 192.168.7.1")
    (IPv4Network('10.20.0.0/16'), IPv4Network('192.168.7.1/32'))
    """
    return tuple(_network_of(part.strip()) for part in text.split(",") if part.strip())


def allowed_networks() -> Networks:
    """The networks where any endpoint may lie (`TIDINGS_WEBHOOK_NETWORKS`).

    Raises:
        InvalidSetting: one of them is no network.
    """
    return networks_of(settings.webhook_networks())


def _network_of(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise InvalidSetting(
            f"TIDINGS_WEBHOOK_NETWORKS {shorten(text)} must be networks such as 10.20.0.0/16, "
            f"separated by commas ({error})"
        ) from None


def _addresses_said(host: str) -> tuple[Address, ...]:
    """The addresses a host stands for without being looked up; none where it is a name.

    Raises:
        ValueError: it is an address in a form that not everyone reads alike.
    """
    if host[0] == "[":
        return (IPv6Address(host[1:-1]),)
    name = host.rstrip(".").lower()
    if name in _NAMES_OF_THIS_MACHINE or name.endswith(".localhost"):
        return _THIS_MACHINE  # RFC 6761, section 6.3, whatever a resolver says
    # What ends in a number is an address, in whichever of its many spellings. Source: WHATWG URL
    # Standard, "ends in a number checker".
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        return (IPv4Address(host),)
    return ()


def _meant(address: Address) -> Address:
    """The address that is reached in the end: IPv4, where it is written into one of IPv6."""
    if address in _IPV4_MAPPED or address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _kind(address: Address, kinds: tuple[tuple[str, Networks], ...]) -> str:
    for kind, networks in kinds:
        if any(address in network for network in networks):
            return kind
    return ""
