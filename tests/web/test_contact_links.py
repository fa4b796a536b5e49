"""Links from a contact to other systems: what templates make, and which are refused."""

from types import SimpleNamespace
from typing import Any

import pytest

from streamer.settings import Settings
from streamer.web.contact_links import fill_template

CALL = "https://calls.example.com/{contact_id}"


@pytest.mark.parametrize(
    ("sentence", "template", "contact_id", "link"),
    [
        ("an id", CALL, "c-1", "https://calls.example.com/c-1"),
        ("an id that would leave its part", CALL, "a/../b?x=1#y", "https://calls.example.com/a%2F..%2Fb%3Fx%3D1%23y"),
        ("an id that would lead up", CALL, "..", "https://calls.example.com/%2E%2E"),
        ("another script", CALL, "é 好", "https://calls.example.com/%C3%A9%20%E5%A5%BD"),
        ("no id, no link", CALL, None, None),
        ("a value that looks like a field", CALL, "{customer_id}", "https://calls.example.com/%7Bcustomer_id%7D"),
        ("the customer, if asked", "https://a.b/?c={customer_id}", "c-1", "https://a.b/?c=p%261"),
    ],
)  # fmt: skip
def test_a_template_is_filled(sentence: str, template: str, contact_id: str | None, link: str | None) -> None:
    contact: Any = SimpleNamespace(contact_id=contact_id, customer_id="p&1")
    assert fill_template(template, contact) == link, sentence
    assert Settings(links={"*": {"Recording": template}}).links["*"] == {"Recording": template}


@pytest.mark.parametrize(
    "template",
    [
        "javascript:alert('{contact_id}')", "//calls.example.com/{contact_id}", "ftp://a.b/{contact_id}",
        "https://{contact_id}/", "https://a.b.{contact_id}", "https://u@a.b/{contact_id}", "https://a.b/",
        "https://a.b/{comment}", "https://a.b/{contact_id.__class__}", "https://a.b/ {contact_id}",
    ],
)  # fmt: skip
def test_a_template_that_leads_elsewhere_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="an address such as"):
        Settings(links={"*": {"Recording": template}})
