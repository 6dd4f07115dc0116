"""Handling of Ctrl-C and SIGTERM: during training, deferred until everything can be saved; otherwise immediate."""

import os
import signal
import threading

from kcars.core.errors import Interrupted


def terminate(number: int, frame) -> None:
    """Signal handler that raises, so that incomplete files are removed and locks released."""
    raise Interrupted(number, "stopped")


class Interruption:
    """Context manager that records a first Ctrl-C or SIGTERM in `signal`; a second one ends the process."""

    def __init__(self):
        self.signal: int | None = None
        self._before = {}

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():  # Other Python threads cannot handle signals.
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) != signal.SIG_IGN:  # A background job may ignore Ctrl-C.
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self.signal and kind is None:  # Received after the last step.
            raise Interrupted(self.signal, "stopped, all saved")

    def _note(self, number: int, frame) -> None:
        self.signal = number
        for other, handler in self._before.items():
            signal.signal(other, handler)
        # Not print, which the handler may interrupt.
        os.write(
            2, b"\nstopping after the current step or scoring, to save everything; press again to stop immediately\n"
        )
