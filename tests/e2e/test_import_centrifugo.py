"""`tidings import centrifugo` against a running system: clients of the old one go on as before."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import ClientSession
from typer.testing import CliRunner

from cli.main import app
from tests.helpers.loop import run
from tests.helpers.running import Running, running

SECRET = "as long as the library that signs wants it"  # noqa: S105 (of a test)
CONFIGURATION: dict[str, Any] = {
    "client": {"token": {"hmac_secret_key": SECRET}, "ping_interval": "12s"},
    "channel": {
        "namespaces": [
            {
                "name": "chat",
                "history_size": 2,
                "history_ttl": "600s",
                "allow_subscribe_for_client": True,
                "presence": True,
            }
        ]
    },
    "http_api": {"key": "K"},
    "engine": {"type": "redis"},
}


@pytest.fixture(scope="module")
def system() -> Iterator[Running]:
    """Give a running system of one process."""
    with running("--single-process") as found:
        yield found


@pytest.fixture
def move(system: Running) -> Callable[..., str]:
    """Give the command, and what it prints."""

    def run_it(*arguments: str, code: int = 0, said: str | None = None, **environment: str) -> str:
        variables = {"TIDINGS_DATA_DIR": str(system.data_dir), "COLUMNS": "300", **environment}
        done = CliRunner().invoke(app, ("import", "centrifugo", *arguments), env=variables, input=said)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == code, done.output
        return done.output

    return run_it


async def call(system: Running, method: str, request: dict[str, Any], key: str = "K") -> tuple[int, Any]:
    async with (
        ClientSession() as session,
        session.post(f"{system.origin}/api/{method}", json=request, headers={"X-API-Key": key}) as answer,
    ):
        return answer.status, await answer.json() if answer.content_length else None


async def answer_to(system: Running, token: str, *commands: dict[str, Any]) -> list[Any]:
    """Return the replies to a connect and what follows it."""
    async with (
        ClientSession() as session,
        session.ws_connect(system.socket_url) as socket,
    ):
        replies = []
        for number, command in enumerate(({"connect": {"token": token}}, *commands), start=1):
            await socket.send_str(json.dumps({"id": number, **command}))
            replies.append(json.loads((await socket.receive()).data.split("\n")[0]))
        return replies


def row(shown: str, key: str) -> str:
    return next(line for line in shown.splitlines() if line.startswith(f"{key} "))


def test_what_was_moved_is_in_force_when_the_command_ends(
    system: Running, move: Callable[..., str], tmp_path: Path
) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(CONFIGURATION))
    dry = move(str(file), "--dry-run")
    assert "Nothing was changed." in dry
    assert run(call(system, "info", {}))[0] == 401

    shown = move(str(file))
    assert "taken over" in row(shown, "channel.namespaces.chat.history_size")
    assert "same without setting" in row(shown, "engine.type")
    assert "TIDINGS_REALTIME_PING_S" in row(shown, "client.ping_interval")
    assert re.search(r"\d+ taken over, 1 same without setting, 1 not available\.", shown)
    assert SECRET not in shown

    for number in range(3):
        status, answer = run(call(system, "publish", {"channel": "chat:a", "data": number}))
        assert (status, answer["result"]["offset"]) == (200, number + 1)
    _, page = run(call(system, "history", {"channel": "chat:a", "limit": -1}))
    assert [entry["data"] for entry in page["result"]["publications"]] == [1, 2]
    assert run(call(system, "publish", {"channel": "nobody:a", "data": 1}))[1]["error"]["code"] == 102
    replies = run(
        answer_to(
            system,
            jwt.encode({"sub": "ada"}, SECRET, algorithm="HS256"),
            {"subscribe": {"channel": "chat:a"}},
            {"subscribe": {"channel": "chat"}},
        )
    )
    assert "connect" in replies[0]
    assert replies[1]["subscribe"]["offset"] == 3
    assert replies[2]["error"]["code"] == 103


def test_what_stands_against_a_move_is_said_and_nothing_is_changed(
    system: Running, move: Callable[..., str], tmp_path: Path
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("channel:\n  namespaces:\n    - name: message\nhttp_api:\n  key: another\n")
    said = move(str(file), code=1)
    assert "nothing was changed" in " ".join(said.split())
    assert "message is a resource type" in " ".join(said.split())
    assert run(call(system, "info", {}, "another"))[0] == 401


def test_a_reset_asks_first_and_begins_anew(
    system: Running, move: Callable[..., str], tmp_path: Path
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        '[channel.without_namespace]\nhistory_size = 5\nhistory_ttl = "60s"\n[http_api]\nkey = "K"\n'
    )
    move(str(file), "--reset", said="n\n", code=1)
    move(str(file))
    _, first = run(call(system, "publish", {"channel": "a", "data": 1}))
    move(str(file), "--reset", "--yes")
    _, second = run(call(system, "publish", {"channel": "a", "data": 1}))
    assert (first["result"]["offset"], second["result"]["offset"]) == (1, 1), second
    assert first["result"]["epoch"] != second["result"]["epoch"]


def test_an_environment_is_a_configuration_too(
    system: Running, move: Callable[..., str], tmp_path: Path
) -> None:
    file = tmp_path / "centrifugo.env"
    file.write_text("CENTRIFUGO_HTTP_API_KEY=from-a-file\nCENTRIFUGO_CHANNEL_NAMESPACES_CHAT_PRESENCE=true\n")
    shown = move("--env-file", str(file), CENTRIFUGO_CHANNEL_NAMESPACES="chat", CENTRIFUGO_LOG_LEVEL="debug")
    assert "taken over" in row(shown, "CENTRIFUGO_CHANNEL_NAMESPACES_CHAT_PRESENCE")
    assert "not available" in row(shown, "CENTRIFUGO_LOG_LEVEL")
    assert run(call(system, "history", {"channel": "chat:a"}, "from-a-file"))[1]["error"]["code"] == 108
    assert run(call(system, "history", {"channel": "other:a"}, "from-a-file"))[1]["error"]["code"] == 102


def test_without_anything_to_take_over_nothing_is_wiped_out(
    system: Running, move: Callable[..., str], tmp_path: Path
) -> None:
    file = tmp_path / "config.json"
    file.write_text('{"http_api": {"key": "stays"}}')
    move(str(file))
    assert "there is nothing to take over" in " ".join(move(code=1).split())
    assert run(call(system, "info", {}, "stays"))[0] == 200


def test_an_open_api_is_open_and_said_to_be(
    system: Running, move: Callable[..., str], tmp_path: Path
) -> None:
    file = tmp_path / "config.json"
    file.write_text('{"http_api": {"insecure": true}}')
    assert "without a key: keep others away" in move(str(file))
    assert run(call(system, "publish", {"channel": "a", "data": 1}, "none"))[0] == 200
    file.write_text('{"http_api": {"insecure": false}}')
    move(str(file))
    assert run(call(system, "publish", {"channel": "a", "data": 1}, "none"))[0] == 401


def test_a_backend_brings_its_secret_once_and_says_whom_it_can_call(
    move: Callable[..., str], tmp_path: Path
) -> None:
    file = tmp_path / "config.json"
    configuration: dict[str, Any] = {"proxy_connect_endpoint": "https://app.example.com/connect"}
    file.write_text(json.dumps(configuration))
    dry = move(str(file), "--dry-run")
    assert "TIDINGS_BACKEND_PRIVATE" not in dry
    assert "whsec_" not in dry
    assert re.search(r"^Backend secret  whsec_\S+$", move(str(file)), re.MULTILINE)
    configuration["proxy_rpc_endpoint"] = "http://127.0.0.1:3000/rpc"
    file.write_text(json.dumps(configuration))
    again = move(str(file))
    assert "127.0.0.1 is called only by an installation with TIDINGS_BACKEND_PRIVATE=true" in again
    assert "whsec_" not in again
    assert "TIDINGS_BACKEND_PRIVATE" not in move(str(file), "--dry-run", TIDINGS_BACKEND_PRIVATE="true")


def test_an_organization_that_tokens_do_not_come_to_is_warned_of(
    system: Running, move: Callable[..., str], tmp_path: Path
) -> None:
    file = tmp_path / "config.json"
    file.write_text('{"token_hmac_secret_key": "s"}')
    assert "--default" not in move(str(file), "--dry-run")
    variables = {"TIDINGS_DATA_DIR": str(system.data_dir), "COLUMNS": "300"}
    made = CliRunner().invoke(app, ("orgs", "create", "another"), env=variables).output
    other = made.split("Organization")[1].split()[0]
    said = move(str(file), "-o", other, "--dry-run")
    assert f"`tidings orgs set -o {other} --default`" in said
    missing = " ".join(move(str(file), "-o", "org_nope", code=1).split())
    assert "There is no organization org_nope; `tidings orgs list` shows all." in missing


@pytest.mark.parametrize(
    ("name", "text"), [("c.json", "{"), ("c.json", "[]"), ("c.yaml", "a: [b"), ("c.toml", "=")]
)
def test_a_file_that_cannot_be_read_is_one_sentence(
    move: Callable[..., str], tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)
    assert "Tidings can't do this" in move(str(tmp_path / name), code=1)
    assert "can't be used" in move(str(tmp_path / "none.json"), code=1)
