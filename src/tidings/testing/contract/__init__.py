"""The contract suite, one file for each part of what a store promises.

`opening` holds the hooks a backend fills in; `StoreContract` and `SharedStoreContract` put the
parts together.
"""

from __future__ import annotations

from tidings.testing.contract.adopting import Adopting
from tidings.testing.contract.appending import Appending
from tidings.testing.contract.batches import Batches
from tidings.testing.contract.filtering import Filters
from tidings.testing.contract.histories import Histories
from tidings.testing.contract.idempotence import Idempotence
from tidings.testing.contract.overviews import Overviews
from tidings.testing.contract.racing import Racing
from tidings.testing.contract.reading import Reads
from tidings.testing.contract.records import Records
from tidings.testing.contract.sharing import Sharing
from tidings.testing.contract.upkeep import Upkeep
from tidings.testing.contract.versions import Versions
from tidings.testing.contract.waking import Waking

__all__ = ["SharedStoreContract", "StoreContract"]


class StoreContract(
    Histories,
    Racing,
    Waking,
    Adopting,
    Upkeep,
    Records,
    Overviews,
    Filters,
    Reads,
    Batches,
    Versions,
    Idempotence,
    Appending,
):
    """What every store promises; a subclass fills in `open_store` and `open_backup`.

    Each test gets an empty store in a directory of its own. A backend whose stores
    `tidings.store.open_store` cannot open by their URL fills in `opener` too. pytest begins with
    the last of the parts, so that what is wrong in all of them shows first in the plainest test.
    """


class SharedStoreContract(Sharing, StoreContract):
    """What a store promises that other processes open too, and that keeps events when closed.

    `open_store` must open the same store when it is called again with the same directory.
    """
