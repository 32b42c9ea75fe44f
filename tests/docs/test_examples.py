"""Whether the examples of the documentation run, in order, each page in a home of its own."""

from __future__ import annotations

import os
import sys
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE
from pathlib import Path
from unittest.mock import patch

import pytest
from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser

from tests.docs.pages import DOCS, PAGES, ROOT, page_id
from tests.docs.shell_blocks import run_console_block, run_shell_block

# These pages tell how the repository is worked on; what they tell to run is `make test` itself.
ABOUT_THE_REPOSITORY = {ROOT / "CONTRIBUTING.md", DOCS / "performance.md"}

BOOK = Sybil(
    parsers=[
        PythonCodeBlockParser(doctest_optionflags=ELLIPSIS | NORMALIZE_WHITESPACE),
        CodeBlockParser("sh", run_shell_block),
        CodeBlockParser("console", run_console_block),
        SkipParser(),
    ]
)


@pytest.mark.parametrize("page", sorted({*PAGES} - ABOUT_THE_REPOSITORY), ids=page_id)
def test_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python and shell blocks do what the page says, one after the other."""
    monkeypatch.chdir(tmp_path)
    path = os.pathsep.join((os.path.dirname(sys.executable), os.environ["PATH"]))
    with patch.dict(os.environ, {"PATH": path, "NO_COLOR": "1"}):
        for example in BOOK.parse(page).examples():
            example.evaluate()
