"""The reader of protocol buffers, which no file may break."""

import pytest

from kcars.untrusted import protobuf


def test_a_number_in_the_place_of_a_message_is_no_message():
    ((number, value),) = protobuf.fields(memoryview(b"\x38\x05"))
    assert (number, value) == (7, 5)
    with pytest.raises(ValueError, match="a number instead of a message"):
        list(protobuf.fields(value))
