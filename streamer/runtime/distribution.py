"""Name the distribution that this package is installed as, and its extras."""

from importlib import metadata
from typing import Final

DISTRIBUTION: Final = "contact-center-streamer"
"""The package's own name is another project's on the public index."""


def installed_version() -> str:
    """Return the version of the installed distribution, such as "0.1.0"."""
    return metadata.version(DISTRIBUTION)


def install_command(extra: str) -> str:
    """Return the command that installs an extra.

    >>> install_command("parquet")
    "pip install 'contact-center-streamer[parquet]'"
    """
    return f"pip install '{DISTRIBUTION}[{extra}]'"
