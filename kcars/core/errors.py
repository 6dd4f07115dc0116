"""Exceptions that are printed without a traceback."""

from collections.abc import Iterable


class KcarsError(Exception):
    """An error of the user or the machine: one line with the place, the value and what is allowed."""


class NoWayOn(KcarsError):
    """Raised when a run cannot continue from its last state."""


class Diverged(NoWayOn):
    """Raised when training diverged to non-finite numbers, as it would again from the last state."""


class Interrupted(BaseException):  # noqa: N818  (not an Exception, so that no error handler catches it)
    """Raised after an orderly stop because of a signal; signal: its number."""

    def __init__(self, signal: int, message: str):
        super().__init__(message)
        self.signal = signal


def one_of(what: str, found: object, allowed: Iterable[object]) -> KcarsError:
    """The error for an unknown name, with the known ones: `what: 'found' is not known; choose one of a, b`."""
    return KcarsError(f"{what}: {found!r} is not known; choose one of {', '.join(map(str, allowed))}")
