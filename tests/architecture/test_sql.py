"""SQL stands in files, every statement is told apart, and none forgets whose rows it touches."""

import ast
import re
from pathlib import Path

import pytest

from adapters.postgres.queries import statements

ROOT = Path(__file__).parents[2]
SQL = ROOT / "adapters/postgres/sql"
ROOMS = ("core", "adapters", "actors", "gateway", "cli")
TENANT_TABLES = (
    *("organizations", "api_keys", "token_revocations", "stream_heads", "channel_heads", "channel_floors"),
    *("server_apis", "server_api_keys", "channel_cursors", "channel_versions"),
    *("events", "channel_entries", "idempotency_keys", "resources"),
)
ACROSS_ORGANIZATIONS = {
    "auth.insert_stream": "a new organization goes to the partition that has the fewest",
    "auth.key_by_digest": "a key tells its organization, and its digest names one key of the installation",
    "server_api.keys_by_mark": "a key tells its organization, and its mark names one key of the installation",
    "auth.organizations": "the operator of the installation lists them",
    "cursors.sweep": "what nothing can be read of any more is nobody's",
    "tokens.sweep": "what has expired is nobody's any more",
    "streams.partition_status": "the operator of the installation sees all partitions",
    "streams.busiest_streams": "the operator sees where the log is long",
    "commit.heads_of_partition": "an owner learns where all streams of its partition stand",
}
LOOKS_LIKE_SQL = re.compile(
    r"\b(SELECT\s+[\w*]|INSERT INTO|UPDATE \w+ SET|DELETE FROM"
    r"|(CREATE|ALTER|DROP) (TABLE|INDEX|DATABASE|UNIQUE))"
)
USE = re.compile(
    rf"\b(FROM|JOIN|UPDATE|INTO)\s+({'|'.join(TENANT_TABLES)})\b(?:\s+(?:AS\s+)?(?!WHERE|SET|ON|ORDER|JOIN|LIMIT)([a-z]\w*))?"
)


def named() -> list[tuple[str, str]]:
    return [
        (f"{path.stem}.{name}", text)
        for path in sorted(SQL.glob("*.sql"))
        for name, text in statements(path.stem).items()
    ]


def without_comments(text: str) -> str:
    return re.sub(r"--.*", "", text)


@pytest.mark.parametrize(("name", "text"), named(), ids=lambda value: value.split("\n")[0][:60])
def test_a_statement_begins_with_a_sentence(name: str, text: str) -> None:
    assert re.match(r"-- [A-Z]", text), f"{name}: say what it is for"
    assert without_comments(text).strip(), name


@pytest.mark.parametrize(("name", "text"), named(), ids=lambda value: value.split("\n")[0][:60])
def test_a_statement_names_the_organization_whose_rows_it_touches(name: str, text: str) -> None:
    if name in ACROSS_ORGANIZATIONS:
        return
    body = without_comments(text)
    for use in USE.finditer(body):
        word, table, alias = use.groups()
        if word == "INTO":
            columns = body[use.end() :].split(")", 1)[0]
            assert re.search(r"\(\s*organization_id", columns), f"{name}: {table}"
            continue
        column = rf"\b{alias}\.organization_id" if alias else r"(?<![.\w])organization_id"
        compared = rf"{column}\s*=|=\s*{column}\b"
        assert re.search(compared, body), f"{name}: {table} without its organization"


def test_the_exceptions_name_statements_that_exist_and_need_them() -> None:
    texts = dict(named())
    for name in ACROSS_ORGANIZATIONS:
        assert USE.search(without_comments(texts[name])), name


def documentation(tree: ast.AST) -> set[int]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return {
        id(statement.value)
        for node in ast.walk(tree)
        if isinstance(node, kinds)
        for statement in node.body
        if isinstance(statement, ast.Expr)
    }


def test_no_sql_stands_in_python() -> None:
    found = []
    for path in [p for room in ROOMS for p in (ROOT / room).rglob("*.py")]:
        tree = ast.parse(path.read_text())
        ignored = documentation(tree)
        found += [
            f"{path.relative_to(ROOT)}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in ignored
            if LOOKS_LIKE_SQL.search(node.value)
        ]
    assert not found


def test_every_file_of_sql_belongs_to_a_module_of_its_name() -> None:
    modules = {path.stem for path in (ROOT / "adapters/postgres").glob("*.py")}
    strays = {path.stem for path in SQL.glob("*.sql")} - modules
    assert not strays
