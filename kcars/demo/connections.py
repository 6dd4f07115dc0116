"""Server connections with limits on their number and on the time of slow visitors."""

from collections.abc import Iterable
from typing import cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from kcars.core.limits import limits


class Connection(H11Protocol):
    """uvicorn's HTTP/1.1 with timeouts for request headers and for visitors who do not read the response."""

    def connection_made(self, transport) -> None:
        super().connection_made(transport)
        self._head = self._unread = None
        bounds = limits()
        others = cast("Iterable[H11Protocol]", self.connections)
        same = sum(1 for one in others if one.client and self.client and one.client[0] == self.client[0])
        if len(self.connections) > bounds.page_connections or same > bounds.page_connections_per_visitor:
            transport.abort()
        else:
            self._await_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._cancel("_head")
        else:
            self._await_head()

    def send_400_response(self, msg: str) -> None:
        """Respond to invalid HTTP, unless a response has begun."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.abort()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.get_write_buffer_size() > 0:  # A timer keeps the connection in memory.
            self.loop.call_later(limits().page_stall_seconds, self._abort_unread)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(limits().page_stall_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._cancel("_unread")

    def connection_lost(self, exc) -> None:
        super().connection_lost(exc)
        self._cancel("_head")
        self._cancel("_unread")

    def _await_head(self) -> None:
        if self._head is None:
            self._head = self.loop.call_later(limits().page_head_seconds, self.transport.abort)

    def _cancel(self, name: str) -> None:
        if timer := getattr(self, name):
            timer.cancel()
            setattr(self, name, None)

    def _abort_unread(self) -> None:
        """Abort an idle connection with an unread last piece, which is too small to pause writing and would keep it open for ever."""
        idle = self.cycle is None or self.cycle.response_complete
        if idle and self.transport.get_write_buffer_size() > 0:
            self.transport.abort()
