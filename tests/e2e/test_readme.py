"""Every command of the README and of the page on tokens, against a system that has just started."""

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.conformance.kinds import javascript
from tests.helpers.readme import blocks, indented
from tests.helpers.realtime import Speaker
from tests.helpers.running import Running


def shell(system: Running, script: str, folder: Path) -> str:
    """Run a script as it stands, but for the port and the data folder of this system."""
    script = script.replace("localhost:8000", f"localhost:{system.port}")
    script = script.replace(".tidings/cli.json", str(system.data_dir / "cli.json"))
    done = subprocess.run(  # noqa: S603 (the README's own commands)
        ["/bin/bash", "-c", script],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=60,
        env={**os.environ, "TIDINGS_DATA_DIR": str(system.data_dir)},
        check=False,
    )
    assert done.returncode in (0, 124), done.stderr  # 124: a stream that was cut by its time limit
    return done.stdout


def chat(system: Running, token: str, *commands: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the replies to what a user says, one command after the other."""

    async def talk() -> list[dict[str, Any]]:
        async with Speaker(system.socket_url, token) as user:
            return [
                await user.ask({"id": place, **command}) for place, command in enumerate(commands, start=2)
            ]

    return asyncio.run(talk())


def test_the_curl_examples_work_as_they_stand(system: Running, tmp_path: Path) -> None:
    key, make, read, publish, configure, stream = blocks("sh")
    made = shell(system, key + make, tmp_path)
    room, message = (json.loads(part) for part in made.replace("}{", "}\n{").splitlines())
    assert (room["object"], room["external_id"]) == ("room", "lobby")
    assert (message["object"], message["text"], message["room_id"]) == ("message", "Hello", room["id"])
    shown = shell(system, key + read.replace("curl -sN", "timeout 3 curl -sN"), tmp_path)
    assert shown.count("message.created") == 2
    assert "\nid: " in shown
    answer = json.loads(shell(system, key + publish, tmp_path))
    assert (answer["object"], answer["channel"], answer["offset"]) == ("publication", "news", 1)
    namespace = json.loads(shell(system, key + configure, tmp_path))
    shown_as = (namespace["object"], namespace["name"], namespace["presence"])
    assert shown_as == ("channel_namespace", "chat", True)
    events = shell(system, key + stream.replace("curl -sN", "timeout 3 curl -sN"), tmp_path)
    assert '"data":{"headline": "It works"}' in events
    again = shell(system, key + make.partition("\n\n")[2], tmp_path)
    assert json.loads(again)["id"] == message["id"], "the idempotency key of the example has one effect"


def test_a_user_may_do_in_the_example_s_namespace_what_it_is_made_for(
    system: Running, tmp_path: Path
) -> None:
    key, configure = (blocks("sh")[place] for place in (0, 4))
    shell(system, key + configure, tmp_path)
    time.sleep(1.5)  # what docs/namespaces.md promises: within a second it holds in every process
    here = {"channel": "chat:42"}
    _, published, history, presence = chat(
        system,
        system.token("ann"),
        {"subscribe": here},
        {"publish": {**here, "data": {"text": "hello"}}},
        {"history": {**here, "limit": 10}},
        {"presence": here},
    )
    assert "publish" in published
    assert [shown["data"] for shown in history["history"]["publications"]] == [{"text": "hello"}]
    assert [who["user"] for who in presence["presence"]["presence"].values()] == ["ann"]


def test_a_user_comes_back_by_the_example_s_token_after_his_tokens_were_taken_back(
    system: Running, tmp_path: Path
) -> None:
    (sign,) = (block for block in blocks("python", "docs/tokens.md") if "jwt.encode" in block)
    revoke = next(block for block in blocks("sh", "docs/tokens.md") if "/revoke" in block)
    shell(system, f"URL={system.origin} KEY={system.key}\n{revoke}", tmp_path)
    time.sleep(2.5)  # within a second or two, says the page
    made: dict[str, Any] = {"TOKEN_SECRET": system.token_secret}
    exec(sign.replace("org_01m8…", system.organization), made)  # noqa: S102 (the page's own example)
    (reply,) = chat(system, made["token"], {"subscribe": {"channel": "lobby"}})
    assert "subscribe" in reply


def test_the_javascript_example_hears_what_was_published(system: Running, tmp_path: Path) -> None:
    (example,) = blocks("js")
    key, publish = (blocks("sh")[place] for place in (0, 3))
    shell(system, key + publish, tmp_path)
    program = tmp_path / "example.mjs"
    script = example.replace("ws://localhost:8000", f"ws://localhost:{system.port}")
    program.write_text(script.replace("token: KEY", f"token: '{system.key}'"))
    node, installed = javascript()
    (tmp_path / "node_modules").symlink_to(Path(installed).parent / "node_modules")
    with subprocess.Popen([node, str(program)], stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 (ours)
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "1 { headline: 'It works' }\n"
        finally:
            process.kill()


def test_tail_shows_what_publish_sends(system: Running, tmp_path: Path) -> None:
    tail, publish = (line for line in indented() if "tidings " in line)
    bin_dir = f"{Path(sys.executable).parent}/"
    with (
        subprocess.Popen(  # noqa: S603 (the README's own command)
            [bin_dir + "tidings", *tail.split()[1:]],
            stdout=subprocess.PIPE,
            env={**os.environ, "TIDINGS_DATA_DIR": str(system.data_dir)},
        ) as process
    ):
        try:
            assert process.stdout is not None
            deadline = time.monotonic() + 30
            os.set_blocking(process.stdout.fileno(), False)
            heard = b""
            while b'{"text":"hello"}' not in heard:
                assert time.monotonic() < deadline, "nothing arrived"
                shell(system, publish.replace(".venv/bin/", bin_dir), tmp_path)
                heard += process.stdout.read() or b""
        finally:
            process.kill()
