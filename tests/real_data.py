"""Tables in the shape of two public data sets: a bank's day of calls and a shop chain's survey answers.

Where STREAMER_TEST_DATA names the folder of the originals they are read; they may not be redistributed, so
otherwise a made-up stand-in of the same columns, encodings and traps is written for the test run.
"""

import atexit
import csv
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from random import Random
from typing import NamedTuple

Row = Mapping[str, str]

_CALL_COLUMNS = (
    *("vru+line", "call_id", "type", "vru_entry", "vru_exit", "vru_time", "q_start", "q_exit", "q_time"),
    *("outcome", "ser_start", "ser_exit", "ser_time", "server", "server_abv"),
)
_ANSWER_COLUMNS = (
    "",
    "id",
    "nps",
    "satisfaction",
    "intention",
    "explication",
    "NbPassageKS",
    "CaTicket",
    "t",
)
_NEVER = "0:00:00"
_QUEUES = ("PS", "PS", "PS", "PS", "NW", "NE", "IN", "PE", "TT")
_SERVERS = ("AVI", "BENSION", "DORIT", "MORIAH", "SHARON", "TOVA", "NO_SERVER")
_COMMENTS = (
    "très déçue, on attend à la caisse",
    "rien à dire",
    'le vendeur a dit "plus tard"',
    "où êtes-vous ?",
)


class Tables(NamedTuple):
    """Paths of both tables, and what is in them: rows of calls, among them noise and callers who left in
    the menu; rows of answers, among them those with a comment; e-mail addresses and phone numbers in
    comments, and the comments that have any."""

    bank: Path
    shops: Path
    calls: int
    noise: int
    menu_leavers: int
    answers: int
    comments: int
    emails: int
    phones: int
    personal: int

    def call_rows(self) -> list[Row]:
        return _rows(self.bank, "utf-8-sig")

    def answer_rows(self) -> list[Row]:
        return _rows(self.shops, "latin-1")


@cache
def tables() -> Tables:
    """The originals, else the stand-in, written once a process and removed at its end."""
    if named := os.environ.get("STREAMER_TEST_DATA"):
        folder = Path(named)
        calls, answers = folder / "bank-one-day/calls_one_day.csv", folder / "nps-retail-fr/nps.csv"
        return Tables(calls, answers, 2_375, 18, 120, 13_954, 3_839, 4, 1, 4)
    made = Path(tempfile.mkdtemp(prefix="streamer-tests-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return stand_in(made, Random("a bank and some shops"))


def stand_in(folder: Path, random: Random) -> Tables:
    """Write both tables, the same ones for the same seed."""
    found = Tables(folder / "calls_one_day.csv", folder / "nps.csv", 600, 7, 40, 1_500, 400, 2, 1, 2)
    outcomes = ["PHANTOM"] * found.noise + ["MENU"] * found.menu_leavers
    outcomes += random.choices(["AGENT", "HANG"], [2, 1], k=found.calls - len(outcomes))
    random.shuffle(outcomes)
    with found.bank.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_CALL_COLUMNS)
        writer.writerows(_call(random, number, outcome) for number, outcome in enumerate(outcomes))
    commented = random.sample(range(found.answers), found.comments)
    comments = {number: random.choice(_COMMENTS) for number in commented}
    comments[commented[0]] += " : ann@example.org"
    comments[commented[1]] += " au 06 12 34 56 78 ou ann@example.org"
    with found.shops.open("w", encoding="latin-1", newline="") as file:
        file.write(",".join(f'"{name}"' for name in _ANSWER_COLUMNS) + "\n")
        file.writelines(_answer(random, number, comments.get(number)) for number in range(found.answers))
    return found


def _call(random: Random, number: int, outcome: str) -> Iterator[object]:
    """One row; columns that a call never came to hold 0."""
    entry = min(round(random.gauss(14, 4) * 3_600) % 86_000, 82_000)
    menu, waited = random.randrange(5, 15), outcome in ("HANG", "PHANTOM") or random.random() < 0.6
    wait = random.randrange(1, 400) if waited and outcome != "MENU" else 0
    served = 0 if outcome in ("HANG", "MENU") else random.randrange(1, 900)
    begins, starts = entry + menu, entry + menu + wait
    server = random.choice(_SERVERS) if outcome == "AGENT" else "NO_SERVER"
    yield from (f"AA02{number % 16:02}", 24_000 + number, random.choice(_QUEUES))
    yield from (_clock(entry), _clock(begins), menu)
    yield from (_clock(begins), _clock(starts), wait) if wait else (_NEVER, _NEVER, 0)
    yield "HANG" if outcome == "MENU" else outcome
    yield from (_clock(starts), _clock(starts + served), served) if served else (_NEVER, _NEVER, 0)
    yield from (server, server[:3])


def _answer(random: Random, number: int, comment: str | None) -> str:
    nps, satisfaction = (random.choice(["NA", *"123456789", "10", "10"]) for _ in range(2))
    told = "NA" if comment is None else '"' + comment.replace('"', '""') + '"'
    return f'"{number + 1}",{2_000 + 7 * number},{nps},{satisfaction},8,{told},19,12.85,11\n'


def _clock(second: int) -> str:
    return f"{second // 3_600}:{second // 60 % 60:02}:{second % 60:02}"


def _rows(path: Path, encoding: str) -> list[Row]:
    with path.open(encoding=encoding, newline="") as file:
        return list(csv.DictReader(file))
