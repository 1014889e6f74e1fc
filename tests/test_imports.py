"""Modules of pychat do not import each other in a cycle, imports for types included."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, modules: dict[str, Path]) -> Iterator[str]:
    """Modules that a module imports when it is loaded, or for its types. Not those that its
    functions import."""
    name = module_name(path)
    todo: list[ast.AST] = list(ast.parse(path.read_text(encoding="utf-8")).body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = name.split(".")[
                    : len(name.split(".")) - node.level + path.match("__init__.py")
                ]
                base = ".".join([*up, base] if base else up)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield inner if inner in modules else base
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            todo += ast.iter_child_nodes(node)


def test_no_modules_import_each_other_in_a_cycle() -> None:
    modules = {module_name(path): path for path in (ROOT / "pychat").rglob("*.py")}
    assert len(modules) > 100
    graph = {
        name: {found for found in imports(path, modules) if found in modules and found != name}
        for name, path in modules.items()
    }
    assert "pychat.server.chat.state.entities" in graph["pychat.server.chat.state.reach"]
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(f"imported in a cycle: {' <- '.join(error.args[1])}") from None
