"""Whether the reference of HTTP names every route, filter and problem, and none that is not."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from tests.docs.pages import DOCS, ROOT, code_words, section
from tidings.server import create_app
from tidings.server.asking import FILTERS, WINDOW
from tidings.server.config import APIServerConfig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = DOCS / "reference" / "http.md"


def kinds_of(source: Path) -> Iterator[str]:
    """The kinds of problem that a file makes."""
    for node in ast.walk(ast.parse(source.read_text())):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "Problem"
            and isinstance(node.args[1], ast.Constant)
        ):
            yield str(node.args[1].value)


def test_problems_are_documented() -> None:
    """Each kind of problem stands in the table, and each in the table can occur."""
    made = {kind for path in (ROOT / "src").rglob("server/**/*.py") for kind in kinds_of(path)}
    # Chosen by the error's class; see `problem_of`.
    made |= {"invalid-event", "schema-violation", "invalid-query", "invalid-setting"}
    rows = re.findall(r"^\| \d{3} \| ([^|]+) \|", section(PAGE, "Problems"), re.MULTILINE)
    assert {kind for row in rows for kind in re.findall(r"`([^`]+)`", row)} == made


def test_routes_are_documented() -> None:
    """Each route of the OpenAPI document is named, those of the store's own clients as a group."""
    text = PAGE.read_text()
    paths = create_app(APIServerConfig(url="memory:")).openapi()["paths"]
    named = {re.sub(r"\{[^}]*\}", "[^/` ?']+", path.rstrip("/")) for path in paths}
    groups = ("/log", "/ledger")
    missing = [
        path for path in named if path and not path.startswith(groups) and not re.search(path, text)
    ]
    assert not missing


def test_parameters_are_documented() -> None:
    """Each filter of a URL, and each part of a window, has its place."""
    assert {*FILTERS, *WINDOW} - code_words(PAGE) == set()
