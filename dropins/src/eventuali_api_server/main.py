"""The app, by the name of eventuali-api-server: `uvicorn eventuali_api_server.main:app`.

It is configured when it starts, by what `get_config` gives then; so `set_config` works after this
module was imported, where that server would no longer hear of it.
"""

from __future__ import annotations

from eventuali_api_server.config import get_config
from tidings import server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.server.application import Application

__all__ = ["app", "create_app"]


def create_app() -> Application:
    """Create and configure the application, a FastAPI app.

    Raises:
        MissingExtra: what the server stands on is not installed; the error says the line to run.
    """
    return server.create_app(get_config)


app = create_app()
