"""The pytest plugin: one `test_complete` a run, where it is asked for, and the run as it was.

Every run is a process of its own. Most load no plugin but ours, because those of this environment
take longer to load than the run itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tidings.bus import Bus

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.event import Event

    Run = Callable[..., pytest.RunResult]

TESTS = """
import pytest

def test_good(): pass

def test_slow():
    import time
    time.sleep(0.01)

def test_bad():
    assert 1 == 2, "numbers differ"

@pytest.mark.skip
def test_skipped(): pass

@pytest.mark.xfail
def test_expected(): assert 0

@pytest.mark.xfail
def test_unexpected(): pass

@pytest.fixture
def broken(): raise RuntimeError("no fixture")

def test_error(broken): pass

def test_moves(tmp_path, monkeypatch):
    import os
    os.chdir(tmp_path)
    os.environ["TIDINGS_URL"] = "sqlite:///elsewhere.db"
"""

PATIENT = """
from tidings.integrations.pytest_plugin import telling

telling._PATIENCE = 60.0
"""
"""Gives a slow machine the time to keep an event."""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs pytest in a process of its own, with the plugins that are named only."""

    def start(*arguments: str, plugins: tuple[str, ...] = ("tidings",)) -> pytest.RunResult:
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        pytester.makepyfile(patient=PATIENT)
        asked = [f"-p{plugin}" for plugin in (*plugins, "patient")]
        return pytester.runpytest_subprocess("-pno:cacheprovider", *asked, *arguments)

    return start


def told() -> list[Event]:
    """What the default store holds."""
    with Bus() as bus:
        return list(bus.read())


def payload() -> dict[str, Any]:
    """What the only event says."""
    (event,) = told()
    found: dict[str, Any] = event.payload
    return found


# What is told -------------------------------------------------------------------------------------


SECRETS = """
def test_asked():
    assert not "refused: token == 'hunter2'"

def test_sent():
    raise OSError("cannot reach https://ann:hunter2@example.org/")
"""


@pytest.mark.parametrize("redact", [True, False])
def test_secrets(run: Run, pytester: pytest.Pytester, *, redact: bool) -> None:
    """What looks like a secret in an error is hidden, unless the configuration says otherwise."""
    if not redact:
        pytester.makeini("[pytest]\ntidings_redact = false\n")
    pytester.makepyfile(SECRETS)
    run("--assert=rewrite")
    said = payload()
    texts = [said["log_tail"], *(failure["error"] for failure in said["failures"])]
    assert len(texts) == 3
    for text in texts:
        assert ("hunter" in text) is not redact
        assert ("[redacted]" in text) is redact
    assert [failure["test"].rpartition("::")[2] for failure in said["failures"]] == [
        "test_asked",
        "test_sent",
    ]


def test_a_run(run: Run, pytester: pytest.Pytester) -> None:
    """Exit code, counts, what failed and why, what was slow, where it was, in the default store."""
    pytester.makepyprojecttoml('[project]\nname = "figrecipe"\n[tool.pytest]\nstrict = false\n')
    pytester.makepyfile(TESTS)
    done = run("-k", "not good")
    assert done.ret == 1
    assert done.outlines[-1] == "tidings: test_complete kept"
    (event,) = told()
    assert (event.type, event.project, event.status) == ("test_complete", "figrecipe", "failure")
    said = event.payload
    counts = {"passed": 2, "failed": 1, "errors": 1, "skipped": 1, "xfailed": 1, "xpassed": 1}
    assert {name: said[name] for name in counts} == counts
    assert (said["exit_code"], said["deselected"], said["module"]) == (1, 1, "figrecipe")
    name = "test_a_run.py"
    assert said["failures"] == [
        {"test": f"{name}::test_bad", "error": "AssertionError: numbers differ"},
        {"test": f"{name}::test_error", "error": "RuntimeError: no fixture", "when": "setup"},
    ]
    slowest = {each["test"]: each["duration"] for each in said["slowest"]}
    assert slowest[f"{name}::test_slow"] >= 0.01  # others may be slower, on a busy machine
    assert list(slowest.values()) == sorted(slowest.values(), reverse=True)
    assert f"FAILED {name}::test_bad - AssertionError: numbers differ" in said["log_tail"]
    assert said["log_tail"].endswith(
        "2 passed, 1 failed, 1 errors, 1 skipped, 1 xfailed, 1 xpassed, 1 deselected"
    )
    assert event.context["cwd"] == str(pytester.path)


def test_text_that_utf_8_cannot_hold(run: Run, pytester: pytest.Pytester) -> None:
    """Tests of file names have it in their messages; it is spelled out."""
    pytester.makepyfile(r"def test_bad(): assert False, 'name\udcff'")
    # Nothing is printed: pytester reads what is as UTF-8.
    run("--show-capture=no", "--no-summary", "-qq", "--tb=no")
    assert payload()["failures"][0]["error"] == r"AssertionError: name\udcff"


def test_success(run: Run, pytester: pytest.Pytester) -> None:
    """A run whose tests all pass is a success; what was asked for is the module."""
    pytester.makeini("[pytest]\ntidings_project = mine\n")
    pytester.makepyfile(test_it="def test_good(): pass")
    assert run("test_it.py").ret == 0
    (event,) = told()
    assert (event.status, event.project) == ("success", "mine")
    assert (event.payload["exit_code"], event.payload["module"]) == (0, "test_it.py")


ENDS = {
    "interrupted": ("def test_a(): raise KeyboardInterrupt", (), 2),
    "exit": ("import pytest\ndef test_a(): pytest.exit('enough', 7)", (), 7),
    "first failure": ("def test_a(): assert 0\ndef test_b(): assert 0", ("-x",), 1),
    "collection error": ("import no_such_module", (), 2),
    "syntax error": ("def test_a() pass", (), 2),
    "no tests": ("", (), 5),
}
NOT_COLLECTED = {
    "collection error": "ModuleNotFoundError: No module named 'no_such_module'",
    "syntax error": "SyntaxError: expected ':'",
}


@pytest.mark.parametrize("end", ENDS)
def test_other_ends(run: Run, pytester: pytest.Pytester, end: str) -> None:
    """A run that is cut short, or never gets to a test, is told as well."""
    source, options, code = ENDS[end]
    pytester.makepyfile(test_it=source)
    assert run(*options).ret == code
    said = payload()
    assert said["exit_code"] == code
    if end in NOT_COLLECTED:
        failure = said["failures"][0]
        assert (said["errors"], failure["error"]) == (1, NOT_COLLECTED[end])
        assert failure["when"] == "collect"
    if end == "first failure":
        assert said["failed"] == 1


def test_pytest_itself_fails(run: Run, pytester: pytest.Pytester) -> None:
    """An internal error is told with its last line, and the exit code is pytest's."""
    pytester.makeconftest("def pytest_runtest_setup(): 1 / 0\ndef pytest_runtestloop(): 1 / 0")
    pytester.makepyfile(test_it="def test_good(): pass")
    assert run().ret == 3
    said = payload()
    assert said["exit_code"] == 3
    assert "ZeroDivisionError" in said["failures"][-1]["error"]


def test_the_last_word_on_the_exit_code(run: Run, pytester: pytest.Pytester) -> None:
    """An exit status that another plugin sets at the very end is the one that is told."""
    pytester.makeconftest(
        """
        import pytest

        @pytest.hookimpl(wrapper=True)
        def pytest_sessionfinish(session):
            yield
            session.exitstatus = 42
        """
    )
    pytester.makepyfile(test_it="def test_good(): pass")
    assert run().ret == 42
    assert payload()["exit_code"] == 42


def test_workers_say_nothing(run: Run, pytester: pytest.Pytester) -> None:
    """Under xdist one event tells of all workers, also of a test that took its worker along."""
    pytester.makepyfile(
        test_it="""
        import os, pytest

        @pytest.mark.parametrize("n", range(4))
        def test_good(n): pass

        def test_crash(): os._exit(1)
        """
    )
    assert run("-n2", plugins=("tidings", "xdist.plugin")).ret == 1
    said = payload()
    # A worker may take reports along that it has not sent yet; xdist blames those tests as well.
    assert said["passed"] + said["failed"] >= 5
    assert said["failed"] >= 1
    assert "crashed" in said["failures"][0]["error"]
    assert "when" not in said["failures"][0]
    assert said["workers"] >= 2


# Whatever the store does --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({"TIDINGS_URL": "nonsense:/x"}, "tidings: test_complete could not be kept: store URL"),
        (
            {"TIDINGS_URL": "postgresql://127.0.0.1:1/none"},
            "tidings: test_complete waits in the spool: ",
        ),
        (
            {"TIDINGS_URL": "postgresql://127.0.0.1:1/none", "TIDINGS_SPOOL": "/dev/null/none"},
            "tidings: test_complete could not be kept: ",
        ),
    ],
)
def test_the_store_is_away(
    run: Run,
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    line: str,
) -> None:
    """The run ends with its own exit code, and the last line says what became of the event."""
    for name, value in {"TIDINGS_DEADLINE": "0.1", **variables}.items():
        monkeypatch.setenv(name, value)
    pytester.makepyfile(test_it="def test_good(): pass")
    done = run("-Werror")
    assert done.ret == 0
    assert done.outlines[-1].startswith(line)


def test_the_store_hangs(
    run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run does not wait for what hangs."""
    monkeypatch.setenv("TIDINGS_DEADLINE", "0.1")
    pytester.makeconftest(
        """
        import threading
        from tidings.bus import Bus
        from tidings.integrations.pytest_plugin import telling

        telling._PATIENCE = 0.0
        Bus.publish = lambda *args, **fields: threading.Event().wait()
        """
    )
    pytester.makepyfile(test_it="def test_good(): pass")
    done = run()
    assert done.ret == 0
    assert done.outlines[-1] == "tidings: test_complete could not be kept in time"


# Off ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--collect-only", "--fixtures", "--setup-plan", "--version"])
def test_where_no_tests_run(run: Run, pytester: pytest.Pytester, option: str) -> None:
    """Nothing is told of a run that runs nothing."""
    pytester.makepyfile(test_it="def test_good(): pass")
    done = run(option)
    assert done.ret == 0
    assert "tidings: " not in str(done.outlines + done.errlines)
    assert told() == []


def test_loaded_by_itself(pytester: pytest.Pytester) -> None:
    """As installed, it is on where the configuration says so, and else loads next to nothing."""
    pytester.makepyfile(
        test_it="""
        import sys

        def test_what_is_loaded():
            print({name for name in sys.modules if name.partition(".")[0] == "tidings"})
        """
    )
    quiet = ("-s", "-pno:hypothesispytest", "-pno:schemathesis", "-pno:xdist", "-pno:anyio")
    off = pytester.runpytest_subprocess(*quiet)
    off.stdout.fnmatch_lines(["*{*tidings*}*"])
    loaded = next(line for line in off.outlines if "{" in line)
    assert loaded.count("'tidings") == 3, loaded
    assert told() == []
    pytester.makeini("[pytest]\ntidings = true\n")
    assert pytester.runpytest_subprocess(*quiet).ret == 0
    assert len(told()) == 1


def test_tidings_is_imported_as_it_is(pytester: pytest.Pytester) -> None:
    """That Tidings has a plugin neither warns nor has its modules rewritten by pytest."""
    pytester.makepyfile(
        test_it="""
        import tidings.bus

        def test_loader():
            assert type(tidings.bus.__loader__).__name__ == "SourceFileLoader"
        """
    )
    # As the plugin's code is in the process already, where it is not asked for.
    program = "import sys, tidings, pytest; sys.exit(pytest.main(['-Werror', '-p', 'no:xdist']))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=pytester.path,
        env={**os.environ, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
