"""Here is who looks: a person with a role, and how one is known by password, token, or a proxy's word."""

from typing import Final, Literal

import msgspec

from streamer.settings import PersonSettings, Settings, SettingsError
from streamer.web.credentials import Passwords, known

Role = Literal["viewer", "supervisor", "admin"]


class Person(msgspec.Struct, frozen=True):
    """Who asks. `teams`: the only ones they see (None: all); `view`: a television's only one;
    `agent_names`: whether they see figures by agent."""

    name: str
    role: Role
    teams: tuple[str, ...] | None = None
    view: str | None = None
    agent_names: bool = True

    def sees_team(self, team: str | None) -> bool:
        return self.teams is None or team in self.teams


EVERYBODY: Final = Person("", "admin")
"""Who sits at a machine on which nobody is set."""


class People:
    """Those of the settings. Where there are none all is open: `open`."""

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
        """Whom a proxy named that we trust."""
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
    """Raises SettingsError for one who could never come in."""
    for name, person in settings.people.items():
        if not (person.password or person.tokens or settings.proxy):
            raise SettingsError(f"people.{name}: expected a password or tokens, as there is no proxy")


def _person(name: str, settings: PersonSettings) -> Person:
    teams = tuple(settings.teams) if settings.role == "supervisor" else None
    return Person(name, settings.role, teams, agent_names=settings.role != "viewer" or settings.agent_names)
