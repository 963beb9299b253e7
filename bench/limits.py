"""How fast the server takes in new connections: what it was started with, read where it runs."""

import math
from dataclasses import dataclass
from typing import Final

import psutil

from bench.machine import listeners
from bench.place import Place
from settings import Realtime

VARIABLES: Final = {
    f"TIDINGS_REALTIME_{name.upper()}": name
    for name in (
        "address_connects_per_s", "address_connects_burst",
        "organization_connects_per_s", "organization_connects_burst",
    )
}  # fmt: skip
RAISED: Final = 100_000
HOW: Final = "start `tidings up` with TIDINGS_REALTIME_{{ADDRESS,ORGANIZATION}}_CONNECTS_{{PER_S,BURST}}={}"


@dataclass(frozen=True, slots=True)
class Limits:
    """New connections that one replica takes in of one address, and of one organization."""

    address_hz: float
    address_burst: float
    organization_hz: float
    organization_burst: float

    @property
    def text(self) -> str:
        """The limits as a row shows them."""
        if self.address_hz == math.inf:
            return "limits unknown"
        if self.address_hz == self.organization_hz:
            return f"limits {self.address_hz:,.0f}/s"
        return f"limits {self.address_hz:,.0f}/s an address, {self.organization_hz:,.0f}/s an organization"

    def fault(self, sockets: int) -> str:
        """Say how the server must be started for a figure of so many sockets; "": they do not touch it."""
        if min(self.address_burst, self.organization_burst) >= sockets:
            return ""
        return f"the server's limits are what is measured: {HOW.format(f'{RAISED:,}'.replace(',', ''))}"


def limits_of(place: Place) -> Limits:
    """Return what is in force; without limit where the processes can't be seen, as on another machine."""
    try:
        environments = [psutil.Process(pid).environ() for pid in listeners(place.replica_port)]
    except psutil.Error:
        environments = []
    if not environments or not place.origin:
        return Limits(math.inf, math.inf, math.inf, math.inf)
    return Limits(
        *(
            min(float(given.get(variable, Realtime.model_fields[field].default)) for given in environments)
            for variable, field in VARIABLES.items()
        )
    )
