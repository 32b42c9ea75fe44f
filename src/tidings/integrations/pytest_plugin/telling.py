"""Tells of a run of pytest when it is over: one event, and one line that says what became of it.

Where it is kept and where it was made are settled when the run begins, because tests change
directories and variables. Keeping it waits no longer than an emit ever does, and in a thread of its
own, so that not even a file system that hangs keeps pytest from ending.
"""

from __future__ import annotations

import os
import platform
from threading import Thread
from time import monotonic

import pytest

from tidings import context, settings
from tidings.integrations.pytest_plugin.recording import LOOKED_AT, Recording, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from typing import Any

    from tidings.bus import Bus
    from tidings.event import Event

__all__ = ["Telling"]

_TYPE = "test_complete"
_PATIENCE = 2.0
"""How much longer than an emit's deadline keeping may take: opening a store, closing it."""

_TAIL_LINES = 20


class Telling:
    """Listens to one run.

    Args:
        config: pytest's.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._recording = Recording()
        self._began = monotonic()
        self._workers = 0
        self._is_told = False
        self._trouble = ""
        try:
            self._find_out()
        except Exception as error:  # noqa: BLE001 - whatever is wrong with us, the run goes on
            self._trouble = _reason(error)

    def _find_out(self) -> None:
        """What the event will say of where it was made, and where it will be kept."""
        from tidings.bus import Bus

        self._context = context.detect(cwd=str(self._config.rootpath))
        self._project = self._config.getini("tidings_project") or _name_of(self._config)
        if self._config.getini("tidings_redact"):
            from tidings.integrations.discretion import Discretion

            self._recording = Recording(Discretion.of_programs(LOOKED_AT).text)
        self._deadline = settings.deadline()
        # Nothing is opened before the event is kept.
        self._bus: Bus = Bus(context=False)

    # What happens ---------------------------------------------------------------------------------

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take down how a test, its setup or its teardown ended."""
        status = self._config.hook.pytest_report_teststatus(report=report, config=self._config)
        self._recording.ran(report, status[0])

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Take down what could not be collected."""
        if report.failed:
            self._recording.count("error")
            self._recording.failed(report)
        elif report.skipped:
            self._recording.count("skipped")

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Take down what was left out."""
        self._recording.count("deselected", len(items))

    def pytest_internalerror(self, excrepr: object) -> None:
        """Take down why pytest itself failed."""
        line = str(excrepr).strip().splitlines()[-1:] or ["internal error"]
        self._recording.failed_itself(line[0])

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodeready(self) -> None:
        """Count a worker of xdist."""
        self._workers += 1

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(
        self, session: pytest.Session, exitstatus: int
    ) -> Generator[None, Any, Any]:
        """Tell, once every other plugin has had its say about the exit status."""
        try:
            return (yield)
        finally:
            if not self._is_told:
                self._is_told = True
                self._tell(int(getattr(session, "exitstatus", exitstatus)))

    # Telling --------------------------------------------------------------------------------------

    def _tell(self, exit_code: int) -> None:
        """Keep the event, and say what became of it."""
        outcome = [f"could not be kept: {self._trouble}"]
        if not self._trouble:
            outcome = ["could not be kept in time"]
            thread = Thread(target=self._keep, args=(exit_code, outcome), daemon=True)
            thread.start()
            thread.join(self._deadline + _PATIENCE)
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.write_line(f"tidings: {_TYPE} {outcome[-1]}")

    def _keep(self, exit_code: int, outcome: list[str]) -> None:
        try:
            with self._bus as bus:
                kept = bus.publish(self._event(exit_code))
                outcome.append(_place_of(kept, bus))
        except Exception as error:  # noqa: BLE001 - the run ends as it would have
            outcome.append(f"could not be kept: {_reason(error)}")

    def _event(self, exit_code: int) -> Event:
        from tidings.event import Event

        return Event(
            _TYPE,
            self._project,
            "failure" if exit_code else "success",
            self._payload(exit_code),
            self._context.source,
            correlation_id=self._context.correlation_id,
            causation_id=self._context.causation_id,
            context=self._context.text or None,
            max_payload=settings.max_payload(),
        )

    def _payload(self, exit_code: int) -> dict[str, Any]:
        recording = self._recording
        payload = {
            "exit_code": exit_code,
            "module": _module_of(self._config) or self._project,
            **recording.counts,
            "duration": round(monotonic() - self._began, 3),
            "slowest": recording.slowest,
            "failures": recording.failures,
            "log_tail": _tail(recording, exit_code),
            "python": platform.python_version(),
            "pytest": pytest.__version__,
        }
        return payload | ({"workers": self._workers} if self._workers else {})


def _tail(recording: Recording, exit_code: int) -> str:
    """The end of what pytest says: what failed, and the counts."""
    lines = [
        f"{'FAILED' if 'when' not in failure else 'ERROR'} {failure['test']} - {failure['error']}"
        for failure in recording.failures[-_TAIL_LINES:]
    ]
    counts = [f"{number} {name}" for name, number in recording.counts.items() if number]
    lines.append(", ".join(counts) or f"no tests ran (exit code {exit_code})")
    return "\n".join(lines)


def _place_of(kept: Event, bus: Bus) -> str:
    if kept.position is not None:
        return "kept"
    return f"waits in the spool: {bus.last_failure}"


def _reason(error: Exception) -> str:
    line = next(iter(str(error).splitlines()), "")
    return line or type(error).__name__


def _module_of(config: pytest.Config) -> str:
    """What was asked to be tested: the paths and ids on the command line."""
    return one_line(" ".join(map(str, config.args if config.args_source.name == "ARGS" else ())))


def _name_of(config: pytest.Config) -> str:
    """The name of the project: its own, else that of its directory."""
    import tomllib

    try:
        with open(os.path.join(config.rootpath, "pyproject.toml"), "rb") as file:
            name = tomllib.load(file).get("project", {}).get("name")
    except (OSError, ValueError, AttributeError):
        name = None
    return name if isinstance(name, str) and name else config.rootpath.name
