"""The map agrees with the land: what the documents name is there, and every room says what it is without."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAP = (ROOT / "ARCHITECTURE.md").read_text()
DOCUMENTS = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").rglob("*.md"))]
# The migrations are part of `adapters/postgres/`, whose paragraph speaks for them.
NO_ROOM_OF_THEIR_OWN = "adapters/postgres/"
OUTSIDE_THE_ROOMS = {"schemas", "edge", "deploy", "wiring.py", "settings.py", "serve_app.py"}


def rooms() -> dict[str, str]:
    """Return the paragraph of each room that the map names."""
    paragraphs = re.findall(r"^### ([^\n]+)\n(.*?)(?=\n###? |\Z)", MAP, re.MULTILINE | re.DOTALL)
    return {
        name.rstrip("/"): paragraph
        for heading, paragraph in paragraphs
        for name in re.findall(r"`([^`]+)`", heading)
    }


def section(title: str) -> str:
    return MAP.split(f"\n## {title}\n")[1].split("\n## ")[0]


def links(text: str) -> list[str]:
    """Return where the relative links of a page lead."""
    return [link for link in re.findall(r"\]\(([^)#\s]+)\)", text) if not link.startswith("http")]


def test_every_room_has_its_paragraph_and_no_other() -> None:
    folders = {
        str(path.parent.relative_to(ROOT))
        for top in ("core", "actors", "gateway", "adapters", "cli")
        for path in (ROOT / top).rglob("__init__.py")
    }
    wanted = {folder for folder in folders if not folder.startswith(NO_ROOM_OF_THEIR_OWN)}
    assert rooms().keys() >= wanted | OUTSIDE_THE_ROOMS
    assert not {name for name in rooms() if not (ROOT / name).exists()}


@pytest.mark.parametrize(("name", "paragraph"), rooms().items(), ids=lambda value: value.split("\n")[0][:40])
def test_a_room_says_what_it_is_without(name: str, paragraph: str) -> None:
    absent = paragraph.partition("**Absent:**")[2]
    assert re.match(r"\s+no(thing)? ", absent), f"{name}: what is not there?"
    assert absent.rstrip().endswith(".")


def test_everything_that_is_absent_everywhere_is_said_once() -> None:
    assert MAP.rpartition("### Everywhere\n")[2].startswith("**Absent:** no ")


@pytest.mark.parametrize("title", ["The life of one write", "The life of one subscription"])
def test_each_step_names_its_files(title: str) -> None:
    steps = re.findall(r"^\d+\. (.+?)(?=^\d+\. |^\S|\Z)", section(title), re.MULTILINE | re.DOTALL)
    assert len(steps) >= 5
    # The last of a subscription goes on in the files of the one before it.
    silent = [step for step in steps[:-1] if not re.search(r"`[a-z]+/[a-z_/]+\.\w+`", step)]
    assert not silent


def test_every_file_that_the_documents_name_exists() -> None:
    missing = [
        f"{page.relative_to(ROOT)}: {path}"
        for page in DOCUMENTS
        for path in re.findall(r"`((?:[a-z_]+/)+[a-z_0-9]+\.(?:py|sql|cfg|json|md|jsonl))`", page.read_text())
        if not (ROOT / path).exists() and not (page.parent / path).exists()
    ]
    assert not missing


def test_every_folder_that_the_map_names_exists() -> None:
    folders = set(re.findall(r"`((?:[a-z_]+/)+)`", MAP))
    assert not {folder for folder in folders if not (ROOT / folder).is_dir()}


def test_every_link_leads_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in DOCUMENTS
        for link in links(page.read_text())
        if not (page.parent / link).exists()
    ]
    assert not broken


@pytest.mark.parametrize("page", ["README.md", "docs/guarantees.md"])
def test_each_promise_links_to_the_test_that_attacks_it(page: str) -> None:
    text = (ROOT / page).read_text()
    if page == "README.md":
        promises = text.split("**What it promises**")[1].split("**What it is not**")[0].split("\n- ")[1:]
    else:
        promises = [line for line in text.split("\n## ")[0].splitlines() if line.startswith("| ")][1:]
    assert len(promises) >= 5
    for promise in promises:
        tests = [link for link in links(promise) if re.search(r"tests/.+/test_\w+\.py$", link)]
        assert tests, f"no test is named: {promise[:60]}"
