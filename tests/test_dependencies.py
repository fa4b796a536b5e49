"""Tests: dependencies are locked by hash, and their licences are known."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from click.testing import CliRunner
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from streamer.cli import main
from streamer.runtime.distribution import DISTRIBUTION

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
NAME = PYPROJECT["project"]["name"]
LOCKED = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")]
LICENCES = (
    "Apache", "BSD", "ISC", "MIT", "MPL", "Mozilla Public License", "PSF", "Python Software Foundation",
    "Unlicense", "Zlib", "0BSD",
)  # fmt: skip
"""Licences that may be used and passed on beside ours, by a part of their name."""
OTHER_LICENCES = {"venusian": "Repoze Public License: that of BSD, with a clause on trademarks"}
"""Reasons for other licences, by distribution."""


def hashes_by_pin(name: str) -> dict[str, list[str]]:
    """Return the hashes of each locked version in a file."""
    text = (ROOT / name).read_text().replace("\\\n", " ")
    lines = [line.split("--hash=") for line in text.splitlines() if line and not line.startswith("#")]
    return {pin.strip(): [digest.strip() for digest in digests] for pin, *digests in lines}


def test_the_command_says_the_version_of_the_installed_distribution() -> None:
    outcome = CliRunner().invoke(main, ["--version"])
    assert outcome.output == f"main, version {PYPROJECT['project']['version']}\n"
    assert NAME == DISTRIBUTION


@pytest.mark.parametrize("name", ["requirements-dev.lock", "requirements-runtime.lock"])
def test_every_locked_version_has_its_hashes(name: str) -> None:
    pins = hashes_by_pin(name)
    assert pins.keys() <= set(LOCKED)
    assert [pin for pin, digests in pins.items() if not digests] == []
    assert all(re.fullmatch("sha256:[0-9a-f]{64}", digest) for found in pins.values() for digest in found)


def test_the_lock_with_hashes_holds_the_versions_of_the_lock_without() -> None:
    assert list(hashes_by_pin("requirements-dev.lock")) == LOCKED


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("requirements-runtime.lock", PYPROJECT["project"]["dependencies"]),
        ("requirements-runtime.lock", PYPROJECT["dependency-groups"]["build"]),
        *(
            ("requirements-dev.lock", extra)
            for extra in PYPROJECT["project"]["optional-dependencies"].values()
        ),
        *(("requirements-dev.lock", group) for group in PYPROJECT["dependency-groups"].values()),
    ],
)
def test_every_dependency_is_locked_at_a_version_it_allows(name: str, wanted: list[object]) -> None:
    versions: dict[str, list[str]] = {}
    for pin in hashes_by_pin(name):
        locked_name, _, version = pin.partition(";")[0].strip().partition("==")
        versions.setdefault(locked_name, []).append(version)
    for requirement in [Requirement(text) for text in wanted if isinstance(text, str)]:
        if requirement.name != NAME:
            found = versions[canonicalize_name(requirement.name)]
            assert all(map(requirement.specifier.contains, found)), requirement


def test_the_licence_of_every_dependency_is_known_and_allowed() -> None:
    """Of what is installed: in CI that is all."""
    unknown, checked = {}, 0
    for pin in LOCKED:
        requirement, _, condition = (part.strip() for part in pin.partition(";"))
        name = requirement.partition("==")[0]
        if condition and not Marker(condition).evaluate():
            continue
        try:
            licence = licence_of(name)
        except PackageNotFoundError:
            continue
        checked += 1
        if not any(known in licence for known in LICENCES) and name not in OTHER_LICENCES:
            unknown[name] = licence
    assert unknown == {}
    assert checked > len(PYPROJECT["project"]["dependencies"])


def licence_of(name: str) -> str:
    """Return what a distribution says of its licence: expression, classifiers, or the text's first line."""
    fields = distribution(name).metadata
    classifiers = [text for text in fields.get_all("Classifier", ()) if text.startswith("License ::")]
    return fields.get("License-Expression") or "; ".join(classifiers) or fields.get("License", "")[:100]


def test_a_hint_to_install_names_the_distribution_or_a_checkout() -> None:
    texts = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("streamer/**/*.py")]
    hint = re.compile(rf"([\w.-]+)\[(?:{'|'.join(PYPROJECT['project']['optional-dependencies'])})\]")
    hints = [(path.name, named) for path in texts for named in hint.findall(path.read_text())]
    assert len(hints) > 5
    assert [named for named in hints if named[1] not in (NAME, ".")] == []
