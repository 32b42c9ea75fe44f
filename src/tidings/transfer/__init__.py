"""Export to files and import from them: NDJSON or CloudEvents, plain, `.gz` or `.zst`.

Keeps promise 5 (a bad line gets a clear reason with its number, and changes nothing): everything
streams in constant memory, a killed export goes on where it was, and importing a file twice repeats
nothing, as events are known by id. It does not copy positions and versions into the other store
(`Store.restore` does, for `migrate`); they stand in the file for whoever reads it.
"""

from __future__ import annotations

from tidings.transfer.exporting import Exported, export_events
from tidings.transfer.importing import Imported, Rejected, import_events

__all__ = ["Exported", "Imported", "Rejected", "export_events", "import_events"]
