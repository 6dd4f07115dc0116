"""The exceptions that are printed without a traceback."""

from collections.abc import Iterable


class KcarsError(Exception):
    """A user's mistake or a fault of the machine: one line that says where, what was found, what is allowed."""


class NoWayOn(KcarsError):
    """A run that cannot go on from its last state as it is."""


class Diverged(NoWayOn):
    """Training has come to numbers that are not finite: going on from the last state would do so again."""


class Interrupted(BaseException):  # noqa: N818  (no error, so that nothing that catches errors takes it for a fault)
    """Work that ended in good order because of a signal.

    signal: its number.
    """

    def __init__(self, signal: int, message: str):
        super().__init__(message)
        self.signal = signal


def one_of(what: str, found: object, allowed: Iterable[object]) -> KcarsError:
    """The error for an unknown name, with the known ones: `what: 'found' is not known; choose one of a, b`."""
    return KcarsError(f"{what}: {found!r} is not known; choose one of {', '.join(map(str, allowed))}")
