"""Reads request bodies within limits of size and time."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from pathlib import Path

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from kcars.core.errors import KcarsError
from kcars.core.limits import limits
from kcars.demo.folder import Folder, Incoming
from kcars.untrusted.reading import MIB

PART_HEADER_BYTES, FORM_BYTES = 4096, 8192  # Limits of an upload without its photo.
MALFORMED = "The photo was not sent as a form with one file."


class Refused(Exception):
    """Raised for a refused request, with an HTTP status and a message for visitors."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status, self.message = status, message


class Gone(Exception):
    """Raised if the visitor has left before the response."""


async def body_of(receive: Callable, most_bytes: int, seconds: float) -> AsyncIterator[bytes]:
    """Yield a request's body in pieces; Refused beyond the limits of bytes or seconds, or if a piece takes too long."""
    end, size, more = time.monotonic() + seconds, 0, True
    while more:
        patience = min(limits().page_stall_seconds, end - time.monotonic())
        try:
            message = await asyncio.wait_for(receive(), max(0.0, patience))
        except TimeoutError:
            raise Refused(408, "The request took too long to arrive.") from None
        if message["type"] != "http.request":
            raise Gone
        size += len(message.get("body", b""))
        if size > most_bytes:
            raise Refused(413, f"The request is larger than {most_bytes:,} bytes.")
        yield message.get("body", b"")
        more = message.get("more_body", False)


async def json_of(receive: Callable):
    """Read a request's body as JSON; Refused if it is invalid."""
    pieces = [one async for one in body_of(receive, limits().page_request_kib * 1024, limits().page_stall_seconds)]
    try:
        return json.loads(b"".join(pieces))
    except (ValueError, RecursionError):
        raise Refused(400, "The request is not JSON.") from None


async def photo_of(content_type: str, receive: Callable, folder: Folder) -> Path:
    """Write the photo of a form into the folder as it arrives; Refused for any other body."""
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 0 < len(boundary) <= 200:
        raise Refused(400, MALFORMED)
    try:
        with ExitStack() as stack:
            form = _Form(folder, stack)
            parser = MultipartParser(boundary, form.callbacks())  # pyright: ignore[reportArgumentType]  Keys of a TypedDict.
            async for piece in body_of(receive, limits().upload_mib * MIB + FORM_BYTES, limits().upload_seconds):
                parser.write(piece)
            parser.finalize()
            return form.photo()
    except MultipartParseError:
        raise Refused(400, MALFORMED) from None
    except KcarsError as error:
        raise Refused(503, str(error)) from None
    except OSError:
        raise Refused(507, "The server has no space for this photo.") from None


class _Form:
    """Parser callbacks for a form with one file; the stack cleans up."""

    def __init__(self, folder: Folder, stack: ExitStack):
        self._folder, self._stack, self._whole = folder, stack, False
        self._name, self._value, self._headers, self._size = b"", b"", {}, 0
        self._photo: Incoming | None = None

    def callbacks(self) -> dict:
        names = (
            "part_begin",
            "header_field",
            "header_value",
            "header_end",
            "headers_finished",
            "part_data",
            "part_end",
        )
        return {f"on_{name}": getattr(self, f"_{name}") for name in names}

    def photo(self) -> Path:
        """Return the path of the photo and keep it; Refused if it is missing or incomplete."""
        if not self._whole or self._photo is None:
            raise Refused(400, MALFORMED)
        self._photo.flush()  # Raises OSError if the disk is full.
        self._photo.kept = True
        return self._photo.path

    def _part_begin(self) -> None:
        if self._photo is not None:
            raise Refused(400, MALFORMED)

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]
        self._grow(end - start)

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._grow(end - start)

    def _grow(self, count: int) -> None:
        self._size += count
        if self._size > PART_HEADER_BYTES:
            raise Refused(400, MALFORMED)

    def _header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name, self._value = b"", b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if options.get(b"name") != b"files" or b"filename" not in options:
            raise Refused(400, MALFORMED)
        name = options[b"filename"].decode("utf-8", "replace")
        self._photo = self._stack.enter_context(self._folder.incoming(name))

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        assert self._photo  # Headers end before data begins.
        if self._photo.size + end - start > limits().upload_mib * MIB:
            raise Refused(413, f"This file is larger than {limits().upload_mib} MB; please give a smaller photo.")
        self._photo.write(data[start:end])

    def _part_end(self) -> None:
        self._whole = True
