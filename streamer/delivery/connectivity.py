"""Connection test of a receiver: TCP and TLS only, no request is sent."""

import asyncio
import os
import socket
import ssl
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

TIMEOUT_S: Final = 10.0


async def connection_error(url: str) -> str | None:
    """Return why no connection can be made, without the address; None if one can, with TLS for https."""
    try:
        parts = urlsplit(url)
        uses_tls = parts.scheme == "https"
        port = parts.port or (443 if uses_tls else 80)
        if not parts.hostname:
            return "invalid URL"
        context = ssl.create_default_context() if uses_tls else None
        async with asyncio.timeout(TIMEOUT_S):
            _, writer = await asyncio.open_connection(parts.hostname, port, ssl=context)
    except ssl.SSLCertVerificationError:
        return "TLS certificate not trusted"
    except ssl.SSLError:
        return "TLS handshake failed"
    except socket.gaierror:
        return "DNS lookup failed"
    except TimeoutError:
        return f"no connection in {TIMEOUT_S:.0f} s"
    except ValueError:
        return "invalid URL"
    except OSError as error:
        return os.strerror(error.errno) if error.errno else "no connection"
    writer.close()
    with suppress(OSError, ssl.SSLError):
        await writer.wait_closed()
    return None
