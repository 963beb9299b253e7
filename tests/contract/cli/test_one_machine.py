"""`tidings up` is for one machine: what it takes from the settings of a cluster, and what it refuses."""

import pytest

from adapters.embedded.errors import StartError
from adapters.embedded.ray import FLAGS, joining
from cli.one_machine import require_one_machine
from settings import Installation, Settings


def settings(**installation: str) -> Settings:
    given = {"host": "127.0.0.1", "bind": "127.0.0.1", "ray_address": "", **installation}
    return Settings(installation=Installation.model_construct(None, **given))


@pytest.mark.parametrize("address", ["", "auto", "127.0.0.1:6379", "localhost:6379"])
def test_a_ray_of_this_machine_is_joined(address: str) -> None:
    given = settings(ray_address=address)
    assert require_one_machine(given) == given


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("203.0.113.1:6379", "another machine, .* use `tidings deploy` there, with a DATABASE_URL"),
        ("no.such.host.invalid:6379", "'no.such.host.invalid' is no known name"),
        ("ray://localhost:10001", "Ray Client"),
    ],
)
def test_a_ray_that_can_not_reach_this_machine_is_refused(address: str, sentence: str) -> None:
    with pytest.raises(StartError, match=f"^RAY_ADDRESS is {address}, .*{sentence}"):
        require_one_machine(settings(ray_address=address))


def test_as_ray_knows_each_node_is_where_the_edge_asks() -> None:
    assert require_one_machine(settings(bind="node")).installation.bind == "127.0.0.1"


def test_replicas_where_the_edge_does_not_ask_are_refused() -> None:
    with pytest.raises(StartError, match=r"^TIDINGS_BIND is 10\.0\.0\.5, where the edge"):
        require_one_machine(settings(bind="10.0.0.5"))


@pytest.mark.parametrize("name", ["RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"])
def test_who_names_a_token_joins_with_it(name: str) -> None:
    assert joining({name: "x"}) == FLAGS


def test_who_has_none_leaves_it_to_the_ray_that_runs() -> None:
    assert joining({}) == {key: value for key, value in FLAGS.items() if key != "RAY_AUTH_MODE"}
