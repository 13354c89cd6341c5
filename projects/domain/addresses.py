"""Where the product may send something by itself: public addresses, and what the operator allows besides.

Names are looked at when an address is saved, without asking anybody; what they resolve to is looked at when something
is sent, and the connection goes to the very address that was checked.
"""

import ipaddress
import socket
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from projects.domain.errors import Invalid

LONGEST = 500
PORTS = {"http": 80, "https": 443}
FIRST_FREE_PORT = 1024  # below it live services that are not for the web, such as mail
PRIVATE_ENDINGS = (".localhost", ".local", ".internal", ".intranet", ".lan", ".home.arpa", ".onion", ".arpa")
# What `ipaddress` calls global although it carries an IPv4 address that may be anything, or is nobody's.
CARRIERS = [ipaddress.ip_network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16")]
ADVICE = "Give a public http(s) address, or ask the operator to allow this host (LUTHIER_WEBHOOK_HOSTS)."

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class NotAllowed(Invalid):
    """Nothing is sent there."""

    code = "url_not_allowed"

    def __init__(self, why: str) -> None:
        super().__init__(f"{why} {ADVICE}", field="url")


@dataclass(frozen=True)
class Target:
    """An address taken apart: `host` in ASCII, `path` with its query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def host_header(self) -> str:
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == PORTS[self.scheme] else f"{name}:{self.port}"


def check(url: str, allowed: Collection[str] = ()) -> Target:
    """Take `url` apart, or say why nothing is sent there. `allowed` are hosts, or host:port, of the operator."""
    target = _parse(url)
    if is_allowed(target, allowed):
        return target
    if target.port != PORTS[target.scheme] and target.port not in PORTS.values() and target.port < FIRST_FREE_PORT:
        raise NotAllowed(f"Port {target.port} is not one of the web.")
    literal = as_literal(target.host)
    if literal is not None:
        if not is_public(literal):
            raise NotAllowed(f"{target.host} is not a public address.")
        return target
    if "." not in target.host or target.host.endswith(PRIVATE_ENDINGS):
        raise NotAllowed(f"“{target.host}” is a name of a private network.")
    return target


def shown(url: str) -> str:
    """Where it goes, without the path: in many addresses that is the secret of whoever receives."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "…"
    has_more = parts.path.strip("/") or parts.query
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{'/…' if has_more else ''}"


def is_allowed(target: Target, allowed: Collection[str]) -> bool:
    names = {name.strip().lower() for name in allowed}
    return target.host in names or f"{target.host}:{target.port}" in names


def _parse(url: str) -> Target:
    if len(url) > LONGEST or not url.isprintable() or any(sign.isspace() or sign == "\\" for sign in url):
        raise NotAllowed(f"An address has at most {LONGEST} signs, without spaces, line ends and backslashes.")
    try:
        parts = urlsplit(url)
        host, port = _host(parts), parts.port
    except ValueError:
        raise NotAllowed("This cannot be read as an address.") from None
    if parts.scheme not in PORTS:
        raise NotAllowed("Only http:// and https:// are sent to.")
    if parts.username is not None or parts.password is not None:
        raise NotAllowed("An address with a name and password in it would stand in lists and logs.")
    if not host or port == 0:
        raise NotAllowed("The address names no host.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not path.isascii():
        raise NotAllowed("Write what is not ASCII in the path as %XX.")
    return Target(parts.scheme, host, port or PORTS[parts.scheme], path)


def _host(parts: SplitResult) -> str:
    """The host in small ASCII letters, as a resolver would see it: other forms of digits and dots become plain ones."""
    host = unicodedata.normalize("NFKC", parts.hostname or "").rstrip(".").lower()
    if ":" in host:
        return str(ipaddress.IPv6Address(host))  # a zone ("%eth0") is of this machine: it does not get this far
    made = host.encode("idna").decode() if host else ""
    if not all(sign.isalnum() or sign in "-._" for sign in made):
        raise ValueError(host)
    return made


def as_literal(host: str) -> Address | None:
    """The address that is written out, also in the forms that only C libraries know: 2130706433, 0x7f.1, 0177.1."""
    try:
        if ":" in host:
            address = ipaddress.IPv6Address(host)
            return None if address.scope_id else address
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):
        return None


def is_public(address: Address) -> bool:
    """Whether anybody in the world may be meant by it, and nobody near us."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address.scope_id or address.is_site_local or any(address in carrier for carrier in CARRIERS):
            return False
        if int(address) >> 32 == 0:  # ::a.b.c.d, of old
            return False
    return address.is_global and not (
        address.is_multicast
        or address.is_reserved
        or address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_unspecified
    )
