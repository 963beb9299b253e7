"""`python -m bench`: every question, one table, one file in `bench/results/`."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from rich.console import Console

from bench import (
    alone,
    centrifugo,
    connects,
    drain,
    fanout,
    features,
    growth,
    idle,
    open_loop,
    presence,
    publishes,
    recovery,
    rest,
    slow,
    storm,
)
from bench.counter import raise_descriptor_limit
from bench.figure import Column, Figure, markdown, median, table
from bench.machine import ROOT, Machine, describe
from bench.place import Place, places
from bench.wire import LoadError

QUESTIONS: dict[str, Callable[[Place, float], Sequence[Figure]]] = {
    "idle": idle.figures,  # first: what other loads have made a process allocate is no socket's
    "connects": connects.figures,
    "alone": alone.figures,
    "publishes": publishes.figures,
    "fanout": fanout.figures,
    "open_loop": open_loop.figures,
    "rest": rest.figures,
    "recovery": recovery.figures,
    "presence": presence.figures,
    "features": features.figures,
    "growth": growth.figures,
    "slow": slow.figures,
    "centrifugo": centrifugo.figures,
    "storm": storm.figures,  # last: they replace the processes that the others measure
    "drain": drain.figures,
}
EDGE_REST_SHARE_MIN = 0.85


def main() -> int:
    """Ask the chosen questions; return 1 when a floor was not reached, 2 when nothing could be asked."""
    arguments = _arguments()
    console = Console()
    raise_descriptor_limit()
    try:
        where = places(
            arguments.data_dir,
            url=arguments.url,
            key=arguments.key,
            sockets=arguments.sockets,
            straight_only=arguments.straight_only,
        )
    except FileNotFoundError:
        console.print(
            f"No {arguments.data_dir}/cli.json: start the system with `make up`, or give --url and --key."
        )
        return 2
    columns: dict[str, Column] = {place.name: {} for place in where}
    for name in arguments.only or QUESTIONS:
        with console.status(f"{name} …"):
            _ask(name, where, columns, seconds=arguments.seconds, repeat=arguments.repeat, console=console)
    _hold_edge_to_straight(columns)
    machine = describe()
    title = (
        f"{machine.at}, commit {machine.commit}, {machine.cores} cores {machine.cpu}, "
        f"{machine.memory_gib} GiB, {machine.system}, Python {machine.python}, median of {arguments.repeat}"
    )
    console.print(table(title, columns))
    if not arguments.dry:
        console.print(f"written to {_write(machine, title, columns)}")
    return 0 if all(f.reached for column in columns.values() for f in column.values()) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=list(QUESTIONS), help="ask this question; repeatable"
    )
    parser.add_argument("--url", default="", help="origin of the edge; default: from cli.json")
    parser.add_argument("--key", default="", help="API key or connection token; default: from cli.json")
    parser.add_argument(
        "--sockets", default="", help="WebSocket URL of any Centrifuge server, the only column"
    )
    parser.add_argument("--data-dir", type=Path, default=Path(".tidings"), help="of the running `tidings up`")
    parser.add_argument("--straight-only", action="store_true", help="leave the edge out")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each measured part")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each question, columns in turn")
    parser.add_argument("--dry", action="store_true", help="write no file")
    return parser.parse_args()


def _ask(
    name: str,
    where: Sequence[Place],
    columns: dict[str, Column],
    *,
    seconds: float,
    repeat: int,
    console: Console,
) -> None:
    runs: dict[str, list[Sequence[Figure]]] = {place.name: [] for place in where}
    for _ in range(repeat):
        for place in where:  # in turn, so that a slow minute of the machine meets all columns
            try:
                runs[place.name].append(QUESTIONS[name](place, seconds))
            except LoadError as failed:
                console.print(f"[red]{name}, {place.name}: {failed}[/]")
    for column, found in runs.items():
        by_name: dict[str, list[Figure]] = {}
        for figure in (figure for figures in found for figure in figures):
            by_name.setdefault(figure.name, []).append(figure)
        for figure_name, figures in by_name.items():
            columns[column][figure_name] = median(figures)
            console.print(f"{column}: {figure_name}: {columns[column][figure_name].text} {figures[0].unit}")
        if not found:
            columns[column][name] = Figure(name, 0.0, "", fault="not measured")


def _hold_edge_to_straight(columns: dict[str, Column]) -> None:
    """REST through the edge may cost 15 %: that floor is known only when both columns are."""
    straight, edge = columns.get("straight", {}), columns.get("edge", {})
    for name, figure in edge.items():
        if name.startswith(("POST", "GET")) and figure.unit == "/s" and name in straight:
            edge[name] = replace(figure, floor=straight[name].value * EDGE_REST_SHARE_MIN)


def _write(machine: Machine, title: str, columns: dict[str, Column]) -> Path:
    stem = ROOT / "bench" / "results" / f"{machine.at[:10]}-{machine.commit.rstrip('+')}"
    found = {place: {n: asdict(f) for n, f in column.items()} for place, column in columns.items()}
    stem.with_suffix(".json").write_text(
        json.dumps({"machine": asdict(machine), "figures": found}, indent=1) + "\n"
    )
    stem.with_suffix(".md").write_text(markdown(title, columns))
    return stem.with_suffix(".md")


if __name__ == "__main__":
    sys.exit(main())
