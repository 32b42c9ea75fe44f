"""Whether each module says what it offers, and offers what it says."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import tidings

# `__main__` offers nothing; the contract suite's modules are tests, offered by `tidings.testing`.
WITHOUT_NAMES = ("tidings.__main__", "tidings.testing.contract.")

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(tidings.__path__, "tidings.")
    if not module.name.startswith(WITHOUT_NAMES)
)


@pytest.mark.parametrize("name", ["tidings", *MODULES])
def test_a_module_names_what_it_offers(name: str) -> None:
    """Every module has an `__all__` without repetition, and each name in it is there."""
    module = importlib.import_module(name)
    offered = list(module.__all__)
    assert len(offered) == len(set(offered))
    assert [name for name in offered if not hasattr(module, name)] == []


def test_lazy_names_are_listed() -> None:
    """`dir(tidings)` shows the public names although they are loaded when first used."""
    assert set(tidings.__all__) <= set(dir(tidings))


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A name that is not there is refused as for any module."""
    with pytest.raises(AttributeError, match="no_such_name"):
        getattr(tidings, "no_such_name")  # noqa: B009 - mypy would refuse the plain lookup
