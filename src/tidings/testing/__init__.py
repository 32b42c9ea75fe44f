"""The store contract as tests: a pytest class that any backend can be held to.

Subclass `StoreContract`, say how a store is opened, and pytest collects some hundred tests that try
to break every promise of `tidings.store.base`. A store that other processes can open too, and that
keeps its events when it is closed, subclasses `SharedStoreContract` instead, which adds tests with
eight racing processes. No test is skipped: what does not apply to a backend is not in its class.

    from tidings.testing import SharedStoreContract

    class TestMyStore(SharedStoreContract):
        def open_store(self, directory):
            return MyStore(f"{directory}/events.mine")

        def open_backup(self, path):
            return MyStore(path)

The contract needs the extra `testing` (`pip install 'tidings[testing]'`): pytest and Hypothesis.
Both are imported only when a contract class is asked for, because other processes of the suite
import from here too and need neither.

`check`, with `WriterRecord` and `ReaderRecord`, is for tests that kill and cut: it holds what was
acknowledged against what was kept against what was delivered. See `checker`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.testing.checker import ReaderRecord, Verdict, WriterRecord, check
    from tidings.testing.contract import SharedStoreContract, StoreContract

from tidings.errors import MissingExtra

__all__ = [
    "ReaderRecord",
    "SharedStoreContract",
    "StoreContract",
    "Verdict",
    "WriterRecord",
    "check",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if not name.endswith("Contract"):
        from tidings.testing import checker

        return getattr(checker, name)
    try:
        import hypothesis  # noqa: F401 - only whether it is there
        import pytest
    except ImportError as error:
        raise MissingExtra("the contract suite", "testing") from error
    # Without this a failing assertion would not say what it compared.
    pytest.register_assert_rewrite("tidings.testing.contract")
    from tidings.testing import contract

    return getattr(contract, name)
