"""What axe-core finds wrong with a page: it knows WCAG's rules as far as a program can tell."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["violations"]

_ROOT = Path(__file__).resolve().parents[2]
_AXE = _ROOT / "dashboard" / "node_modules" / "axe-core" / "axe.min.js"
_ALL = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
_RUN = """only => axe.run(document, {
    resultTypes: ["violations"],
    runOnly: {type: only.length === 1 ? "rule" : "tag", values: only},
    rules: only.length === 1 ? {} : {"target-size": {enabled: true}},
})"""


@cache
def _source() -> str:
    return _AXE.read_text(encoding="utf-8")


def violations(page: Page, *rule: str) -> list[str]:
    """Each rule that is broken, with where and why; none in a page that is well.

    Args:
        page: what is looked at, as it stands.
        rule: the only rule that is looked at; all of WCAG 2.2 AA, if it is left out.
    """
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(_source())
    found: dict[str, Any] = page.evaluate(_RUN, list(rule or _ALL))
    return [
        f"{each['id']}: {node['html']} {node['failureSummary']}"
        for each in found["violations"]
        for node in each["nodes"]
    ]
