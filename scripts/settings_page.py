"""Write the defaults into docs/reference/settings.md: `python -m scripts.settings_page`."""

from __future__ import annotations

import re
from pathlib import Path

from pychat.cli.settings.template import commented_defaults

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "settings.md"


def page(text: str) -> str:
    """The page with the defaults as they are now."""
    block = f"<!-- defaults -->\n```toml\n{commented_defaults()}```\n<!-- end -->"
    return re.sub(r"<!-- defaults -->\n.*?<!-- end -->", lambda _: block, text, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
