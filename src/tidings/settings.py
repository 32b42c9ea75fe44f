"""Settings: what the environment says, read when it is needed.

    TIDINGS_HOME            where stores, spool and caches lie; ~/.tidings
    TIDINGS_CACHE           where this machine's replicas lie; $XDG_CACHE_HOME/tidings
    TIDINGS_URL             the default store; sqlite:///<home>/events.db, or shared:///<home>/shared
                            where <home> lies on a network file system
    TIDINGS_KEY             what a server is shown that keeps the store; no key
    TIDINGS_SPOOL           the spool's directory; <home>/spool
    TIDINGS_DEADLINE        the longest an emit waits before it spools (seconds); 1
    TIDINGS_MAX_PAYLOAD     the largest payload as JSON (bytes); 1048576
    TIDINGS_STATE_DIR       where `{type}_latest.json` and `history.jsonl` go; nowhere
    TIDINGS_SCHEMA_CHECK    off, warn or strict, for types with a JSON Schema; warn
    TIDINGS_WEBHOOK_NETWORKS  networks where any webhook may lie though they are not public; none
    TIDINGS_CONTEXT         off leaves out where events are made; on
    TIDINGS_CORRELATION_ID  the undertaking new events belong to
    TIDINGS_CAUSATION_ID    what caused them
    TIDINGS_AGENT_CONTENT   off, prompts or all: which texts of AI agents are kept; off
    TIDINGS_AGENT_TEXT_LIMIT  how much of one such text is kept (characters); 1000
    TIDINGS_AGENT_REDACT    what is cut out of such texts, log records and test runs beside known
                            secrets: regular expressions, one a line; nothing
    TIDINGS_API_URL         where each event is forwarded to, with
    TIDINGS_API_KEY         what is shown there; nothing is forwarded unless both are set

Under the name `scitex_events` there are three more, which that package has:

    SCITEX_DIR              its files lie in `events` there; ~/.scitex
    SCITEX_API_KEY          forwards what `scitex_events.emit` emits, with this key, to
    SCITEX_API_URL          this address; the package's own

It only reads; what a value means is said where it is used.
"""

from __future__ import annotations

import os

from tidings.errors import InvalidSetting, shorten

__all__ = [
    "agent_content",
    "agent_redact",
    "agent_text_limit",
    "api_target",
    "api_targets",
    "cache_directory",
    "checked_key",
    "deadline",
    "default_url",
    "home",
    "key",
    "max_payload",
    "schema_check",
    "scitex_directory",
    "scitex_target",
    "spool_directory",
    "state_directory",
    "webhook_networks",
]

_DEADLINE = 1.0
_MAX_PAYLOAD = 1024 * 1024
_TEXT_LIMIT = 1000
_SCITEX_API_URL = "https://scitex.ai/api/events/"
_default_urls: dict[str, str] = {}


def home() -> str:
    """The directory of Tidings' own files (`TIDINGS_HOME`)."""
    return os.environ.get("TIDINGS_HOME") or os.path.join(os.path.expanduser("~"), ".tidings")


def cache_directory() -> str:
    """Where this machine's replicas lie (`TIDINGS_CACHE`), by the XDG Base Directory rules."""
    given = os.environ.get("TIDINGS_CACHE")
    if given:
        return os.path.abspath(os.path.expanduser(given))
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(cache, "tidings")


def default_url() -> str:
    """The store that module-level verbs and commands use (`TIDINGS_URL`).

    Where that is not set: a file in the home, or a shared directory there where the home lies on a
    network file system, on which SQLite loses events.
    """
    return os.environ.get("TIDINGS_URL") or _default_url_in(home())


def demo_directory() -> str:
    """Where `tidings demo` keeps its story, apart from what really happened."""
    return os.path.join(os.path.abspath(home()), "demo")


def demo_url() -> str:
    """The store in that directory."""
    return _default_url_in(demo_directory())


def _default_url_in(directory: str) -> str:
    # The table of mounts is read once for each home: an emit by a module-level verb asks each time.
    if directory not in _default_urls:
        from tidings.filesystems import network_file_system

        is_shared = network_file_system(directory) is not None
        url = f"shared:///{directory}/shared" if is_shared else f"sqlite:///{directory}/events.db"
        _default_urls[directory] = url
    return _default_urls[directory]


def key() -> str | None:
    """What a server is shown that keeps the store (`TIDINGS_KEY`), if anything.

    Raises:
        InvalidSetting: it is no key.
    """
    text = os.environ.get("TIDINGS_KEY")
    return checked_key(text.strip()) if text else None


def api_target(prefix: str = "TIDINGS", url: str = "") -> tuple[str, str] | None:
    """Where events are forwarded to, and the key that is shown there; none for nowhere.

    Args:
        prefix: of the variables `…_API_URL` and `…_API_KEY`; a drop-in has its own.
        url: where to, if only the key is set.
    """
    # As they are: a forward never fails its caller, so `tidings.forward` says what is wrong.
    key = os.environ.get(f"{prefix}_API_KEY", "").strip()
    url = (os.environ.get(f"{prefix}_API_URL") or url).strip() if key else ""
    return (url, key) if url else None


def scitex_target() -> tuple[str, str] | None:
    """Where `scitex_events` forwards to, and its key (`SCITEX_API_URL`, `SCITEX_API_KEY`)."""
    return api_target("SCITEX", _SCITEX_API_URL)


def api_targets() -> list[tuple[str, str]]:
    """Every address that this environment has a key for, each with it."""
    return [target for target in (api_target(), scitex_target()) if target is not None]


def scitex_directory() -> str:
    """Where `scitex_events` writes its state files (`SCITEX_DIR`)."""
    root = os.environ.get("SCITEX_DIR") or os.path.join(os.path.expanduser("~"), ".scitex")
    return os.path.join(root, "events")


def checked_key(text: str) -> str:
    """A key, if it can be sent as one.

    Raises:
        InvalidSetting: it is empty or holds what no header may; the error does not show it.
    """
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise InvalidSetting("TIDINGS_KEY must be a key as `tidings keys create` showed it")
    return text


def spool_directory() -> str:
    """Where events wait when their store cannot take them (`TIDINGS_SPOOL`)."""
    return os.environ.get("TIDINGS_SPOOL") or os.path.join(home(), "spool")


def state_directory() -> str | None:
    """Where state files go, if anywhere (`TIDINGS_STATE_DIR`)."""
    return os.environ.get("TIDINGS_STATE_DIR") or None


def deadline() -> float:
    """The longest an emit waits for locks, connections and networks (seconds).

    Raises:
        InvalidSetting: `TIDINGS_DEADLINE` is no number of seconds.
    """
    text = os.environ.get("TIDINGS_DEADLINE")
    if not text:
        return _DEADLINE
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 3600:
        raise InvalidSetting(f"TIDINGS_DEADLINE {shorten(text)} must be seconds from 0 to 3600")
    return seconds


def max_payload() -> int:
    """The largest payload that is taken, as JSON (bytes).

    Raises:
        InvalidSetting: `TIDINGS_MAX_PAYLOAD` is no number of bytes.
    """
    text = os.environ.get("TIDINGS_MAX_PAYLOAD")
    if not text:
        return _MAX_PAYLOAD
    if not text.isdecimal() or len(text) > 10 or not 1 <= int(text) <= 1 << 30:
        raise InvalidSetting(
            f"TIDINGS_MAX_PAYLOAD {shorten(text)} must be bytes from 1 to 1073741824"
        )
    return int(text)


def schema_check() -> str:
    """What happens to a payload that does not fit its type's JSON Schema.

    Raises:
        InvalidSetting: `TIDINGS_SCHEMA_CHECK` is neither off, warn nor strict.
    """
    return _word_of("TIDINGS_SCHEMA_CHECK", ("off", "warn", "strict"), "warn")


def webhook_networks() -> str:
    """The networks where any webhook may lie (`TIDINGS_WEBHOOK_NETWORKS`), as written."""
    return os.environ.get("TIDINGS_WEBHOOK_NETWORKS") or ""


def agent_content() -> str:
    """What is kept of what people and AI agents wrote.

    Raises:
        InvalidSetting: `TIDINGS_AGENT_CONTENT` is neither off, prompts nor all.
    """
    return _word_of("TIDINGS_AGENT_CONTENT", ("off", "prompts", "all"), "off")


def agent_text_limit() -> int:
    """How much of one text of an AI agent is kept (characters).

    Raises:
        InvalidSetting: `TIDINGS_AGENT_TEXT_LIMIT` is no number of characters.
    """
    text = os.environ.get("TIDINGS_AGENT_TEXT_LIMIT")
    if not text:
        return _TEXT_LIMIT
    if not text.isdecimal() or len(text) > 6 or int(text) > 100_000:
        raise InvalidSetting(
            f"TIDINGS_AGENT_TEXT_LIMIT {shorten(text)} must be characters from 0 to 100000"
        )
    return int(text)


def agent_redact() -> tuple[str, ...]:
    """The regular expressions of what is cut out of such texts (`TIDINGS_AGENT_REDACT`)."""
    lines = (os.environ.get("TIDINGS_AGENT_REDACT") or "").splitlines()
    return tuple(line for line in lines if line.strip())


def _word_of(name: str, words: tuple[str, ...], default: str) -> str:
    """A setting that must be one of a few words."""
    text = os.environ.get(name) or default
    if text not in words:
        allowed = f"{', '.join(words[:-1])} or {words[-1]}"
        raise InvalidSetting(f"{name} {shorten(text)} must be {allowed}")
    return text
