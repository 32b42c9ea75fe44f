"""pytest: `test_complete` at the end of a run, where it was asked for.

Asked for by `-p tidings`, or by `tidings = true` in pytest's configuration; else it does nothing,
and this file is all of it that is loaded, because every run of pytest in an environment that has
Tidings loads it. Of a run under xdist only the controller tells; its workers say nothing.

    recording  what happens in a run, in bounded memory
    telling    the event, and the line at the end

Keeps promise 4: whatever the store does, the run ends as it would have.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import pytest

__all__ = ["pytest_addoption", "pytest_configure"]

NAME = "tidings"
"""Of the plugin: what `-p` asks for."""

_NO_RUN = (
    *("collectonly", "setupplan", "showfixtures", "show_fixtures_per_test", "markers"),
    *("version", "help", "cacheshow"),
)
"""Options with which pytest runs no tests."""


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the settings."""
    _leave_as_it_is(pluginmanager)
    parser.addini(NAME, "emit a test_complete event at the end of each run", "bool", default=False)
    parser.addini("tidings_redact", "hide in it what looks like a secret", "bool", default=True)
    parser.addini("tidings_project", "what the event belongs to; the project's name", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Listen to the run, where that was asked for."""
    asked = NAME in (config.getoption("plugins", None) or ()) or config.getini(NAME)
    if not asked or hasattr(config, "workerinput"):
        return
    if any(config.getoption(option, None) for option in _NO_RUN):
        return
    from tidings.integrations.pytest_plugin.telling import Telling

    config.pluginmanager.register(Telling(config), "tidings-telling")


def _leave_as_it_is(pluginmanager: pytest.PytestPluginManager) -> None:
    """Have pytest import Tidings as it is, as it did before Tidings had a plugin.

    It would rewrite the assertions of every module of a distribution that has one. Ours have none,
    but in `tidings.testing`, which asks for it itself; and where nothing can be written beside
    them, tests that use Tidings would wait 0.2 s and more for that in each run.
    """
    marked = getattr(pluginmanager.rewrite_hook, "_must_rewrite", None)
    if isinstance(marked, set):  # else this pytest does it in another way
        marked.discard("tidings")
