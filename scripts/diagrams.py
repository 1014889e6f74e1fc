"""Draw the Mermaid diagrams of docs/ as pictures for the site: `python -m scripts.diagrams`.

GitHub draws them by itself. The site loads no scripts from elsewhere, so it shows pictures, whose
names depend on the source. Needs npm and Chromium.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.async_api import Browser

from scripts.markdown import DIAGRAM, picture
from tests.e2e.browser import chromium

DOCS = Path(__file__).parent.parent / "docs"
MERMAID = "mermaid@11"
DRAW = """async (source) => {
    mermaid.initialize({
        startOnLoad: false, theme: "neutral", fontFamily: "system-ui, sans-serif",
        htmlLabels: false, flowchart: {htmlLabels: false},
    });
    return (await mermaid.render("diagram", source)).svg;
}"""


def sources() -> list[str]:
    """All diagrams of all pages."""
    return [
        found for page in sorted(DOCS.rglob("*.md")) for found in DIAGRAM.findall(page.read_text())
    ]


async def draw(browser: Browser, library: Path, source: str) -> str:
    """The diagram as SVG of a fixed size, on white: it must be legible on a dark page, too."""
    page = await browser.new_page()
    await page.add_script_tag(path=library)
    drawing: str = await page.evaluate(DRAW, re.sub("</?b>", "", source))
    await page.close()
    box = re.search(r'viewBox="(\S+) (\S+) (\S+) (\S+)"', drawing)
    assert box
    x, y, width, height = box.groups()
    drawing = drawing.replace('width="100%"', f'width="{float(width):.0f}"', 1)
    white = f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" fill="#fff"/>'
    return re.sub(r"(<svg[^>]*>)", rf"\1{white}", drawing, count=1)


async def draw_all(library: Path) -> None:
    async with chromium() as browser:
        for source in sources():
            (DOCS / picture(source)).write_text(await draw(browser, library, source) + "\n")


def main() -> None:
    for old in (DOCS / "images").glob("diagram-*.svg"):
        old.unlink()
    with TemporaryDirectory() as folder:
        npm = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", MERMAID]
        subprocess.run(npm, cwd=folder, check=True)
        asyncio.run(draw_all(Path(folder, "node_modules/mermaid/dist/mermaid.min.js")))


if __name__ == "__main__":
    main()
