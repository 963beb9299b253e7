"""What a load needs of the organization before it begins: namespaces with options, tokens of users."""

import json
import time
from collections.abc import Mapping
from dataclasses import replace

from bench.exchange import Requests, call
from bench.place import Place
from bench.wire import Door

HOLDS_AFTER_S = 2.0
"""A namespace holds in every process within a second; who must be certain waits two."""
TOKEN_S = 86_400


def set_namespace(place: Place, name: str, options: Mapping[str, object]) -> None:
    """Give a namespace these options and no others, and wait until they hold."""
    body = json.dumps(options).encode()
    call(Requests(place.origin, place.door.token, "PUT", f"/v1/channel_namespaces/{name}", body))
    time.sleep(HOLDS_AFTER_S)


def users_door(place: Place, user: str = "bench") -> Door:
    """Return the place's door for a user, whom a namespace's permissions judge, unlike an API key."""
    body = json.dumps({"user": user, "expires_in_s": TOKEN_S}).encode()
    made = json.loads(call(Requests(place.origin, place.door.token, "POST", "/v1/connection_tokens", body)))
    return replace(place.door, token=made["token"])
