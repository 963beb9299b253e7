"""What the commands read from the environment, and what they say of a value that can't be."""

from pathlib import Path

import pytest

from settings import Installation, Settings, SettingsError, load_environment, read_settings


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TIDINGS_PORT", "abc"),
        ("TIDINGS_PORT", "70000"),
        ("TIDINGS_LOG_OWNERS", "0"),
        ("TIDINGS_LINKS_PING_S", "soon"),
    ],
)
def test_a_value_that_can_not_be_is_named_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=f"^{variable} is '{value}', which it can't be .* leave it out"):
        read_settings()


def test_variables_of_other_programs_are_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOG", "API", "LINKS", "REALTIME", "INSTALLATION"):
        monkeypatch.setenv(name, "debug")
    assert read_settings() == Settings()


@pytest.mark.parametrize(
    ("host", "origin", "address"),
    [
        ("127.0.0.1", "http://localhost:8000", "127.0.0.1"),
        ("0.0.0.0", "http://localhost:8000", "127.0.0.1"),  # noqa: S104 (what an operator may choose)
        ("10.0.0.5", "http://10.0.0.5:8000", "10.0.0.5"),
        ("2001:db8::1", "http://[2001:db8::1]:8000", "2001:db8::1"),
    ],
)
def test_the_origin_is_where_the_edge_listens(host: str, origin: str, address: str) -> None:
    found = Installation(host=host, port=8_000, public_url="")
    assert (found.origin, found.edge_address) == (origin, address)


def test_clients_may_see_another_origin() -> None:
    assert (
        Installation(host="10.0.0.5", public_url="https://tidings.example/").origin
        == "https://tidings.example"
    )


def test_a_file_is_read_as_a_shell_reads_it_and_what_is_set_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "node.env"
    file.write_text(
        "# a comment=1\n\nDATABASE_URL='postgresql://h/x?a=1&b=2'\nREDIS_URL=redis://h\nTIDINGS_PORT=1\n"
    )
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.setenv(name, "")  # so that it is put back afterwards
        monkeypatch.delenv(name)
    monkeypatch.setenv("TIDINGS_PORT", "8000")
    load_environment(file)
    where = read_settings().installation
    assert where.database_url == "postgresql://h/x?a=1&b=2"
    assert (where.redis_url, where.port) == ("redis://h", 8_000)
