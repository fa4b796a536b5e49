"""Settings of access: users, displays, and an authenticating proxy."""

import re
from ipaddress import ip_network
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, model_validator


def _hash_validator(pattern: str, command: str) -> BeforeValidator:
    def check(value: object) -> object:
        if isinstance(value, str) and re.fullmatch(pattern, value):
            return value
        raise ValueError(f"what `streamer secret {command}` prints")

    return BeforeValidator(check)


PasswordHash = Annotated[str, _hash_validator(r"\$argon2id\$[!-~]+", "password")]
TokenHash = Annotated[str, _hash_validator(r"[0-9a-f]{64}", "token")]


class UserSettings(BaseModel, extra="forbid"):
    """[users.NAME]: who may look, and what shows that it is them. `teams`: of a supervisor."""

    role: Literal["viewer", "supervisor", "admin"]
    teams: list[str] = []
    agent_names: bool = False
    """Whether a viewer sees figures by agent."""
    password: PasswordHash | None = None
    tokens: list[TokenHash] = []

    @model_validator(mode="after")
    def _require_teams_of_supervisor(self) -> Self:
        if bool(self.teams) != (self.role == "supervisor"):
            raise ValueError("teams for a supervisor, and for nobody else")
        return self


class DisplaySettings(BaseModel, extra="forbid"):
    """[displays.NAME]: a television. It sees one view."""

    token: TokenHash
    view: str = "default"


def _check_network(value: str) -> str:
    try:
        ip_network(value)
    except ValueError:
        raise ValueError("an address such as 10.0.0.1, or a network such as 10.0.0.0/24") from None
    return value


class ProxySettings(BaseModel, extra="forbid"):
    """[proxy]: one that logs people in and says in a header who it is. `role`: of those whom it names
    but [users] does not; none is nobody."""

    header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")]
    addresses: Annotated[list[Annotated[str, AfterValidator(_check_network)]], Field(min_length=1)]
    role: Literal["viewer", "admin"] | None = None
