"""JetStream's log keeps what is promised of every log."""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from tests.jetstream.streams import close_beside_a_child
from tests.replicated.log_contract import LogContract
from tidings.store.jetstream.address import Address
from tidings.store.jetstream.log import JetStreamLog
from tidings.testing.elsewhere import in_processes

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engines.nats import NatsServer
    from tidings.store.replicated.log import Log


class TestJetStreamLog(LogContract):
    """The contract, held to a stream of a real server."""

    server_url: str

    @pytest.fixture(autouse=True)
    def _server(self, nats_server: NatsServer) -> None:
        self.server_url = nats_server.url

    def open_log(self, directory: Path) -> Log:
        """A stream that is named after the directory."""
        name = sha256(str(directory).encode()).hexdigest()[:32]
        return JetStreamLog(Address.from_url(f"{self.server_url}/{name}"), str(directory / "none"))

    def test_a_child_holds_no_connection(self, own_server: NatsServer, tmp_path: Path) -> None:
        """A log that is closed is gone from the server, though a forked child lives on."""
        self.server_url = own_server.url
        opener = partial(self.open_log, tmp_path)
        assert in_processes([(close_beside_a_child, opener, own_server)]) == [0]
