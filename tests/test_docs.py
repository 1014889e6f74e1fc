"""The documentation as a whole: links, decision records, and what is generated from the code."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from scripts import commands_page, limits_page, module_map
from scripts.markdown import DIAGRAM, LINK, outside_code, picture, slug

ROOT = Path(__file__).parents[1]
FOLDERS = ("docs", "examples", "deploy")
PAGES = sorted(
    [*ROOT.glob("*.md"), *(path for name in FOLDERS for path in (ROOT / name).rglob("*.md"))]
)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them; repeated ones are numbered."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#+ (.+)$", outside_code(page.read_text("utf-8")), re.MULTILINE):
        anchor = slug(heading)
        found.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_within_the_project_lead_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.findall(outside_code(page.read_text("utf-8"))):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        missing_anchor = anchor and target.suffix == ".md" and anchor not in anchors(target)
        if not target.exists() or missing_anchor:
            broken.append(link)
    assert not broken


def test_the_module_map_is_current() -> None:
    current = module_map.PAGE.read_text("utf-8")
    assert current == module_map.page(), "run python -m scripts.module_map"


def test_the_page_of_commands_is_current() -> None:
    current = commands_page.PAGE.read_text("utf-8")
    assert current == commands_page.page(), "run python -m scripts.commands_page"


def test_the_page_of_limits_is_current() -> None:
    current = limits_page.PAGE.read_text("utf-8")
    assert current == limits_page.page(current), "run python -m scripts.limits_page"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_diagrams_have_their_pictures(page: Path) -> None:
    for diagram in DIAGRAM.findall(page.read_text("utf-8")):
        assert (ROOT / "docs" / picture(diagram)).exists(), "run python -m scripts.diagrams"


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "explanation" / "decisions"
    records = {path.name for path in folder.glob("0*.md")}
    listed = re.findall(r"\]\((0[^)]+)\)", (folder / "README.md").read_text("utf-8"))
    assert sorted(records) == listed


@pytest.mark.parametrize("name", ["architecture.md", "decisions"])
def test_files_that_are_named_exist(name: str) -> None:
    page = ROOT / "docs" / "explanation" / name
    pages = page.glob("*.md") if page.is_dir() else [page]
    text = "\n".join(each.read_text("utf-8") for each in pages)
    named = set(re.findall(r"`((?:\w+/)+\w+\.\w+)`", text))
    package = ROOT / "pychat"
    inside = [ROOT, package, package / "server", package / "server" / "page" / "js"]
    assert {path for path in named if not any((top / path).exists() for top in inside)} == set()


def test_log_in_has_one_name() -> None:
    """The glossary's words. Original clients receive the old ones."""
    kinds = {".py", ".js", ".html", ".md"}
    texts = [path for folder in ("pychat", "docs") for path in (ROOT / folder).rglob("*")]
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in (*texts, ROOT / "README.md")
        if path.suffix in kinds and "vendor" not in path.parts
        for match in re.finditer(
            r"\bsign(?:ed|ing|s)?[ -](?:in|out|up)\b.*", path.read_text(), re.I
        )
    ]
    original = 'pychat/server/chat/events/login.py: sign in with this password next time"'
    glossary = "docs/reference/glossary.md"
    assert [each for each in found if not each.startswith(glossary)] == [original]
