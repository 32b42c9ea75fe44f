"""Whether a reader who follows the links of the documentation arrives."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.docs.pages import DOCS, PAGES, ROOT, headings, page_id, prose

LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
"""Of links and of pictures."""


def anchors(page: Path) -> set[str]:
    """The fragments under which the page's headings are reached."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings(page)
    }


def local_links(page: Path) -> list[tuple[Path, str]]:
    """The files of this repository that the page links to, each with its fragment."""
    parts = [urlsplit(link) for link in LINK.findall(prose(page))]
    return [
        (page.parent.joinpath(unquote(part.path)).resolve() if part.path else page, part.fragment)
        for part in parts
        if not part.scheme
    ]


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_arrive(page: Path) -> None:
    """Every link to a file finds the file, and every fragment a heading in it."""
    for target, fragment in local_links(page):
        assert target.exists(), target
        assert not fragment or fragment in anchors(target), f"{target}#{fragment}"


def test_every_page_is_reached_from_the_readme() -> None:
    """There is no page that only someone who knows its name can find."""
    reached = {ROOT / "README.md"}
    waiting = list(reached)
    while waiting:
        for target, _ in local_links(waiting.pop()):
            if target.suffix == ".md" and target not in reached:
                reached.add(target)
                waiting.append(target)
    assert sorted(set(DOCS.rglob("*.md")) - reached) == []
