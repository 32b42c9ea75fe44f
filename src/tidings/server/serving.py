"""The process around the app: what is checked before, its socket, its workers and its end.

Run by `tidings serve`; another ASGI server may run `tidings.server:app` as well, and then does
these things its own way. Keeps promise 6 (beyond loopback only with keys, or when told so) and ends
within five seconds however many streams are open. What is served is decided in `application`.

With several workers, this process listens, starts them and starts anew those that die; each makes
the app for itself, from the environment (`config.environment_of`).
"""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import signal
import socket
import ssl
import tempfile
from contextlib import contextmanager
from logging.config import dictConfig
from time import monotonic

import uvicorn
from prometheus_client.multiprocess import mark_process_dead
from uvicorn.supervisors import ChangeReload, Multiprocess

from tidings.errors import InvalidSetting, TidingsError, shorten
from tidings.open_files import allow_many
from tidings.server.adopting import adopt
from tidings.server.config import PREFIX, environment_of, set_config
from tidings.server.keys import KeyRing
from tidings.server.logs import log_config
from tidings.server.metrics import MULTIPROCESS
from tidings.server.origins import refusal_to_bind
from tidings.store import open_store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from tidings.server.config import APIServerConfig

__all__ = ["CannotListen", "CannotStart", "run"]

_APP = "tidings.server:app"
_PROTOCOL = "tidings.server.protocol:Protocol"

_KEEP_ALIVE_SECONDS = 75
"""An idle connection is kept so long; longer than proxies keep theirs (nginx: 60 s), so that none
sends a request just as it is closed."""

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#\s]+/?", re.IGNORECASE)
"""What a browser sends as `Origin`: scheme, host and port, no path."""

_GRACE_SECONDS = 3
"""So long answers under way may take when the server ends; then they are cut off."""

_LAST_SECONDS = 8.0
"""A worker that has not ended by then is killed. What it acknowledged is kept (promise 1)."""

_START_SECONDS = 60.0
_HUNG_SECONDS = 30
"""A worker that says nothing for so long is killed; also one that is just being started."""

_BACKLOG = 2048


class CannotListen(TidingsError):  # noqa: N818 - names say what is, as in `tidings.errors`
    """The address or port cannot be had."""


class CannotStart(TidingsError):  # noqa: N818
    """The app did not start; the log says why."""


def run(config: APIServerConfig, announce: Callable[[str, bool], None]) -> None:
    """Serve until a signal ends it.

    Args:
        config: how.
        announce: called once it serves, with its URL and whether a key is needed.

    Raises:
        InvalidSetting: the configuration cannot be served, or must not be.
        StoreUnavailable: the store cannot be opened.
        CannotListen: the address or port cannot be had.
        CannotStart: the app did not start.
        KeyboardInterrupt: it was ended by Ctrl-C.
    """
    _ensure_sensible(config)
    dictConfig(log_config(config.log_level, config.log_format))
    keyed = _ensure_allowed(config)
    with _listening(config) as listener, _ended_by_sigterm():
        url = _url_of(config, listener)
        if config.workers > 1 or config.reload:
            _run_children(config, listener, lambda: announce(url, keyed))
        else:
            _run_here(config, listener, lambda: announce(url, keyed))


# Before it serves ---------------------------------------------------------------------------------


def _ensure_sensible(config: APIServerConfig) -> None:
    """Refuse what could not work, before anything is opened."""
    _ensure(config.port <= 65535, "port", config.port, "must be from 0 to 65535")
    _ensure(1 <= config.workers <= 256, "workers", config.workers, "must be from 1 to 256")
    levels = ("debug", "info", "warning", "error", "critical")
    _ensure(config.log_level in levels, "log_level", config.log_level, "must be " + _or(levels))
    styles = ("text", "json")
    _ensure(config.log_format in styles, "log_format", config.log_format, "must be " + _or(styles))
    for origin in config.cors_origins:
        known = origin == "*" or _ORIGIN.fullmatch(origin)
        _ensure(
            bool(known), "cors_origins", origin, "must be such as https://app.example.org, or *"
        )
    prefix = config.root_path
    _ensure(not prefix or prefix.startswith("/"), "root_path", prefix, "must begin with a slash")
    if config.workers > 1 and config.store_url.startswith("memory:"):
        raise InvalidSetting("memory: is a store of one process; serve it with one worker")
    if config.ssl_keyfile and not config.ssl_certfile:
        raise InvalidSetting("ssl_keyfile is a certificate's key; give its ssl_certfile too")
    if config.ssl_certfile:
        _ensure_certificate(config.ssl_certfile, config.ssl_keyfile)


def _ensure(holds: bool, name: str, value: object, rule: str) -> None:  # noqa: FBT001 - the rule's outcome
    if not holds:
        raise InvalidSetting(f"{name} ({PREFIX}{name.upper()}) {shorten(value)} {rule}")


def _or(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _ensure_certificate(certificate: str, key: str | None) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            certificate, key, password=""
        )  # never asked for at the terminal
    except (OSError, ValueError) as error:
        raise InvalidSetting(
            f"the TLS certificate {shorten(certificate)} with the key "
            f"{shorten(key or certificate)} cannot be used: {error}; both must be PEM files that "
            f"belong together, without a password"
        ) from None


def _ensure_allowed(config: APIServerConfig) -> bool:
    """Open the store once, so that a user sees at once if it cannot be, and look for keys in it.

    What a forerunner left is imported then, once for all workers, as that may take its time.

    Returns:
        Whether there are keys.
    """
    store = open_store(config.store_url, deadline=config.database_timeout)
    try:
        keyed = KeyRing(store).any()
        refusal = refusal_to_bind(config.host, keyed, config.insecure)
        if refusal:
            raise InvalidSetting(refusal)
        adopt(config, store)
    finally:
        store.close()
    return keyed


@contextmanager
def _listening(config: APIServerConfig) -> Iterator[socket.socket]:
    """The socket that clients connect to; bound here, so that its port is known."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((config.host.strip("[]"), config.port))
            # Now, and not when the app has started: a second server must see that it comes late.
            listener.listen(_BACKLOG)
        except OSError as error:
            raise CannotListen(
                f"cannot listen at {config.host or '0.0.0.0'} port {config.port}: "  # noqa: S104 - what the user asked for
                f"{error.strerror or error}; --port 0 takes any free port"
            ) from None
        listener.set_inheritable(True)
        yield listener
    finally:
        listener.close()


def _url_of(config: APIServerConfig, listener: socket.socket) -> str:
    scheme = "https" if config.ssl_certfile else "http"
    host = config.host.strip("[]")
    if host in ("", "0.0.0.0", "::"):  # noqa: S104 - recognized, not bound
        host = "localhost"
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{listener.getsockname()[1]}"


# While it serves ----------------------------------------------------------------------------------


def _uvicorn_config(config: APIServerConfig, **more: object) -> uvicorn.Config:
    allow_many()  # each connection is one
    return uvicorn.Config(
        _APP,
        http=_PROTOCOL,
        ws="none",
        lifespan="on",
        log_config=log_config(config.log_level, config.log_format),
        access_log=config.access_log,
        proxy_headers=bool(config.forwarded_allow_ips),
        forwarded_allow_ips=config.forwarded_allow_ips,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_worker_healthcheck=_HUNG_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        ssl_certfile=config.ssl_certfile,
        ssl_keyfile=config.ssl_keyfile,
        **more,  # type: ignore[arg-type]  # each has the type its name has in `uvicorn.Config`
    )


def _run_here(
    config: APIServerConfig, listener: socket.socket, announce: Callable[[], None]
) -> None:
    set_config(config)
    server = _Server(_uvicorn_config(config, workers=1), announce)
    try:
        server.run([listener])
    except SystemExit:
        raise CannotStart("the server did not start; the lines above say why") from None


class _Server(uvicorn.Server):
    """A server that says when it has started."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the app, then announce it."""
        await super().startup(sockets)
        if self.started:
            self._announce()


def _run_children(
    config: APIServerConfig, listener: socket.socket, announce: Callable[[], None]
) -> None:
    # From here on TIDINGS_URL says which store it is, and nothing may say otherwise.
    os.environ.pop(f"{PREFIX}DATA_DIR", None)
    os.environ.update(environment_of(config))
    own = os.path.dirname(os.path.dirname(__file__))
    settings = _uvicorn_config(
        config,
        workers=config.workers,
        reload=config.reload,
        reload_dirs=(config.reload_dirs or [own]) if config.reload else None,
        callback_notify=_end_with_parent,
        timeout_notify=1,
    )
    if config.reload:
        announce()
        ChangeReload(settings, uvicorn.Server(settings).run, [listener]).run()
        return
    with _counting_together() as directory:
        workers = _Workers(settings, listener, announce, directory)
        workers.run()
    if workers.interrupted:
        raise KeyboardInterrupt
    if not workers.announced:
        raise CannotStart("no worker started; the lines above say why")


@contextmanager
def _counting_together() -> Iterator[str]:
    """A new directory in which workers count, so that their metrics add up; removed at the end."""
    directory = tempfile.mkdtemp(prefix="tidings-metrics-")
    os.environ[MULTIPROCESS] = directory
    try:
        yield directory
    finally:
        del os.environ[MULTIPROCESS]
        shutil.rmtree(directory, ignore_errors=True)


async def _end_with_parent() -> None:
    """End a worker whose supervisor was killed: it would hold the port, and nobody could stop it.

    uvicorn calls it once a second.
    """
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        signal.raise_signal(signal.SIGTERM)


class _Workers(Multiprocess):
    """uvicorn's supervisor, which also says when all have started, and never waits for good."""

    def __init__(
        self,
        config: uvicorn.Config,
        listener: socket.socket,
        announce: Callable[[], None],
        directory: str,
    ) -> None:
        super().__init__(config, [listener])
        self.announced = False
        self.interrupted = False
        self._announce = announce
        self._directory = directory

    def init_processes(self) -> None:
        """Start the workers and announce it, or end if they cannot start."""
        super().init_processes()
        if all(worker.wait_until_ready(_START_SECONDS) for worker in self.processes):
            self.announced = True
            self._announce()
        else:
            # uvicorn would start them again and again.
            self.should_exit.set()

    def keep_subprocess_alive(self) -> None:
        """Start anew the workers that died, and forget what they said of themselves."""
        before = {worker.pid for worker in self.processes}
        super().keep_subprocess_alive()
        for dead in before - {worker.pid for worker in self.processes}:
            mark_process_dead(dead, self._directory)  # type: ignore[no-untyped-call]  # it has no types

    def handle_int(self) -> None:
        """End because of Ctrl-C."""
        self.interrupted = True
        super().handle_int()

    def join_all(self) -> None:
        """Wait for the workers to end, but not for one that hangs."""
        deadline = monotonic() + _LAST_SECONDS
        for worker in self.processes:
            worker.process.join(max(0.0, deadline - monotonic()))
            if worker.process.is_alive():
                worker.kill()
                worker.process.join()


# Its end ------------------------------------------------------------------------------------------


class _Ended(BaseException):
    """SIGTERM came; like KeyboardInterrupt, nothing on its way should mistake it for an error."""


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """End the block when SIGTERM comes, at whatever moment: that is how a server is meant to end.

    While uvicorn serves it listens itself, ends in order, and raises the signal again after that.
    """

    def end(_number: int, _frame: FrameType | None) -> None:
        raise _Ended

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except _Ended:
        return
    finally:
        signal.signal(signal.SIGTERM, before)
