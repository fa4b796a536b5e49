"""Settings of access: users, displays, and an authenticating proxy."""

import re
from ipaddress import ip_network
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, SecretStr, model_validator

from streamer.settings.value_types import Name


def _hash_validator(pattern: str, command: str) -> BeforeValidator:
    def check(value: object) -> object:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if isinstance(text, str) and re.fullmatch(pattern, text):
            return text
        raise ValueError(f"what `streamer secret {command}` prints")

    return BeforeValidator(check)


PasswordHash = Annotated[SecretStr, _hash_validator(r"\$argon2id\$[!-~]+", "password")]
TokenHash = Annotated[SecretStr, _hash_validator(r"[0-9a-f]{64}", "token")]


class UserSettings(BaseModel, extra="forbid"):
    """[users.NAME]: a person or a program that may look, and what it logs in with."""

    role: Literal["viewer", "supervisor", "admin"]
    """Role of the user: the table in security.md says what each may see."""
    teams: list[Name] = []
    """Teams of a supervisor. Other roles have none."""
    agent_names: bool = False
    """Show a viewer figures by agent."""
    password: PasswordHash | None = None
    """Hash that `streamer secret password` prints. Not set: no log-in by password."""
    tokens: list[TokenHash] = []
    """Hashes that `streamer secret token` prints, for programs: `Authorization: Bearer TOKEN`."""

    @model_validator(mode="after")
    def _require_teams_of_supervisor(self) -> Self:
        if bool(self.teams) != (self.role == "supervisor"):
            raise ValueError("teams for a supervisor, and for nobody else")
        return self


class DisplaySettings(BaseModel, extra="forbid"):
    """[displays.NAME]: a television. It sees one view."""

    token: TokenHash
    """Hash that `streamer secret token` prints. Open `/?display=TOKEN` once on the television."""
    view: str = "default"
    """The view that this television shows. It sees no other."""


def _check_network(value: str) -> str:
    try:
        ip_network(value)
    except ValueError:
        raise ValueError("an address such as 10.0.0.1, or a network such as 10.0.0.0/24") from None
    return value


class ProxySettings(BaseModel, extra="forbid"):
    """[proxy]: a proxy that ends TLS, and may log people in and name the user in a header."""

    header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")] | None = None
    """Header in which the proxy names the user, such as X-Forwarded-User. Not set: it logs nobody in."""
    addresses: Annotated[list[Annotated[str, AfterValidator(_check_network)]], Field(min_length=1)]
    """Addresses and networks of the proxy. Only from them are X-Forwarded-For, X-Forwarded-Proto and the
    header believed."""
    role: Literal["viewer", "admin"] | None = None
    """Role of those whom the proxy names but [users] does not. Not set: they are nobody."""
