"""The Serve applications: `api` and `realtime` as children of one root, each with sockets of its own.

Serve places, checks, updates and scales them; no request passes through it.
"""

from contextlib import AsyncExitStack
from typing import Any

from ray import serve

from actors.remote import here, unique
from adapters.embedded.ports import shared_listener
from adapters.telemetry.logging import configure_logging
from settings import Settings

CHILD: dict[str, Any] = {
    "ray_actor_options": {"num_cpus": 0.05},
    "max_ongoing_requests": 1_000,
    "graceful_shutdown_wait_loop_s": 0.2,
    "graceful_shutdown_timeout_s": 60,
    "health_check_period_s": 3,
    "health_check_timeout_s": 10,
}


WHOLE_PERCENT = 100
SURGE_PERCENT_MIN = 25
"""An update begins so many new replicas before it ends old ones, and always one: they share the port."""


@serve.deployment(name="Api", max_surge_percent=WHOLE_PERCENT, **CHILD)
class Api:
    """One REST replica."""

    async def __init__(self, settings: Settings) -> None:  # type: ignore[misc]  # Serve awaits it
        import wiring  # noqa: PLC0415 (as below)

        configure_logging("json")
        self._stack = AsyncExitStack()
        where = here(settings).installation
        listener = shared_listener(where.bind, where.api_port)
        self._server = await self._stack.enter_async_context(
            wiring.open_api(settings, unique("api"), listener)
        )

    async def check_health(self) -> None:
        """Raise when the listener is gone; never because of the database, whose outage drops nobody."""
        if not self._server.is_healthy:
            raise RuntimeError("The REST listener has ended.")

    async def __del__(self) -> None:
        await self._stack.aclose()


@serve.deployment(name="Realtime", **CHILD)
class Realtime:
    """One replica of sockets and streams."""

    async def __init__(self, settings: Settings) -> None:  # type: ignore[misc]  # Serve awaits it
        import wiring  # noqa: PLC0415 (the process of `Root` needs nothing of it)

        configure_logging("json")
        self._stack = AsyncExitStack()
        where = here(settings).installation
        listeners = [shared_listener(where.bind, port) for port in (where.websocket_port, where.streams_port)]
        self._server = await self._stack.enter_async_context(
            wiring.open_realtime(settings, unique("realtime"), *listeners)
        )

    async def check_health(self) -> None:
        """Raise when a listener is gone."""
        if not self._server.is_healthy:
            raise RuntimeError("A realtime listener has ended.")

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Report what the scaling policy looks at; Serve sees no requests on own sockets."""
        return {"sockets": float(self._server.sockets)}

    async def __del__(self) -> None:
        await self._stack.aclose()


@serve.deployment(name="Root", ray_actor_options={"num_cpus": 0}, max_ongoing_requests=10)
class Root:
    """The ingress that Serve wants: its children do the work, on their own sockets."""

    def __init__(self, *children: Any) -> None:
        self._children = children


def application(settings: Settings) -> serve.Application:
    """Return the application of an installation, to be run under the name `tidings`."""
    replicas = settings.realtime.replicas
    surge = max(SURGE_PERCENT_MIN, -(-WHOLE_PERCENT // replicas))
    realtime = Realtime.options(num_replicas=replicas, max_surge_percent=surge)  # type: ignore[attr-defined]  # of Serve's decorator
    return Root.bind(Api.bind(settings), realtime.bind(settings))  # type: ignore[attr-defined, no-any-return]  # the same
