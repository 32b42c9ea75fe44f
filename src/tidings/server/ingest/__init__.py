"""Events that come in over HTTP: read in any form, checked, kept, and answered one by one.

`formats` says which form a request is in, and `sizes` how large it may be; `strict_json` reads JSON
and `lines` cuts NDJSON; `new_event` and `moments` make events of what was sent; `intake` keeps them
group by group, and `results` tells what became of each; `idempotency` makes a request that is sent
again repeat nothing; `wishes` reads the query. The routes are `routes/ingest.py` and
`routes/emit.py`, and `operations` what they promise in the OpenAPI document.
"""

from __future__ import annotations

__all__: list[str] = []
