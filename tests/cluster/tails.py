"""Tails of a trial: clients of the live stream that come back to another server each time.

Each remembers the last event id alone, as `EventSource` does, and hops on after some messages, when
the stream breaks, or when nothing comes for a while. Read word by word as browsers read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from random import Random
from threading import Event as Flag
from threading import Thread
from urllib.parse import urlsplit

from tests.cluster.records import Records
from tests.server.live.wire_events import Message, Reader

__all__ = ["Tail"]

_SILENCE = 5.0
"""Who hears nothing for so long tries another server; less than the heartbeat, so that a server
that is cut off does not keep its clients."""

_PAUSE = 0.05
_MOST_MESSAGES = 60


class Tail(Thread):
    """One tail.

    Args:
        number: which it is; it begins at that server.
        urls: the servers.
        records: where it notes what must not be.
        last: the name of the last event there will be; it ends when it has seen it.
        given_up: set when it shall end at once.
        kinds: the types it asks for; none for all.

    Attributes:
        seen: the positions and names of what it was delivered, in order.
        hops: how often it came to another server.
        cursor: the last event id, as `EventSource` sends it when it comes back.
    """

    def __init__(
        self,
        number: int,
        urls: Sequence[str],
        records: Records,
        *,
        last: str,
        given_up: Flag,
        kinds: Sequence[str] = (),
    ) -> None:
        super().__init__(name=f"tail-{number}", daemon=True)
        # Who asks for a part is held against that part, and not against the whole log.
        self._record = None if kinds else records.reader(self.name)
        self.seen: list[tuple[int, str]] = []
        self.hops = 0
        self.kinds = kinds
        self._number, self._urls, self._records = number, urls, records
        self._last, self._given_up = last, given_up
        self._random = Random(number)
        self._done = False
        self.cursor = "0"

    def run(self) -> None:
        """Read until the last event came."""
        while not self._done and not self._given_up.is_set():
            url = self._urls[(self._number + self.hops) % len(self._urls)]
            self.hops += 1
            try:
                self._read(url, self._random.randint(1, _MOST_MESSAGES))
            except (OSError, HTTPException):
                self._given_up.wait(_PAUSE)
            except Exception as error:  # noqa: BLE001 - a tail's bug must fail the trial
                self._records.fail(f"{self.name}: {error!r}")
                return

    def _read(self, url: str, most: int) -> None:
        """Read from one server, until it has given so many messages or breaks."""
        host = urlsplit(url)
        assert host.hostname is not None
        connection = HTTPConnection(host.hostname, host.port, timeout=_SILENCE)
        kinds = "".join(f"&type={kind}" for kind in self.kinds)
        reader = Reader()
        try:
            headers = {"Last-Event-ID": self.cursor}
            connection.request("GET", f"/events/stream?event=none{kinds}", headers=headers)
            answer = connection.getresponse()
            if answer.status == 503:
                self._given_up.wait(_PAUSE)
                return
            if answer.status != 200:
                self._records.fail(f"{self.name} was answered {answer.status} {answer.read()!r}")
                return
            while not self._done and most > 0:
                chunk = answer.read1(65536)
                if not chunk:
                    return
                for message in reader.feed(chunk):
                    self._take(message)
                    most -= 1
                    if most == 0:
                        # What came after it is thrown away, as if it had never arrived.
                        return
                # Also what moved the cursor without a message, as browsers have it.
                self.cursor = reader.last_id or self.cursor
        finally:
            connection.close()

    def _take(self, message: Message) -> None:
        if message.event != "message":
            self._records.fail(f"{self.name} at {self.cursor} was told {message}")
            self._done = True
            return
        event = json.loads(message.data)
        self.cursor = message.last_id
        name, position = event["payload"]["name"], event["position"]
        if self._record is not None:
            self._record.delivered(name, position)
        self.seen.append((position, name))
        self._done = name == self._last
