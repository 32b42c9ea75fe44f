"""Whether the examples of the documentation run, in order, each page in a home of its own."""

from __future__ import annotations

import os
import re
import sys
from contextlib import contextmanager
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser

from tests.docs.pages import DOCS, PAGES, ROOT, page_id
from tests.docs.shell_blocks import left_running, run_console_block, run_shell_block
from tests.server.ready import start_ready
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER = "http://127.0.0.1:8765"
"""Where the pages say the server is; tests run it on a free port."""

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
    # An answer that is an error shall fail the line that got it.
    (tmp_path / ".curlrc").write_text("fail\n")
    given = {"PATH": path, "NO_COLOR": "1", "CURL_HOME": str(tmp_path)}
    # With a second, as usual, what a slow machine emits may wait in the spool instead.
    given["TIDINGS_DEADLINE"] = str(PATIENCE)
    with patch.dict(os.environ, given), left_running(), served(page, tmp_path) as shown:
        for example in BOOK.parse(shown).examples():
            example.evaluate()


@contextmanager
def served(page: Path, directory: Path) -> Iterator[Path]:
    """The page as it is tried: where it speaks of a server, one runs on the page's own store."""
    text = page.read_text()
    if SERVER not in text:
        yield page
        return
    with (directory / "stderr").open("wb") as said:
        server = start_ready(["serve", "--port", "0"], dict(os.environ), said.fileno())
    with server.stdout as printed:
        found = re.search(r"http://127\.0\.0\.1:[0-9]+", printed.readline())
        assert found is not None
        tried = directory / page.name
        tried.write_text(text.replace(SERVER, found[0]))
        try:
            yield tried
        finally:
            server.kill()
            server.wait(PATIENCE)
