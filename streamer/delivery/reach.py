"""Here is whether a receiver can be reached: as far as one gets without telling it anything."""

import asyncio
import os
import socket
import ssl
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

PATIENCE_S: Final = 10.0


async def unreached(url: str) -> str | None:
    """Why no connection comes about, without its address; None: one does, with TLS where it asks for it."""
    try:
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        if not parts.hostname:
            return "its address is none"
        context = ssl.create_default_context() if secure else None
        async with asyncio.timeout(PATIENCE_S):
            _, writer = await asyncio.open_connection(parts.hostname, port, ssl=context)
    except ssl.SSLCertVerificationError:
        return "its certificate is not to be trusted"
    except ssl.SSLError:
        return "no TLS is spoken there"
    except socket.gaierror:
        return "its name leads nowhere"
    except TimeoutError:
        return f"no connection in {PATIENCE_S:.0f} s"
    except ValueError:
        return "its address is none"
    except OSError as error:
        return os.strerror(error.errno) if error.errno else "no connection"
    writer.close()
    with suppress(OSError, ssl.SSLError):
        await writer.wait_closed()
    return None
