"""One webhook message: what arrives, and what becomes of whatever a receiver does with it."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bus.loops import run
from tests.delivery.webhooks import receivers
from tests.delivery.webhooks.receivers import (
    HANG,
    Answer,
    Exchange,
    Receiver,
    answer,
    certificate_for_loopback,
    endpoint_at,
    redirect,
    refused_url,
    retry_later,
)
from tidings.clock import Clock
from tidings.cloudevents import from_structured
from tidings.delivery.webhooks.endpoint import Endpoint, Secret
from tidings.delivery.webhooks.sending import GONE, RETRY, Sender, Sent
from tidings.delivery.webhooks.sending import OK as DELIVERED
from tidings.delivery.webhooks.signing import new_secret
from tidings.errors import MissingExtra
from tidings.event import Event
from tidings.record import CHECKSUM

PATIENCE = 60
EVENT = Event("job_done", "figrecipe", payload={"job_id": 4711}, id="build.42")
NAMELESS = f"http://{'x.' * 130}example.org"
"""A name that is too long to be one, so that no resolver needs to be asked."""

CONFIDENTIAL = ("t0ken-in-the-path", "t0ken-in-the-query", "s3cret-in-a-header")


class StoppedClock(Clock):
    """A clock that stands at an instant."""

    def __init__(self, now: int) -> None:
        self._now = now

    def now(self) -> int:
        """The instant."""
        return self._now


def send(endpoint: Endpoint, sender: Sender | None = None, event: Event = EVENT) -> Sent:
    """One attempt by a sender of its own."""

    async def main() -> Sent:
        async with sender or Sender() as opened:
            return await opened.send(endpoint, event)

    return run(main())


def test_what_arrives_is_signed_and_says_what_happened() -> None:
    """A receiver verifies the message with the library of the standard, and reads the event."""
    endpoint = endpoint_at("", headers={"x-team": "figrecipe"})
    with Receiver(secrets=[endpoint.secrets[0].text]) as receiver:
        sent = send(endpoint._replace(url=receiver.url))
        (got,) = receiver.got
    assert (sent.verdict, sent.pause) == (DELIVERED, None)
    assert (sent.attempt.status, sent.attempt.answer, sent.attempt.error) == (200, "ok", "")
    assert (got.method, got.path, got.verified) == ("POST", "/hook", True)
    assert got.headers["content-type"] == "application/cloudevents+json"
    assert got.headers["x-team"] == "figrecipe"
    assert from_structured(got.body) == EVENT


def test_both_secrets_sign_while_one_is_rotated() -> None:
    """A receiver that knows the old secret only, or the new one only, accepts the message."""
    now = Clock().now()
    old, new, older = new_secret(), new_secret(), new_secret()
    secrets = (Secret(new), Secret(old, until=now + 3_600_000_000), Secret(older, until=now))
    accepted = {}
    for secret in (old, new, older):
        with Receiver(secrets=[secret]) as receiver:
            send(endpoint_at(receiver.url, secrets=secrets))
            accepted[secret] = receiver.got[0].verified
    assert accepted == {old: True, new: True, older: False}


def test_the_clock_is_what_is_signed_and_listed() -> None:
    """The time of an attempt is the injected clock's, in the list and in the signature."""
    clock = StoppedClock(1_700_000_000_900_000)
    endpoint = endpoint_at("")
    with Receiver(secrets=[endpoint.secrets[0].text], check_time=False) as receiver:
        sent = send(endpoint._replace(url=receiver.url), Sender(clock=clock))
        (got,) = receiver.got
    assert sent.attempt.at == 1_700_000_000_900_000
    assert got.headers["webhook-timestamp"] == "1700000000"
    assert got.verified


def test_a_large_payload_arrives_whole() -> None:
    """A payload at the bound of what an event may hold is sent, whatever the standard advises."""
    event = Event("job_done", payload="x" * (1024 * 1024 - 2))
    endpoint = endpoint_at("")
    with Receiver(secrets=[endpoint.secrets[0].text]) as receiver:
        sent = send(endpoint._replace(url=receiver.url), event=event)
        (got,) = receiver.got
    assert sent.verdict == DELIVERED
    assert got.verified
    assert len(json.loads(got.body)["data"]) == 1024 * 1024 - 2


@pytest.mark.parametrize(
    ("say", "verdict", "status", "error"),
    [
        (answer(201, b""), DELIVERED, 201, ""),
        (answer(204, b""), DELIVERED, 204, ""),
        (receivers.PIECEMEAL, DELIVERED, 200, ""),
        (receivers.ENDLESS, DELIVERED, 200, ""),
        (answer(500), RETRY, 500, "HTTPStatus: answered 500 Internal Server Error"),
        (answer(799), RETRY, 799, "HTTPStatus: answered 799"),
        (answer(304, b""), RETRY, 304, "HTTPStatus: answered 304 Not Modified"),
        (receivers.GONE, GONE, 410, "HTTPStatus: answered 410 Gone; the receiver wants no more "),
        (receivers.CLOSE, RETRY, None, "Disconnected: the connection was closed before it answere"),
        (receivers.RESET, RETRY, None, "Disconnected: the connection was closed before it answere"),
        (receivers.CLOSE_IN_BODY, RETRY, 200, "Disconnected: the answer ended in the middle"),
        (receivers.GARBAGE, RETRY, None, "MalformedAnswer: what was answered cannot be read"),
    ],
)
def test_every_answer_has_its_verdict(
    say: Answer, verdict: str, status: int | None, error: str
) -> None:
    """Whatever is answered becomes an attempt with a verdict, a status and the reason in words."""
    with Receiver(say) as receiver:
        sent = send(endpoint_at(receiver.url))
        assert len(receiver.got) == 1
    assert (sent.verdict, sent.attempt.status) == (verdict, status)
    assert sent.attempt.error.startswith(error)
    assert bool(sent.attempt.error) == bool(error)
    assert len(sent.attempt.answer) <= 500


PARTS = st.sampled_from(
    [
        *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 410 Gone\r\n", b"HTTP/1.1 101 Switching\r\n"),
        *(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/9.9 999999999 x\r\n", b"Content-Length: 3\r\n"),
        *(
            b"Content-Length: -1\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"Content-Encoding: br\r\n",
        ),
        *(b"Retry-After: \xff\r\n", b"Content-Type: \x00\r\n", b"Set-Cookie: a\r\n", b"\r\n"),
        *(b"3\r\nabc\r\n", b"0\r\n\r\n", b"ffffffffffffffffff\r\n", b"abc", b"\xff\x00"),
    ]
)


def test_no_answer_is_too_strange() -> None:
    """Whatever bytes are answered, an attempt ends with a verdict and a text that can be kept."""
    with asyncio.Runner() as runner, Receiver() as receiver:

        @settings(max_examples=60)
        @given(st.lists(PARTS | st.binary(max_size=9), max_size=8))
        def answered(parts: list[bytes]) -> None:
            async def say(exchange: Exchange) -> None:
                await exchange.say(b"".join(parts))
                exchange.end()

            receiver.answer = say
            sent = runner.run(sender.send(endpoint_at(receiver.url), EVENT))
            assert sent.verdict in (DELIVERED, RETRY, GONE)
            assert (sent.verdict == DELIVERED) == (sent.attempt.error == "")
            assert set(sent.attempt.answer) <= {*"\n\t"} | {
                *filter(str.isprintable, sent[0].answer)
            }

        sender = runner.run(Sender().__aenter__())
        answered()
        runner.run(sender.__aexit__(None, None, None))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status: int) -> None:
    """A redirect is a failure, and where it leads nothing arrives."""
    with Receiver() as elsewhere, Receiver(redirect(elsewhere.url, status)) as receiver:
        sent = send(endpoint_at(receiver.url))
        assert elsewhere.connections == 0
    assert (sent.verdict, sent.attempt.status) == (RETRY, status)
    assert "redirects are not followed" in sent.attempt.error


def test_who_hangs_before_answering_is_given_up() -> None:
    """An attempt ends after its time, and says so."""
    with Receiver(HANG) as receiver:
        sent = send(endpoint_at(receiver.url), Sender(timeout=0.1))
    assert (sent.verdict, sent.attempt.status) == (RETRY, None)
    assert sent.attempt.error == "Timeout: there was no answer after 0.1 s"


def test_who_hangs_in_mid_answer_is_given_up() -> None:
    """A status is not enough: the answer must end, or be long, within the attempt's time."""
    with Receiver(receivers.HANG_IN_BODY) as receiver:
        for timeout in (
            0.1,
            0.4,
            1.6,
            6.4,
            25.6,
        ):  # a machine at its limit may need more for a head
            sent = send(endpoint_at(receiver.url), Sender(timeout=timeout))
            if sent.attempt.status is not None:
                break
    assert (sent.verdict, sent.attempt.status, sent.attempt.answer) == (RETRY, 200, "half")
    assert sent.attempt.error == f"Timeout: the answer was not complete after {timeout:g} s"


@pytest.mark.parametrize(
    ("after", "status", "pause"),
    [
        ("120", 429, 120.0),
        ("120", 503, 120.0),
        ("7", 500, 7.0),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 429, 60.0),
        ("Tuesday, 14-Nov-23 22:14:20 GMT", 429, 60.0),
        ("Tue Nov 14 22:14:20 2023", 429, 60.0),
        ("Tue, 14 Nov 2023 22:13:00 GMT", 429, None),
        ("99999999999999999999999", 429, 86_400.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 429, 86_400.0),
        ("-5", 429, None),
        ("0", 429, None),
        ("soon", 429, None),
        ("", 429, None),
        ("120", 200, None),
    ],
)
def test_the_pause_a_receiver_asks_for(after: str, status: int, pause: float | None) -> None:
    """Retry-After is told in seconds, whichever form it has, and no longer than a day."""
    with Receiver(retry_later(after, status)) as receiver:
        sent = send(endpoint_at(receiver.url), Sender(clock=StoppedClock(1_700_000_000_000_000)))
    assert sent.pause == pause


def test_a_compressed_answer_is_not_unpacked() -> None:
    """A few bytes that would become a gigabyte stay a few bytes."""
    bomb = gzip.compress(b"\0" * 10_000_000)
    with Receiver(answer(200, bomb, Content_Encoding="gzip")) as receiver:
        sent = send(endpoint_at(receiver.url))
        assert receiver.got[0].headers["accept-encoding"] == "identity"
    assert sent.verdict == DELIVERED
    assert 0 < len(sent.attempt.answer) <= 500
    assert set(sent.attempt.answer) > {"�"}


def test_an_answer_is_listed_as_text_that_does_no_harm() -> None:
    """No control sequence reaches a terminal, and no NUL a database."""
    with Receiver(answer(500, b"\x1b[2Jno\x00 \xff\xe2\x80\xae\n" + b"x" * 1000)) as receiver:
        sent = send(endpoint_at(receiver.url))
    assert sent.attempt.answer == "�[2Jno� ��\n" + "x" * 489


def test_no_attempt_tells_what_is_confidential(tmp_path: Path) -> None:
    """Neither an error nor an answer shows a token in the URL, a header's value or the secret."""
    path, query, header = CONFIDENTIAL
    secret = new_secret()

    async def echo(exchange: Exchange) -> None:
        await answer(500, repr(exchange.got.headers).encode())(exchange)

    def listed(url: str) -> str:
        endpoint = endpoint_at(
            f"{url}/{path}?key={query}",
            headers={"authorization": f"Bearer {header}"},
            secrets=(Secret(secret),),
            allow_private="127.0.0.1" in url,
        )
        sent = send(endpoint)
        assert sent.verdict == RETRY
        return repr(sent)

    says = [echo, receivers.CLOSE, receivers.GARBAGE, receivers.CLOSE_IN_BODY, redirect("/else")]
    with Receiver(certificate=certificate_for_loopback(tmp_path)) as untrusted:
        lines = [listed(untrusted.at("/hook"))]
    lines += [listed(url) for url in (refused_url(), NAMELESS, "http://10.0.0.1")]
    lines += [listed(url) for url in ("ftp://example.org", "http://user@example.org", "nothing")]
    with Receiver() as receiver:
        for say in says:
            receiver.answer = say
            lines.append(listed(receiver.url))
        assert header in receiver.got[0].headers["authorization"]
    assert "***" in lines[-len(says)]
    assert [word for word in (*CONFIDENTIAL, secret) for line in lines if word in line] == []


def test_a_certificate_must_be_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS is verified, by name: with the system's authorities or those of `SSL_CERT_FILE`."""
    certificate = certificate_for_loopback(tmp_path)
    with Receiver(certificate=certificate) as receiver:
        by_name = endpoint_at(receiver.url.replace("127.0.0.1", "localhost"))
        refused = send(by_name)
        assert receiver.got == []
        monkeypatch.setenv(ssl.get_default_verify_paths().openssl_cafile_env, str(certificate))
        assert send(by_name).verdict == DELIVERED
        assert send(endpoint_at(receiver.url)).attempt.error.startswith("CertificateNotTrusted: ")
    assert refused.verdict == RETRY
    assert refused.attempt.error.startswith("CertificateNotTrusted: localhost:")


def test_who_cannot_be_reached() -> None:
    """Nobody listening, a name without address, and plain HTTP where TLS was expected, are told."""
    with Receiver() as receiver:
        plain = send(endpoint_at(receiver.url.replace("http:", "https:")))
    assert plain.attempt.error.startswith("TLSFailed: no secure connection to 127.0.0.1:")
    refused = send(endpoint_at(refused_url()))
    assert refused.attempt.error.endswith(": connection refused")
    nameless = [send(endpoint_at(url)) for url in (NAMELESS, f"http://{'x' * 64}.example.org/")]
    assert {sent.attempt.error[:14] for sent in nameless} == {"NameNotFound: "}
    assert {sent.verdict for sent in (plain, refused, *nameless)} == {RETRY}


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages go straight to the endpoint: a proxy would look its name up again."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, refused_url())
    with Receiver() as receiver:
        assert send(endpoint_at(receiver.url)).verdict == DELIVERED


def test_an_event_that_is_damaged_is_a_failed_attempt() -> None:
    """What the store gave back wrong is not sent, and holds up nobody by an exception."""
    record = list(EVENT.record)
    record[CHECKSUM] = 1
    with Receiver() as receiver:
        sent = send(endpoint_at(receiver.url), event=Event.from_record(tuple(record)))
        assert receiver.got == []
    assert sent.attempt.error.startswith("StoreDamaged: ")


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where aiohttp is missing, the error is the line that installs it."""
    import sys

    monkeypatch.setitem(sys.modules, "aiohttp", None)
    monkeypatch.delitem(sys.modules, "tidings.delivery.webhooks.sending")
    with pytest.raises(MissingExtra, match=r"pip install 'tidings\[webhooks\]'"):
        __import__("tidings.delivery.webhooks.sending")
