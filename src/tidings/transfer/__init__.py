"""Events out of a store and into another: by files, or from store to store.

    export, import   NDJSON or CloudEvents, plain, `.gz` or `.zst`
    import_eventuali the SQLite file of an eventuali store
    migrate          a whole store with positions and versions, into one of any backend

Keeps promise 5 (a bad line gets a clear reason with its number, and changes nothing): everything
streams in constant memory, what was killed goes on where it was, and importing a file twice repeats
nothing, as events are known by id. An import takes over no positions and versions; they stand in
the file for whoever reads it.
"""

from __future__ import annotations

from tidings.transfer.eventuali import import_eventuali
from tidings.transfer.exporting import Exported, export_events
from tidings.transfer.importing import Imported, Rejected, import_events
from tidings.transfer.migrating import Migrated, migrate

__all__ = [
    "Exported",
    "Imported",
    "Migrated",
    "Rejected",
    "export_events",
    "import_events",
    "import_eventuali",
    "migrate",
]
