"""The pages of the documentation, and what they name.

Shared by the tests of this folder; it checks nothing itself.
"""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["DOCS", "PAGES", "ROOT", "code_words", "headings", "page_id", "prose", "section"]

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(DOCS.rglob("*.md")),
]

_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)


def page_id(page: Path) -> str:
    """The page's name in a test's id."""
    return str(page.relative_to(ROOT))


def prose(page: Path) -> str:
    """The page's text without its code blocks."""
    return _FENCED.sub("", page.read_text())


def code_words(page: Path) -> set[str]:
    """What stands in `code` in the page's prose, whole and as its first word."""
    spans = _CODE.findall(prose(page))
    return {*spans, *(span.split("(")[0].split(" ")[0] for span in spans)}


def headings(page: Path) -> list[str]:
    """The page's headings, backticks removed."""
    return [heading.replace("`", "") for heading in _HEADING.findall(prose(page))]


def section(page: Path, title: str) -> str:
    """What stands under a heading, up to the next one."""
    parts = _HEADING.split(prose(page))
    return parts[parts.index(title) + 1]
