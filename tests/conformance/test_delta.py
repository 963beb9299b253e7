"""Patches against the official JavaScript SDK, which puts the documents together again."""

import json
import random
import subprocess
from itertools import pairwise
from typing import Any

from core.connections.delta import patch_of
from tests.conformance.kinds import javascript

SEED = 20_261_122
COUNT = 300


def documents() -> list[Any]:
    """Return a document and what many edits make of it, one after the other."""
    chance = random.Random(SEED)  # noqa: S311 (edits, no secrets)
    now: dict[str, Any] = {
        "title": "žluťoučký kůň 🐎",
        "players": [{"id": number, "name": f"player {number}", "score": 0} for number in range(60)],
    }
    found = [now]
    for step in range(COUNT):
        now = json.loads(json.dumps(now))
        players = now["players"]
        match step % 6:
            case 0:
                chance.choice(players)["score"] = chance.randrange(10**6)
            case 1:
                players.insert(
                    chance.randrange(len(players)), {"id": step, "name": chance.choice("ž🐎é") * 9}
                )
            case 2:
                chance.shuffle(players)
            case 3:
                del players[chance.randrange(len(players))]
            case 4:
                now["title"] = "".join(chance.choices("aé🐎🐏ž", k=40))
            case _:
                now = {"other": [chance.random() for _ in range(20)], "players": players}
                now["title"] = ""
        found.append(now)
    return found


def test_the_javascript_sdk_makes_the_documents_of_their_patches() -> None:
    given = documents()
    raw = [json.dumps(document, ensure_ascii=False).encode() for document in given]
    publications: list[dict[str, Any]] = [{"data": raw[0].decode()}]
    patched = 0
    for base, target in pairwise(raw):
        patch = patch_of(base, target)
        patched += patch is not None
        whole = {"data": target.decode()}
        publications.append(whole if patch is None else {"data": patch.decode(), "delta": True})
    sdk = subprocess.run(  # noqa: S603 (our own script)
        javascript("delta.mjs"),
        input=json.dumps(publications).encode(),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert sdk.returncode == 0, sdk.stderr.decode()
    assert json.loads(sdk.stdout) == given
    assert patched > COUNT * 0.8
