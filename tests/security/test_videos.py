"""Videos and detectors as an attacker makes them: FFmpeg reads the one file that it is given, and no list of others."""

import http.server
import os
import re
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from support import photo_attacks as attacks

from kcars.core.errors import KcarsError
from kcars.inference.photo_source import Detector, frames


def video(path):
    file = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10, (64, 48))
    for shade in range(20):
        file.write(np.full((48, 64, 3), shade * 8, np.uint8))
    file.release()
    return path


@pytest.fixture
def server():
    """(address, requests): a server on this machine that is to get no request."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http_server:
        threading.Thread(target=http_server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http_server.server_port}", asked
        http_server.shutdown()


PLAYLISTS = {
    "HLS": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{0}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile {0}\n",
    "SDP": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "DASH": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT10S">'
    '<Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1000"><BaseURL>{0}</BaseURL></Representation>'
    "</AdaptationSet></Period></MPD>",
}


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("ending", [".mp4", ".avi", ".mkv"])
def test_a_list_of_videos_is_no_video(kind, ending, tmp_path, server):
    address, asked = server
    video(tmp_path / "other.mp4")
    for place in (f"{address}/a.ts", "/etc/passwd", "file:///etc/passwd", "other.mp4"):
        file = tmp_path / f"list{ending}"
        file.write_text(PLAYLISTS[kind].format(place))
        (photo,) = frames(file, 1.0)
        assert "not a video that can be decoded" in str(photo.fault)
    assert asked == []


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "JPEG", "GIF"])
@pytest.mark.parametrize("name", ["1.mp4", "0001.avi", "%02d.mkv"])
def test_pictures_are_no_videos(kind, name, tmp_path):
    (tmp_path / name).write_bytes(attacks.saved(Image.new("RGB", (64, 48)), kind))
    (photo,) = frames(tmp_path / name, 1.0)
    assert "not a video that can be decoded" in str(photo.fault)


def test_a_video_called_like_an_address_is_opened_as_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    video(tmp_path / "v.mp4").rename("concat:a|b.mp4")
    assert len(list(frames(Path("concat:a|b.mp4"), 1.0))) == 2


def test_options_of_the_user_stay_and_do_not_open_lists(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", "format_whitelist;concat,hls|threads;1")
    video(tmp_path / "other.mp4")
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile other.mp4\n")
    (photo,) = frames(tmp_path / "list.mp4", 1.0)
    assert "not a video" in str(photo.fault)
    assert len(list(frames(tmp_path / "other.mp4", 1.0))) == 2
    assert os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] == "format_whitelist;concat,hls|threads;1"


def test_large_frames_are_refused(tmp_path, monkeypatch):
    file = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (1200, 1000))
    file.write(np.zeros((1000, 1200, 3), np.uint8))
    file.release()
    (photo,) = frames(tmp_path / "v.avi", 1.0)
    assert photo.fault is None
    monkeypatch.setenv("KCARS_LIMITS", "photo_megapixels=1")
    (photo,) = frames(tmp_path / "v.avi", 1.0)
    assert re.search("frames of 1200 x 1000 pixels.*photo_megapixels", str(photo.fault))


def test_a_detector_is_a_regular_file(tmp_path):
    os.mkfifo(tmp_path / "d.onnx")
    for path in (tmp_path / "d.onnx", tmp_path, Path("/dev/zero")):
        with pytest.raises(KcarsError, match=r"--detector .*: (is a .*; expected a regular file|cannot be read)"):
            Detector(path)
