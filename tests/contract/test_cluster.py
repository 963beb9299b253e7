"""What a cluster is described by is what Ray accepts, and what one machine runs with."""

from pathlib import Path

import yaml  # type: ignore[import-untyped]  # the stubs are a package more
from ray.autoscaler._private.util import prepare_config, validate_config

from adapters.embedded.ray import FLAGS

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


def test_every_node_runs_with_the_flags_of_one_machine() -> None:
    lines = (ROOT / "deploy" / "node" / "node.env").read_text().splitlines()
    written = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    assert FLAGS.items() <= written.items()
    assert {name for name in written if name.startswith("RAY_")} - FLAGS.keys() == {
        "RAY_AUTH_TOKEN_PATH",
        "RAY_ADDRESS",
    }
