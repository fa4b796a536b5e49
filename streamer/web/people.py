"""Users with their roles, found by password, token, display token, or the name that a proxy sends."""

from typing import Final, Literal

import msgspec

from streamer.settings import PersonSettings, Settings, SettingsError
from streamer.web.credentials import Passwords, known

Role = Literal["viewer", "supervisor", "admin"]


class Person(msgspec.Struct, frozen=True):
    """A user. `teams` are the only teams they see (None: all); `view` is the only view of a display;
    `agent_names` tells whether they see figures by agent.

    >>> Person("Ana", "supervisor", teams=("north",)).sees_team("south")
    False
    """

    name: str
    role: Role
    teams: tuple[str, ...] | None = None
    view: str | None = None
    agent_names: bool = True

    def sees_team(self, team: str | None) -> bool:
        return self.teams is None or team in self.teams


EVERYBODY: Final = Person("", "admin")
"""The user of a machine where no users are configured."""


class People:
    """The users, displays and proxy of the settings. Without any of them everything is open (`is_open`)."""

    def __init__(self, settings: Settings) -> None:
        self.open = not (settings.people or settings.displays or settings.proxy)
        self._people = settings.people
        self._passwords = Passwords()
        self._tokens = {one: name for name, person in self._people.items() for one in person.tokens}
        self._displays = {display.token: (name, display.view) for name, display in settings.displays.items()}
        self._others = settings.proxy.role if settings.proxy else None

    def named(self, name: str) -> Person | None:
        return _person(name, self._people[name]) if name in self._people else None

    def by_token(self, token: str) -> Person | None:
        one = known(token, self._tokens)
        return None if one is None else self.named(self._tokens[one])

    async def by_password(self, name: str, password: str) -> Person | None:
        found = self._people.get(name)
        same = await self._passwords.match(password, found.password if found else None)
        return self.named(name) if same else None

    def by_proxy(self, name: str) -> Person | None:
        """Return the user named by a trusted proxy; one without settings gets the proxy's role, if set."""
        if name in self._people or self._others is None:
            return self.named(name)
        return Person(name, self._others, agent_names=self._others == "admin")

    def display(self, token: str) -> Person | None:
        one = known(token, self._displays)
        if one is None:
            return None
        name, view = self._displays[one]
        return Person(name, "viewer", view=view, agent_names=False)


def check_people(settings: Settings) -> None:
    """Raise SettingsError for a user who could never log in."""
    for name, person in settings.people.items():
        if not (person.password or person.tokens or settings.proxy):
            raise SettingsError(f"people.{name}: expected a password or tokens, as there is no proxy")


def _person(name: str, settings: PersonSettings) -> Person:
    teams = tuple(settings.teams) if settings.role == "supervisor" else None
    return Person(name, settings.role, teams, agent_names=settings.role != "viewer" or settings.agent_names)
