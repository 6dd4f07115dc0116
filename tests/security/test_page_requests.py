"""Attacks on the demo page, by a real server on loopback."""

import http.client
import io
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image
from support.paths import ROOT

if find_spec("gradio") is None:  # Not imported here: workers that run no test of this file would wait for it too.
    pytest.skip("needs gradio", allow_module_level=True)

SERVER = ROOT / "tests/support/page_server.py"
API = "/gradio_api"
LIMITS = "page_head_seconds=2 page_stall_seconds=3 upload_mib=1 uploads=4 uploads_total_mib=3 page_connections_per_visitor=12"
FORM = {"Content-Type": "multipart/form-data; boundary=xx"}
JSON = {"Content-Type": "application/json"}
START_S, WAIT_S = 240, 60


class Page:
    """A page's process, as an attacker on the network sees it."""

    def __init__(self, process: subprocess.Popen, port: int, errors: Path):
        """errors: what its terminal would show."""
        self.process, self.port, self.errors = process, port, errors

    def ask(self, method: str, path: str, body=None, headers=(), host=None):
        """(status, headers, content) of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        try:
            own = {"Host": host or f"127.0.0.1:{self.port}"}
            connection.request(method, path, body, {**own, **dict(headers)})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def post(self, path: str, value, headers=()):
        status, _, content = self.ask("POST", path, json.dumps(value), {**JSON, **dict(headers)})
        return status, content.decode()

    def compare(self, left, right, **more):
        """What the page's own script asks; (status, content)."""
        return self.post(f"{API}/run/predict", {"data": [left, right], "fn_index": 1, "session_hash": "abc", **more})

    def upload(self, content: bytes, name: str = "car.png"):
        """(status, the path that the page gives the photo, or why not)."""
        status, _, answer = self.ask("POST", f"{API}/upload", form(content, name), FORM)
        return status, json.loads(answer)[0] if status == 200 else answer.decode()

    def send(self, raw: bytes) -> socket.socket:
        """A connection over which these bytes went."""
        opened = socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_S)
        opened.sendall(raw)
        return opened

    def lives(self) -> bool:
        return self.ask("GET", "/theme.css")[0] == 200


@contextmanager
def started(folder: Path, limits: str = LIMITS):
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "TMPDIR": str(folder), "KCARS_LIMITS": limits}
    with (folder / "errors").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, SERVER], stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
        )
    try:
        assert select.select([process.stdout], [], [], START_S)[0], "no page within minutes"
        yield Page(process, int(process.stdout.readline()), folder / "errors")
    finally:
        process.kill()
        process.wait(WAIT_S)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    with started(folder) as page:
        yield page
        assert page.lives()
        page.process.send_signal(signal.SIGINT)
        assert page.process.wait(WAIT_S) == 130
    assert "Traceback" not in (folder / "errors").read_text()
    assert not list(folder.glob("kcars-demo-*/*/")), "photos that were sent are left"


def form(content: bytes, name: str = "car.png", field: str = "files") -> bytes:
    head = (
        f'--xx\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\nContent-Type: image/png\r\n\r\n'
    )
    return head.encode() + content + b"\r\n--xx--\r\n"


def pieces(body: bytes):
    """A body without a length: http.client sends it chunked."""
    return (body[start : start + 65536] for start in range(0, len(body), 65536))


def png(colour, side: int = 8) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(written, "PNG")
    return written.getvalue()


def file_data(path, **more) -> dict:
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}, **more}


def test_two_photos_that_were_sent_are_compared(page):
    (one, left), (other, right) = page.upload(png("red")), page.upload(png("red"), "other.png")
    assert (one, other) == (200, 200)
    status, content = page.compare(file_data(left), file_data(right))
    assert status == 200 and "kc-compared" in content


@pytest.mark.parametrize("kind", ["photo", "passwd", "device", "pipe", "above", "address", "uploaded link"])
def test_no_path_but_of_a_sent_photo_is_read(page, tmp_path, kind):
    (tmp_path / "secret.png").write_bytes(png("red"))
    os.mkfifo(tmp_path / "pipe")
    _, sent = page.upload(png("red"))
    (Path(sent).parent / "link.png").symlink_to(tmp_path / "secret.png")
    path = {
        "photo": tmp_path / "secret.png",
        "passwd": "/etc/passwd",
        "device": "/dev/zero",
        "pipe": tmp_path / "pipe",
        "above": f"{Path(sent).parent}/../../../../secret.png",
        "address": f"http://127.0.0.1:{page.port}/theme.css",
        "uploaded link": Path(sent).parent / "link.png",
    }[kind]
    asked = {"data": [file_data(path), file_data(path)], "fn_index": 1, "session_hash": "abc"}
    assert page.post(f"{API}/queue/join", asked)[0] == 404
    status, content = page.post(f"{API}/run/predict", asked)
    assert status == 403 or "has been deleted" in content
    assert page.ask("GET", f"{API}/file={path}")[0] == 404
    assert page.lives()


@pytest.mark.parametrize("name", ["\udcff.png", "a" * 5000, "\x1b[2J", "<script>", "a b.png", "", ".hidden", "x.png/"], ids=ascii)  # fmt: skip
def test_no_name_that_no_photo_here_has_is_asked_about(page, name):
    """Gradio would fail on some of them with a traceback."""
    _, path = page.upload(png("red"))
    for folder in (Path(path).parent, Path(path).parents[2] / "drawn"):
        status, content = page.compare({**file_data(""), "path": f"{folder}/{name}"}, file_data(path))
        assert status == 403 and "must be uploaded to this page" in content


def test_a_long_name_of_a_part_of_the_page_is_not_found(page):
    for count in (200, 300, 10_000):
        assert page.ask("GET", f"/assets/{'a' * count}")[0] == 404


@pytest.mark.parametrize("path", ["/etc/passwd", "%2Fetc%2Fpasswd", "../../etc/passwd", "http://example.org/", "//etc/passwd", "", ".", "%00", "/proc/self/environ"])  # fmt: skip
def test_no_file_of_the_machine_is_sent(page, path):
    for route in ("file=", "file/", "proxy="):
        assert page.ask("GET", f"{API}/{route}{path}")[0] == 404


@pytest.mark.parametrize(
    "path",
    [
        "/config", "/login", "/logout", "/monitoring", "/monitoring/summary", "/gradio_api/info", "/gradio_api/openapi.json", "/gradio_api/deep_link",
        "/gradio_api/queue/data?session_hash=abc", "/gradio_api/queue/status", "/gradio_api/heartbeat/abc", "/gradio_api/startup-events", "/gradio_api/runs",
        "/gradio_api/call/compare/abc", "/gradio_api/stream/abc/1/2/playlist.m3u8", "/gradio_api/custom_component/x/client/component/a.js",
        "/gradio_api/dev/reload", "/gradio_api/token", "/gradio_api/app_id", "/gradio_api/user", "/gradio_api/vibe-code", "/gradio_api/mcp/sse", "/svelte/a.js",
        "/pwa_icon", "/robots.txt", "/docs", "/openapi.json", "/assets/../../routes.py", "/assets/%2e%2e/routes.py", "/static/../x", "/static/.env", "//", "/x",
    ],
)  # fmt: skip
def test_what_the_page_does_not_use_is_not_found(page, path):
    assert page.ask("GET", path)[0] == 404


@pytest.mark.parametrize(
    "path",
    ["queue/join", "call/compare", "call/v2/compare", "run/compare", "api/predict", "cancel", "reset", "component_server", "process_recording",
     "stream/abc", "stream/abc/close", "vibe-edit", "run-history/connect", "upload/", "run/predict/"],
)  # fmt: skip
def test_nothing_else_is_taken(page, path):
    assert page.post(f"{API}/{path}", {"data": [], "session_hash": "abc"})[0] == 404


def test_a_deep_link_shows_the_plain_page(page):
    status, _, content = page.ask("GET", "/?deep_link=..%2F..%2Fetc&page=x")
    assert status == 200 and b'"deep_link_state":"none"' in re.sub(rb"\s", b"", content)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example", "0.0.0.0", "10.0.0.1", "a@127.0.0.1", "x y", "127.0.0.1:99999999"])  # fmt: skip
def test_a_name_that_was_pointed_here_is_not_answered(page, host):
    for path in ("/", "/theme.css", f"{API}/file=/etc/passwd"):
        status, _, content = page.ask("GET", path, host=host)
        assert status == 421 and b"--allow-host" in content
    assert page.ask("POST", f"{API}/upload", form(png("red")), FORM, host=host)[0] == 421


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.5.5.5:80", "[::1]", "[::1]:7860"])
def test_loopback_names_are_answered(page, host):
    assert page.ask("GET", "/theme.css", host=host)[0] == 200


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}])  # fmt: skip
def test_another_site_sends_nothing(page, headers):
    status, answered, _ = page.ask("POST", f"{API}/upload", form(png("red")), {**FORM, **headers})
    assert status == 403 and not [name for name in answered if name.lower().startswith("access-control")]
    assert page.ask("POST", f"{API}/run/predict", "{}", {**JSON, **headers})[0] == 403
    asked = {"Access-Control-Request-Method": "POST", **headers}
    status, answered, _ = page.ask("OPTIONS", f"{API}/upload", None, asked)
    assert status == 405 and not [name for name in answered if name.lower().startswith("access-control")]


def test_the_page_itself_may_send(page):
    own = {"Origin": f"http://127.0.0.1:{page.port}", "Sec-Fetch-Site": "same-origin"}
    assert page.ask("POST", f"{API}/upload", form(png("red")), {**FORM, **own})[0] == 200


def test_addresses_come_from_no_header(page):
    forged = {
        "X-Forwarded-Host": "evil.example",
        "X-Gradio-Server": "http://evil.example",
        "X-Forwarded-Prefix": "/evil",
    }
    assert b"evil" not in page.ask("GET", "/", None, forged)[2]


def test_answers_bring_the_headers_that_browsers_heed(page):
    _, sent = page.upload(b"<script>alert(1)</script>", "x.html")
    for path in ("/", "/theme.css", f"{API}/file={sent}", "/none"):
        headers = page.ask("GET", path)[1]
        assert (
            headers["x-content-type-options"] == "nosniff" and "frame-ancestors" in headers["content-security-policy"]
        )
        assert headers["cross-origin-resource-policy"] == "same-origin"
    assert page.ask("GET", f"{API}/file={sent}")[1]["content-type"] == "application/octet-stream"


@pytest.mark.parametrize("name", ["../../../../tmp/x.png", "..\\..\\x.png", "/etc/x.png", "...", "", ".bashrc", "a\\x00b.png", "ü" * 300 + ".png", "x" * 3000, "\x1b[2J.png"])  # fmt: skip
def test_file_names_lead_nowhere(page, name):
    status, sent = page.upload(png("red"), name)
    assert status == 200
    folder = Path(sent).parent
    assert folder.parent.name == "photos" and re.fullmatch(r"[0-9a-f]{32}", folder.name)
    assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,79}", Path(sent).name)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (form(b"x" * 1_100_000), FORM, 413),
        (pieces(form(b"x" * 1_100_000)), FORM, 413),
        (form(b"x" * 30_000_000), {**FORM, "Content-Length": "30000000"}, 413),
        (form(b"x", field="other"), FORM, 400),
        (form(b"x")[:-8] + form(b"y"), FORM, 400),
        (form(b"x")[:-10], FORM, 400),
        (b"--xx\r\n" * 5000, FORM, 400),
        (b"--xx\r\n" + b"a: b\r\n" * 100_000 + b"\r\n", FORM, 400),
        (b"--xx\r\nContent-Disposition: form-data; name=" + b"a" * 100_000, FORM, 400),
        (b"", FORM, 400),
        (form(b"x"), {"Content-Type": "multipart/form-data"}, 400),
        (form(b"x"), {"Content-Type": "text/plain"}, 400),
        (form(b"x"), {"Content-Type": "multipart/form-data; boundary=" + "y" * 5000}, 400),
    ],
)
def test_forms_that_are_no_photo_are_refused(page, body, headers, status):
    try:
        assert page.ask("POST", f"{API}/upload", body, headers)[0] == status
    except (BrokenPipeError, ConnectionResetError):  # The server has not waited for the rest.
        assert status == 413
    assert page.lives()


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"1", b"[" * 60_000, b"{" + b'"a":{' * 10_000, b'{"fn_index": ' + b"9" * 50_000 + b"}", b"\xff\xfe",
        b'{"fn_index": 1, "data": "ab"}', b'{"fn_index": 99, "data": []}', b'{"fn_index": true, "data": [null, null]}', b'{"fn_index": 1, "data": [1, 2]}',
        b'{"fn_index": 1, "data": [null]}', b'{"fn_index": 1, "data": [{"path": 5}, null]}', b'{"fn_index": 0, "data": [99]}', b'{"fn_index": 0, "data": [NaN]}',
        b'{"fn_index": 0, "data": [-1]}', b'{"fn_index": 1, "data": [{"url": "http://127.0.0.1:1/"}, null]}', b'{"fn_index": 1, "data": [{"path": "\\ud800"}, null]}',
    ],
)  # fmt: skip
def test_questions_that_the_page_does_not_ask_are_refused(page, body):
    status, _, content = page.ask("POST", f"{API}/run/predict", body, JSON)
    assert status in (400, 403) and b"Traceback" not in content


def test_a_large_question_is_not_read(page):
    for body in (b" " * 100_000, pieces(b" " * 10_000_000)):
        try:
            assert page.ask("POST", f"{API}/run/predict", body, JSON)[0] == 413
        except (BrokenPipeError, ConnectionResetError):  # The server has not waited for the rest.
            assert page.lives()


def test_the_oldest_photos_make_room(page):
    sent = [page.upload(os.urandom(900_000), f"{number}.png")[1] for number in range(6)]
    folder = Path(sent[0]).parent.parent
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) <= 3 * 2**20
    assert [page.ask("GET", f"{API}/file={path}")[0] for path in sent] == [404, 404, 404, 200, 200, 200]
    many = [page.upload(b"x")[1] for _ in range(10)]
    assert len(list(folder.iterdir())) <= 4 and page.ask("GET", f"{API}/file={many[-1]}")[0] == 200
    status, content = page.compare(file_data(sent[0]), file_data(many[-1]))
    assert status == 200 and "add it again" in content and str(folder) not in content


def ended(opened: socket.socket) -> bytes:
    """What a server still sends until it ends a connection; an error if it does not."""
    found = b""
    with opened, suppress(ConnectionResetError):
        while piece := opened.recv(65536):
            found += piece
    return found


SLOW = [
    b"",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 10_000,
    b"POST /gradio_api/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=xx\r\nContent-Length: 1000\r\n\r\n--xx\r\n",
    b"POST /gradio_api/run/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{",
    b"POST /none HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
]  # fmt: skip


def test_slow_visitors_are_let_go(page):
    """All at once, as each is waited for; a connection that the page does not end is an error after WAIT_S."""
    for opened in [page.send(raw) for raw in SLOW]:
        ended(opened)
    assert page.lives()


def test_headers_that_trickle_do_not_hold_a_connection(page):
    opened = page.send(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
    began = time.monotonic()
    with opened, pytest.raises((BrokenPipeError, ConnectionResetError)):
        while time.monotonic() - began < 40:
            opened.sendall(b"X: y\r\n")
            time.sleep(0.3)


@pytest.mark.parametrize(
    "raw",
    [
        b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nOrigin: http://evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 2_000_000 + b"\r\n\r\n",
        b"POST /gradio_api/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"TRACE / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"\x00" * 1000,
    ],
)
def test_odd_requests_end_in_an_error(page, raw):
    try:
        found = ended(page.send(raw))
    except (BrokenPipeError, ConnectionResetError):  # The server has not waited for the rest.
        found = b"HTTP/1.1 400 "
    first = found.split(b"\r\n")[0]
    assert re.match(rb"HTTP/1.1 (4\d\d) ", first) or (b"Upgrade" in raw and first.startswith(b"HTTP/1.1 200")), found[
        :200
    ]
    assert page.lives()


@pytest.mark.parametrize("wait", [0, 0.5])
@pytest.mark.parametrize("path", ["/favicon.ico", "/theme.css"])
def test_garbage_after_the_beginning_of_an_answer_ends_the_connection(page, path, wait):
    """In the body of a request that is answered already; once its status is sent no other one can be."""
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    opened = page.send(head.encode())
    time.sleep(wait)
    with suppress(BrokenPipeError, ConnectionResetError):
        opened.sendall(b"no chunk\r\n")
    ended(opened)
    assert page.lives()


def test_one_visitor_has_so_many_connections(page):
    opened = [page.send(b"GET / HTTP/1.1\r\n") for _ in range(40)]
    try:
        time.sleep(0.5)
        answered, _, _ = select.select(opened, [], [], 0)
        assert len(answered) >= 20, "connections beyond the bound are not ended"
    finally:
        for one in opened:
            one.close()
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        try:
            assert page.lives()
            return
        except (ConnectionResetError, http.client.RemoteDisconnected):
            time.sleep(0.2)
    raise AssertionError("the page does not answer any more")


def test_whoever_does_not_read_an_answer_is_let_go(page):
    """Many answers that nobody reads: the connection ends, and with it what was kept for it."""
    request = b"GET /theme.css HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    opened = socket.socket()
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    opened.settimeout(WAIT_S)
    opened.connect(("127.0.0.1", page.port))
    began = time.monotonic()
    with opened, pytest.raises((BrokenPipeError, ConnectionResetError)):
        while time.monotonic() - began < 60:
            opened.sendall(request * 100)


def test_no_visitor_fills_the_terminal(page):
    """Python prints what libraries warn of where nobody says otherwise: forms that are none, answers to a connection that is lost."""
    before = page.errors.read_text()
    _, sent = page.upload(os.urandom(900_000))
    for _ in range(10):
        assert page.ask("POST", f"{API}/upload", b"hello", FORM)[0] == 400
        visitor = page.send(f"GET {API}/file={sent} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        visitor.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )  # Closing resets the connection.
        visitor.close()
    assert page.lives() and page.errors.read_text() == before


@pytest.mark.parametrize("unread", [0, 7])
def test_an_answer_that_was_read_keeps_its_connection_no_longer(monkeypatch, unread):
    """A timer for each held 200 MB of connections that were closed, at a thousand requests a second."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    from kcars.demo.connections import Connection

    monkeypatch.setattr(H11Protocol, "on_response_complete", lambda self: None)
    timers = []
    connection = Connection.__new__(Connection)
    connection.transport = SimpleNamespace(get_write_buffer_size=lambda: unread)
    connection.loop = SimpleNamespace(call_later=lambda *asked: timers.append(asked))
    connection.on_response_complete()
    assert len(timers) == (unread > 0)


def test_a_question_that_never_ends_stops_neither_the_page_nor_ctrl_c(tmp_path):
    limits = "page_questions_per_visitor=3 page_wait_seconds=2 page_stall_seconds=20"
    with started(tmp_path, limits) as page:
        _, white = page.upload(png("white"))
        question = json.dumps({"data": [file_data(white), file_data(white)], "fn_index": 1}).encode()
        head = f"POST {API}/run/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        stuck = page.send(f"{head}Content-Length: {len(question)}\r\n\r\n".encode() + question)
        status, content = page.compare(file_data(white), file_data(white))
        assert status == 503 and "try again" in content
        assert page.compare(None, None)[0] == 200 and page.lives()
        page.process.send_signal(signal.SIGINT)
        assert page.process.wait(WAIT_S) == 130
        stuck.close()
    assert not list(tmp_path.glob("kcars-demo-*/*/")), "photos that were sent are left"


def test_photos_of_a_killed_page_are_deleted_by_the_next_one_and_those_of_a_live_one_are_not(tmp_path):
    """By processes that hold what a page holds, and serve nothing."""
    holding = "from kcars.demo.folder import own_folder\nwith own_folder() as folder:\n    "
    sent = "(folder.root / 'photos/car.png').write_bytes(b'sent'); print(folder.root, flush=True); import time; time.sleep(3600)"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    following = [sys.executable, "-c", f"{holding}print(folder.root)"]
    with subprocess.Popen(
        [sys.executable, "-c", holding + sent], stdout=subprocess.PIPE, text=True, env=environment
    ) as page:
        photo = Path(page.stdout.readline().strip()) / "photos/car.png"
        subprocess.run(following, check=True, env=environment, timeout=START_S)
        assert photo.is_file()
        page.kill()
    assert photo.is_file()
    subprocess.run(following, check=True, env=environment, timeout=START_S)
    assert not photo.exists() and not list(tmp_path.glob("kcars-demo-*/*/"))
