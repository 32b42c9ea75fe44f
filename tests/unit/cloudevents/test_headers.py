"""Attributes as HTTP headers, percent-encoded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cloudevents.messages import HEADERS, REAL
from tidings.cloudevents import from_binary
from tidings.cloudevents.headers import percent_encode, read_headers
from tidings.errors import InvalidEvent


class TestHeaders:
    """Percent-encoding, as the HTTP binding 1.0.2 has it in section 3.1.3.2."""

    def test_the_example_of_the_specification(self) -> None:
        """Its own example, both ways."""
        encoded = "Euro%20%E2%82%AC%20%F0%9F%98%80"
        assert percent_encode("Euro € 😀") == encoded
        assert read_headers({"ce-x": encoded}) == {"x": "Euro € 😀"}

    def test_what_must_be_encoded(self) -> None:
        """Space, double quote, percent sign and all that is not printable ASCII; nothing else."""
        plain = "".join(map(chr, range(0x21, 0x7F))).replace('"', "").replace("%", "")
        assert percent_encode(plain) == plain
        assert percent_encode(' "%\x00\x1f\x7f\x9fé') == "%20%22%25%00%1F%7F%C2%9F%C3%A9"

    @given(text=st.text(REAL))
    def test_comes_back(self, text: str) -> None:
        """Any text comes back, and its header is printable ASCII without spaces."""
        encoded = percent_encode(text)
        assert all("!" <= letter <= "~" and letter != '"' for letter in encoded)
        assert read_headers({"ce-x": encoded}) == {"x": text}

    @pytest.mark.parametrize(
        ("value", "decoded"),
        [
            ("%e2%82%ac", "€"),
            ("%41%42", "AB"),
            ("%2541", "%41"),
            ('"a b"', "a b"),
            (r'"a \"b\" \\"', 'a "b" \\'),
            ('"%20"', " "),
            ('  "a" ', "a"),
            ('"', '"'),
            ("100%", "100%"),
            ("%zz", "%zz"),
        ],
    )
    def test_what_must_be_understood(self, value: str, decoded: str) -> None:
        """Needless encoding, lower case and quoted strings; decoded once, and no more."""
        assert read_headers({"CE-X": value}) == {"x": decoded}

    @pytest.mark.parametrize("value", ["%C0%A0", "%ff", "a%E2%82", "%ED%A0%80", "é"])
    def test_what_must_be_refused(self, value: str) -> None:
        """Bytes that are no UTF-8, the specification's overlong space included."""
        with pytest.raises(InvalidEvent, match=r"^ce-x ") as caught:
            from_binary({**HEADERS, "ce-x": value}, b"")
        assert caught.value.field == "ce-x"

    @pytest.mark.parametrize("header", ["ce-datacontenttype", "ce-data", "ce-data_base64", "ce-"])
    def test_headers_that_must_not_be(self, header: str) -> None:
        """The Content-Type says the type of data, and the body is the data."""
        with pytest.raises(InvalidEvent):
            from_binary({**HEADERS, header: "x"}, b"{}")

    def test_a_header_stands_once(self) -> None:
        """Twice, in whatever case, it contradicts itself; other headers are left alone."""
        pairs = [*HEADERS.items(), ("Host", "a"), ("host", "b"), ("Accept", "é")]
        assert from_binary(pairs, b"").id == "1"
        with pytest.raises(InvalidEvent, match=r"^CE-ID '2' must be given once$"):
            from_binary([*pairs, ("CE-ID", "2")], b"")
