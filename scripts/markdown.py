"""Links, headings and diagrams of Markdown, as GitHub reads them."""

from __future__ import annotations

import hashlib
import re
from typing import Final

LINK: Final = re.compile(r"\]\(([^)\s]+)\)")
DIAGRAM: Final = re.compile(r"^```mermaid\n(.*?)^```\n", re.DOTALL | re.MULTILINE)
_FENCED: Final = re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE)


def outside_code(text: str) -> str:
    """The text without its blocks of code."""
    return _FENCED.sub("", text)


def slug(heading: str, separator: str = "-") -> str:
    """The anchor of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", separator)


def picture(diagram: str) -> str:
    """Where the picture of a diagram is, in docs/. Its name depends on the source."""
    return f"images/diagram-{hashlib.sha256(diagram.encode()).hexdigest()[:8]}.svg"
