"""A figure, the floor it is held against, and the table of all."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.table import Table

from bench.machine import NO_CPU, Cpu


@dataclass(frozen=True, slots=True)
class Figure:
    """One answer. `floor` 0: shown, not judged. `at_most`: a smaller value is the better one.

    `cpu` is what the generator and the rest of the machine used per second of the measured part. `fault`
    says why the figure is not valid (a publication missing, a socket closed, a generator that lagged).
    `first` says that only the first run counts: what it makes a process allocate later runs find there.
    `note` stands beside the value: under which conditions it was found.
    """

    name: str
    value: float
    unit: str
    floor: float = 0.0
    at_most: bool = False
    cpu: Cpu = NO_CPU
    fault: str = ""
    first: bool = False
    note: str = ""

    @property
    def reached(self) -> bool:
        """Whether the figure is valid and not on the wrong side of its floor."""
        if self.fault:
            return False
        if not self.floor:
            return True
        return self.value <= self.floor if self.at_most else self.value >= self.floor

    @property
    def text(self) -> str:
        """The value as a person reads it."""
        return f"{self.value:,.2f}" if abs(self.value) < 100 else f"{self.value:,.0f}"


def median(figures: Sequence[Figure]) -> Figure:
    """Return the figure of several runs: the median of the values, and any fault that one run had."""
    if figures[0].first:
        return figures[0]
    value = statistics.median(figure.value for figure in figures)
    nearest = min(figures, key=lambda figure: abs(figure.value - value))
    fault = next((figure.fault for figure in figures if figure.fault), "")
    return replace(nearest, value=value, fault=fault)


Column = dict[str, Figure]


def table(title: str, columns: dict[str, Column]) -> Table:
    """Return all figures, one a line, one column a place."""
    shown = Table(title=title, title_justify="left", header_style="bold")
    shown.add_column("what")
    shown.add_column("floor", justify="right")
    for place in columns:
        shown.add_column(place, justify="right")
        shown.add_column("CPU/s own + rest", justify="right")
    for name, any_figure in _rows(columns).items():
        cells = [f"{name}, {any_figure.unit}", _floor(any_figure)]
        for column in columns.values():
            figure = column.get(name)
            cells += ["", ""] if figure is None else [_cell(figure), _cpu(figure)]
        shown.add_row(*cells)
    return shown


def markdown(title: str, columns: dict[str, Column]) -> str:
    """Return the same as Markdown."""
    places = " | ".join(f"{place} | CPU/s own + rest" for place in columns)
    lines = [f"# {title}", "", f"| what | floor | {places} |", "|---|---" + "|---" * 2 * len(columns) + "|"]
    for name, any_figure in _rows(columns).items():
        cells = [f"{name}, {any_figure.unit}", _floor(any_figure)]
        for column in columns.values():
            figure = column.get(name)
            cells += ["", ""] if figure is None else [_plain(figure), _cpu(figure)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _rows(columns: dict[str, Column]) -> Column:
    rows: Column = {}
    for column in columns.values():
        for name, figure in column.items():
            rows.setdefault(name, figure)
    return rows


def _floor(figure: Figure) -> str:
    if not figure.floor:
        return ""
    return f"{'≤' if figure.at_most else '≥'} {replace(figure, value=figure.floor).text}"


def _plain(figure: Figure) -> str:
    note = f" ({figure.note})" if figure.note else ""
    below = "" if figure.reached else f" ✗ {figure.fault}".rstrip()
    return figure.text + note + below


def _cell(figure: Figure) -> str:
    return f"[green]{_plain(figure)}[/]" if figure.reached else f"[red]{_plain(figure)}[/]"


def _cpu(figure: Figure) -> str:
    cpu = figure.cpu
    return f"{cpu.generator_s:.2f} + {cpu.rest_s:.2f}" if cpu.generator_s or cpu.rest_s else ""
