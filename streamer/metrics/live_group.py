"""What is going on in one group at one moment: who waits, who is served, and what its agents do."""

import msgspec


class LiveGroup(msgspec.Struct, frozen=True, gc=False):
    """Contacts under way and signed-in agents of a group.

    `has_contact_states`, `has_agent_states`: a source sends such states of this group; without them a count
    of nothing means nothing. `expected_wait_ms`: None where its conditions do not hold; `service_starts`:
    starts of service in the last 30 minutes.
    """

    has_contact_states: bool = False
    has_agent_states: bool = False
    waiting: int = 0
    longest_wait_ms: int = 0
    waiting_over_target: int = 0
    in_progress: int = 0
    contacts_lost: int = 0
    agents_available: int = 0
    agents_busy: int = 0
    agents_wrap_up: int = 0
    agents_away: int = 0
    agents_unknown: int = 0
    expected_wait_ms: int | None = None
    service_starts: int = 0

    @property
    def agents_signed_in(self) -> int:
        """Number of agents who are signed in, as far as is known."""
        return self.agents_serving + self.agents_away

    @property
    def agents_serving(self) -> int:
        """Number of agents who take contacts: signed in, and not away."""
        return self.agents_available + self.agents_busy + self.agents_wrap_up


NOTHING_LIVE = LiveGroup()
"""A group of a center whose sources never sent a state."""
