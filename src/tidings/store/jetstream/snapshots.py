"""Snapshots of the replica, where new machines find them: one object in a bucket beside the stream.

It is laid out as NATS' object store lays out objects, so that `nats object get` reads it; nats-py's
own client of it would wait for good for chunks that were removed, and takes a cut-off object for a
whole one. A snapshot counts once its description is there, which is published last and only if no
other was meanwhile.
"""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64encode
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from time import monotonic
from typing import NamedTuple
from uuid import uuid4

import nats.js.errors
from nats.js.api import DiscardPolicy, Header, StorageType, StreamConfig

from tidings.errors import OutcomeUnknown, StoreDamaged, StoreUnavailable
from tidings.store.jetstream.publishing import HEADERS_BYTES, MSG_ID, Sending
from tidings.store.jetstream.stream import patiently

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import IO, Any

    from nats.js.api import StreamInfo

    from tidings.store.jetstream.address import Address
    from tidings.store.jetstream.connection import Connection, Line

__all__ = ["Snapshot", "Snapshots"]

_PIECE = 256 * 1024
_PATIENCE = 60.0
"""How long one piece may take, over all attempts (seconds); a snapshot has as many as it has."""

_ATTEMPTS = 5
_OBJECT = "snapshot.db"
_DIGEST = "SHA-256="
# Source: server/errors.json of nats-server
_WRONG_LAST, _EXISTS = 10071, 10058
_NO_SUCH_SEQUENCE, _NOT_DELETED = 10043, 10057
_GONE = ("no message found", "deleted message")
"""How the server says that there was nothing to delete. Source: server/store.go of nats-server."""


class Snapshot(NamedTuple):
    """A snapshot's description.

    Attributes:
        sequence: what it is the state after.
        id: what its pieces are published under.
        pieces: how many there are.
        digest: their SHA-256, as the object store writes it.
        place: the sequence of the description itself, in the bucket's stream.
    """

    sequence: int
    id: str
    pieces: int
    digest: str
    place: int


class Snapshots:
    """The snapshots of one store.

    Args:
        connection: where they are.
        address: the store's.
    """

    def __init__(self, connection: Connection, address: Address) -> None:
        self._connection = connection
        self._replicas = address.replicas or 1
        self._url = address.url
        self.bucket = f"tidings-{address.name}-snapshots"
        self._stream = f"OBJ_{self.bucket}"
        encoded = urlsafe_b64encode(_OBJECT.encode()).decode()
        self._description = f"$O.{self.bucket}.M.{encoded}"
        self._sending = Sending(connection, self._stream, self._url)

    async def newest(self) -> Snapshot | None:
        """The newest snapshot, if there is one."""
        try:
            message = await self._ask(
                "STREAM.MSG.GET",
                lambda line, left: line.client.jsm(timeout=left).get_last_msg(
                    self._stream, self._description
                ),
            )
        except _Nothing:
            return None
        described = json.loads(message.data)
        if described.get("deleted"):
            return None
        return Snapshot(
            int(described["metadata"]["sequence"]),
            described["nuid"],
            int(described["chunks"]),
            described["digest"],
            message.seq,
        )

    async def put(self, sequence: int, path: str) -> None:
        """Keep a file as the snapshot after a sequence, unless there is a newer one.

        Raises:
            StoreUnavailable: it was not kept.
        """
        await self._ensure_bucket()
        for _ in range(_ATTEMPTS):
            newest = await self.newest()
            if newest is not None and newest.sequence >= sequence:
                return
            # Listed before ours is described: who begins later finds ours, and is left alone.
            others = await self._pieces()
            if await self._put(sequence, path, 0 if newest is None else newest.place):
                for subject in others:
                    await self._erase(subject)
                return
        raise StoreUnavailable(f"{self._url}: others put snapshots all the time; try again later")

    async def fetch(self, path: str) -> int | None:
        """Write the newest snapshot to a file; its sequence, or none if there is none.

        Raises:
            StoreDamaged: what came is not what was put.
        """
        for _ in range(_ATTEMPTS):
            newest = await self.newest()
            if newest is None:
                return None
            try:
                await self._fetch(newest, path)
            except _Nothing as error:
                gone = await self.newest()
                if gone == newest:
                    raise StoreDamaged(
                        f"{self._url}: the snapshot after entry {newest.sequence} is not whole"
                    ) from error
                continue  # a newer one took its place
            return newest.sequence
        raise StoreUnavailable(f"{self._url}: snapshots are replaced faster than they are read")

    # Putting --------------------------------------------------------------------------------------

    async def _put(self, sequence: int, path: str, place: int) -> bool:
        """Publish the pieces and then the description; false where another snapshot came first."""
        id = uuid4().hex
        subject = self._subject(id)
        try:
            with open(path, "rb") as file:  # noqa: ASYNC230 - a local file, opened once
                described = await self._send_pieces(file, subject)
            described.update(nuid=id, metadata={"sequence": str(sequence)})
            await self._describe(described, place)
        except BaseException as error:
            with suppress(StoreUnavailable):  # else whoever puts the next one removes them
                await self._purge(subject)
            if _is_answer(error.__cause__, _WRONG_LAST):
                return False
            if isinstance(error, OutcomeUnknown):
                raise StoreUnavailable(
                    f"{self._url} did not acknowledge a snapshot in time; the old one is left"
                ) from error
            raise
        return True

    async def _send_pieces(self, file: IO[bytes], subject: str) -> dict[str, Any]:
        digest = sha256()
        size = pieces = 0
        most = min(_PIECE, self._connection.most_bytes - HEADERS_BYTES)
        while piece := await asyncio.to_thread(file.read, most):
            digest.update(piece)
            size += len(piece)
            pieces += 1
            name = {MSG_ID: f"{subject}.{pieces}"}
            await self._sending.send(subject, piece, name, monotonic() + _PATIENCE)
        return {
            "name": _OBJECT,
            "description": "the newest snapshot of a Tidings store: a SQLite file",
            "bucket": self.bucket,
            "size": size,
            "chunks": pieces,
            "mtime": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "digest": _DIGEST + urlsafe_b64encode(digest.digest()).decode(),
            "options": {"max_chunk_size": most},
        }

    async def _describe(self, described: dict[str, Any], place: int) -> None:
        headers = {
            MSG_ID: f"{self._description}.{described['nuid']}",
            Header.ROLLUP.value: "sub",
            Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value: str(place),
        }
        data = json.dumps(described).encode()
        await self._sending.send(self._description, data, headers, monotonic() + _PATIENCE)

    # Fetching -------------------------------------------------------------------------------------

    async def _fetch(self, snapshot: Snapshot, path: str) -> None:
        digest = sha256()
        with open(path, "wb") as file:  # noqa: ASYNC230 - as above
            place = 1
            for _ in range(snapshot.pieces):
                message = await self._next_piece(self._subject(snapshot.id), place)
                digest.update(message.data)
                await asyncio.to_thread(file.write, message.data)
                place = message.seq + 1
        if snapshot.digest != _DIGEST + urlsafe_b64encode(digest.digest()).decode():
            raise StoreDamaged(
                f"{self._url}: the snapshot after entry {snapshot.sequence} has another checksum "
                f"than it was put with"
            )

    async def _next_piece(self, subject: str, place: int) -> Any:
        """The first piece from a place on; any server that has it may answer."""

        def ask(line: Line, left: float) -> Awaitable[Any]:
            manager = line.client.jsm(timeout=left)
            return manager.get_msg(self._stream, seq=place, subject=subject, direct=True, next=True)

        try:
            return await self._ask("DIRECT.GET", ask)
        except _Nothing:
            # A server that is behind may not have it yet; the leader knows.
            return await self._ask(
                "STREAM.MSG.GET",
                lambda line, left: line.client.jsm(timeout=left).get_msg(
                    self._stream, seq=place, subject=subject, next=True
                ),
            )

    # The bucket -----------------------------------------------------------------------------------

    def _subject(self, id: str) -> str:
        return f"$O.{self.bucket}.C.{id}"

    async def _ensure_bucket(self) -> None:
        try:
            await self._info("")
        except _Nothing:
            await self._make_bucket()

    async def _make_bucket(self) -> None:
        config = StreamConfig(
            name=self._stream,
            description="Tidings: the snapshot of a store",
            subjects=[self._subject(">"), f"$O.{self.bucket}.M.>"],
            storage=StorageType.FILE,
            num_replicas=self._replicas,
            discard=DiscardPolicy.NEW,
            allow_rollup_hdrs=True,
            allow_direct=True,
            max_age=0,
        )
        try:
            await self._ask(
                "STREAM.CREATE", lambda line, left: line.client.jsm(timeout=left).add_stream(config)
            )
        except StoreUnavailable as error:
            if not _is_answer(error.__cause__, _EXISTS):
                raise

    async def _pieces(self) -> list[str]:
        """What pieces are published under, of whole snapshots and of those that were cut off."""
        info = await self._info(self._subject(">"))
        return list(info.state.subjects or ())

    async def _info(self, subjects: str) -> StreamInfo:
        info: StreamInfo = await self._ask(
            "STREAM.INFO",
            lambda line, left: line.client.jsm(timeout=left).stream_info(self._stream, subjects),
        )
        return info

    async def _erase(self, subject: str) -> None:
        """Overwrite old pieces, which may hold what was redacted since; a purge would not."""
        place = 1
        with suppress(_Nothing):
            while True:
                piece = await self._next_piece(subject, place)
                place = piece.seq + 1
                with suppress(_Nothing):  # another was faster
                    await self._overwrite(piece.seq)
        await self._purge(subject)

    async def _overwrite(self, place: int) -> None:
        await self._ask(
            "STREAM.MSG.DELETE",
            lambda line, left: line.client.jsm(timeout=left).delete_msg(self._stream, place),
        )

    async def _purge(self, subject: str) -> None:
        await self._ask(
            "STREAM.PURGE",
            lambda line, left: line.client.jsm(timeout=left).purge_stream(
                self._stream, subject=subject
            ),
        )

    async def _ask(self, right: str, ask: Callable[[Line, float], Awaitable[Any]]) -> Any:
        """Put a question about the bucket.

        Args:
            right: the part of JetStream's interface it needs.
            ask: makes it, for a line and so many seconds.

        Raises:
            _Nothing: there is no bucket, or nothing like it in it.
        """

        async def put(line: Line, left: float) -> Any:
            try:
                return await line.ask(
                    _started(ask(line, left)), left, f"$JS.API.{right}.{self._stream}"
                )
            except nats.js.errors.NotFoundError as error:
                raise _Nothing from error
            except nats.js.errors.APIError as error:
                if _is_answer(error, _NO_SUCH_SEQUENCE) or (
                    _is_answer(error, _NOT_DELETED) and error.description in _GONE
                ):
                    raise _Nothing from error
                raise

        return await patiently(self._connection, put, monotonic() + _PATIENCE, self._url)


class _Nothing(Exception):  # noqa: N818 - an answer, not a failure
    """There is no such thing in the bucket."""


def _is_answer(error: BaseException | None, code: int) -> bool:
    return isinstance(error, nats.js.errors.APIError) and error.err_code == code


async def _started(asking: Awaitable[Any]) -> Any:
    return await asking
