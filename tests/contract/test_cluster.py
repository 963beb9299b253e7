"""What a cluster is described by is what Ray accepts, and what one machine runs with."""

from pathlib import Path

import yaml  # type: ignore[import-untyped]  # the stubs are a package more
from ray.autoscaler._private.util import prepare_config, validate_config

from adapters.embedded.ray import FLAGS
from adapters.schemas import load_catalog

ROOT = Path(__file__).parents[2]


def test_ray_accepts_the_cluster_as_it_stands() -> None:
    config = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    validate_config(prepare_config(config))


def test_ray_accepts_the_example_on_aws() -> None:
    text = (ROOT / "cluster.yaml").read_text()
    config = yaml.safe_load(text)
    example = text.partition("# On AWS")[2].partition("#\n")[2]
    aws = yaml.safe_load(
        "\n".join(line.removeprefix("# ").removeprefix("#") for line in example.splitlines())
    )
    validate_config(prepare_config({**config, **aws}))


def node_env() -> dict[str, str]:
    """Return what every node is told."""
    lines = (ROOT / "deploy" / "node" / "node.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def test_every_file_that_a_node_is_told_of_is_copied_there() -> None:
    mounts = yaml.safe_load((ROOT / "cluster.yaml").read_text())["file_mounts"]
    paths = {name: value for name, value in node_env().items() if value.startswith("/")}
    assert paths.keys() == {
        "RAY_AUTH_TOKEN_PATH", "TIDINGS_SCHEMAS_DIR", "TIDINGS_KEK_FILE", "TIDINGS_CLUSTER_KEY_FILE",
    }  # fmt: skip
    assert (ROOT / mounts[paths.pop("TIDINGS_SCHEMAS_DIR")]).samefile(ROOT / "schemas")
    for path in paths.values():  # keys: an operator puts them beside node.env
        assert mounts[str(Path(path).parent)] == "deploy/node"


def test_the_resource_types_are_found_where_the_nodes_look() -> None:
    where = node_env()["TIDINGS_SCHEMAS_DIR"]
    assert Path(where).is_absolute(), "commands over ssh start in the home of their user"
    mounts = yaml.safe_load((ROOT / "cluster.yaml").read_text())["file_mounts"]
    assert {"message", "room"} <= set(load_catalog(ROOT / mounts[where]).names)


def test_every_node_runs_with_the_flags_of_one_machine() -> None:
    written = node_env()
    assert FLAGS.items() <= written.items()
    assert {name for name in written if name.startswith("RAY_")} - FLAGS.keys() == {
        "RAY_AUTH_TOKEN_PATH",
        "RAY_ADDRESS",
    }
