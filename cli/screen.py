"""What the person at the terminal sees: the steps that run, those that are done, and problems."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status
from rich.table import Table

WIDTH = 200
MARK = "[green]✓[/green]"
SPINS_PER_S = 4.0


class Screen:
    """Progress on standard output, problems on standard error."""

    def __init__(self) -> None:
        self._out = Console(highlight=False, soft_wrap=True)
        self._problems = Console(stderr=True, highlight=False, soft_wrap=True)
        self._began = time.perf_counter()
        self._running: list[str] = []
        self._status: Status | None = None

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Show that the step runs, and print it with its time when it has succeeded.

        Several may run at once: a terminal shows all of them in one moving line, anything else gets a line
        at the beginning of each.
        """
        began = time.perf_counter()
        self._running.append(what)
        if not self._out.is_terminal:
            self._out.print(f"  … {what}", markup=False)
        self._show_running()
        try:
            yield
        finally:
            self._running.remove(what)
            self._show_running()
        self._out.print(f"  {MARK} {what:<34} [dim]{time.perf_counter() - began:5.1f} s[/dim]")

    def _show_running(self) -> None:
        if not self._out.is_terminal:
            return
        if not self._running:
            if self._status is not None:
                self._status.stop()
                self._status = None
            return
        text = ", ".join(self._running)
        if self._status is None:
            self._status = self._out.status(text, refresh_per_second=SPINS_PER_S)
            self._status.start()
        else:
            self._status.update(text)

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

    def cross(self, text: str) -> None:
        """Print a line about something that is not."""
        self._out.print("  [red]✗[/red] ", end="")
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
