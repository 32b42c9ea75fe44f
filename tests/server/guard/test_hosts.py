"""Requests for other hosts, at other addresses, and with headers that contradict each other."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.server.guard.admission import HOST, Server, bearer
from tidings.server.access import ANYONE
from tidings.server.origins import refusal_to_bind


@pytest.mark.parametrize(
    "host",
    [
        b"localhost",
        b"LocalHost:80",
        b"127.0.0.1:8765",
        b"127.8.9.10",
        b"[::1]:8765",
        b"[::1]",
    ],
)
def test_this_machine_is_known_by_its_names(start: Callable[..., Server], host: bytes) -> None:
    """Loopback's names and addresses are let in, with any port."""
    server = start()
    for _ in range(2):  # looked at, then remembered
        assert server.ask((b"host", host), host=False).caller is ANYONE


@pytest.mark.parametrize(
    "host",
    [
        b"evil.example",
        b"localhost.evil.example",
        b"127.0.0.1.evil.example",
        b"evil.example:8765",
        b"127.0.0.1@evil.example",
        b"localhost, evil.example",
        b"localhost/",
        b"localhost:",
        b"localhost:8765:1",
        b"[::1",
        b"[::ffff:192.0.2.1]",
        b"2130706433",
        b"0.0.0.0",
        b"",
        b" localhost",
        b"localhost\n",
        b"\xff",
    ],
)
def test_another_host_is_refused_on_loopback(start: Callable[..., Server], host: bytes) -> None:
    """A name made to point here (DNS rebinding) gets 421, however it is written."""
    server = start()
    for _ in range(2):
        assert server.refused(421, (b"host", host), host=False).slug == "unknown-host"


def test_a_request_without_host_is_refused(start: Callable[..., Server]) -> None:
    """Who names no host is asked for one."""
    start().refused(421, host=False)


def test_allowed_hosts_are_let_in(start: Callable[..., Server]) -> None:
    """A name that was configured is ours, and `*` allows all."""
    server = start(allowed_hosts=["Events.example.org"])
    assert server.ask((b"host", b"events.example.org:443"), host=False).caller is ANYONE
    server.refused(421, (b"host", b"example.org"), host=False)
    assert start(allowed_hosts=["*"]).ask((b"host", b"example.org"), host=False)


def test_a_test_client_is_the_host_it_is_called_by(start: Callable[..., Server]) -> None:
    """An app called without a network is let in by that name; the network cannot say it."""
    server = start()
    called = ("testserver", 80)
    assert server.ask((b"host", b"testserver"), host=False, server=called).caller is ANYONE
    server.refused(421, (b"host", b"testserver"), host=False)


def test_a_header_that_decides_stands_once(start: Callable[..., Server]) -> None:
    """Two hosts, keys or origins in a request are refused, as it could be either."""
    server = start()
    server.refused(400, HOST)
    server.refused(400, bearer("a"), bearer("b"))
    server.refused(400, (b"origin", b"http://localhost"), (b"origin", b"http://evil.example"))
    assert server.ask((b"accept", b"a/b"), (b"accept", b"c/d"))


@pytest.mark.parametrize(
    ("host", "keys_exist", "insecure", "may"),
    [
        ("127.0.0.1", False, False, True),
        ("::1", False, False, True),
        ("localhost", False, False, True),
        ("0.0.0.0", False, False, False),  # noqa: S104 - what is refused
        ("::", False, False, False),
        ("", False, False, False),
        ("example.org", False, False, False),
        ("localhost.example.org", False, False, False),
        ("0.0.0.0", True, False, True),  # noqa: S104
        ("0.0.0.0", False, True, True),  # noqa: S104
    ],
)
def test_without_keys_loopback_only(host: str, keys_exist: bool, insecure: bool, may: bool) -> None:
    """Another address needs keys or `--insecure`; the refusal says how to get either."""
    refusal = refusal_to_bind(host, keys_exist, insecure)
    assert (refusal is None) == may
    if refusal is not None:
        assert "tidings keys create" in refusal
        assert "--insecure" in refusal


def test_a_foreign_socket_needs_keys(start: Callable[..., Server]) -> None:
    """Without keys, who reaches the app from elsewhere is refused, whatever listens for it."""
    server = start()
    server.refused(401, server=("192.0.2.9", 8765))
    assert start(insecure=True).ask(server=("192.0.2.9", 8765)).caller is ANYONE
    start(host="0.0.0.0").refused(401)  # noqa: S104 - what is refused


# The answer's headers ----------------------------------------------------------------------------
