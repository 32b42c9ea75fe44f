"""The subject: an aggregate as one text, `aggregate_type/aggregate_id`, as CloudEvents writes it.

Keeps: what `write_subject` writes, `read_subject` reads back. It does not judge lengths and
characters; `event` does.
"""

from __future__ import annotations

from tidings.fields import MAX_CHARACTERS

__all__ = ["read_subject", "write_subject"]


def write_subject(aggregate_type: str, aggregate_id: str) -> str:
    """An aggregate as one text.

    Args:
        aggregate_type: the kind of thing; a slash in it is written as `%2F`, a percent sign as
            `%25`.
        aggregate_id: the thing; written as it is, slashes included.

    >>> write_subject("adapter", "adapter-1"), write_subject("a/b", "c/d")
    ('adapter/adapter-1', 'a%2Fb/c/d')
    """
    return f"{_escape(aggregate_type)}/{aggregate_id}"


def read_subject(subject: str) -> tuple[str, str] | None:
    """The aggregate's type and id that a subject names.

    Returns:
        None where the subject is not what `write_subject` would write: it has no slash, one side of
        the first slash is empty or longer than an event's field, or a percent sign before it stands
        for something else.

    >>> read_subject("adapter/adapter-1"), read_subject("a%2Fb/c/d")
    (('adapter', 'adapter-1'), ('a/b', 'c/d'))
    >>> read_subject("mynewfile.jpg"), read_subject("/home/ada"), read_subject("a%20b/c")
    (None, None, None)
    """
    head, _, aggregate_id = subject.partition("/")
    aggregate_type = head.replace("%2F", "/").replace("%25", "%")
    if _escape(aggregate_type) != head or not _fits(aggregate_type) or not _fits(aggregate_id):
        return None
    return aggregate_type, aggregate_id


def _fits(part: str) -> bool:
    return 1 <= len(part) <= MAX_CHARACTERS


def _escape(aggregate_type: str) -> str:
    return aggregate_type.replace("%", "%25").replace("/", "%2F")
