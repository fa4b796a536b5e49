"""Settings of the teams and sites of agents over time: [agents], or a CSV file of memberships."""

import csv
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from streamer.events.agent_directory import TeamMembership, memberships_overlap
from streamer.events.event_bodies import CONTROL_CHARACTERS
from streamer.settings.value_types import Name, SettingsError


class TeamMembershipSettings(BaseModel, extra="forbid"):
    """[[agents.ID.teams]]: a team and a site, from one day to another, both included. Without `from` it has
    no beginning, without `to` no end. Days begin at midnight in the center's time zone."""

    team: Annotated[Name, Field(min_length=1)] | None = None
    """Team of the agent in these days."""
    site: Annotated[Name, Field(min_length=1)] | None = None
    """Site of the agent in these days. A team, a site or both are required."""
    from_: Annotated[date | None, Field(alias="from")] = None
    """First day. Not set: no beginning."""
    to: date | None = None
    """Last day, included. Not set: no end."""

    @model_validator(mode="after")
    def _require_team_or_site(self) -> Self:
        if self.team is None and self.site is None:
            raise ValueError("a team or a site, or both")
        if self.from_ is not None and self.to is not None and self.to < self.from_:
            raise ValueError("a last day `to` that is not before the first day `from`")
        return self

    def membership(self, zone: tzinfo) -> TeamMembership:
        end_day = self.to + timedelta(days=1) if self.to is not None and self.to < date.max else None
        return TeamMembership(
            self.team, self.site, _midnight_ms(self.from_, zone), _midnight_ms(end_day, zone)
        )


class AgentSettings(BaseModel, extra="forbid"):
    """[agents.ID]: teams and sites of an agent over time, for events that name the agent but no team or
    site."""

    teams: Annotated[list[TeamMembershipSettings], Field(min_length=1)]
    """Memberships, whose days do not overlap."""

    @field_validator("teams")
    @classmethod
    def _require_no_overlap(cls, teams: list[TeamMembershipSettings]) -> list[TeamMembershipSettings]:
        if memberships_overlap([team.membership(UTC) for team in teams]):
            raise ValueError("days that do not overlap: a last day `to` before the next first day `from`")
        return teams


_COLUMNS: Final = ("agent", "team", "site", "from", "to")


def load_agents_file(path: Path) -> dict[str, AgentSettings]:
    """Read the CSV file of memberships, a row for each. Raises SettingsError."""
    memberships: dict[str, list[dict[str, str]]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            if not {"agent"} <= {*(table.fieldnames or ())} <= {*_COLUMNS}:
                raise SettingsError(f"agents_file = {path}: expected a header of {', '.join(_COLUMNS)}")
            for row in table:
                if None in row or not row["agent"]:
                    raise SettingsError(f"agents_file = {path}: expected an agent in line {table.line_num}")
                if CONTROL_CHARACTERS.search(row["agent"]):
                    expected = "an agent without control or invisible characters"
                    raise SettingsError(f"agents_file = {path}: expected {expected} in line {table.line_num}")
                memberships.setdefault(row.pop("agent"), []).append({k: v for k, v in row.items() if v})
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"agents_file = {path}: {error}") from None
    return {agent: _parse_agent(path, agent, teams) for agent, teams in memberships.items()}


def _parse_agent(path: Path, name: str, teams: list[dict[str, str]]) -> AgentSettings:
    try:
        return AgentSettings.model_validate({"teams": teams})
    except ValidationError as error:
        expected = "; ".join(str(item["msg"]).removeprefix("Value error, ") for item in error.errors())
        raise SettingsError(f"agents_file = {path}: agent {name}: expected {expected}") from None


def _midnight_ms(day: date | None, zone: tzinfo) -> int | None:
    return None if day is None else round(datetime.combine(day, time.min, zone).timestamp() * 1000)
