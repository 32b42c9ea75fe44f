"""A notice by mail, to a real mail server."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import default
from errno import EADDRINUSE
from typing import TYPE_CHECKING, Any

import pytest
from aiosmtpd.controller import Controller

from tests.delivery.notices.telling import Desk, task
from tests.server.conftest import free_port
from tidings.event import Event
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage

    from tidings.store.base import Store


class Letterbox:
    """Takes what the mail server was handed.

    Attributes:
        mails: what came.
        answer: what is said to it.
    """

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.answer = "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Take a mail."""
        if self.answer.startswith("250"):
            self.mails.append(message_from_bytes(envelope.content, policy=default))
        return self.answer


def opened(box: Letterbox) -> Controller:
    """A mail server on a port that is free; another process may take the one that was found so."""
    while True:
        port = free_port()
        server = Controller(box, hostname="127.0.0.1", port=port, ready_timeout=PATIENCE)
        try:
            server.start()
        except OSError as error:
            if error.errno != EADDRINUSE:
                raise
        else:
            return server


@pytest.fixture
def letterbox() -> Iterator[tuple[Letterbox, str]]:
    """Somebody's letterbox, and its address."""
    box = Letterbox()
    server = opened(box)
    try:
        who = "from=tidings@example.org&to=ada@example.org"
        yield box, f"mailto://127.0.0.1:{server.port}?mode=insecure&{who}&cto=60"
    finally:
        server.stop()


def test_an_array_by_mail(store: Store, letterbox: tuple[Letterbox, str]) -> None:
    """One mail, whose text says what a program printed and obeys nothing that stands in it."""
    box, address = letterbox
    payload = {"exit_code": 3, "tail": "<script>alert(1)</script>\nlimit & end"}
    with Desk(store, address) as desk:
        store.append([task(n, tasks=3) for n in (0, 1)])
        store.append([task(2, "failure", tasks=3, payload=payload)])
        desk.turn()
    (mail,) = box.mails
    assert mail["Subject"] == "job_done: 2 ok, 1 failed (figrecipe, slurm array 4711)"
    assert "ada@example.org" in mail["To"]
    bodies = {
        part.get_content_type(): part.get_content()
        for part in mail.walk()
        if not part.is_multipart()
    }
    assert "<script>" not in bodies.get("text/html", "")
    assert "task 2: exit_code 3, host n2, job_id 4714" in "".join(bodies.values())


def test_no_header_can_be_put_in(store: Store, letterbox: tuple[Letterbox, str]) -> None:
    """What an event says stays in the subject, also where it holds ends of lines."""
    box, address = letterbox
    payload = {"why": "no\r\nBcc: eve@example.org\r\n\r\nHello"}
    with Desk(store, address, title="{payload.why}") as desk:
        store.append([Event("a", payload=payload)])
        desk.turn()
    (mail,) = box.mails
    assert mail["Bcc"] is None
    assert " ".join(mail["Subject"].split()) == "no Bcc: eve@example.org Hello"


def test_a_mail_that_is_refused_is_sent_later(
    store: Store, letterbox: tuple[Letterbox, str]
) -> None:
    """A mail server that is full for now is asked again."""
    box, address = letterbox
    box.answer = "452 no room"
    with Desk(store, address) as desk:
        store.append([Event("a")])
        due = desk.turn(0)
        assert due is not None
        box.answer = "250 OK"
        desk.turn(due)
    assert [mail["Subject"] for mail in box.mails] == ["a: success"]
