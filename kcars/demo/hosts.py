"""Host names under which the page is served.

A web site can point its own name to this machine (DNS rebinding), so that its pages have the same origin as the demo page.
They still send the site's name as Host, so only known names are answered.
"""

import ipaddress
import re
import socket

from kcars.core.errors import KcarsError

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?", re.ASCII)
_NAME = re.compile(r"[a-z0-9._-]{1,253}", re.ASCII)
_LABEL = re.compile(r"[a-z0-9_-]{1,63}", re.ASCII)


class Hosts:
    """bound: address to listen on. allowed: additional names, such as a proxy's; KcarsError for an invalid name.

    Loopback names are always allowed. A page that listens to other machines also allows any IP address, which no site can
    redirect, and the name of this machine.
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
        """Return whether requests with this Host header are answered."""
        name = _name_of(host)
        if name is None or name in self._names:
            return name is not None
        address = _address(name)
        return address is not None and (self._any_address or address.is_loopback)

    def same_site(self, origin: str, host: str) -> bool:
        """Return whether an Origin header is the page's own: the requested Host, or a name from --allow-host."""
        scheme, _, asked = origin.lower().partition("://")
        return scheme in ("http", "https") and (asked == host.lower() or _name_of(asked) in self._named)


def is_loopback(host: str) -> bool:
    """Return whether a page bound to this host can be reached only from this machine."""
    address = _address(host)
    return host.lower() == "localhost" or (address is not None and address.is_loopback)


def is_name(host: str) -> bool:
    """Return whether this is an address or a valid host name; the system's look-up fails in odd ways for other texts."""
    return _address(host) is not None or all(_LABEL.fullmatch(one) for one in host.lower().removesuffix(".").split("."))


def _name_of(host: str) -> str | None:
    found = _HOST.fullmatch(host.lower())
    return found and found[1].strip("[]").removesuffix(".")


def _address(name: str):
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
