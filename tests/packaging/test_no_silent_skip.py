"""Whether a skipped test fails the run where CI runs, and only there.

Runs the repository's own `conftest.py` over small suites, each in a child process.
"""

from __future__ import annotations

from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[2] / "conftest.py"

SKIPS = {
    "a mark": "import pytest\n@pytest.mark.skip\ndef test_it(): ...",
    "a call": "import pytest\ndef test_it(): pytest.skip('no engine')",
    "a module": "import pytest\npytest.skip('no engine', allow_module_level=True)",
    "a missing import": "import pytest\npytest.importorskip('no_such_module')",
}


def suite(pytester: pytest.Pytester, text: str) -> None:
    """A suite of one module under the repository's own `conftest.py`."""
    pytester.makeconftest(CONFTEST.read_text())
    pytester.makepyfile(text)


@pytest.mark.parametrize("text", SKIPS.values(), ids=SKIPS.keys())
def test_a_skip_fails_in_ci(
    text: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `CI=true` a skip of any kind makes the run fail and says which test was skipped."""
    suite(pytester, text)
    monkeypatch.setenv("CI", "true")
    run = pytester.runpytest_subprocess()
    assert run.ret != pytest.ExitCode.OK
    run.stdout.fnmatch_lines(["*was skipped, and CI skips nothing*"])


def test_a_skip_passes_elsewhere(pytester: pytest.Pytester) -> None:
    """On somebody's own machine a skip is told and does not fail the run."""
    suite(pytester, SKIPS["a mark"])
    pytester.runpytest_subprocess().assert_outcomes(skipped=1)


def test_a_suite_without_skips_passes_in_ci(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `CI=true` tests that run end as ever, those that are expected to fail too."""
    broken = "import pytest\n@pytest.mark.xfail\ndef test_broken(): assert False\n"
    suite(pytester, f"{broken}def test_it(): ...")
    monkeypatch.setenv("CI", "true")
    pytester.runpytest_subprocess().assert_outcomes(passed=1, xfailed=1)
