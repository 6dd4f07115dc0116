"""The names by which browsers may ask for the page.

A web site can let its own name point to this machine (DNS rebinding); its pages then count as of the same origin as the demo
page. They still send the site's name as Host, which is why only known names are answered.
"""

import ipaddress
import re
import socket

from kcars.core.errors import KcarsError

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?", re.ASCII)
_NAME = re.compile(r"[a-z0-9._-]{1,253}", re.ASCII)
_LABEL = re.compile(r"[a-z0-9_-]{1,63}", re.ASCII)


class Hosts:
    """bound: what the page listens on. allowed: further names, such as that of a proxy; KcarsError for one that is no name.

    Loopback names are always known. A page that listens to other machines is also known by any address, which no site can
    point elsewhere, and by the name of this machine.
    """

    def __init__(self, bound: str, allowed: tuple[str, ...] = ()):
        self._named = {name.lower() for name in allowed}
        for name in self._named:
            if not _NAME.fullmatch(name):
                raise KcarsError(
                    f"--allow-host {name}: a host name without scheme and port is expected, such as cars.example.org"
                )
        self._names = {"localhost", bound.lower(), *self._named}
        self._any_address = not is_loopback(bound)
        if self._any_address:
            own = socket.gethostname().lower()
            self._names |= {own, f"{own.split('.')[0]}.local"}

    def known(self, host: str) -> bool:
        """Whether a request with this Host header is answered."""
        name = _name_of(host)
        if name is None or name in self._names:
            return name is not None
        address = _address(name)
        return address is not None and (self._any_address or address.is_loopback)

    def same_site(self, origin: str, host: str) -> bool:
        """Whether an Origin header is the page's own: of the Host asked, or of a name given by --allow-host."""
        scheme, _, asked = origin.lower().partition("://")
        return scheme in ("http", "https") and (asked == host.lower() or _name_of(asked) in self._named)


def is_loopback(host: str) -> bool:
    """Whether a page bound to this host is reached from this machine alone."""
    address = _address(host)
    return host.lower() == "localhost" or (address is not None and address.is_loopback)


def is_name(host: str) -> bool:
    """Whether this is an address, or may be a machine's name; the system's look-up fails in odd ways on anything else."""
    return _address(host) is not None or all(_LABEL.fullmatch(one) for one in host.lower().removesuffix(".").split("."))


def _name_of(host: str) -> str | None:
    found = _HOST.fullmatch(host.lower())
    return found and found[1].strip("[]").removesuffix(".")


def _address(name: str):
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
