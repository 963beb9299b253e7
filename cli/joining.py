"""Joins a Ray that others have started, or says in a sentence why that can't be."""

from typing import Final

import ray
from ray.exceptions import RayError

from actors.remote import NAMESPACE
from adapters.embedded.errors import StartError

REASON_CHARACTERS: Final = 300


def join(address: str) -> None:
    """Connect this process to the Ray at `address`, which must have a node on this machine.

    Raises:
        StartError: nobody answers there, or it refuses us.
    """
    try:
        ray.init(address=address, namespace=NAMESPACE, log_to_driver=False)
    except (OSError, RuntimeError, ValueError, RayError) as error:
        why = " ".join(str(error).split())[:REASON_CHARACTERS]
        raise StartError(
            f"The Ray at {address} can't be joined ({why}): start it on this machine, or correct "
            "RAY_ADDRESS; if it asks for a token set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH."
        ) from error


def nodes() -> int:
    """Return how many nodes of the joined Ray are alive."""
    return sum(bool(node["Alive"]) for node in ray.nodes())  # type: ignore[no-untyped-call]  # of Ray
