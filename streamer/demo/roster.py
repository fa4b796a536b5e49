"""Roster of the simulated center: queues, sites, teams, agents and their shifts."""

from functools import cache
from itertools import accumulate
from math import ceil
from random import Random
from typing import NamedTuple


class Queue(NamedTuple):
    """Queue with its share of all contacts, typical wait and talk (s), and effect on customers' mood."""

    name: str
    share: float
    wait_s: float
    talk_s: float
    mood: float
    reasons: tuple[str, ...]


class Agent(NamedTuple):
    """Agent of a team.

    `pace` multiplies handle times; `skill` (about -1 to 1) shifts resolution and scores; `load` is the
    relative share of contacts; the shift begins at the local hour `shift_start_h`.
    """

    id: str
    team: str
    site: str
    shift_start_h: int
    pace: float
    skill: float
    load: float


class QueueRota(NamedTuple):
    """Agents of a queue on shift at an hour, and their cumulative loads, for random.choices."""

    agents: tuple[Agent, ...]
    loads: tuple[float, ...]


QUEUES = (
    Queue("billing", 0.22, 8, 250, -0.02, ("invoice", "refund", "payment")),
    Queue("support", 0.20, 8, 310, 0.02, ("how-to", "account", "outage")),
    Queue("orders", 0.16, 7, 190, 0.12, ("status", "change", "delivery")),
    Queue("technical", 0.12, 8, 480, 0.02, ("fault", "installation", "outage")),
    Queue("sales", 0.11, 6, 340, 0.20, ("offer", "upgrade", "contract")),
    Queue("returns", 0.09, 8, 210, 0.00, ("return", "refund", "damage")),
    Queue("retention", 0.06, 7, 420, -0.05, ("cancel", "offer", "complaint")),
    Queue("premium", 0.04, 4, 300, 0.28, ("account", "advice", "complaint")),
)
SITES = {"north": "madrid", "south": "lisbon", "east": "manila"}
TEAMS = tuple(f"{side}-{number}" for side in SITES for number in (1, 2, 3, 4))
CHANNELS = {"voice": 0.56, "chat": 0.22, "email": 0.12, "message": 0.10}
LANGUAGES = {"es": 0.52, "en": 0.27, "pt": 0.21}
AGENTS_PER_TEAM = 10
_AGENTS_PER_TEAM_AND_RATE = 90
SHIFT_H = 9
_SHIFTS = (0, 6, 7, 8, 9, 10, 12, 14, 15, 22)
_STAFFED_SHIFTS = (1, 2, 2, 3, 4, 6, 7, 8, 8, 9, 9, 10, 11, 12, 14, 15, 16, 17, 17, 18)
"""Hours at which shifts begin where agents are as many as the contacts need: nearly by DAY_SHAPE."""

_HOURS = (3, 2, 2, 2, 2, 3, 5, 8, 12, 15, 16, 15, 13, 12, 12, 13, 14, 14, 13, 11, 9, 7, 5, 4)
DAY_SHAPE = tuple(0.3 + 0.7 * 24 * hour / sum(_HOURS) for hour in _HOURS)
"""Relative volume of each local hour; the mean is 1. Nights are busier than real ones, for demos at night."""


def team_size(rate: float) -> int:
    """Return how many agents a team needs so that some are free at any hour, at this many contacts per
    second: a contact takes five minutes, and a shift covers nine hours of 24.

    >>> team_size(0.05), team_size(2)
    (20, 180)
    """
    return max(len(_STAFFED_SHIFTS), ceil(rate * _AGENTS_PER_TEAM_AND_RATE))


def staff(seed: int, rate: float) -> tuple[Agent, ...]:
    """Return the agents of a center of this seed that takes so many contacts per second."""
    return create_agents(Random(f"staff {seed}"), team_size(rate))


def create_agents(random: Random, size: int | None = None) -> tuple[Agent, ...]:
    """Return the agents of 12 teams, with lasting differences: some between teams, more between agents.

    `size` is that of a team that has enough of them; None: ten, however many contacts there are.
    """
    shifts = _SHIFTS if size is None else _STAFFED_SHIFTS
    return tuple(
        agent
        for team_index, team in enumerate(TEAMS)
        for agent in _create_team(random, team_index, team, size or AGENTS_PER_TEAM, shifts)
    )


def _create_team(
    random: Random, team_index: int, team: str, size: int, shifts: tuple[int, ...]
) -> list[Agent]:
    pace, skill = random.gauss(0, 0.08), random.gauss(0, 0.2)
    return [
        Agent(
            id=f"a-{team_index * size + seat_index + 1:03d}",
            team=team,
            site=SITES[team.partition("-")[0]],
            shift_start_h=shifts[(seat_index + team_index) % len(shifts)],
            pace=min(1.9, max(0.55, random.lognormvariate(pace, 0.18))),
            skill=max(-1.2, min(1.2, random.gauss(skill, 0.35))),
            load=random.uniform(0.5, 1.5),
        )
        for seat_index in range(size)
    ]


_FIRST_NAMES = (
    "Ana", "Bruno", "Carla", "Diego", "Elena", "Filipe", "Gloria", "Hugo", "Inês", "Jorge", "Katya", "Luis",
    "Marta", "Nuno", "Olga", "Pedro", "Rita", "Sergio", "Teresa", "Vasco", "Andrea", "Benigno", "Celia",
    "Dalisay", "Emilio", "Fátima", "Gabriel", "Helena", "Iván", "Joana", "Kiko", "Leonor", "Miguel", "Nerea",
    "Óscar", "Paula", "Raúl", "Sofia", "Tomás", "Úrsula", "Víctor", "Ximena", "Yolanda", "Zacarías",
)  # fmt: skip
_LAST_NAMES = (
    "Alves", "Blanco", "Castro", "Duarte", "Esteves", "Fuentes", "Gil", "Herrero", "Ibáñez", "Lopes", "Moya",
    "Navarro", "Oliveira", "Pardo", "Quintero", "Ramos", "Santos", "Torres", "Vidal", "Aquino", "Bautista",
    "Cruz", "Dizon", "Espiritu", "Flores", "Garcia", "Hidalgo", "Ilagan", "Jimeno", "Lacson", "Mendoza",
    "Nogueira", "Ocampo", "Pinto", "Reyes", "Salazar", "Teixeira", "Uy", "Villanueva", "Yap", "Barros",
    "Cardoso", "Domingo", "Ferreira", "Gomes", "Hernández", "Lozano", "Martins", "Neves", "Prieto",
)  # fmt: skip
_MOST_NAMES = len(_FIRST_NAMES) * len(_LAST_NAMES)
"""As many agents have a name, each another one; more would not go into an environment variable either."""


def center_names(agents: tuple[Agent, ...]) -> dict[str, dict[str, str]]:
    """Return names by dimension and value, as `[names]` has them.

    >>> names = center_names(create_agents(Random(1)))
    >>> names["agent"]["a-001"], names["team"]["north-1"], names["queue"]["technical"]
    ('Ana Alves', 'North 1', 'Technical')
    """
    people = {
        agent.id: f"{_FIRST_NAMES[index % len(_FIRST_NAMES)]} {_last_name(index)}"
        for index, agent in enumerate(agents[:_MOST_NAMES])
    }
    return {
        "agent": people,
        "queue": {queue.name: queue.name.capitalize() for queue in QUEUES},
        "team": {team: team.replace("-", " ").capitalize() for team in TEAMS},
        "site": {site: site.capitalize() for site in SITES.values()},
    }


def _last_name(index: int) -> str:
    """Return another last name for neighbours, and for all who share a first name."""
    return _LAST_NAMES[(index * 7 + index // len(_FIRST_NAMES)) % len(_LAST_NAMES)]


@cache
def queues_of_team(team: str) -> frozenset[str]:
    """Return the queues of a team, about three.

    >>> sorted(queues_of_team("north-1"))
    ['billing', 'orders', 'support']
    """
    team_index = TEAMS.index(team)
    return frozenset(
        QUEUES[queue_index % len(QUEUES)].name
        for queue_index in (team_index, 3 * team_index + 1, 5 * team_index + 2)
    )


def build_rotas(agents: tuple[Agent, ...]) -> dict[tuple[str, int], QueueRota]:
    """Return the rota of each queue and local hour."""
    rotas: dict[tuple[str, int], QueueRota] = {}
    for queue in QUEUES:
        qualified = [agent for agent in agents if queue.name in queues_of_team(agent.team)]
        rotas |= {(queue.name, hour): _build_rota(qualified, hour) for hour in range(24)}
    return rotas


def _build_rota(qualified: list[Agent], hour: int) -> QueueRota:
    """Return those of the agents of a queue who are on shift; all where nobody is."""
    on_shift = [agent for agent in qualified if (hour - agent.shift_start_h) % 24 < SHIFT_H] or qualified
    return QueueRota(tuple(on_shift), tuple(accumulate(agent.load for agent in on_shift)))
