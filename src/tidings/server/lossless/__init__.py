"""What the routes of a remote store do, beyond asking the store: they serve `RemoteStore`.

    bodies   a JSON object in, a JSON object out
    appends  batches judged, kept, and their fates told
    pages    a bounded page of a reading
    remains  what pruned events left behind, given and taken
    records  who may read and write which ledger records
    copies   a copy of the store without what is the server's own

Nothing is lost on the way; `tidings.store.wire` says in which form events and queries
travel. The routes themselves are `routes/log` and `routes/ledger`.
"""

from __future__ import annotations

__all__: list[str] = []
