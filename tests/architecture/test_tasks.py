"""Every background task has an owner: `adapters.telemetry.tasks` begins it, or a reason stands here.

The linter bans functions by their names, and `loop.create_task` is a method, so the syntax trees are walked.
"""

import ast
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("core", "actors", "adapters", "gateway", "cli", "bench")
BEGINNINGS = {"create_task", "ensure_future", "run_coroutine_threadsafe", "TaskGroup"}

BEGUN_ELSEWHERE = {
    ("adapters/telemetry/tasks.py", "create_task"): (1, "the owner of all others"),
    ("actors/streams/owner.py", "create_task"): (
        1,
        "a partition's run ends by itself: a commit is not cut short",
    ),
    ("adapters/links/caller.py", "ensure_future"): (
        1,
        "a port's answer as a future; the owner of it is the port",
    ),
    ("gateway/api/batches.py", "ensure_future"): (1, "as above; the batch awaits all of them"),
    ("gateway/realtime/serving.py", "ensure_future"): (1, "as above; its callback replies"),
    ("cli/stopping.py", "create_task"): (2, "awaited in the same function"),
    ("cli/up.py", "create_task"): (2, "awaited in the same function"),
}


def beginnings(path: Path) -> Counter[str]:
    names = (
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    )
    return Counter(name for name in names if name in BEGINNINGS)


def test_no_task_begins_without_an_owner() -> None:
    sources = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    found = {
        (str(path.relative_to(ROOT)), name): count
        for path in [*sources, ROOT / "wiring.py", ROOT / "serve_app.py"]
        for name, count in beginnings(path).items()
    }
    assert found == {where: count for where, (count, _) in BEGUN_ELSEWHERE.items()}
