"""What holds for every test, doctest and example: a home of its own, and no silent skip.

Nothing here knows a backend. A test that wants another environment sets it with `monkeypatch`.
"""

from __future__ import annotations

import logging
import os
from importlib import import_module
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tidings import context
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

pytest_plugins = ["pytester"]

SKIPS_FAIL = os.environ.get("CI") == "true"

# Variables by which Tidings recognises where it runs; a test says itself where it wants to be.
FOREIGN = ("TIDINGS_", "SCITEX_", "SLURM_", "PBS_", "LSB_", "LS_", "GITHUB_", "GITLAB_", "CI_")
FOREIGN_NAMES = ("CI", "TRACEPARENT", "TRACESTATE")

# Machines differ in speed: an example may take long, it may not be wrong.
hypothesis.settings.register_profile(
    "tidings",
    deadline=None,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("tidings")

# Imported here because the collection of doctests would import it without rewriting its assertions.
pytest.register_assert_rewrite("tidings.testing.contract")
import_module("tidings.testing.contract")


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory that no other test sees, and an environment that names no job and no CI.

    Stores are waited for with patience: with a second, as usual, an event waits in the spool where
    a machine rests for longer. A test of what happens then names a deadline of its own.
    """
    for name in list(os.environ):
        if name.startswith(FOREIGN) or name in FOREIGN_NAMES:
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TIDINGS_DEADLINE", str(PATIENCE))
    context.forget()
    return home


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Where a test logs to ends with it; a server that it runs in this process sets that up."""
    loggers = [logging.getLogger(name) for name in ("", "tidings", "uvicorn", "uvicorn.access")]
    before = [(logger.level, logger.propagate, set(logger.handlers)) for logger in loggers]
    yield
    for logger, (level, propagate, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.propagate = propagate
        for handler in set(logger.handlers) - handlers:
            if not type(handler).__module__.startswith("_pytest."):
                logger.removeHandler(handler)
                handler.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failed one where CI runs."""
    report = yield
    expected_failure = hasattr(report, "wasxfail")  # it ran, and pytest calls that skipped too
    if SKIPS_FAIL and report.skipped and not expected_failure:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and CI skips nothing: {call.excinfo}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn a skipped module into a failed one where CI runs."""
    report = yield
    if SKIPS_FAIL and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} was skipped, and CI skips nothing: {report.longrepr}"
    return report
