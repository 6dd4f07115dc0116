"""The reader of protocol buffers, which no file may break."""

import pytest

from kcars.untrusted import protobuf


def test_a_number_in_the_place_of_a_message_is_no_message():
    ((number, value),) = protobuf.fields(memoryview(b"\x38\x05"))
    assert (number, value) == (7, 5)
    with pytest.raises(ValueError, match="a number instead of a message"):
        list(protobuf.fields(value))


def test_a_number_of_fixed_size_is_no_text_and_no_message():
    """A library passes over such a field: taken for a text, it would hide the one that the library reads."""
    for field in (b"\x25Relu", b"\x21Identity"):
        ((number, value),) = protobuf.fields(memoryview(field))
        assert (number, value) == (4, field[1:])
        for read in (protobuf.text, lambda one: list(protobuf.fields(one))):
            with pytest.raises(ValueError, match="a number instead of a"):
                read(value)


def test_no_field_has_a_number_beyond_the_largest_one():
    """The key of field 4 with a bit above the 32 of a key: Protocol Buffers drop it, and read field 4."""
    assert list(protobuf.fields(memoryview(b"\xa2\x80\x80\x80\x00\x03Cos"))) == [(4, b"Cos")]
    with pytest.raises(ValueError, match="a field of a number that is too large"):
        list(protobuf.fields(memoryview(b"\xa2\x80\x80\x80\x10\x03Cos")))
