"""Files of the pages: as their authors published them, with words for every metric, all of one version."""

import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from streamer.metrics.catalogue import CATALOGUE
from streamer.panes.windows import WINDOWS
from streamer.web import pages
from streamer.web.pages import STATIC, StaticFile

ROOT = Path(__file__).parents[2]
VENDORS = [STATIC / "vendor", ROOT / "tests/browser/vendor"]
LANGUAGES = ["en", "es", "zh"]


def client(found: Mapping[str, StaticFile] | None = None) -> httpx.AsyncClient:
    app = Starlette(routes=pages.page_routes(found or pages.load_files()))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x")


def table(name: str) -> Any:
    """A module that exports one literal."""
    module = pages.load_files()[name].body.decode()
    return json.loads(module.removeprefix("export default "))


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/supervisor", "text/html; charset=utf-8"),
        ("/views", "text/html; charset=utf-8"),
        ("/static/wall.js", "text/javascript; charset=utf-8"),
        ("/static/wall.css", "text/css; charset=utf-8"),
        ("/static/vendor/preact.js", "text/javascript; charset=utf-8"),
        ("/static/vendor/preact.LICENSE", "text/plain; charset=utf-8"),
        ("/static/vendor/inter.woff2", "font/woff2"),
        ("/static/icon.svg", "image/svg+xml"),
    ],
)
async def test_each_file_is_served_as_what_it_is(path: str, media_type: str) -> None:
    async with client() as asking:
        answer = await asking.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == media_type
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    [
        "/static/nothing.js",
        "/static/",
        "/static/../pages.py",
        "/static/%2e%2e/pages.py",
        "/static//etc/passwd",
    ],
)
async def test_nothing_else_is_served(path: str) -> None:
    async with client() as asking:
        assert (await asking.get(path)).status_code == 404


async def test_what_did_not_change_is_not_sent_again() -> None:
    async with client() as asking:
        etag = (await asking.get("/static/wall.js")).headers["etag"]
        for known in (etag, f'"other", W/{etag}'):
            again = await asking.get("/static/wall.js", headers={"if-none-match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
        other = await asking.get("/static/wall.js", headers={"if-none-match": '"other"'})
        assert other.status_code == 200


def test_the_version_changes_with_any_file_and_with_nothing_else() -> None:
    found = pages.load_files()
    assert pages.files_version(found) == pages.files_version(dict(reversed(found.items())))
    changed = found | {"wall.css": StaticFile(b"", "text/css", '"0"')}
    moved = found | {"wall2.css": found["wall.css"]}
    assert len({pages.files_version(one) for one in (found, changed, moved)}) == 3


def vendored() -> Iterator[tuple[Path, dict[str, Any]]]:
    for folder in VENDORS:
        for entry in json.loads((folder / "vendored.json").read_text()):
            yield folder / entry["file"], entry


@pytest.mark.parametrize(("path", "entry"), [*vendored()], ids=lambda one: getattr(one, "name", ""))
def test_a_vendored_file_is_as_it_was_published_but_for_what_is_told(
    path: Path, entry: dict[str, Any]
) -> None:
    body = path.read_bytes()
    if "replaced" in entry:
        theirs, ours = (one.encode() for one in entry["replaced"])
        assert body.count(ours) == 1
        body = body.replace(ours, theirs)
    assert sha256(body).hexdigest() == entry["sha256"]


@pytest.mark.parametrize("folder", VENDORS, ids=["pages", "tests"])
def test_everything_vendored_is_listed_with_version_and_license(folder: Path) -> None:
    entries = json.loads((folder / "vendored.json").read_text())
    assert {one.name for one in folder.iterdir()} == {entry["file"] for entry in entries} | {"vendored.json"}
    licensed = {entry["package"] for entry in entries if entry["original"] == "LICENSE"}
    assert {entry["package"] for entry in entries} == licensed
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", entry["version"]) for entry in entries)


def test_no_page_asks_another_host_or_needs_what_the_security_policy_forbids() -> None:
    own = [
        path
        for path in STATIC.rglob("*")
        if path.suffix in (".html", ".js", ".css") and "vendor" not in path.parts
    ]
    assert len(own) > 10
    for path in own:
        text = path.read_text()
        assert not re.search(r"https?://(?!www\.w3\.org/)", text), path
        assert not re.search(
            r"""\sstyle=["']|<style|\son[a-z]+=["']|<script(?![^>]*\ssrc=)|\beval\(""", text
        ), path


def test_every_import_names_a_file_that_is_there() -> None:
    served = pages.load_files()
    for path in STATIC.rglob("*.js"):
        for named in re.findall(r"""(?:\bfrom|\bimport)\s*["']([^"'\s]+)["']""", path.read_text()):
            assert named.startswith("."), (path, named)
            assert (path.parent / named).resolve().relative_to(STATIC).as_posix() in served, (path, named)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_metric_and_window_has_a_name_in_every_language(language: str) -> None:
    words = table(f"words/{language}.js")
    assert [*words["metrics"]] == [*CATALOGUE]
    assert [*words["windows"]] == [*WINDOWS]
    for metric, said in words["metrics"].items():
        assert set(said) == {"name", "words"}, metric
        assert all(said.values()), metric


def shape(words: Any, place: str = "") -> Iterator[tuple[str, frozenset[str]]]:
    """The keys, and what stands for values in each."""
    if isinstance(words, str):
        yield place, frozenset(re.findall(r"\{(\w+)\}", words))
        return
    for key, inner in words.items():
        yield from shape(inner, f"{place}.{key}")


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_all_languages_say_the_same_things(language: str) -> None:
    """Chinese has one form where others count: its plural forms are not compared."""
    known, theirs = (
        {key: values for key, values in shape(table(f"words/{one}.js")) if not key.endswith(".one")}
        for one in ("en", language)
    )
    assert theirs == known


def test_a_sample_is_named_for_every_metric_that_has_one() -> None:
    samples, words = table("samples.js"), table("words/en.js")
    assert [*samples] == [*CATALOGUE]
    uncounted = {name for name, kind in samples.items() if kind is None}
    assert uncounted == {
        name
        for name, one in CATALOGUE.items()
        if one.measure.support == "the value itself" or one.formula.needs in ("time", "live")
    }
    assert (samples["response_ratio"], samples["value_at_risk"]) == ("surveys", "customers")
    assert {kind for kind in samples.values() if kind} == set(words["samples"]) == set(words["few"])


def test_they_are_in_the_package(tmp_path: Path) -> None:
    """The wheel holds every file of the pages. Built by hatchling, as an installation does."""
    from hatchling.builders.wheel import WheelBuilder

    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    held = set(zipfile.ZipFile(wheel).namelist())
    files = pages.load_files().keys() - {"samples.js", "target_conditions.js"}
    assert {f"streamer/web/static/{path}" for path in files} <= held
    assert "streamer/web/static/vendor/vendored.json" in held
