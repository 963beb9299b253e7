"""A rolling update: Serve replaces the replicas in order, a part of them at a time, and a single one at once.

`python -m bench.rolling ADDRESS` runs in the environment of a replica, and changes its settings a little.
"""

import os
import subprocess
import sys
import time

import psutil

from bench.machine import ROOT, listeners
from bench.place import Place
from bench.wire import LoadError
from settings import Settings

TIMEOUT_S = 180.0
OF_A_WORKER = ("RAY_JOB_ID", "RAY_RAYLET_PID", "RAY_CLIENT_MODE", "RAY_LD_PRELOAD_ON_WORKERS")


def can_update(place: Place) -> bool:
    """Return whether Ray runs the replicas on this machine; a single process has nobody to replace it."""
    return any("RAY_RAYLET_PID" in psutil.Process(pid).environ() for pid in listeners(place.replica_port))


def update(place: Place) -> None:
    """Replace the replicas by new ones, and return when the new ones listen; the old may still drain.

    Raises:
        LoadError: it could not be done.
    """
    found = psutil.Process(min(listeners(place.replica_port))).environ()
    raylet = psutil.Process(int(found["RAY_RAYLET_PID"]))
    gcs = next(a for a in raylet.cmdline() if a.startswith("--gcs-address=")).partition("=")[2]
    environment = {name: value for name, value in found.items() if name not in OF_A_WORKER}
    done = subprocess.run(  # noqa: S603 (ours)
        [sys.executable, "-m", "bench.rolling", gcs],
        env=environment, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    if done.returncode:
        raise LoadError(f"rolling update: {done.stderr[-500:]}")


def main(address: str) -> None:
    """Deploy the application again, with settings that differ where nobody notices."""
    from ray import serve  # noqa: PLC0415 (of this process alone: whoever asks for an update needs no Ray)

    import serve_app  # noqa: PLC0415 (it needs Ray)
    from cli.joining import join  # noqa: PLC0415 (as above)
    from cli.serving import APPLICATION  # noqa: PLC0415 (as above)

    settings = Settings()
    body_s = settings.realtime.body_s + time.time_ns() % 1_000_000 / 1e9
    changed = settings.model_copy(
        update={"realtime": settings.realtime.model_copy(update={"body_s": body_s})}
    )
    join(address)
    serve.run(serve_app.application(changed), name=APPLICATION, route_prefix=None)


if __name__ == "__main__":
    os.chdir(ROOT)
    main(sys.argv[1])
