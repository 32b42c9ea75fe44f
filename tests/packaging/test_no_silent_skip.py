"""Whether a skipped test fails the run where CI runs, and only there.

Runs the repository's own `conftest.py` over small suites, each in a child process.
"""

from __future__ import annotations

from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[2] / "conftest.py"

SKIPS = {
    "a_mark": "import pytest\n@pytest.mark.skip\ndef test_it(): ...",
    "a_call": "import pytest\ndef test_it(): pytest.skip('no engine')",
    "a_module": "import pytest\npytest.skip('no engine', allow_module_level=True)",
    "a_missing_import": "import pytest\npytest.importorskip('no_such_module')",
}


@pytest.fixture(autouse=True)
def no_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is installed beside pytest has no part in this, and takes most of a run's start."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def suite(pytester: pytest.Pytester, **modules: str) -> None:
    """A suite of some modules under the repository's own `conftest.py`."""
    pytester.makeconftest(CONFTEST.read_text())
    pytester.makepyfile(**{f"test_{name}": text for name, text in modules.items()})


def test_a_skip_fails_in_ci(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `CI=true` a skip of any kind makes the run fail and says which test was skipped."""
    suite(pytester, **SKIPS)
    monkeypatch.setenv("CI", "true")
    run = pytester.runpytest_subprocess("--continue-on-collection-errors")
    run.assert_outcomes(failed=1, errors=3)
    for name in SKIPS:
        run.stdout.fnmatch_lines_random(f"*test_{name}.py* was skipped, and CI skips nothing*")


def test_a_skip_passes_elsewhere(pytester: pytest.Pytester) -> None:
    """On somebody's own machine a skip is told and does not fail the run."""
    suite(pytester, a_mark=SKIPS["a_mark"])
    pytester.runpytest_subprocess().assert_outcomes(skipped=1)


def test_a_suite_without_skips_passes_in_ci(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `CI=true` tests that run end as ever, those that are expected to fail too."""
    broken = "import pytest\n@pytest.mark.xfail\ndef test_broken(): assert False\n"
    suite(pytester, runs=f"{broken}def test_it(): ...")
    monkeypatch.setenv("CI", "true")
    pytester.runpytest_subprocess().assert_outcomes(passed=1, xfailed=1)
