"""Look whether a port is free, before a server is started that would fail on it."""

import errno
import socket


class PortTakenError(OSError):
    """Another program listens on the port."""


def require_free_port(host: str, port: int) -> None:
    """Raise PortTakenError if another program listens there. Port 0 is any free one.

    >>> require_free_port("127.0.0.1", 0)
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise PortTakenError(f"port {port} of {host} is taken: another program listens there") from None
