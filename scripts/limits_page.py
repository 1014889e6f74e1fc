"""Write the limits into docs/reference/limits.md: `python -m scripts.limits_page`."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

from pychat.server.chat.limits import Limits, Rate

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "limits.md"


def explanations() -> dict[str, str]:
    """The docstring below each field of ``Limits``."""
    (definition,) = ast.parse(inspect.getsource(Limits)).body
    assert isinstance(definition, ast.ClassDef)
    found: dict[str, str] = {}
    for field, text in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
            assert isinstance(field.target, ast.Name)
            found[field.target.id] = " ".join(ast.literal_eval(text.value).split())
    return found


def shown(value: Rate | float) -> str:
    if isinstance(value, Rate):
        return f"{value.per_second:g}/{value.burst:.0f}"
    return f"{value:g}"


def page(text: str) -> str:
    """The page with the limits as they are now."""
    explained, defaults = explanations(), Limits()
    rows = [
        f"| `{name}` | {shown(getattr(defaults, name))} | {explained[name]} |"
        for name in Limits.__struct_fields__
    ]
    table = "\n".join(["| name | default | |", "|---|---|---|", *rows])
    return re.sub(
        r"(<!-- limits -->\n).*?(<!-- end -->)",
        lambda match: f"{match[1]}{table}\n{match[2]}",
        text,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
