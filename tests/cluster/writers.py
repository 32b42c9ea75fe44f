"""Writers of a trial: HTTP clients that go from server to server and note what they are told.

Each way of writing makes another promise: a fixed id or an `Idempotency-Key` may be sent again
until a server says what became of it; what is sent once without either may end unknown, but what
a server refused must not be there. Plain `http.client`, as somebody's own client would be.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from http.client import HTTPConnection, HTTPException
from itertools import count
from threading import Event as Flag
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.cluster.records import Records

__all__ = ["WAYS", "Answer", "Writer", "posted"]

_TIMEOUT = 15.0
"""Longer than a server waits for its store (10 s), so that a server mostly says what it knows."""

_PAUSE = 0.05
_BETWEEN = 10
"""So many requests go to one server before the next one's turn comes."""

_TOGETHER = 5


class Answer(NamedTuple):
    """What a server said; status 0 where it said nothing that is whole."""

    status: int
    body: Any

    @property
    def slug(self) -> str:
        """Which problem it tells of."""
        return str(self.body.get("type", "")).removeprefix("urn:tidings:problem:")


def posted(url: str, target: str, body: object, headers: dict[str, str] | None = None) -> Answer:
    """What a server answers to a POST, on a connection of its own."""
    host = urlsplit(url)
    assert host.hostname is not None
    connection = HTTPConnection(host.hostname, host.port, timeout=_TIMEOUT)
    sent = {"content-type": "application/json", **(headers or {})}
    try:
        connection.request("POST", target, json.dumps(body), sent)
        answer = connection.getresponse()
        return Answer(answer.status, json.loads(answer.read()))
    except (OSError, HTTPException, ValueError):
        return Answer(0, {})
    finally:
        connection.close()


class Writer(Thread):
    """One writer.

    Args:
        name: one of `WAYS`, a hyphen, a number; its events' names begin with it.
        urls: the servers.
        records: where it notes what it is told.
        stop: set when it shall end; what it is at it ends first.
        given_up: set when it shall end at once.
    """

    def __init__(
        self, name: str, urls: Sequence[str], records: Records, stop: Flag, given_up: Flag
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._records = records
        self._record = records.writer(name)
        self._given_up = given_up
        self._stop_asked = stop
        # One server for some requests, then the next; each writer begins at another one.
        self._urls = urls
        self._asked = _BETWEEN * sum(map(ord, name))
        self._way = WAYS[name.partition("-")[0]]

    def run(self) -> None:
        """Write until told to stop."""
        for number in count():
            if self._stop_asked.is_set():
                return
            try:
                self._way(self, f"{self.name}-{number}")
            except Exception as error:  # noqa: BLE001 - a writer's bug must fail the trial
                self.fail(f"{error!r}")
                return

    def fail(self, what: str) -> None:
        """It was told what it should never be told."""
        self._records.fail(f"{self.name}: {what}")

    def send(
        self, target: str, body: object, names: Sequence[str], headers: dict[str, str] | None = None
    ) -> Answer:
        """Send some events together, once, and note what is said of them."""
        self._record.sent(names)
        url = self._urls[self._asked // _BETWEEN % len(self._urls)]
        answer = posted(url, target, body, headers)
        # Who was not served asks another at once.
        self._asked += _BETWEEN if answer.status in (0, 503) else 1
        if answer.status == 201:
            for name, place in zip(names, answer.body.get("results", [answer.body]), strict=True):
                self._record.kept(name, place["position"])
            self._records.count(len(names))
        elif answer.slug == "store-unavailable" or answer.status == 409:
            for name in names:
                self._record.refused(name, answer.slug)
        else:
            for name in names:
                self._record.unknown(name, answer.slug)
            if answer.status not in (0, 503):
                self.fail(f"{names} were answered {answer}")
        return answer

    def send_until_known(
        self, target: str, body: object, names: Sequence[str], headers: dict[str, str] | None = None
    ) -> Answer:
        """Send the same to one server after the other, until one says what became of it."""
        while True:
            answer = self.send(target, body, names, headers)
            if answer.status not in (0, 503) or self.rest():
                return answer

    def rest(self) -> bool:
        """Wait a moment, as clients do that were refused; whether to end at once."""
        return self._given_up.wait(_PAUSE)


def _event(name: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"trial.{name.partition('-')[0]}", "payload": {"name": name}, **fields}


def _with_id(writer: Writer, name: str) -> None:
    writer.send_until_known("/events/", _event(name, id=name), [name])


def _with_key(writer: Writer, name: str) -> None:
    writer.send_until_known("/events/", _event(name), [name], {"idempotency-key": name})


def _together(writer: Writer, name: str) -> None:
    names = [f"{name}-{number}" for number in range(_TOGETHER)]
    writer.send_until_known(
        "/events/?atomic=true", [_event(each, id=each) for each in names], names
    )


def _once(writer: Writer, name: str) -> None:
    if writer.send("/events/", _event(name), [name]).status != 201:
        writer.rest()


def _versions(writer: Writer, name: str) -> None:
    """One more event of an aggregate that all such writers extend; each place is won by one."""
    body = _event(name, id=name, aggregate_type="trial", aggregate_id="contended")
    version = 0
    while True:
        answer = writer.send_until_known(f"/events/?expected_version={version}", body, [name])
        if answer.slug != "version-conflict":
            break
        version = answer.body["actual"]
    if answer.status == 201 and answer.body["version"] != version + 1:
        writer.fail(f"{name} was expected after version {version}, and is {answer.body}")


WAYS: dict[str, Callable[[Writer, str], None]] = {
    "id": _with_id,
    "key": _with_key,
    "together": _together,
    "once": _once,
    "versions": _versions,
}
"""How a writer writes, by name."""
