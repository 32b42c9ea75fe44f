"""Whether the reference names everything there is, and nothing that is not."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest

import tidings
from tests.docs.pages import DOCS, PAGES, ROOT, code_words, headings, section
from tidings import errors
from tidings.catalog import BUILT_IN
from tidings.cli import MODULES, command_named
from tidings.cli.command import COMMON, Option
from tidings.cli.exit_codes import EXIT_CODES
from tidings.cli.filters import FILTERS
from tidings.store.query import Filter, Query

SETTING = re.compile(r"\bTIDINGS_[A-Z_]*[A-Z]\b")
REFERENCE = DOCS / "reference"


def settings_read() -> set[str]:
    """The environment variables that the sources name."""
    sources = [*ROOT.glob("src/**/*.py"), *ROOT.glob("src/**/*.sh")]
    return {name for source in sources for name in SETTING.findall(source.read_text())}


def test_settings_are_documented() -> None:
    """Each environment variable of ours has its place in the reference, and no other does."""
    assert set(SETTING.findall((REFERENCE / "settings.md").read_text())) == settings_read()


def test_pages_name_no_setting_that_is_not_read() -> None:
    """No page tells a reader to set a variable that nothing reads."""
    named = {name for page in PAGES for name in SETTING.findall(page.read_text())}
    assert named - settings_read() == set()


@pytest.mark.parametrize("name", errors.__all__)
def test_an_error_is_documented(name: str) -> None:
    """Each error class has its place in the reference."""
    assert name in code_words(REFERENCE / "errors.md")


def test_public_names_are_documented() -> None:
    """Each name that `tidings` offers has its place in the reference."""
    documented = code_words(REFERENCE / "python.md") | code_words(REFERENCE / "errors.md")
    assert set(tidings.__all__) - documented == set()


def test_commands_are_documented() -> None:
    """Each command has a heading of its own in the reference, and each heading has its command."""
    titles = headings(REFERENCE / "shell.md")
    documented = {title.split()[1] for title in titles if title.startswith("tidings ")}
    assert documented == set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_options_are_documented(name: str) -> None:
    """Each option of a command stands in the command's section, each filter in the filters'."""
    command = command_named(name)
    page = REFERENCE / "shell.md"
    own = [option for option in command.options if option not in FILTERS]
    assert option_rows(section(page, f"tidings {name}")) == shown(own)
    takes_filters = "Takes [filters](#filters)" in section(page, f"tidings {name}")
    assert takes_filters == (len(own) < len(command.options))


def test_filters_and_common_options_are_documented() -> None:
    """The options that many commands share stand in the tables of their own."""
    page = REFERENCE / "shell.md"
    assert option_rows(section(page, "Filters")) == shown(FILTERS)
    assert option_rows(section(page, "Shell")) == shown(COMMON)


def shown(options: Iterable[Option]) -> set[str]:
    """Options as the reference writes them: ``` `-n`, `--limit N` ```."""
    names = [(*option.names[:-1], f"{option.names[-1]} {option.value}") for option in options]
    return {", ".join(f"`{name.rstrip()}`" for name in row) for row in names}


def option_rows(text: str) -> set[str]:
    """The first cells of the rows that describe an option."""
    return set(re.findall(r"^(?:\| )(`-[^|]*`) \|", text, re.MULTILINE))


def test_exit_codes_are_documented() -> None:
    """The table of exit codes in the reference says what `tidings help exit-codes` says."""
    page = (REFERENCE / "shell.md").read_text()
    rows = dict(re.findall(r"^\| `(\d+)` \| (.+) \|$", page, re.MULTILINE))
    assert rows == {str(code): meaning for code, meaning in EXIT_CODES}


def test_built_in_types_are_documented() -> None:
    """Each type that the catalog knows from the start has its place in the reference."""
    assert set(BUILT_IN) - code_words(REFERENCE / "events.md") == set()


def test_filters_are_documented() -> None:
    """Each filter of a query has its place in the reference of Python."""
    filters = {name for name in (*Filter.__slots__, *Query.__slots__) if name[0] != "_"}
    assert filters - code_words(REFERENCE / "python.md") == set()
