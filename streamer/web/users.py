"""Users with their roles, found by password, token, display token, or the name that a proxy sends."""

from typing import Final, Literal

import msgspec

from streamer.events.event_bodies import CONTROL_CHARACTERS
from streamer.settings import Settings, UserSettings
from streamer.web.credentials import PasswordVerifier, matching_hash

Role = Literal["viewer", "supervisor", "admin"]


class User(msgspec.Struct, frozen=True):
    """A user. `teams` are the only teams they see (None: all); `view` is the only view of a display;
    `agent_names` tells whether they see figures by agent.

    >>> User("Ana", "supervisor", teams=("north",)).sees_team("south")
    False
    """

    name: str
    role: Role
    teams: tuple[str, ...] | None = None
    view: str | None = None
    agent_names: bool = True

    def sees_team(self, team: str | None) -> bool:
        return self.teams is None or team in self.teams


LOCAL_USER: Final = User("", "admin")
"""The user of a machine where no users are configured."""


class UserDirectory:
    """The users, displays and proxy of the settings. Without any of them everything is open (`is_open`)."""

    def __init__(self, settings: Settings) -> None:
        self.is_open = settings.is_open
        self._users = settings.users
        self._passwords = PasswordVerifier()
        self._tokens = {
            token_hash.get_secret_value(): name
            for name, user in self._users.items()
            for token_hash in user.tokens
        }
        self._displays = {
            display.token.get_secret_value(): (name, display.view)
            for name, display in settings.displays.items()
        }
        self._proxy_role = settings.proxy.role if settings.proxy else None

    def password_hashes(self) -> dict[str, str]:
        """Return the hashes of those who can log in by password, by name."""
        return {
            name: user.password.get_secret_value()
            for name, user in self._users.items()
            if user.password is not None
        }

    def by_name(self, name: str) -> User | None:
        return _user_from_settings(name, self._users[name]) if name in self._users else None

    def by_token(self, token: str) -> User | None:
        token_hash = matching_hash(token, self._tokens)
        return None if token_hash is None else self.by_name(self._tokens[token_hash])

    async def by_password(self, name: str, password: str) -> User | None:
        stored_hash = self._users[name].password if name in self._users else None
        is_match = await self._passwords.verify(
            password, stored_hash.get_secret_value() if stored_hash else None
        )
        return self.by_name(name) if is_match else None

    def by_proxy(self, name: str) -> User | None:
        """Return the user named by a trusted proxy; one without settings gets the proxy's role, if set."""
        if name in self._users or self._proxy_role is None:
            return self.by_name(name)
        if CONTROL_CHARACTERS.search(name):
            return None
        return User(name, self._proxy_role, agent_names=self._proxy_role == "admin")

    def by_display_token(self, token: str) -> User | None:
        token_hash = matching_hash(token, self._displays)
        if token_hash is None:
            return None
        name, view = self._displays[token_hash]
        return User(name, "viewer", view=view, agent_names=False)


def _user_from_settings(name: str, settings: UserSettings) -> User:
    teams = tuple(settings.teams) if settings.role == "supervisor" else None
    return User(name, settings.role, teams, agent_names=settings.role != "viewer" or settings.agent_names)
