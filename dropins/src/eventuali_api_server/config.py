"""What the server is told, by the names and defaults of eventuali-api-server 0.2.2.

The fields are Tidings' own, of which that server's are the first. Beside its own variables (`HOST`,
`PORT`, …) it reads none: `TIDINGS_…` settings of the server are for `tidings serve`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from tidings.server import config as server
from tidings.server.origins import is_loopback

__all__ = ["APIServerConfig", "get_config", "set_config"]


@dataclass
class APIServerConfig(server.APIServerConfig):
    """Configuration settings for the API server.

    Args:
        data_dir: the directory of the store, `tidings.db`; what an eventuali `events.db` in it
            holds is imported once.
        title: what the server calls itself.
        description: one sentence more.
        version: the version it shows.

    The others are those of `tidings.server.APIServerConfig`; but a host beyond this machine needs
    no key, as to name it is to ask for it.

    >>> APIServerConfig(port=9000).data_dir
    '.events'
    """

    data_dir: str | None = ".events"
    title: str = "Eventuali API Server"
    description: str = "FastAPI server for Eventuali event sourcing system"
    version: str = "0.1.0"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.insecure = self.insecure or not is_loopback(self.host)

    @classmethod
    def from_env(cls, prefix: str = "") -> Self:
        """Create configuration from environment variables: `HOST`, `PORT`, `DATA_DIR` and so on.

        Raises:
            InvalidSetting: a variable is not usable; the error names it. It is a `ValueError`.
        """
        return super().from_env(prefix)


_config: APIServerConfig | None = None


def get_config() -> APIServerConfig:
    """The global configuration: what `set_config` was given, else the environment's."""
    global _config
    if _config is None:
        _config = APIServerConfig.from_env()
    return _config


def set_config(config: APIServerConfig) -> None:
    """Set the global configuration; it counts for servers that start from now on."""
    global _config
    _config = config
