"""Validation of requests to the page's functions; all other content is dropped."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from kcars.core.limits import limits
from kcars.demo.bodies import Gone, Refused
from kcars.demo.folder import Folder

UNKNOWN = "The page has no such function."
BUSY = "Too many requests are waiting; please try again in a minute."


@dataclass(frozen=True)
class Question:
    """A validated request. body: for Gradio's server; heavy: whether a model is needed."""

    body: bytes
    heavy: bool


class Questions:
    """Validates requests to a Gradio page; photos must be in the folder."""

    def __init__(self, blocks, folder: Folder):
        self._folder = folder
        self._kinds = {number: [self._kind(one) for one in function.inputs] for number, function in blocks.fns.items()}

    def read(self, asked) -> Question:
        """Return the Question of a request's JSON; Refused for one that the page does not make."""
        asked = asked if isinstance(asked, dict) else {}
        number, data = asked.get("fn_index"), asked.get("data")
        kinds = self._kinds.get(number) if type(number) is int else None
        if kinds is None or not isinstance(data, list) or len(data) != len(kinds):
            raise Refused(400, UNKNOWN)
        values = [kind(value) for kind, value in zip(kinds, data, strict=True)]
        body = json.dumps({"fn_index": number, "data": values, "session_hash": None}).encode()
        return Question(body, heavy=any(isinstance(value, dict) for value in values))

    def _kind(self, component) -> Callable:
        """Return a function that validates an input's value, or raises Refused."""
        name = component.get_block_name()
        if name == "image":
            return self._photo
        if name == "slider":
            return lambda value: _number(value, component.minimum, component.maximum)
        if name == "dataset":
            return lambda value: int(_number(value, 0, len(component.samples) - 1))
        raise TypeError(f"{name} is not a supported input")

    def _photo(self, value) -> dict | None:
        if value is None:
            return None
        path = value.get("path") if isinstance(value, dict) else None
        if not isinstance(path, str) or not self._folder.holds(path):
            raise Refused(403, "A photo must be uploaded to this page first.")
        return {"path": path, "meta": {"_type": "gradio.FileData"}}


def _number(value, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise Refused(400, UNKNOWN)
    return value


class Turns:
    """A queue for the models: one request at a time, with limits on waiting requests, per visitor, and on waiting time."""

    def __init__(self):
        self._models, self._asked = asyncio.Lock(), Counter()

    @asynccontextmanager
    async def turn(self, visitor: str, receive: Callable) -> AsyncIterator[None]:
        """Wait for the models; Refused if too many requests wait, Gone if the visitor leaves meanwhile."""
        bounds = limits()
        if self._asked.total() >= bounds.page_questions or self._asked[visitor] >= bounds.page_questions_per_visitor:
            raise Refused(503, BUSY)
        self._asked[visitor] += 1
        try:
            await self._acquire(receive)
            try:
                yield
            finally:
                self._models.release()
        finally:
            self._asked[visitor] -= 1
            self._asked += Counter()  # Drops visitors without requests.

    async def _acquire(self, receive: Callable) -> None:
        mine, left = asyncio.ensure_future(self._models.acquire()), asyncio.ensure_future(receive())
        try:
            await asyncio.wait({mine, left}, timeout=limits().page_wait_seconds, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._give_up(mine)
            raise
        finally:
            gone = left.done()
            left.cancel()
        if not mine.done() or gone:
            self._give_up(mine)
            raise Gone if gone else Refused(503, BUSY)

    def _give_up(self, mine: asyncio.Future) -> None:
        if mine.done() and not mine.cancelled():
            self._models.release()
        mine.cancel()
