"""Whether a process that said who it is has ended: claimed only where it surely has."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tidings import processes
from tidings.processes import has_ended, identity, read_identity

_SAYS = "from tidings.processes import identity; print(identity()); input()"


def test_a_process_has_ended_when_it_has() -> None:
    """Not while it runs; but as soon as it ended, also before anybody asked it how."""
    with subprocess.Popen(
        [sys.executable, "-c", _SAYS], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None and process.stdout is not None  # noqa: PT018 - for mypy
        told = read_identity(process.stdout.readline())
        assert told is not None
        assert not has_ended(told)
        process.stdin.close()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it stays a zombie
        assert has_ended(told)
        process.wait()
        assert has_ended(told)


def test_a_hidden_process_has_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where /proc shows nobody the processes of others, what runs under a number may be it."""
    told = read_identity(identity().encode())
    monkeypatch.setattr(processes, "_start_of", lambda _: None)
    assert not has_ended(told)


def test_another_process_under_its_number_is_not_it() -> None:
    """Numbers are given again; when it started tells."""
    told = read_identity(identity().encode())
    assert told is not None
    assert has_ended({**told, "start": "1"})


def test_nothing_is_claimed_of_other_machines() -> None:
    """What runs there cannot be seen from here."""
    told = read_identity(identity().encode())
    assert told is not None
    assert not has_ended({**told, "start": "1", "kernel": "another"})
