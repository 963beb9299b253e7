"""Generated pages say what the code says, and what was measured."""

import importlib.util
import json
import re
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from core.connections import client_pb2
from core.connections.codec_objects import SERVER

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_pages_are_current(generate: ModuleType) -> None:
    stale = [str(path) for path, page in generate.PAGES.items() if path.read_text() != page()]
    assert not stale, "run `make docs`"


def test_the_protobuf_module_is_that_of_its_schema() -> None:
    schema = (ROOT / "core/connections/client.proto").read_text()
    written = {
        name: {(field, int(number)) for field, number in re.findall(r"(\w+) = (\d+);", body)}
        for name, body in re.findall(r"^message (\w+) \{(.*?)\}", schema, re.MULTILINE | re.DOTALL)
    }
    messages = client_pb2.DESCRIPTOR.message_types_by_name
    made = {name: {(field.name, field.number) for field in of.fields} for name, of in messages.items()}
    assert made == written, "run `make proto`"


def test_the_version_that_a_connect_answers_is_that_of_the_release() -> None:
    release = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"tidings {release}" == SERVER
    assert f'"version":"{SERVER}"' in (ROOT / "docs/protocol.md").read_text()


def trial_of(fault: str, day: int, **found: object) -> dict[str, Any]:
    clean = {"injections": 1, "acknowledged": 1_500, "violations": 0, "breaks": 0, "duplicates": 0}
    times = {"back_s": 1.0, "unavailable_s": 2.0, "again_s": 0.0}
    bounds = {"back_bound_s": 5, "unavailable_bound_s": 15.0, "again_bound_s": 0.0}
    when = {"at": f"2026-11-{day}T10:00:00Z", "commit": f"c{day}"}
    return {"fault": fault, **clean, **times, **bounds, **when, **found}


def test_the_record_of_faults_adds_up_and_shows_the_worst(generate: ModuleType) -> None:
    trials = [
        trial_of("kill", 12, back_s=4.0, unavailable_s=12.34, violations=2),
        trial_of("cut", 12, injections=210),
        trial_of("kill", 10),
        trial_of("kill", 11),
    ]
    cut, kill = generate.fault_rows(trials)
    last = "2026-11-12, `c12` |"
    assert cut == f"| cut | 1 | 210 | 1,500 | 0 | 0 | 0 | 1.00 | 1.00 of 5 | 2.00 of 15 | - | {last}"
    assert kill == f"| kill | 3 | 3 | 4,500 | 2 | 0 | 0 | 1.00 | 4.00 of 5 | 12.34 of 15 | - | {last}"


def test_who_never_came_back_is_the_worst_of_all(generate: ModuleType) -> None:
    trials = [trial_of("kill", 10), trial_of("kill", 11, back_s=None)]
    (row,) = generate.fault_rows(trials)
    assert "| never | never of 5 |" in row


def test_what_is_recorded_was_run_on_a_commit_without_changes() -> None:
    lines = (ROOT / "bench/results/faults.jsonl").read_text().splitlines()
    assert not [line for line in lines if json.loads(line)["commit"].endswith("+")]
