"""Links from a contact to its recording, ticket or customer in other systems, by the templates in [links]."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import msgspec

from streamer.readings.drill_down import ContactDetails

_FIELD: Final = re.compile(r"\{(\w+)\}")
ANY_SOURCE: Final = "*"


def with_links(contact: ContactDetails, templates: Mapping[str, Mapping[str, str]]) -> ContactDetails:
    """Return the contact with the links of its source, and those of any; none whose value is not known."""
    own = {**templates.get(ANY_SOURCE, {}), **templates.get(contact.source or "", {})}
    filled = {name: fill_template(template, contact) for name, template in own.items()}
    return msgspec.structs.replace(contact, links={name: url for name, url in filled.items() if url})


def fill_template(template: str, contact: ContactDetails) -> str | None:
    """Return a link; each value is quoted, so that it stays one part of the address. None: a value is not
    known."""
    values = {name: getattr(contact, name) for name in _FIELD.findall(template)}
    if not all(values.values()):
        return None
    # A part of dots alone would lead up: its dots are quoted, which servers read as the same text.
    quoted = {name: quote(value, safe="") for name, value in values.items()}
    return _FIELD.sub(lambda match: _inert(quoted[match[1]]), template)


def _inert(part: str) -> str:
    return part.replace(".", "%2E") if set(part) == {"."} else part
