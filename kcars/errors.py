"""The one exception that is printed without a traceback."""


class KcarsError(Exception):
    """A user's mistake or a fault of the machine: one line that says where, what was found, what is allowed."""


def one_of(what: str, found: object, allowed) -> KcarsError:
    """The error for an unknown name, with the known ones: `what: 'found' is not known; choose one of a, b`."""
    return KcarsError(f"{what}: {found!r} is not known; choose one of {', '.join(map(str, allowed))}")
