"""SavedModels whose list of variables tells shapes that none has: TensorFlow would end the process, or fill the memory."""

import shutil
import struct

import pytest
from support.small_exports import saved_export, write_card

from kcars.core.errors import KcarsError
from kcars.inference.predictor import load
from kcars.untrusted import variable_list

LIST = "saved_model/1/variables/variables.index"
WEIGHTS, OBJECTS = b"weights/0/.ATTRIBUTES/VARIABLE_VALUE", b"_CHECKPOINTABLE_OBJECT_GRAPH"
DATA_BYTES = 1000


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return saved_export(tmp_path_factory.mktemp("plain"))


def parsed(content: bytes) -> dict:
    from tensorflow.core.protobuf.tensor_bundle_pb2 import BundleEntryProto

    found = variable_list._entries(memoryview(content))
    return {key: BundleEntryProto.FromString(bytes(value)) for key, value in found if key}


def varint(number: int) -> bytes:
    low, rest = number & 127, number >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])


def block(entries: list[tuple[bytes, bytes]], begins: int | None = None) -> bytes:
    """begins: where TensorFlow begins to look; without, at the first entry."""
    content = b"".join(bytes([0]) + varint(len(key)) + varint(len(value)) + key + value for key, value in entries)
    return content + struct.pack("<II", begins or 0, 1)


def table(entries: dict[bytes, bytes], times: int = 1, begins: int | None = None) -> bytes:
    """A list by hand, its checksums left out; times: how often it tells the place of its one block."""
    written = block(sorted(entries.items()), begins) + bytes(5)
    place = varint(0) + varint(len(written) - 5)
    index = block([(b"%06d" % one, place) for one in range(times)])
    where = varint(len(written)) + varint(len(index))
    footer = varint(0) * 2 + where
    return written + index + bytes(5) + footer.ljust(40, b"\0") + struct.pack("<Q", variable_list.MAGIC)


def entry(*sizes: int, dtype: int = 1, size: int = 36) -> bytes:
    from tensorflow.core.protobuf.tensor_bundle_pb2 import BundleEntryProto

    made = BundleEntryProto.FromString(bytes([8, dtype]))  # Field 1 is the type.
    made.size = size
    for one in sizes:
        made.shape.dim.add(size=one)
    return made.SerializeToString()


def test_what_tensorflow_writes_is_read(plain):
    content = (plain / LIST).read_bytes()
    found = parsed(content)
    assert set(found) == {WEIGHTS, OBJECTS} and [one.size for one in found[WEIGHTS].shape.dim] == [3, 3]
    variable_list.refuse_impossible(content, DATA_BYTES)
    variable_list.refuse_impossible(table({b"": b"", b"a": entry(3, 3), b"b": entry(), b"c": entry(dtype=7)}), 36)


@pytest.mark.parametrize("sizes", [(-1, 3), (2**40, 2**40), (2**62,), (0, 3), (1,) * 9, (5, 8)])
def test_shapes_that_none_has_are_refused(sizes):
    with pytest.raises(ValueError, match=r"shape that none has|larger than their file"):
        variable_list.refuse_impossible(table({b"a": entry(*sizes)}), DATA_BYTES)


def test_texts_and_sizes_beyond_the_file_are_refused():
    for wrong in (entry(10**9, dtype=7, size=900), entry(3, size=2**62), entry(3, size=-1)):
        with pytest.raises(ValueError, match=r"shape that none has|larger than their file"):
            variable_list.refuse_impossible(table({b"a": wrong}), DATA_BYTES)


def test_no_entry_is_hidden_or_read_without_an_end():
    plain = {b"a": entry(3)}
    for content, told in (
        (table(plain, begins=3), "is damaged"),
        (table(plain, times=50), "read twice"),
        (table({b"a" * 2000: entry(3)}), "is damaged"),
        (table(plain)[:-1], "no list"),
        (b"", "no list"),
        (table(plain).replace(b"\0" * 5, b"\1" * 5), "packed or cut off"),
    ):
        with pytest.raises(ValueError, match=told):
            variable_list.refuse_impossible(content, DATA_BYTES)


def test_it_is_refused_before_tensorflow_reads_it(plain, tmp_path):
    export = shutil.copytree(plain, tmp_path / "export")
    (export / LIST).write_bytes(table({b"": b"", OBJECTS: entry(10**9, dtype=7), WEIGHTS: entry(-1, 3)}))
    write_card(export)
    with pytest.raises(KcarsError, match=r"damaged \(a variable of a shape that none has\); export again"):
        load(export)
