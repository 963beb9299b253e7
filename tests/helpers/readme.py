"""The commands of README and docs themselves, so that what they show is what is tested."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def blocks(language: str, page: str = "README.md") -> list[str]:
    """Return the fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def indented() -> list[str]:
    """Return the lines of indented blocks: commands to be typed."""
    return [line[4:] for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("    ")]
