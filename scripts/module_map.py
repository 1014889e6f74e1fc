"""Write the map of all modules into docs/explanation/modules.md: `python -m scripts.module_map`."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "explanation" / "modules.md"
HEAD = """# Every module in one line

The first line of each module's docstring, by folder. Generated: `python -m scripts.module_map`.
[How it is built](architecture.md) explains how the parts work together.
"""


def first_line(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text("utf-8")))
    if not text:
        raise SystemExit(f"{path.relative_to(ROOT)} has no docstring: say in one line what it is")
    return text.splitlines()[0].replace("``", "`").replace("|", r"\|")


def page() -> str:
    folders: defaultdict[Path, list[Path]] = defaultdict(list)
    for path in sorted((ROOT / "pychat").rglob("*.py")):
        folders[path.parent].append(path)
    parts = [HEAD]
    for folder, modules in sorted(folders.items()):
        init = folder / "__init__.py"
        rows = [f"| `{path.name}` | {first_line(path)} |" for path in modules if path != init]
        parts.append(f"## {folder.relative_to(ROOT)}/\n\n{first_line(init)}\n")
        if rows:
            parts.append("\n".join(["| | |", "|---|---|", *rows, ""]))
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
