"""The rules of fields that `test_event` does not reach: JSON and its bounds."""

from __future__ import annotations

import json
import sys
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings import fields
from tidings.errors import InvalidEvent
from tidings.fields import EncodedObject, encode_json, json_text, object_text, word


def nested(levels: int, *, as_object: bool) -> Any:
    """A value in so many lists, or objects."""
    value: Any = 1
    for _ in range(levels):
        value = {"k": value} if as_object else [value]
    return value


def refusal(value: Any, max_bytes: int = fields.MAX_PAYLOAD_BYTES) -> str:
    """What is said about a payload that is refused."""
    with pytest.raises(InvalidEvent) as refused:
        json_text("payload", value, max_bytes)
    assert refused.value.field == "payload"
    return str(refused.value)


class TestJson:
    """What is JSON, and how it is written."""

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ({"a": [1, 2.5, True, None]}, '{"a":[1,2.5,true,null]}'),
            ((1, 2), "[1,2]"),
            ("é🎉", '"é🎉"'),
            ('"\\\n\x00\x7f', '"\\"\\\\\\n\\u0000\x7f"'),
            (2**70, "1180591620717411303424"),
            (-0.0, "-0.0"),
            (1e300, "1e+300"),
            ({}, "{}"),
            (None, "null"),
            ({1: 2, None: 3, 1.5: 4}, '{"1":2,"null":3,"1.5":4}'),
        ],
    )
    def test_is_compact(self, value: Any, text: str) -> None:
        """JSON is written without spaces and without escapes that are not needed."""
        assert json_text("payload", value) == text

    @given(
        value=st.recursive(
            st.none() | st.booleans() | st.integers() | st.text()
            | st.floats(allow_nan=False, allow_infinity=False),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=20,
        )
    )  # fmt: skip
    def test_is_what_json_says(self, value: Any) -> None:
        """The fast way gives the text that the standard library gives."""
        expected = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        assert encode_json(value) == expected

    @pytest.mark.parametrize(
        ("value", "shown", "reason"),
        [
            ({"a": float("nan")}, "{'a': nan}", "Out of range float values are not JSON compliant"),
            (float("inf"), "inf", "Out of range"),
            ([float("-inf")], "[-inf]", "Out of range"),
            ({"a": {1}}, "{'a': {1}}", "JSON has no set"),
            (b"x", "b'x'", "JSON has no bytes"),
            ({"a": object}, "{'a': <class 'object'>}", "JSON has no type"),
            ({(1, 2): 3}, "{(1, 2): 3}", "keys must be str, int, float, bool or None, not tuple"),
        ],
    )
    def test_is_no_json(self, value: Any, shown: str, reason: str) -> None:
        """What JSON does not have is refused, with the value and what is wrong with it."""
        message = refusal(value)
        assert message.startswith(f"payload {shown} must be a JSON value: ")
        assert reason in message

    def test_a_number_too_long_to_write(self) -> None:
        """A whole number that Python refuses to write out is refused clearly."""
        assert refusal(10**5000).startswith("payload <int> must be a JSON value: Exceeds the limit")

    @pytest.mark.parametrize("value", ["\ud800", {"\udfff": 1}, {"a": ["x\udc80"]}])
    def test_lone_surrogates(self, value: Any) -> None:
        """Text that no UTF-8 can hold is refused, in keys too."""
        assert refusal(value).endswith("must not contain lone surrogates")

    def test_a_value_whose_repr_fails(self) -> None:
        """A message comes also where the value cannot be shown."""

        class Hostile:
            def __repr__(self) -> str:
                raise RuntimeError

        assert refusal(Hostile()) == "payload <Hostile> must be a JSON value: JSON has no Hostile"


class TestBounds:
    """How large and how deep a value may be."""

    @pytest.mark.parametrize("character", ["x", "é", "🎉", '"'])
    def test_size_is_counted_in_bytes(self, character: str) -> None:
        """The bound counts bytes of UTF-8 as written, quotes and escapes included."""
        size = len(json.dumps(character, ensure_ascii=False).encode()) - 2
        value = character * 10
        assert json_text("payload", value, 10 * size + 2)
        assert refusal(value, 10 * size + 1) == (
            f"payload {value!r} takes {10 * size + 2} bytes as JSON; "
            f"at most {10 * size + 1} are allowed"
        )

    def test_one_mebibyte(self) -> None:
        """By default 1,048,576 bytes are allowed and no more."""
        assert json_text("payload", "x" * (1024 * 1024 - 2))
        message = refusal("x" * (1024 * 1024 - 1))
        assert message.endswith("takes 1,048,577 bytes as JSON; at most 1,048,576 are allowed")
        assert len(message) < 160

    @pytest.mark.parametrize("as_object", [False, True])
    def test_depth(self, as_object: bool) -> None:
        """200 levels are allowed, 201 are not."""
        assert json_text("payload", nested(200, as_object=as_object))
        message = refusal(nested(201, as_object=as_object))
        assert message.endswith("must not be nested more than 200 levels deep")

    def test_depth_of_both_together(self) -> None:
        """Lists and objects count alike."""
        value: Any = []
        for _ in range(100):
            value = [{"k": value}]
        assert "nested more than 200 levels" in refusal(value)
        assert json_text("payload", value[0])

    @pytest.mark.parametrize("as_object", [False, True])
    @pytest.mark.parametrize("levels", [*range(900, 1010, 5), 10_000])
    def test_depth_beyond_the_stack(self, levels: int, as_object: bool) -> None:
        """However deep, it is refused and not a RecursionError, here or while it is shown."""
        assert "nested" in refusal(nested(levels, as_object=as_object))

    def test_many_brackets_are_not_depth(self) -> None:
        """Brackets in text, and many values side by side, are no levels."""
        assert json_text("payload", "[" * 1000)
        assert json_text("payload", [[]] * 1000)
        assert json_text("payload", [nested(199, as_object=False)] * 3)

    def test_circles(self) -> None:
        """A value that contains itself is refused."""
        circle: list[Any] = []
        circle.append({"again": circle})
        assert refusal(circle) == (
            "payload <class 'list'> is nested too deeply, or contains itself"
        )


class TestObjects:
    """Context and extensions."""

    def test_an_empty_one_is_none(self) -> None:
        """What says nothing is not kept."""
        assert object_text("context", None) is None
        assert object_text("context", {}) is None
        assert object_text("context", EncodedObject()) is None

    def test_an_encoded_one_is_taken_as_it_is(self) -> None:
        """Text that was encoded before is not encoded again."""
        encoded = EncodedObject('{"host":"n12"}')
        text = object_text("context", encoded)
        assert text == '{"host":"n12"}'
        assert type(text) is str


class TestWords:
    """What is remembered of strings that were found good."""

    def test_memory_is_bounded(self) -> None:
        """However many strings come by, only some thousands are remembered."""
        for number in range(3 * fields._REMEMBERED):
            assert word("project", f"project-{number}") == f"project-{number}"
            assert len(fields._checked) <= fields._REMEMBERED

    def test_what_is_bad_stays_bad(self) -> None:
        """A refused string is refused again, and a good one beside it stays good."""
        for _ in range(2):
            assert word("project", "good") == "good"
            with pytest.raises(InvalidEvent):
                word("project", "bad\n")

    def test_threads_do_not_disturb_each_other(self) -> None:
        """Many threads that fill and clear the memory at once all get what they gave."""
        wrong: list[str] = []

        def check(thread: int) -> None:
            for number in range(3000):
                text = f"{thread}-{number}"
                if word("project", text) != text:
                    wrong.append(text)

        before = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        try:
            threads = [Thread(target=check, args=(thread,)) for thread in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            sys.setswitchinterval(before)
        assert wrong == []
