"""The README's own commands, so that what it shows is what is tested."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of a language, in order."""
    return re.findall(
        rf"^```{language}\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )


def indented() -> list[str]:
    """Return the lines of indented blocks: commands to be typed."""
    return [line[4:] for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("    ")]
