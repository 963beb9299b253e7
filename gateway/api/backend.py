"""The organization's own backend over REST: which events it is asked about, where and how."""

from typing import Final

import orjson

from adapters.http.backend import endpoint_of
from adapters.postgres.backend import BackendStore
from core.connections.backend_options import BackendOptions, Endpoints, options_object, read_options
from core.ports import Entropy
from core.resources.document import invalid
from core.webhooks.signature import SECRET_BYTES, show_secret
from gateway.api.call import JSON, PRIVATE, Answer, Call, Endpoint, Route
from gateway.api.idempotency import key_of
from settings import Backend

PATH: Final = "/v1/organization/backend"


class OwnBackend:
    """Serves `/v1/organization/backend`.

    A change holds everywhere within a second. No secret is shown, but for a signing secret that was made
    here, in the answer to the request that made it.

    Args:
        store: where options are kept.
        entropy: makes secrets.
        settings: say which URLs may be called.
    """

    def __init__(self, store: BackendStore, entropy: Entropy, settings: Backend) -> None:
        self._store = store
        self._entropy = entropy
        self._settings = settings

    def routes(self) -> list[Route]:
        """Return what is served here."""
        return [
            Route(
                PATH,
                {
                    "GET": Endpoint(self._get, "organization:read"),
                    "PUT": Endpoint(self._put, "organization:write", media_types=frozenset({JSON})),
                },
            )
        ]

    async def _get(self, call: Call) -> Answer:
        options = await self._store.find(call.organization_id) or BackendOptions()
        return Answer(200, orjson.dumps(options_object(options)), cache=PRIVATE)

    async def _put(self, call: Call) -> Answer:
        key_of(call.headers)
        new_secret = self._entropy.token(SECRET_BYTES)

        def change(current: BackendOptions) -> BackendOptions:
            options = read_options(call.body, current, new_secret)
            self._check(options.endpoints)
            return options

        options = await self._store.change(call.organization_id, change)
        shown = options_object(options)
        if options.secret == show_secret(new_secret):
            shown["secret"] = options.secret
        return Answer(200, orjson.dumps(shown))

    def _check(self, endpoints: Endpoints) -> None:
        # Why a URL is not called is not said: nobody shall map the network with our answers.
        faults = [
            (f"#/endpoints/{event}", "not_allowed", "No call goes to this URL.")
            for event in endpoints.__struct_fields__
            if (url := getattr(endpoints, event)) and endpoint_of(url, self._settings) is None
        ]
        if faults:
            raise invalid("The body is not valid.", faults)
