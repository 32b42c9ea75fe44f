"""What eventuali-api-server left behind: its events are taken over before the first request.

That server keeps them in `events.db`, beside which ours has its `tidings.db`. Keeps: the file is
left as it is, and imported once; a mark in the ledger says so, and only a file that was written to
since is looked at again. Two servers that start at once may both import it: events are known by
their ids. Trouble is logged and keeps no server from starting; the next start tries again.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress

from tidings.errors import Conflict, TidingsError
from tidings.store.ledger import OWN_PREFIX
from tidings.transfer.eventuali import fingerprint_of, import_eventuali, is_eventuali

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.server.config import APIServerConfig
    from tidings.store.base import Store
    from tidings.transfer import Imported

__all__ = ["adopt"]

_MARK = f"{OWN_PREFIX}eventuali"

_log = logging.getLogger("tidings.server")


def adopt(config: APIServerConfig, store: Store) -> Imported | None:
    """Import what eventuali-api-server left in the data directory, unless that was done before.

    Args:
        config: says which directory that is.
        store: the server's store.

    Returns:
        What was done; none where there is nothing to do, or it could not be done.
    """
    path = config.forerunner
    if path is None or not os.path.isfile(path):
        return None
    try:
        return _adopt(os.path.abspath(path), store)
    except TidingsError as error:
        _log.warning(
            "the events of %s are not imported, and the next start tries again: %s", path, error
        )
        return None


def _adopt(path: str, store: Store) -> Imported | None:
    fingerprint = fingerprint_of(path)
    mark = store.get(_MARK)
    if mark is not None and mark.value == {"file": fingerprint}:
        return None
    if not is_eventuali(path):
        return None
    _log.info("%s: its events are imported before the first request is answered", path)
    imported = import_eventuali(store, path)
    _log.info("%s: %d events imported; the file is left as it is", path, imported.kept)
    for rejected in imported.reasons:
        _log.warning("%s: row %d is no event: %s", path, rejected.line, rejected.reason)
    with suppress(Conflict):  # Another server did the same at the same time.
        store.put(_MARK, {"file": fingerprint}, 0 if mark is None else mark.revision)
    return imported
