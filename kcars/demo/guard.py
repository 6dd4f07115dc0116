"""Filter between visitors and Gradio: only requests that the page itself makes are answered; all others get 404.

Gradio's server can do far more than this page needs (files by path, fetching of addresses, states, a queue whose responses
can be read with the session's name). None of it is reachable: uploads and files are handled here, and requests to models
are rebuilt from the values that the page may send.
"""

import json
import re
from asyncio import get_running_loop
from collections.abc import Callable
from pathlib import Path

from kcars.core.errors import KcarsError
from kcars.core.limits import limits
from kcars.core.plain_text import warn
from kcars.demo.bodies import Gone, Refused, json_of, photo_of
from kcars.demo.folder import Folder
from kcars.demo.hosts import Hosts
from kcars.demo.questions import Questions, Turns
from kcars.untrusted.reading import MIB, opened

API = "/gradio_api"
FILE, UPLOAD, PROGRESS, ASK = f"{API}/file=", f"{API}/upload", f"{API}/upload_progress", f"{API}/run/predict"
PAGE = re.compile(
    r"/|/theme\.css|/favicon\.ico|/manifest\.json|/(assets|static/js|static/img|static/fonts)/[\w-][\w.-]{0,199}",
    re.ASCII,
)
# Headers that Gradio should not read from visitors: addresses for responses, parts of files, identities.
PASSED_ON = {b"host", b"accept", b"accept-encoding", b"if-none-match", b"if-modified-since"}
TYPES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp", ".bmp": "image/bmp"}
PIECE = 2**16
SECURITY = {
    # The browser loads nothing from other servers.
    "Content-Security-Policy": "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """An ASGI application in front of Gradio's."""

    def __init__(self, app: Callable, hosts: Hosts, folder: Folder, questions: Questions):
        self._app, self._hosts, self._folder, self._questions = app, hosts, folder, questions
        self._turns, self._expiry = Turns(), None

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            answer = _Secured(send)
            try:
                await self._answer(scope, receive, answer)
            except Refused as refused:
                await _refuse(answer, refused)
            except Gone:
                return
            except Exception as error:  # noqa: BLE001  One traceback per request would let visitors fill the terminal.
                _report(scope, error)
                if not answer.begun:
                    await _refuse(answer, Refused(500, "Something went wrong with this request."))

    def _expire(self) -> None:
        """Delete expired photos now, and schedule the next time."""
        rest = self._folder.expire()
        self._expiry = None if rest is None else get_running_loop().call_later(rest, self._expire)

    async def _answer(self, scope: dict, receive: Callable, send: Callable) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])}
        host = headers.get("host", "")
        if not self._hosts.known(host):
            raise Refused(421, "This host name is not allowed; kcars demo --allow-host NAME adds it.")
        method, path = scope["method"], scope["path"]
        if method in ("GET", "HEAD"):
            await self._show(path, scope, receive, send)
        elif method == "POST":
            self._refuse_other_sites(headers, host)
            await self._take(path, headers, scope, receive, send)
        else:
            raise Refused(405, "Only GET, HEAD and POST are allowed.")

    def _refuse_other_sites(self, headers: dict, host: str) -> None:
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin is not None and not self._hosts.same_site(origin, host) or site not in (None, "same-origin"):
            raise Refused(403, "Pages of other sites must not use this one.")

    async def _show(self, path: str, scope: dict, receive: Callable, send: Callable) -> None:
        if path.startswith(FILE):
            await self._send_file(path.removeprefix(FILE), send)
        elif path == PROGRESS:  # Uploads are complete when they are answered.
            await _send(send, 200, "text/event-stream", b'data: {"msg": "done"}\n\n')
        elif PAGE.fullmatch(path):
            await self._app(_plain(scope), _body(b"", receive), send)
        else:
            raise Refused(404, "Not found.")

    async def _send_file(self, path: str, send: Callable) -> None:
        if not self._folder.holds(path):
            raise Refused(404, "Not found.")
        kind = TYPES.get(Path(path).suffix.lower(), "application/octet-stream")
        try:
            with opened(Path(path), root=self._folder.root) as file:
                await send(_start(200, kind))
                while piece := file.read(PIECE):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        except KcarsError:
            raise Refused(404, "Not found.") from None
        await send({"type": "http.response.body", "body": b""})

    async def _take(self, path: str, headers: dict, scope: dict, receive: Callable, send: Callable) -> None:
        if path == UPLOAD:
            most = limits().upload_mib * MIB
            _refuse_length(
                headers,
                most + PIECE,
                f"This file is larger than {limits().upload_mib} MB; please give a smaller photo.",
            )
            photo = await photo_of(headers.get("content-type", ""), receive, self._folder)
            if self._expiry is None:
                self._expire()
            await _send(send, 200, "application/json", json.dumps([str(photo)]).encode())
        elif path == ASK:
            _refuse_length(headers, limits().page_request_kib * 1024, "The request is too large.")
            question = self._questions.read(await json_of(receive))
            visitor = (scope.get("client") or ("",))[0]
            answer = _Answer()
            if question.heavy:
                async with self._turns.turn(visitor, receive):
                    await self._app(_plain(scope), _body(question.body, receive), answer.keep)
            else:
                await self._app(_plain(scope), _body(question.body, receive), answer.keep)
            await answer.send(send)  # Sent after the turn, so that slow readers do not block others.
        else:
            raise Refused(404, "Not found.")


class _Answer:
    """Records the response of an application to send it later."""

    def __init__(self):
        self._messages = []

    async def keep(self, message: dict) -> None:
        self._messages.append(message)

    async def send(self, send: Callable) -> None:
        for message in self._messages:
            await send(message)


def _refuse_length(headers: dict, most_bytes: int, message: str) -> None:
    announced = headers.get("content-length", "0")
    if not announced.isdigit() or len(announced) > 15 or int(announced) > most_bytes:
        raise Refused(413, message)


def _plain(scope: dict) -> dict:
    """Return a request's scope without its query, and with only the headers that the page needs."""
    headers = [one for one in scope["headers"] if one[0] in PASSED_ON]
    if scope["method"] == "POST":
        headers.append((b"content-type", b"application/json"))
    if (b"x-forwarded-proto", b"https") in scope[
        "headers"
    ]:  # Set by a proxy; without it addresses would begin with http.
        headers.append((b"x-forwarded-proto", b"https"))
    return {**scope, "headers": headers, "query_string": b"", "raw_path": scope["path"].encode()}


def _body(content: bytes, receive: Callable) -> Callable:
    """Return a `receive` with this body, followed by the connection's messages."""
    given = []

    async def body() -> dict:
        if given:
            return await receive()
        given.append(True)
        return {"type": "http.request", "body": content, "more_body": False}

    return body


class _Secured:
    """A `send` that adds SECURITY to a response; begun: whether its status was sent."""

    def __init__(self, send: Callable):
        self._send, self.begun = send, False

    async def __call__(self, message: dict) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            own = [(name.lower().encode(), value.encode()) for name, value in SECURITY.items()]
            message = {**message, "headers": [*message.get("headers", []), *own]}
        await self._send(message)


def _report(scope: dict, error: Exception) -> None:
    """Print one line of limited length."""
    warn(f"kcars demo: {scope['method']} {scope['path'][:80]}: {type(error).__name__}: {str(error)[:200]}")


def _start(status: int, kind: str, *more: tuple[bytes, bytes]) -> dict:
    headers = [(b"content-type", kind.encode()), (b"cache-control", b"no-store"), *more]
    return {"type": "http.response.start", "status": status, "headers": headers}


async def _send(send: Callable, status: int, kind: str, body: bytes, *more: tuple[bytes, bytes]) -> None:
    await send(_start(status, kind, (b"content-length", str(len(body)).encode()), *more))
    await send({"type": "http.response.body", "body": body})


async def _refuse(send: Callable, refused: Refused) -> None:
    """Return the start of a response that closes the connection, because the rest of the request is not read."""
    body = json.dumps({"error": refused.message, "detail": refused.message}).encode()
    await _send(send, refused.status, "application/json", body, (b"connection", b"close"))
