"""Settings of the teams and sites of agents over time: [agents], or a CSV file of memberships."""

import csv
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from streamer.events.directory import Stay, overlapping
from streamer.settings.kinds import SettingsError


class StaySettings(BaseModel, extra="forbid"):
    """Entry of [agents.ID]: a team and a site, from one day to another, both included. Without `from` it has
    no beginning, without `to` no end. Days begin at midnight in the center's time zone."""

    team: Annotated[str, Field(min_length=1)] | None = None
    site: Annotated[str, Field(min_length=1)] | None = None
    from_: Annotated[date | None, Field(alias="from")] = None
    to: date | None = None

    @model_validator(mode="after")
    def _somewhere_for_a_while(self) -> Self:
        if self.team is None and self.site is None:
            raise ValueError("a team or a site, or both")
        if self.from_ is not None and self.to is not None and self.to < self.from_:
            raise ValueError("a last day `to` that is not before the first day `from`")
        return self

    def stay(self, zone: tzinfo) -> Stay:
        after = self.to + timedelta(days=1) if self.to is not None and self.to < date.max else None
        return Stay(self.team, self.site, _midnight_ms(self.from_, zone), _midnight_ms(after, zone))


class AgentSettings(BaseModel, extra="forbid"):
    """[agents.ID]: teams and sites of an agent over time, for events that name the agent but no team or
    site."""

    teams: Annotated[list[StaySettings], Field(min_length=1)]

    @field_validator("teams")
    @classmethod
    def _in_one_place_at_a_time(cls, teams: list[StaySettings]) -> list[StaySettings]:
        if overlapping([team.stay(UTC) for team in teams]):
            raise ValueError("days that do not overlap: a last day `to` before the next first day `from`")
        return teams


_COLUMNS: Final = ("agent", "team", "site", "from", "to")


def agents_of(path: Path) -> dict[str, AgentSettings]:
    """Read the CSV file of memberships, a row for each. Raises SettingsError."""
    stays: dict[str, list[dict[str, str]]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            if not {"agent"} <= {*(table.fieldnames or ())} <= {*_COLUMNS}:
                raise SettingsError(f"agents_file = {path}: expected a header of {', '.join(_COLUMNS)}")
            for row in table:
                if None in row or not row["agent"]:
                    raise SettingsError(f"agents_file = {path}: expected an agent in line {table.line_num}")
                stays.setdefault(row.pop("agent"), []).append({k: v for k, v in row.items() if v})
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"agents_file = {path}: {error}") from None
    return {agent: _agent(path, agent, teams) for agent, teams in stays.items()}


def _agent(path: Path, name: str, teams: list[dict[str, str]]) -> AgentSettings:
    try:
        return AgentSettings.model_validate({"teams": teams})
    except ValidationError as error:
        told = "; ".join(str(item["msg"]).removeprefix("Value error, ") for item in error.errors())
        raise SettingsError(f"agents_file = {path}: agent {name}: expected {told}") from None


def _midnight_ms(day: date | None, zone: tzinfo) -> int | None:
    return None if day is None else round(datetime.combine(day, time.min, zone).timestamp() * 1000)
