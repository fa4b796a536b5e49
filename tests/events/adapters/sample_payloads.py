"""Sample payloads and options of each source, for the tests over all sources.

The payloads make sense together and come from the source's own tests.
"""

import importlib
import json
from collections.abc import Mapping
from typing import Any, Final

OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "amazon-connect-survey": {
        "questions": {"survey_result_1": "nps", "survey_result_2": "resolved_first"},
    },
    "formbricks": {
        "questions": {"recommend": "nps", "solved": "resolved_first", "why": "comment"},
    },
    "wootric": {"questions": {"score": "nps"}},
    "zendesk": {
        "questions": {"01J1WBE8QR0YQVE373K2JDJR0F": "csat", "01J1WBGX1BR4ECKTS87CRJTXSF": "resolved_first"},
        "values": {"01J1WBKRG57E6M8C1145EXJ535": True},
    },
    "help-scout": {
        "questions": {"Was it solved?": "resolved_first", "Tell us": "comment", "Monthly NPS": "nps"},
        "values": {"👍": True, "👎": False},
    },
}

STATES: Final = {
    "amazon-connect": "amazon_connect",
    "amazon-connect-events": "amazon_connect",
    "genesys-cloud": "genesys",
    "zendesk": "zendesk",
}
"""Sources whose payloads of agents are in a test file of their own: test_…_states."""


def sample_options(name: str) -> Mapping[str, Any]:
    return OPTIONS.get(name, {})


def sample_lines(name: str) -> list[str]:
    """Return the payloads as received: JSON, or lines of text."""
    own = f"tests.events.adapters.test_{name.replace('-', '_')}"
    payloads = importlib.import_module(own).PAYLOADS
    if name in STATES:
        states = importlib.import_module(f"tests.events.adapters.test_{STATES[name]}_states")
        payloads = [*payloads, *states.STATE_PAYLOADS]
    return [payload if isinstance(payload, str) else json.dumps(payload) for payload in payloads]
