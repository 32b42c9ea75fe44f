"""Whether `tidings serve` starts, refuses and ends as it says: real processes on real ports."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.server.conftest import PATIENCE, Server, free_port
from tidings.bus import Bus
from tidings.cli import command_named
from tidings.cli.exit_codes import DONE, INTERRUPTED, UNAVAILABLE, USAGE
from tidings.server.config import APIServerConfig
from tidings.server.keys import KeyRing

EVERYWHERE = "0.0.0.0"  # noqa: S104 - what a user may ask for
SERVE = [sys.executable, "-m", "tidings", "serve"]


@pytest.fixture
def server(server: Callable[..., Server]) -> Callable[..., Server]:
    """Starts servers as a user does: how they start and end is what these tests are about."""
    return partial(server, interpreter=True)


def refused(home: Path, *options: str, **environment: str) -> tuple[int, str]:
    """The exit code and the complaint of a server that must not start."""
    done = subprocess.run(
        [*SERVE, *options],
        env={**os.environ, "TIDINGS_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_what_it_prints_works_as_pasted(server: Callable[..., Server]) -> None:
    """The first line names the URL, and the line that emits emits when it is pasted."""
    started = server()
    assert started.process.stdout is not None
    shown = [started.process.stdout.readline() for _ in range(3)]
    (emit,) = (line.split(maxsplit=1)[1] for line in shown if line.split()[0] == "emit")
    subprocess.run(["sh", "-c", emit], check=True, capture_output=True, timeout=PATIENCE)
    code, errors = started.stop()
    with Bus(started.store_url) as bus:
        assert [event.type for event in bus.read()] == ["hello"]
    assert (code, "Traceback" in errors) == (DONE, False)


def test_ctrl_c_ends_it(server: Callable[..., Server]) -> None:
    """It ends with the exit code of Ctrl-C."""
    started = server()
    started.process.send_signal(signal.SIGINT)
    _, errors = started.ended()
    assert (started.process.returncode, "Traceback" in errors) == (INTERRUPTED, False)


def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    """A port that another process has is named, and nothing is served."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, errors = refused(tmp_path, "--port", port)
    assert code == UNAVAILABLE
    assert errors.startswith(f"tidings: serve: cannot listen at 127.0.0.1 port {port}: ")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--host", EVERYWHERE, "--port", "0"), "there is no key yet"),
        (("--port", "65536"), "port (TIDINGS_PORT) 65536 must be from 0 to 65535"),
        (("--workers", "0"), "workers (TIDINGS_WORKERS) 0 must be"),
        (("--url", "memory:", "--workers", "2"), "memory: is a store of one process"),
        (("--url", "memory:", "--data-dir", "."), "both say where the store is"),
        (("--url", "ftp://there", "--port", "0"), "names no backend"),
        (("--ssl-certfile", "absent.pem"), "'absent.pem' with the key 'absent.pem'"),
        (("--root-path", "bus"), "must begin with a slash"),
    ],
)
def test_what_cannot_be_served_is_refused(
    tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    """A setting that makes no sense, or would let anybody in, is named; nothing is served."""
    code, errors = refused(tmp_path, *options)
    assert code == USAGE
    assert said in errors


def test_a_variable_that_makes_no_sense_is_named(tmp_path: Path) -> None:
    """A setting in the environment is checked like an option."""
    code, errors = refused(tmp_path, TIDINGS_PORT="http")
    assert code == USAGE
    assert "TIDINGS_PORT" in errors


def test_a_store_that_is_none_is_told(tmp_path: Path) -> None:
    """A file that is no store is named before anything listens."""
    (tmp_path / "events.db").write_bytes(b"no database at all, but long enough " * 100)
    code, errors = refused(tmp_path, "--port", "0")
    assert code == UNAVAILABLE
    assert "events.db" in errors


def test_options_override_the_environment(server: Callable[..., Server], tmp_path: Path) -> None:
    """The store is the one of the option; the environment's other settings hold."""
    environment = {"TIDINGS_DATA_DIR": str(tmp_path / "other"), "TIDINGS_LOG_FORMAT": "json"}
    started = server("--data-dir", str(tmp_path / "data"), env=environment)
    with started.client() as client:
        assert client.post("/events/", json={"type": "kept"}).status_code == 201
    _, errors = started.stop()
    with Bus(f"sqlite:///{tmp_path}/data/tidings.db") as bus:
        assert [event.type for event in bus.read()] == ["kept"]
    assert errors.startswith("{")
    assert not (tmp_path / "other").exists()


def test_beyond_loopback_it_needs_keys_or_a_clear_word(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    """With a key it listens everywhere; with --insecure it warns."""
    with Bus(f"sqlite:///{tmp_path}/keyed.db") as bus:
        KeyRing(bus.store).create("ci", ["read"])
    keyed = server("--host", EVERYWHERE, "--url", f"sqlite:///{tmp_path}/keyed.db")
    assert httpx.get(f"http://127.0.0.1:{keyed.port}/events/", timeout=PATIENCE).status_code == 401
    assert keyed.stop()[0] == DONE
    open_to_all = server("--host", EVERYWHERE, "--insecure")
    code, errors = open_to_all.stop()
    assert (code, errors.startswith("tidings: WARNING: --insecure")) == (DONE, True)


def test_it_serves_without_a_standard_output(tmp_path: Path) -> None:
    """Where nobody reads what to open, it serves all the same."""
    port = str(free_port())
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.Popen(
        [*SERVE, "--port", port],
        env={**os.environ, "TIDINGS_HOME": str(tmp_path)},
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)
    assert process.stderr is not None
    while "startup complete" not in (line := process.stderr.readline()):
        assert line, "it ended"
    assert httpx.get(f"http://127.0.0.1:{port}/health/live", timeout=PATIENCE).status_code == 200
    process.terminate()
    process.communicate(timeout=PATIENCE)
    assert process.returncode == DONE


def test_it_listens_with_ipv6_too(server: Callable[..., Server]) -> None:
    """An IPv6 address of this machine is loopback as well, and stands in brackets in the URL."""
    started = server("--host", "::1")
    assert started.url == f"http://[::1]:{started.port}"
    with started.client() as client:
        assert client.get("/health/live").status_code == 200
    assert started.stop()[0] == DONE


def test_tls_with_a_certificate_of_ones_own(server: Callable[..., Server], tmp_path: Path) -> None:
    """With a certificate it speaks HTTPS, and a client that trusts it gets its answer."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    options = ("--ssl-certfile", str(certificate), "--ssl-keyfile", str(key))
    started = server(*options)
    assert started.url.startswith("https://")
    trusting = ssl.create_default_context(cafile=str(certificate))
    with started.client(verify=trusting) as client:
        assert client.get("/health/live").json() == {"status": "live"}
    assert started.stop()[0] == DONE


def test_it_is_served_under_a_prefix(server: Callable[..., Server]) -> None:
    """Behind a proxy with a path prefix, links carry the prefix."""
    started = server("--root-path", "/bus/")
    with started.client() as client:
        assert client.get("/bus/health/live").status_code == 200
        assert client.get("/health/live").status_code == 200
        assert client.get("/openapi.json").json()["servers"] == [{"url": "/bus"}]
    assert started.stop()[0] == DONE


def test_help_names_every_setting() -> None:
    """The help names the environment variable of each setting a server has."""
    details = command_named("serve").details
    named = set(re.findall(r"TIDINGS_([A-Z_]+)", details))
    assert named == {each.name.upper() for each in fields(APIServerConfig)}
