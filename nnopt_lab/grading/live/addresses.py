"""Open the ports of the live page, and name the addresses that learners can reach."""

import errno
import ipaddress
import socket

from tornado.netutil import bind_sockets

LOOPBACK = "127.0.0.1"
NEXT_PORTS = 20  # that are tried if the wanted one is taken
_WAITING = 1024  # connections, when a whole class begins at once


def listen(host: str, port: int) -> tuple[list[socket.socket], int]:
    """Open a port on `host` and on this machine's loopback; if it is taken, the next free one.

    Returns:
        The sockets, and the port.

    Raises:
        ValueError: `host` is not an address of this machine, or no port is free or allowed.
    """
    for wanted in range(port, min(port + NEXT_PORTS, 65536)):
        try:
            return _open(host, wanted)
        except OSError as error:
            if isinstance(error, socket.gaierror) or error.errno in (errno.EADDRNOTAVAIL, errno.EINVAL):
                raise ValueError(f"host={host!r} is not an address of this machine; {_known()}.") from None
            if error.errno != errno.EADDRINUSE:
                raise ValueError(
                    f"port={wanted} can't be used ({error.strerror}): choose another one with --port."
                ) from None
        except UnicodeError:
            raise ValueError(f"host={host!r} is not an address of this machine; {_known()}.") from None
    raise ValueError(f"port={port} and the {NEXT_PORTS - 1} after it are taken: choose another one with --port.")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def outside(host: str) -> str:
    """The address that others type for `host`, which may mean all addresses of this machine, as 0.0.0.0 does."""
    try:
        if not ipaddress.ip_address(host).is_unspecified:
            return host
    except ValueError:
        return host
    return next(iter(_own()), None) or socket.gethostname()


def url(host: str, port: int, path: str) -> str:
    """An address, with an IPv6 host in brackets."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/{path}"


def _open(host: str, port: int) -> tuple[list[socket.socket], int]:
    opened = bind_sockets(port, address=host, backlog=_WAITING)
    if port == 0:
        port = opened[0].getsockname()[1]
    covered = {one.getsockname()[0] for one in opened}
    if not covered & {LOOPBACK, "0.0.0.0"}:  # so that the teacher's own page needs no network
        try:
            opened += bind_sockets(port, address=LOOPBACK, backlog=_WAITING)
        except OSError:
            for one in opened:
                one.close()
            raise
    return opened, port


def _own() -> list[str]:
    """This machine's address in its network, if it has one; nothing is sent to find it."""
    for family, other in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((other, 9))
                return [probe.getsockname()[0]]
        except OSError:
            continue
    return []


def _known() -> str:
    return f"these are: {', '.join([LOOPBACK, *_own()])}, and 0.0.0.0 means all"
