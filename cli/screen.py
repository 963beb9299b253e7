"""What the person at the terminal sees: a line per step with its time.

And what went wrong in one sentence.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table

WIDTH = 200
MARK = "[green]✓[/green]"


class Screen:
    """Progress on standard output, problems on standard error."""

    def __init__(self) -> None:
        self._out = Console(highlight=False, soft_wrap=True)
        self._problems = Console(stderr=True, highlight=False, soft_wrap=True)
        self._began = time.perf_counter()

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Print the step with its time when it has succeeded."""
        began = time.perf_counter()
        yield
        self._out.print(f"  {MARK} {what:<34} [dim]{time.perf_counter() - began:5.1f} s[/dim]")

    @property
    def total_s(self) -> float:
        """Seconds since the beginning."""
        return time.perf_counter() - self._began

    def say(self, text: str = "") -> None:
        """Print a line as it is."""
        self._out.print(text, markup=False)

    def mark(self, text: str) -> None:
        """Print a line about something that is in order."""
        self._out.print(f"  {MARK} ", end="")
        self._out.print(text, markup=False)

    def table(self, table: Table) -> None:
        """Print a table; nothing in it is cut, since ids are there to be copied."""
        table.box = None
        table.pad_edge = False
        Console(width=max(self._out.width, WIDTH), highlight=False).print(table)

    def head(self, text: str) -> None:
        """Print a line that stands out."""
        self._out.print(f"[bold]{text}[/bold]")

    def warn(self, text: str) -> None:
        """Print a line that the reader should not miss."""
        self._out.print("  [yellow]![/yellow] ", end="")
        self._out.print(text, markup=False)

    def fail(self, text: str) -> None:
        """Print why nothing goes on."""
        self._problems.print("[red]Tidings can't do this:[/red] ", end="")
        self._problems.print(text, markup=False)
