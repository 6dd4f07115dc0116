"""Photos and videos as an attacker makes them: every way to a photo gives the same refusal, in little time and memory."""

import os
import re
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from support import photo_attacks as attacks

from kcars.core.errors import KcarsError
from kcars.demo.uploads import photo_in
from kcars.doctor.examine import examine
from kcars.gallery.contact_sheet import GREY, TILE_PX, _tile
from kcars.gallery.photos import Kept
from kcars.images import memory
from kcars.images.decode import decode, full_size, read_photo
from kcars.images.thumbnail import thumbnail
from kcars.inference.photo_input import as_photo
from kcars.inference.photo_source import Detector, Photo, detected
from kcars.inference.predictor import Predictor

SOON_S = (
    5  # A refusal takes milliseconds; a decoder that is not kept from a bomb takes longer than this, or all memory.
)
WHOLE = None


class Blind(Detector):
    """Finds the whole photo."""

    def __init__(self):
        pass

    def boxes(self, pixels):
        return [(0, 0, pixels.shape[1], pixels.shape[0])]


def trained(path):
    read_photo(path, WHOLE, 32, "box", 0.1)


def predicted(path):
    predictor = Predictor({"input": {"size_px": 32, "padding": 0.1}}, None)
    if isinstance(found := predictor.read(as_photo(path)), KcarsError):
        raise found


def predicted_bytes(path):
    try:
        predicted(path.read_bytes())
    except KcarsError as error:
        raise KcarsError(str(error).replace("bytes:", f"{path}:", 1)) from None


def searched(path):
    (photo,) = detected([Photo(str(path), path)], Blind())
    if photo.fault:
        raise photo.fault


def checked(path):
    for kind, seen in examine(path, None).faults:
        if kind in ("no_photo", "truncated", "too_large"):
            raise KcarsError(f"{path}: {seen}")


WAYS = {way.__name__: way for way in (trained, predicted, predicted_bytes, searched)}


@pytest.mark.parametrize("name", attacks.REFUSED)
def test_what_is_beyond_a_limit_is_refused_alike_wherever_a_photo_is_read(name, tmp_path):
    make, told = attacks.REFUSED[name]
    path = tmp_path / "car.jpg"
    path.write_bytes(make())
    begun = time.perf_counter()
    found = {}
    for way, read in WAYS.items():
        with pytest.raises(KcarsError, match=rf"car\.jpg: .*{told}") as error:
            read(path)
        found[way] = str(error.value)
    assert len(set(found.values())) == 1, found
    with pytest.raises(KcarsError, match=told if told != attacks.NO_PHOTO else "starts with"):
        checked(path)
    assert thumbnail(path, 64, 64) is None
    assert np.asarray(_tile(Kept(str(path), "", "", "", None), 0.1)).tolist() == [[[*GREY]] * TILE_PX[0]] * TILE_PX[1]
    # What the header does not tell is found when it is read.
    if not re.search("its pixels|too early", told) and "restarts" not in name:
        with pytest.raises(KcarsError, match="This photo|This file"):
            photo_in(path, tmp_path)
    assert time.perf_counter() - begun < SOON_S


@pytest.mark.parametrize("name", attacks.READ)
def test_what_no_pixel_depends_on_costs_nothing(name, tmp_path):
    path = tmp_path / "car.jpg"
    path.write_bytes(attacks.READ[name]())
    begun = time.perf_counter()
    for read in WAYS.values():
        read(path)
    checked(path)
    assert thumbnail(path, 64, 64) is not None
    assert time.perf_counter() - begun < SOON_S


def test_ordinary_photos_stay_within_the_limits():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8))
    kinds = [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("BMP", {}),
    ]
    for kind, options in [*kinds, ("MPO", {"save_all": True, "append_images": [noise]})]:
        assert full_size(attacks.saved(noise, kind, **options)).shape == (300, 400, 3)
    for mode, kind in [
        ("CMYK", "JPEG"),
        ("L", "JPEG"),
        ("1", "PNG"),
        ("P", "PNG"),
        ("LA", "PNG"),
        ("L", "BMP"),
        ("1", "BMP"),
        ("P", "BMP"),
    ]:
        assert full_size(attacks.saved(noise.convert(mode), kind)).shape == (300, 400, 3)
    for width in range(1040, 1060):  # 3 MiB and a little more or less.
        assert full_size(attacks.saved(Image.new("RGB", (width, 1000)), "PNG")).shape == (1000, width, 3)
    wide = Image.new("RGB", (8000, 6000))  # 48 million pixels in 10 scans.
    assert decode(attacks.saved(wide, "JPEG", progressive=True), None, 32, 0.1).shape == (32, 32, 3)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (8, 8), (17, 30)])
@pytest.mark.parametrize("bits", [1, 4, 8])
def test_the_bytes_of_a_png_are_counted_as_libpng_counts_them(size, bits):
    photo = Image.new("L", size).convert("P", palette=Image.Palette.ADAPTIVE, colors=2)
    data = attacks.saved(photo, "PNG", bits=bits)
    assert full_size(data).shape == (*size[::-1], 3)
    packed = data.index(b"IDAT")
    broken = data[: packed + 4] + bytes(8) + data[packed + 12 :]
    with pytest.raises(ValueError, match="ends too early or is damaged"):
        full_size(broken)


def test_interlaced_pngs_are_read():
    width, height = 13, 9
    passes = {
        1: (2, 2),
        2: (2, 2),
        3: (4, 1),
        4: (3, 3),
        5: (7, 2),
        6: (6, 5),
        7: (13, 4),
    }  # Adam7: pixels across, lines.
    pixels = b"".join(bytes(1 + 3 * across) * down for across, down in passes.values())
    header = attacks.struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
    whole = attacks.png(width, height, attacks.zlib.compress(pixels))
    interlaced = whole.replace(whole[8:33], attacks.chunk(b"IHDR", header))
    assert full_size(interlaced).shape == (height, width, 3)
    short = whole.replace(whole[8:33], attacks.chunk(b"IHDR", header)).replace(attacks.zlib.compress(pixels), b"")
    with pytest.raises(ValueError, match="ends too early"):
        full_size(short)


@pytest.mark.parametrize(
    "change", ["photo_mib=1", "photo_megapixels=1", "jpeg_scans=9", "jpeg_scan_megapixels=9", "photo_segments=7"]
)
def test_limits_are_changed_by_their_names(change, monkeypatch, tmp_path):
    path = tmp_path / "car.jpg"
    path.write_bytes(attacks.progressive(1200, 1000) + bytes(2**20))
    trained(path)
    monkeypatch.setenv("KCARS_LIMITS", change)
    with pytest.raises(KcarsError, match=rf"car\.jpg: .*limit {change.partition('=')[0]}"):
        trained(path)


def test_no_photo_starts_another_program(tmp_path):
    """Pillow gives PostScript to whatever is called gs."""
    program, path = tmp_path / "bin/gs", tmp_path / "car.jpg"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\necho forged\n")
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    path.write_bytes(attacks.EPS)
    script = (
        "import sys; from pathlib import Path; from kcars.images.thumbnail import thumbnail; from kcars.doctor.examine import examine;"
        "path = Path(sys.argv[1]); thumbnail(path, 64, 64); examine(path, None)"
    )
    environment = {**os.environ, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [sys.executable, "-c", script, path], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    assert not (tmp_path / "started").exists()
    assert done.stdout == ""


def test_pipes_and_devices_are_no_photos(tmp_path):
    os.mkfifo(tmp_path / "car.jpg")
    for path, told in ((tmp_path / "car.jpg", "a named pipe"), (tmp_path, "a folder"), (Path("/dev/zero"), "a device")):
        for read in (trained, predicted, searched):
            with pytest.raises(KcarsError, match=told):
                read(path)
        assert [kind for kind, _ in examine(path, None).faults] == ["missing"]
        assert thumbnail(path, 64, 64) is None


# ---- memory ----


def test_memory_that_ran_out_is_no_fault_of_the_photo(monkeypatch, tmp_path):
    path = tmp_path / "car.jpg"
    path.write_bytes(attacks.saved(Image.new("RGB", (400, 300)), "BMP"))

    def none_left(*_):
        error = cv2.error("Failed to allocate 360000 bytes")
        error.code = cv2.Error.StsNoMem
        raise error

    monkeypatch.setattr(cv2, "imdecode", none_left)
    for read in (trained, predicted, searched):
        with pytest.raises(MemoryError, match=r"car\.jpg: memory is too short to decode it"):
            read(path)
    with pytest.raises(MemoryError, match="memory is too short"):
        thumbnail(path, 64, 64)


def test_what_fails_for_want_of_memory_is_read_again_alone():
    answers = iter([ValueError("damaged"), "pixels"])

    def read():
        answer = next(answers)
        if isinstance(answer, ValueError):
            raise answer
        return answer

    assert memory.within_memory(read, 1000) == "pixels"

    def damaged():
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        memory.within_memory(damaged, 1000)
    with pytest.raises(MemoryError, match="too short"):
        memory.within_memory(damaged, 2**60)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit on addresses is Linux's")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_command_short_of_memory_ends_and_skips_no_photo(kind, tmp_path):
    make = {
        "JPEG": lambda: attacks.saved(Image.new("RGB", (16_000, 4000)), "JPEG"),
        "PNG": lambda: attacks.png(16_000, 4000, attacks.packed_zeros(184)),
        "WEBP": lambda: attacks.webp(16_000, 4000),
    }
    for name in ("cars/a/1.jpg", "cars/b/1.jpg"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(make[kind]())
    environment = {**os.environ, "KCARS_CACHE": str(tmp_path / "cache"), "MALLOC_ARENA_MAX": "1"}
    command = [sys.executable, "-c", BUILDS_A_STORE, tmp_path / "cars"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 2, done.stderr
    assert re.search(r"^kcars: .*1\.jpg: memory is too short to decode it", done.stderr, re.MULTILINE), done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "cache").rglob("*.pixels"))


BUILDS_A_STORE = """
import resource, sys
from pathlib import Path

from kcars.cli import main
from kcars.data.source import load
from kcars.images.pixel_store import open_store
from kcars.settings import DataSettings

data = DataSettings(size_px=1024, on_bad_photo="skip")
index = load(Path(sys.argv[1]), "classify", data).table
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 150 * 2**20,) * 2)

@main.command("build")
def build():
    open_store(index, data, progress=False)

main(["build"])
"""


def test_photos_are_decoded_within_one_sum_of_memory():
    gate, most, seen, lock = memory.Room(), 100, [], threading.Lock()
    used = [0]

    def hold(size):
        gate.enter(size, most)
        with lock:
            used[0] += size
            seen.append((used[0], size))
        time.sleep(0.002)
        with lock:
            used[0] -= size
        gate.leave(size)

    threads = [threading.Thread(target=hold, args=(size,)) for size in [30, 60, 90, 500, 10, 10, 40, 100] * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(seen) == 24
    assert all(total <= most or total == size for total, size in seen)


# ---- restarts ----


@pytest.mark.parametrize("name", attacks.WITHOUT_PIXELS)
def test_restarts_that_cost_pixels_are_refused_alike_wherever_a_photo_is_read(name, tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(attacks.WITHOUT_PIXELS[name]())
    for way, read in WAYS.items():
        with pytest.raises(KcarsError, match="too early or is damaged"):
            read(path)
            pytest.fail(way)
    assert [kind for kind, _ in examine(path, None).faults] in (["truncated"], ["no_photo"])


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("blocks", [1, 7, 16, 216, 9999])
def test_a_warning_about_a_photo_with_all_its_restarts_changes_nothing(blocks, progressive):
    data = attacks.restarted(progressive=progressive, blocks=blocks)
    noisy = data[:-2] + b"\x12\x34" + data[-2:]
    assert np.array_equal(decode(noisy, WHOLE, 64, 0.1), decode(data, WHOLE, 64, 0.1))


# ---- standard error ----

DAMAGED_OFTEN = 3000
ANCILLARY = {
    b"gAMA": b"\0\0\xb1\x8f", b"cHRM": bytes(32), b"sRGB": b"\0", b"bKGD": bytes(6), b"hIST": bytes(4), b"pHYs": bytes(9), b"sBIT": b"\1\1\1",
    b"tIME": bytes(7), b"sPLT": b"a\0\x08", b"tRNS": bytes(6), b"eXIf": b"MM\0*\0\0\0\x08", b"cICP": bytes(4), b"prVt": b"x", b"acTL": bytes(8),
    b"fcTL": bytes(26), b"fdAT": bytes(6), b"PLTE": bytes(6),
}  # fmt: skip


@pytest.mark.parametrize("kind", ANCILLARY)
@pytest.mark.parametrize("mode", ["RGB", "P"])
@pytest.mark.parametrize("sound", [True, False])
def test_libpng_writes_no_line_for_each_chunk(kind, mode, sound, capfd):
    data = attacks.saved(NOISE.convert(mode), "PNG")
    chunk = attacks.chunk(kind, ANCILLARY[kind])
    chunk = chunk if sound else chunk[:-1] + bytes((chunk[-1] ^ 1,))
    for place in (33, data.index(b"IDAT") - 4, data.rindex(b"IEND") - 4):
        try:
            decode(data[:place] + DAMAGED_OFTEN * chunk + data[place:], WHOLE, 16, 0.1)
        except ValueError:
            continue  # OpenCV refuses other frames than it expects, and libpng a second palette.
    assert len(capfd.readouterr().err.splitlines()) < 20


# ---- anything ----

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8))
EXIF = Image.Exif()
EXIF[0x0112] = 6
SMALL = [
    attacks.saved(NOISE, "JPEG", exif=EXIF),
    attacks.saved(NOISE, "JPEG", progressive=True),
    attacks.saved(NOISE.convert("CMYK"), "JPEG", restart_marker_blocks=1),
    attacks.saved(NOISE, "MPO", save_all=True, append_images=[NOISE]),
    attacks.saved(NOISE.convert("RGBA"), "PNG", exif=EXIF),
    attacks.saved(NOISE, "PNG", save_all=True, append_images=[NOISE.rotate(90)]),
    attacks.saved(NOISE, "WEBP", lossless=True),
    attacks.saved(NOISE, "WEBP", save_all=True, append_images=[NOISE.rotate(90)], exif=EXIF),
    attacks.saved(NOISE, "BMP"),
]
CHANGES = st.lists(st.tuples(st.integers(0, 3000), st.binary(min_size=1, max_size=6), st.integers(0, 8)), max_size=5)


@settings(
    max_examples=int(os.environ.get("KCARS_EXAMPLES", "150")),
    deadline=5000,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)
@given(which=st.sampled_from(range(len(SMALL))), changes=CHANGES, cut=st.integers(0, 3000), early=st.booleans())
def test_whatever_a_photo_holds_it_is_pixels_or_one_line(tmp_path_factory, which, changes, cut, early):
    data = SMALL[which]
    for place, written, removed in changes:
        place = place % (200 if early else len(data))
        data = data[:place] + written + data[place + removed :]
    data = data[: len(data) - cut] if cut < 20 else data
    path = tmp_path_factory.getbasetemp() / "mutated.jpg"
    path.write_bytes(data)
    for way, read in WAYS.items():
        try:
            read(path)
        except KcarsError as error:
            assert str(error).startswith(f"{path}: "), way
    assert isinstance(examine(path, (5, 5, 20, 20)).faults, list)
    thumbnail(path, 64, 64)
