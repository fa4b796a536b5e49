"""Connection test of a receiver: TCP and TLS only, no request is sent."""

import asyncio
import os
import socket
import ssl
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

PATIENCE_S: Final = 10.0


async def unreached(url: str) -> str | None:
    """Return why no connection can be made, without the address; None if one can, with TLS for https."""
    try:
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        if not parts.hostname:
            return "invalid URL"
        context = ssl.create_default_context() if secure else None
        async with asyncio.timeout(PATIENCE_S):
            _, writer = await asyncio.open_connection(parts.hostname, port, ssl=context)
    except ssl.SSLCertVerificationError:
        return "TLS certificate not trusted"
    except ssl.SSLError:
        return "TLS handshake failed"
    except socket.gaierror:
        return "DNS lookup failed"
    except TimeoutError:
        return f"no connection in {PATIENCE_S:.0f} s"
    except ValueError:
        return "invalid URL"
    except OSError as error:
        return os.strerror(error.errno) if error.errno else "no connection"
    writer.close()
    with suppress(OSError, ssl.SSLError):
        await writer.wait_closed()
    return None
