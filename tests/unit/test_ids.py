"""Ids: unique and increasing in a process, and one key for each in a store."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from hashlib import sha256
from itertools import pairwise
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings import ids
from tidings.ids import derived, id_of_key, key_of, new_id, new_key


class TestNew:
    """Ids we make."""

    def test_is_a_uuid_of_version_7(self) -> None:
        """Version, variant and time are where RFC 9562 has them."""
        before = time.time_ns() // 1_000_000
        made = uuid.UUID(new_id())
        after = time.time_ns() // 1_000_000
        assert (made.version, made.variant) == (7, uuid.RFC_4122)
        # Many ids in one millisecond may run ahead of the clock, by less than a millisecond here.
        assert before <= made.int >> 80 <= after + 1
        assert str(made) == str(made).lower()

    def test_increases(self) -> None:
        """Each is greater than the one before, as bytes and as text, however fast they come."""
        keys = [new_key() for _ in range(20_000)]
        assert all(first < second for first, second in pairwise(keys))
        texts = [id_of_key(key) for key in keys[:1000]]
        assert texts == sorted(texts)

    def test_increases_when_the_clock_does_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A clock that stands still, or goes back, makes no id twice and none smaller."""
        monkeypatch.setattr(ids, "_clock", ids._clock)  # other tests keep the real one
        still = time.time_ns() + 10**9
        last = new_key()
        for moment in (*[still] * 50, still - 10**12, still - 10**15, still):
            monkeypatch.setattr(ids, "time_ns", lambda moment=moment: moment)
            key = new_key()
            assert key[:8] > last[:8]  # by its time, not by the luck of its random part
            last = key

    def test_the_random_part_is_random(self) -> None:
        """The last 62 bits come from the system: of many ids no two share them, and all vary."""
        tails = [int.from_bytes(new_key()[8:], "big") & (2**62 - 1) for _ in range(2000)]
        assert len(set(tails)) == 2000
        union, intersection = 0, 2**62 - 1
        for tail in tails:
            union |= tail
            intersection &= tail
        assert (union, intersection) == (2**62 - 1, 0)

    def test_is_unique_across_threads(self) -> None:
        """Threads that make ids at once make no id twice, and each sees its own increase."""
        made: list[list[bytes]] = [[] for _ in range(8)]

        def make(into: list[bytes]) -> None:
            into.extend(new_key() for _ in range(3000))

        before = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        try:
            threads = [Thread(target=make, args=(into,)) for into in made]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            sys.setswitchinterval(before)
        assert len({key for keys in made for key in keys}) == 8 * 3000
        assert all(keys == sorted(keys) for keys in made)

    def test_is_unique_and_increases_after_a_fork(self) -> None:
        """Parent and children make no id twice, and a child's are greater than those before it.

        One fork happens while a thread of the parent holds the lock, which the child must not need.
        """
        script = """
import os
from tidings import ids
from tidings.ids import new_key

last = new_key()
made = []
for held in (False, True, False):
    read, write = os.pipe()
    if held:
        ids._lock.acquire()
    child = os.fork()
    if child == 0:
        keys = [new_key() for _ in range(200)]
        assert last < keys[0] and keys == sorted(keys)
        with open(write, "wb") as pipe:
            pipe.write(b"".join(keys))
        os._exit(0)
    if held:
        ids._lock.release()
    os.close(write)
    made += [new_key() for _ in range(200)]
    with open(read, "rb") as pipe:
        text = pipe.read()
    assert len(text) == 200 * 16, "the child did not finish"
    made += [text[at : at + 16] for at in range(0, len(text), 16)]
    os.waitpid(child, 0)
assert len({key[8:] for key in made}) == len(made), "random bytes were shared"
"""
        subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


class TestKey:
    """The 16 bytes under which a store finds an event."""

    @given(value=st.uuids())
    def test_of_a_uuid_is_the_uuid(self, value: uuid.UUID) -> None:
        """A UUID of any version is its own key, whatever the source, and comes back."""
        assert key_of(str(value), "a") == key_of(str(value), "b") == value.bytes
        assert id_of_key(value.bytes) == str(value)

    @pytest.mark.parametrize(
        "foreign",
        [
            "",
            "build-42",
            "01890A5D-AC96-774B-BCCE-B302099A8057",
            "01890a5dac96774bbcceb302099a8057",
            "{01890a5d-ac96-774b-bcce-b302099a8057}",
            "01890a5da-c96-774b-bcce-b302099a8057",
            "01890a5d-ac96-774b-bcce-b302099a805g",
            "01890a5d-ac96-774b-bcce_b302099a8057",
            "-1890a5d-ac96-774b-bcce0b302099a8057",
            "\u06601890a5d-ac96-774b-bcce-b302099a8057",
        ],
    )
    def test_of_another_id_is_derived(self, foreign: str) -> None:
        """Anything else, near misses included, is hashed together with its source."""
        assert key_of(foreign, "ci") == sha256(f"ci\x00{foreign}".encode()).digest()[:16]
        assert key_of(foreign, "ci") != key_of(foreign, "hpc")

    def test_source_and_id_do_not_run_together(self) -> None:
        """The border between source and id is part of the key."""
        assert key_of("bc", "a") != key_of("c", "ab")


class TestDerived:
    """Ids that follow from words."""

    @given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"])), min_size=1))
    def test_is_the_same_uuid_of_version_8_for_the_same_words(self, words: list[str]) -> None:
        """As RFC 9562 leaves it to us: from SHA-256 over the words, with NUL between them."""
        made = uuid.UUID(derived(*words))
        assert (made.version, made.variant) == (8, uuid.RFC_4122)
        digest = int.from_bytes(sha256("\0".join(words).encode()).digest()[:16])
        marks = 0xF << 76 | 0x3 << 62
        assert made.int & ~marks == digest & ~marks
        assert derived(*words) == str(made)

    def test_does_not_confuse_words(self) -> None:
        """Where one ends counts."""
        assert (
            len({derived("a", "b"), derived("ab"), derived("a", "", "b"), derived("b", "a")}) == 4
        )
