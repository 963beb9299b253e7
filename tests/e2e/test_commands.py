"""Every verb of `tidings` but `up`, against one small system that all of them share."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jwt
import pytest
from aiohttp import ClientSession, WSMsgType
from typer.testing import CliRunner

from cli.main import app
from tests.helpers.running import ROOT, Running, running

# Ray, which `deploy` imports, uses what its pydantic calls old.
pytestmark = pytest.mark.filterwarnings("ignore:Using extra keyword arguments:DeprecationWarning")
OPTIONS = ("client-publish", "anonymous", "client-insecure", "require-idempotency-key")


@pytest.fixture(scope="module")
def system() -> Iterator[Running]:
    """Give a running system of one process."""
    with running("--single-process") as found:
        yield found


def command(folder: Path, *arguments: str, code: int = 0, **environment: str) -> str:
    """Run `tidings <arguments>` and return what it prints; of a failure, its one sentence.

    In this process, which has imported everything already: two seconds less for each.
    """
    variables = {"TIDINGS_DATA_DIR": str(folder), "COLUMNS": "300", **environment}
    done = CliRunner().invoke(app, arguments, env=variables)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.stdout if code == 0 or not done.stderr else " ".join(done.stderr.split())


@pytest.fixture
def tidings(system: Running) -> Callable[..., str]:
    """Give the command line of the shared system, from a shell that does not know its port."""

    def run(*arguments: str, code: int = 0, **environment: str) -> str:
        return command(system.data_dir, *arguments, code=code, **{"TIDINGS_PORT": "8000", **environment})

    return run


def row(table: str, part: str) -> str:
    """Return the line of a table that holds `part`."""
    return next(line for line in table.splitlines() if part in line)


def created(tidings: Callable[..., str], name: str) -> dict[str, str]:
    """Make an organization; return its id, key and token secret."""
    shown = tidings("orgs", "create", name)
    found = re.search(r"Organization +(org_\w+)\nAPI key +(tdg_\w+)\nToken secret +(\S+)", shown)
    assert found is not None, shown
    return dict(zip(("id", "key", "secret"), found.groups(), strict=True))


def test_status_shows_what_runs_where_whatever_port_this_shell_would_start_on(
    system: Running, tidings: Callable[..., str]
) -> None:
    shown = tidings("status")
    for what, offset in (("Edge", 0), ("REST", 10), ("WebSocket", 11), ("Streams", 12)):
        assert row(shown, what).split() == [what, "port", f"{system.port + offset}", "serves"]
    assert str(system.data_dir / "postgres") in row(shown, "Database")
    assert {"backend", "edge", "valkey"} <= set(re.findall(r"Process +(\w+):", shown))
    assert [line.split()[:2] for line in shown.splitlines() if " single " in line] == [
        [f"{number}", "single"] for number in range(4)
    ]
    assert row(shown, system.organization)


def test_doctor_finds_nothing_wrong_with_what_runs(system: Running, tidings: Callable[..., str]) -> None:
    shown = tidings("doctor")
    assert "✗" not in shown
    assert f"runs on {system.data_dir} (process {system.process.pid})" in shown
    assert "partitions: 4, each with an owner" in shown
    assert f"answers at {system.origin}" in shown


def test_doctor_says_what_keeps_a_start_from_succeeding(tmp_path: Path, system: Running) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "bad.json").write_text("{")
    environment = {"TIDINGS_PORT": str(system.port), "TIDINGS_SCHEMAS_DIR": str(tmp_path / "schemas")}
    shown = command(tmp_path / "data", "doctor", code=1, **environment)
    wrong = [line for line in shown.splitlines() if "✗" in line]
    assert len(wrong) == 3
    assert "bad.json" in wrong[0]
    assert f"Port {system.port} (the edge) is in use by" in wrong[1]
    assert f"has never run on {tmp_path / 'data'}: start it with `make up`" in wrong[2]


def test_doctor_gives_the_last_words_of_what_ended(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "backend.log").write_text("something\nno space left\n")
    shown = command(tmp_path, "doctor", code=1, TIDINGS_PORT="29990")
    assert "✗ Tidings: does not run on" in shown
    assert "backend.log: no space left" in shown


def test_doctor_knows_what_an_earlier_run_left_and_the_next_start_ends(
    tmp_path: Path, system: Running
) -> None:
    (tmp_path / "run").mkdir()
    edge = next(one for one in system.members() if one.name() == "haproxy")
    record = json.dumps({"pid": edge.pid, "created": edge.create_time()})
    (tmp_path / "run" / "edge.pid").write_text(record)
    shown = command(tmp_path, "doctor", code=1, TIDINGS_PORT=str(system.port))
    assert f"✓ ports: an earlier run left edge (process {edge.pid}): the next start ends that first" in shown


def test_a_key_is_made_used_listed_and_revoked(system: Running, tidings: Callable[..., str]) -> None:
    shown = tidings(
        "keys", "create", "for a test", "--scope", "events:read", "--scope", "channels:read",
        "--expires-in-days", "2",
    )  # fmt: skip
    key, told = shown.splitlines()
    public = told.split()[0]
    assert told.startswith(f"{public} may channels:read, events:read.")
    assert system.call("GET", "/v1/events", key=key)[0] == 200
    assert system.call("POST", "/v1/rooms", {"name": "no"}, key=key)[0] == 403
    listed = row(tidings("keys", "list"), public)
    assert key not in listed
    assert "for a test" in listed
    assert "never" not in listed
    assert listed.split()[-1] == "active"
    assert public in tidings("keys", "revoke", public)
    assert row(tidings("keys", "list"), public).split()[-1] == "revoked"
    assert f"no active key {public}" in tidings("keys", "revoke", public, code=1)


def test_a_key_of_another_organization_is_not_found(tidings: Callable[..., str]) -> None:
    other = created(tidings, "keys elsewhere")
    shown = tidings("keys", "create", "theirs", "-o", other["id"])
    public = shown.splitlines()[1].split()[0]
    assert f"no active key {public}" in tidings("keys", "revoke", public, code=1)
    assert "everything" in row(tidings("keys", "list", "-o", other["id"]), public)
    tidings("keys", "revoke", public, "-o", other["id"])


@pytest.mark.parametrize("organization", ["org_nope", "org_00000000000000000000000000", "acme"])
def test_an_organization_or_key_that_there_is_not_is_named(
    tidings: Callable[..., str], organization: str
) -> None:
    for verb in (("keys", "list"), ("orgs", "set", "--name", "x"), ("orgs", "token-keys")):
        said = tidings(*verb, "-o", organization, code=1)
        assert f"There is no organization {organization}; `tidings orgs list` shows all." in said
    assert "There is no active key key_nope" in tidings("keys", "revoke", "key_nope", code=1)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("-o", "org_nonsense"), "`tidings orgs list` shows all"),
        (("-o", "org_00000000000000000000000000"), "`tidings orgs list` shows all"),
        (("--scope", "nothing:much"), "channels, events, "),
    ],
)
def test_what_no_key_can_be_for_is_one_sentence(
    tidings: Callable[..., str], wrong: tuple[str, ...], said: str
) -> None:
    sentence = tidings("keys", "create", *wrong, code=1)
    assert sentence.startswith("Tidings can't do this: ")
    assert said in sentence


def test_what_tail_and_publish_are_given_wrongly_is_named(tidings: Callable[..., str]) -> None:
    assert "--since" in tidings("tail", "news", "--since", "-4", code=2)
    assert "channel: A channel's name has 1 to 255" in tidings("publish", "ü", "1", code=1)


def test_an_organization_made_by_the_command_line_works(system: Running, tidings: Callable[..., str]) -> None:
    one = created(tidings, "made here")
    assert system.call("PUT", "/v1/rooms/ext:theirs", {"name": "theirs"}, key=one["key"])[0] == 201
    assert system.call("GET", "/v1/rooms/ext:theirs")[0] == 404
    listed = tidings("orgs", "list")
    assert "made here" in row(listed, one["id"])
    assert "(default)" in row(listed, system.organization)


def test_every_option_of_an_organization_is_set_and_the_others_stay(tidings: Callable[..., str]) -> None:
    one = created(tidings, "options")
    columns = tidings("orgs", "list").splitlines()[0].split()

    def options() -> dict[str, str]:
        # The name is one word here, so that columns and cells agree.
        return dict(zip(columns, row(tidings("orgs", "list"), one["id"]).split(), strict=True))

    before = options()
    for option in OPTIONS:
        for flag, state in ((f"--{option}", "on"), (f"--no-{option}", "off")):
            shown = tidings("orgs", "set", "-o", one["id"], flag)
            assert ("for development only" in shown) == (flag == "--client-insecure")
            assert options() == before | {option.replace("-", "_"): state}
        tidings("orgs", "set", "-o", one["id"], f"--{option}")
        before = options()
    for unknown in ("refuse", "allow"):
        tidings("orgs", "set", "-o", one["id"], "--unknown-namespaces", unknown)
        assert options() == before | {"unknown_namespaces": unknown}
    tidings("orgs", "set", "-o", one["id"], "--name", "renamed")
    assert options() == before | {"name": "renamed", "unknown_namespaces": "allow"}


def test_required_idempotency_keys_are_insisted_on(system: Running, tidings: Callable[..., str]) -> None:
    one = created(tidings, "careful")
    tidings("orgs", "set", "-o", one["id"], "--require-idempotency-key")
    status, body = system.call("POST", "/v1/rooms", {"name": "no key"}, key=one["key"])
    assert (status, body["code"]) == (400, "idempotency_key_required"), body


def answer_to_connect(system: Running, token: str) -> dict[str, object]:
    """Return what a socket hears that connects with a token."""

    async def ask() -> dict[str, object]:
        async with ClientSession() as session, session.ws_connect(system.socket_url) as socket:
            await socket.send_json({"id": 1, "connect": {"token": token}})
            message = await socket.receive(10)
            return json.loads(message.data) if message.type is WSMsgType.TEXT else {"closed": message.data}

    return asyncio.run(ask())


def test_a_token_secret_of_ones_own_signs_connections(system: Running, tidings: Callable[..., str]) -> None:
    one = created(tidings, "signed")
    secret = "a-secret-that-is-long-enough-for-hs256"  # noqa: S105 (of a test)
    tidings("orgs", "set", "-o", one["id"], "--token-secret", secret)
    claims = {"sub": "ada", "org": one["id"], "exp": int(time.time()) + 60}
    assert "connect" in answer_to_connect(system, jwt.encode(claims, secret, algorithm="HS256"))
    assert "connect" not in answer_to_connect(system, jwt.encode(claims, one["secret"], algorithm="HS256"))


def test_the_keys_of_another_system_sign_connections(
    system: Running, tidings: Callable[..., str], tmp_path: Path
) -> None:
    one = created(tidings, "moved")
    secret = "a-secret-that-is-long-enough-for-hs512-as-its-library-wants-it-to-be"  # noqa: S105 (of a test)
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"hmac_secret": secret, "user_claim": "user_id"}))
    shown = json.loads(tidings("orgs", "token-keys", str(file), "-o", one["id"]))
    assert (shown["user_claim"], secret in str(shown)) == ("user_id", False)
    assert json.loads(tidings("orgs", "token-keys", "-o", one["id"])) == shown
    assert json.loads(tidings("orgs", "token-keys")) == {}
    claims = {"user_id": "ada", "org": one["id"]}
    assert "connect" in answer_to_connect(system, jwt.encode(claims, secret, algorithm="HS512"))
    file.write_text('{"hmac_secret": 7}')
    assert "#/hmac_secret: Must be" in tidings("orgs", "token-keys", str(file), "-o", one["id"], code=1)
    assert "can't be used" in tidings("orgs", "token-keys", str(tmp_path / "none"), "-o", one["id"], code=1)


def test_another_organization_becomes_the_default(system: Running, tidings: Callable[..., str]) -> None:
    one = created(tidings, "later")
    tidings("orgs", "set", "-o", one["id"], "--default")
    try:
        listed = tidings("orgs", "list")
        assert "(default)" in row(listed, one["id"])
        assert listed.count("(default)") == 1
        assert one["key"][:9] in tidings("keys", "list")
    finally:
        tidings("orgs", "set", "-o", system.organization, "--default")


def test_seed_fills_and_adds_nothing_the_second_time(system: Running, tidings: Callable[..., str]) -> None:
    for _ in range(2):
        assert "5 rooms and 40 messages" in tidings("seed", "--rooms", "5", "--messages", "40")
    _, page = system.call("GET", "/v1/messages?limit=100")
    assert isinstance(page["data"], list)
    assert sum(str(one["external_id"]).startswith("seed-") for one in page["data"]) == 40


def test_migrate_changes_nothing_that_is_up_to_date(tidings: Callable[..., str]) -> None:
    assert tidings("migrate") == "The schema is up to date.\n"


def test_tail_since_shows_what_was_before(system: Running, tidings: Callable[..., str]) -> None:
    for number in range(3):
        assert f"offset={number + 1}" in tidings("publish", "history", json.dumps({"number": number}))
    with subprocess.Popen(
        [sys.executable, "-m", "cli.main", "tail", "history", "--since", "1"],
        cwd=ROOT,
        env={**os.environ, "TIDINGS_DATA_DIR": str(system.data_dir)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == '2 {"number":1}\n'
            assert process.stdout.readline() == '3 {"number":2}\n'
        finally:
            process.kill()


def test_publish_says_that_a_publication_was_only_passed_on(
    system: Running, tidings: Callable[..., str]
) -> None:
    key = json.loads((system.data_dir / "cli.json").read_text())["api_key"]
    status, body = system.call("PUT", "/v1/channel_namespaces/passing", {"ephemeral": True}, key=key)
    assert status < 300, body
    deadline = time.monotonic() + 5
    while "offset" in (said := tidings("publish", "passing:1", "1")):  # rules are believed for a second
        assert time.monotonic() < deadline
    assert said == "passing:1 ephemeral\n"


def test_publish_refuses_what_is_no_json(tidings: Callable[..., str]) -> None:
    assert "double quotes" in tidings("publish", "news", "hello", code=1)


@pytest.mark.parametrize(
    "verb", [("status",), ("migrate",), ("keys", "list"), ("keys", "create"), ("orgs", "list")], ids=" ".join
)
def test_without_a_database_each_verb_says_what_to_do(tmp_path: Path, verb: tuple[str, ...]) -> None:
    said = command(tmp_path, *verb, code=1, DATABASE_URL="")
    assert said.startswith(f"Tidings can't do this: no database: nothing runs on {tmp_path}. Start `make up`")


@pytest.mark.parametrize("verb", [("publish", "a", "1"), ("tail", "a"), ("seed",)], ids=" ".join)
def test_without_an_installation_each_verb_says_what_to_do(tmp_path: Path, verb: tuple[str, ...]) -> None:
    said = command(tmp_path, *verb, code=1)
    assert said.startswith(f"Tidings can't do this: {tmp_path / 'cli.json'} can't be read: start `make up`")


MALFORMED = ("nonsense", "postgresql://host:abc/db")
SILENT = "postgresql://u:hidden@127.0.0.1:1/x"


@pytest.mark.parametrize(
    ("verb", "url"),
    [
        *((verb, url) for verb in ("status", "migrate", "deploy") for url in MALFORMED),
        *((verb, SILENT) for verb in ("status", "migrate")),  # `deploy` waits for it
    ],
)
def test_a_database_that_can_not_be_is_one_sentence(tidings: Callable[..., str], verb: str, url: str) -> None:
    said = tidings(verb, code=1, DATABASE_URL=url)
    assert "DATABASE_URL" in said
    assert "hidden" not in said


@pytest.mark.parametrize("verb", ["up", "status", "doctor", "migrate", "deploy", "seed"])
def test_a_setting_that_can_not_be_is_named(tidings: Callable[..., str], verb: str) -> None:
    assert "TIDINGS_PORT is 'abc'" in tidings(verb, code=1, TIDINGS_PORT="abc")


def test_deploy_names_a_broken_schema(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "schemas", tmp_path / "schemas")
    bad = '{"title": "bad", "type": "object", "properties": {"id": {}}}'
    (tmp_path / "schemas" / "bad.json").write_text(bad)
    file, quoted = tmp_path / "node.env", f"'{tmp_path / 'schemas'}'"
    file.write_text(f"# what a node has\nTIDINGS_SCHEMAS_DIR={quoted}\nDATABASE_URL=nonsense\n")
    done = subprocess.run(  # noqa: S603 (our own command; it keeps what the file says)
        [sys.executable, "-m", "cli.main", "deploy", "--env-file", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Tidings can't do this: ")
    assert "bad.json#/" in done.stderr


def test_deploy_needs_a_database_of_all_nodes(tidings: Callable[..., str]) -> None:
    assert "DATABASE_URL is not set" in tidings("deploy", code=1)
