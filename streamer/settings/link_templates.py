"""Templates of links from a contact to other systems."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator

from streamer.settings.value_types import Name

LINK_FIELDS: Final = ("contact_id", "customer_id")
"""What a template may hold; `customer_id` is the pseudonym."""
_FIELD: Final = re.compile(r"\{([^{}]*)\}")


def _check_template(template: str) -> str:
    fields = _FIELD.findall(template)
    address = _FIELD.sub("", template)
    is_web = re.fullmatch(r"https?://[^\s{}\\@/?#]+([/?#][^\s{}\\]*)?", address)
    host_end = re.match(r"https?://[^/?#]*", template)
    is_host_fixed = host_end is not None and "{" not in host_end[0]
    if not is_web or not is_host_fixed or not fields or not {*fields} <= {*LINK_FIELDS}:
        raise ValueError("an address such as https://recordings.example.com/{contact_id}")
    return template


LinkTemplates = dict[Name, dict[Name, Annotated[str, AfterValidator(_check_template)]]]
