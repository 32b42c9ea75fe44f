"""No command shows the password of a store's URL, whatever goes wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.server.conftest import free_port

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

URLS = (
    "postgresql://ann:s3cret@127.0.0.1:{port}/events?sslpassword=s3cret",
    "postgresql://127.0.0.1:{port}/events?user=ann&password=s3cret",
    "postgresql://ann:s3cret@127.0.0.1:{port}:no/events",
    "nats://ann:s3cret@127.0.0.1:{port}/EVENTS",
    "nats://s3cret@127.0.0.1:{port}/EVENTS",
    "nats://ann:s3cret@127.0.0.1:{port}:no/EVENTS",
    "http://ann:s3cret@127.0.0.1:{port}",
    "http://127.0.0.1:{port}?password=s3cret",
    "nonsense://ann:s3cret@127.0.0.1:{port}",
)


@pytest.mark.parametrize("url", URLS)
def test_no_secret_is_shown(shell: Shell, url: str) -> None:
    """Where nobody answers, or the URL is wrong, the error names the store without its secrets."""
    named = url.format(port=free_port())
    for command in (("doctor",), ("migrate", named, f"sqlite:///{shell.home}/to.db")):
        done = shell(*command, TIDINGS_URL=named, TIDINGS_DEADLINE="0.1", HOME=str(shell.home))
        assert done.returncode not in (0, 70), done.stderr
        assert b"s3cret" not in done.stdout + done.stderr
