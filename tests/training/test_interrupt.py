import os
import signal
import threading

import pytest

from kcars.core.errors import Interrupted
from kcars.training.interrupt import Interruption


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_noted_and_the_handlers_come_back(number):
    before = signal.getsignal(number)
    with pytest.raises(RuntimeError), Interruption() as interruption:
        os.kill(os.getpid(), number)
        assert interruption.signal == number
        raise RuntimeError
    assert signal.getsignal(number) == before


def test_a_second_one_stops_at_once():
    with pytest.raises(KeyboardInterrupt), Interruption():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()


def test_one_that_no_step_obeyed_is_obeyed_at_the_end():
    with pytest.raises(Interrupted) as stop, Interruption():
        os.kill(os.getpid(), signal.SIGTERM)
    assert stop.value.signal == signal.SIGTERM


def test_what_was_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interruption() as interruption:
            os.kill(os.getpid(), signal.SIGINT)
            assert interruption.signal is None
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_train_without_it():
    told = []

    def work():
        with Interruption() as interruption:
            told.append(interruption.signal)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert told == [None]


def test_a_signal_is_not_taken_for_a_fault_of_what_was_under_way():
    """What catches whatever a library may raise, as readers of photos and weights do, must let it pass."""
    with pytest.raises(Interrupted):
        try:
            raise Interrupted(signal.SIGTERM, "stopped")
        except Exception:  # noqa: BLE001
            pass
