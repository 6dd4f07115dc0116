"""Ctrl-C and SIGTERM: while training, noted, and obeyed where everything can be saved; elsewhere at once."""

import os
import signal
import threading

from kcars.core.errors import Interrupted


def terminate(number: int, frame) -> None:
    """A handler that ends work at once, and in good order: half-written files are taken away, locks released."""
    raise Interrupted(number, "stopped")


class Interruption:
    """While the block runs, a first Ctrl-C or SIGTERM is only noted in `signal`; a second one ends the process."""

    def __init__(self):
        self.signal: int | None = None
        self._before = {}

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():  # Python lets no other thread handle signals.
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) != signal.SIG_IGN:  # A job in the background may be told to ignore Ctrl-C.
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self.signal and kind is None:  # Too late for a step to obey it.
            raise Interrupted(self.signal, "stopped, all saved")

    def _note(self, number: int, frame) -> None:
        self.signal = number
        for other, handler in self._before.items():
            signal.signal(other, handler)
        # Not print: a handler may come in the middle of one.
        os.write(2, b"\nstopping after this step, or the scoring under way, to save all; once more stops at once\n")
