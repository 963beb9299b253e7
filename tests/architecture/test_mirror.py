"""Who knows a module knows its test: `core/X/y.py` and `tests/unit`, a shell and `tests/contract`.

The lists of exceptions only shrink: each entry says where the behaviour is shown instead, and an entry that
is not needed any more fails.
"""

from pathlib import Path

ROOT = Path(__file__).parents[2]
SHELLS = ("gateway", "actors", "adapters")

# Signatures only: the tests of those who satisfy them are their tests; and what is generated.
NO_BEHAVIOUR = {"core/ports.py", "core/connections/client_pb2.py", "core/connections/codec.py"}

WITHOUT_A_TEST_MODULE = {
    "actors/remote.py": "needs Ray: tests/e2e and tests/faults",
    "adapters/embedded/errors.py": "one exception class",
    "adapters/embedded/ray.py": "an environment: tests/contract/test_cluster.py reads it",
    "adapters/links/handler.py": "a protocol: what an owner does for its links",
    "gateway/api/app.py": "the table of routes: tests/contract/gateway/api/test_tenancy.py probes each",
    "gateway/api/body.py": "tests/contract/gateway/api/test_requests.py and test_limits.py",
    "gateway/api/call.py": "frozen classes between the shell and the nouns",
    "gateway/api/centrifugo/answers.py": "test_publishing.py and test_reading.py beside it",
    "gateway/api/centrifugo/requests.py": "frozen classes; test_methods.py beside it reads them",
    "gateway/api/installation.py": "tests/contract/gateway/api/test_shell.py and tests/e2e",
    "gateway/api/outcomes.py": "tests/contract/gateway/api/test_resources.py and test_idempotency.py",
    "gateway/api/pages.py": "tests/contract/gateway/api/test_paging.py",
    "gateway/api/server.py": "every test of tests/contract/gateway/api speaks through it",
    "gateway/api/writing.py": "tests/contract/gateway/api/test_resources.py and test_channels.py",
    "gateway/realtime/participant.py": "a protocol, and what every test of clients reads by it",
}

# A rule that holds across modules has a module of tests, too.
ACROSS_MODULES = {
    "adapters/embedded/test_edge.py": "edge/haproxy.cfg",
    "adapters/postgres/test_busy.py": "a database without means, for all who ask it",
    "adapters/postgres/test_pages.py": "pages by bytes, of the log and of channels",
    "adapters/postgres/test_plans.py": "the plans of all hot statements",
    "cli/test_settings.py": "settings.py, as the command line tells of it",
    "gateway/api/test_batches_under_keys.py": "batches and idempotency together",
    "gateway/api/test_limits.py": "limits on heads and bodies",
    "gateway/api/test_odd_input.py": "input that no client library would send",
    "gateway/api/test_paging.py": "lists of every noun",
    "gateway/api/test_requests.py": "what a request brings besides its body",
    "gateway/api/test_tenancy.py": "another organization's things, by every route",
    "gateway/api/test_tracing.py": "spans of requests, and the ids in their log lines",
    "gateway/realtime/test_stream_requests.py": "what a request for a stream brings",
    "gateway/realtime/test_tenancy.py": "another organization's things, by every command",
    "gateway/realtime/test_window.py": "what a namespace shows of the log, by every way to it",
    "test_cluster.py": "cluster.yaml and deploy/",
}


def modules(room: str) -> set[str]:
    return {
        str(path.relative_to(ROOT))
        for path in (ROOT / room).rglob("*.py")
        if path.name != "__init__.py" and "migrations" not in path.parts
    }


def mirror(tests: Path, module: str) -> Path:
    path = Path(module)
    return tests / path.parent / f"test_{path.name}"


def orphans(tests: Path) -> set[str]:
    """Return the test modules whose module does not exist."""
    found = (path.relative_to(tests) for path in tests.rglob("test_*.py"))
    return {
        str(test) for test in found if not (ROOT / test.parent / test.name.removeprefix("test_")).exists()
    }


def test_every_module_of_core_has_its_test_module() -> None:
    tests = ROOT / "tests/unit"
    assert {module for module in modules("core") if not mirror(tests, module).exists()} == NO_BEHAVIOUR


def test_every_unit_test_mirrors_a_module_of_core() -> None:
    assert not orphans(ROOT / "tests/unit")


def test_every_module_of_a_shell_has_its_test_module_or_a_reason() -> None:
    tests = ROOT / "tests/contract"
    shells = {module for room in SHELLS for module in modules(room)}
    untested = {module for module in shells if not mirror(tests, module).exists()}
    assert untested == WITHOUT_A_TEST_MODULE.keys()


def test_every_contract_test_mirrors_a_module_or_a_rule_across_them() -> None:
    assert orphans(ROOT / "tests/contract") == ACROSS_MODULES.keys()
