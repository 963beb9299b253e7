"""Starts the Serve application on the Ray that this process is connected to."""

from ray import serve
from ray.serve.schema import LoggingConfig

import serve_app
from settings import Settings

APPLICATION = "tidings"


def start_serve(settings: Settings) -> None:
    """Return when the replicas listen; running ones of the same settings are left alone."""
    serve.start(
        proxy_location="Disabled", logging_config=LoggingConfig(encoding="JSON", enable_access_log=False)
    )
    serve.run(serve_app.application(settings), name=APPLICATION, route_prefix=None)
