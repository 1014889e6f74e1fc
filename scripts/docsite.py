"""The documentation site: what mkdocs.yml cannot say, as hooks of MkDocs.

GitHub shows docs/ as it is. On the site, a file outside docs/ that a page links to becomes a page
of its own, and Mermaid diagrams are pictures.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scripts.markdown import DIAGRAM, LINK, outside_code, picture

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).parent.parent
FILES: Final = "files/"
"""Where the site has the files outside docs/."""
_LOADED: Final = re.compile(
    r"""<(?:script|img|iframe|source|video)\b[^>]*\ssrc=["']?(?:https?:)?//[^>]*>"""
    r"""|<link\b[^>]*\shref=["']?(?:https?:)?//[^>]*>"""
)
_COMMENT: Final = re.compile(r"^<!-- .*? -->$\n?", re.MULTILINE)
_LANGUAGES: Final = {
    "Caddyfile": "text", "Dockerfile": "docker", ".service": "ini", ".conf": "nginx",
    ".py": "python", ".html": "html", ".yaml": "yaml", ".json": "json",
}  # fmt: skip


def place(path: str) -> str:
    """Where the site has a file of the project, relative to docs/."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if (ROOT / path).is_dir():
        path += "/README.md"
    return FILES + (path if path.endswith(".md") else f"{path}.md")


def origin(page: str) -> str:
    """The file of the project that a page of the site comes from."""
    if not page.startswith(FILES):
        return f"docs/{page}"
    path = page.removeprefix(FILES)
    return path if (ROOT / path).is_file() else path.removesuffix(".md")


def target(link: str, source: str) -> str | None:
    """The file of the project that a link in ``source`` leads to, None for links to elsewhere."""
    name = link.partition("#")[0]
    if not name or re.match(r"\w+:", link):
        return None
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), name))


def content(path: str) -> str:
    """The page that shows a file."""
    text = (ROOT / path).read_text("utf-8")
    if path.endswith(".md"):
        return text
    name = posixpath.basename(path)
    language = _LANGUAGES.get(name) or _LANGUAGES.get(posixpath.splitext(name)[1], "text")
    return f"# {path}\n\n````{language}\n{text}````\n"


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add a page for each file outside docs/ that is linked."""
    from mkdocs.structure.files import File

    waiting = [f"docs/{file.src_uri}" for file in files.documentation_pages()]
    known = set(waiting)
    while waiting:
        source = waiting.pop()
        if not source.endswith(".md"):
            continue
        for link in LINK.findall(outside_code((ROOT / source).read_text("utf-8"))):
            path = target(link, source)
            if path is None or path in known or path.startswith("docs/"):
                continue
            known.add(path)
            shown = origin(place(path))
            files.append(File.generated(config, place(path), content=content(shown)))
            waiting.append(shown)
    return files


def on_page_markdown(
    markdown: str, *, page: Page, config: MkDocsConfig, files: Files
) -> str:  # the names are MkDocs'
    """Draw diagrams, let links lead to the site's pages, and remove comments."""
    here = page.file.src_uri
    source = origin(here)
    folder = posixpath.dirname(here)

    def relative(path: str) -> str:
        return posixpath.relpath(path, folder or ".")

    def relinked(match: re.Match[str]) -> str:
        path = target(match[1], source)
        name, mark, anchor = match[1].partition("#")
        if path is not None:
            name = relative(place(path))
        elif name:
            return match[0]
        # GitHub counts headings of the same name with a hyphen, Python-Markdown with an underscore.
        anchor = re.sub(r"-([1-9])$", r"_\1", anchor)
        return f"]({name}{mark}{anchor})"

    def drawn(match: re.Match[str]) -> str:
        return f"![Diagram]({relative(picture(match[1]))})\n"

    if not source.endswith(".md"):
        return markdown
    parts = re.split(r"(^ *```.*?^ *```$)", DIAGRAM.sub(drawn, markdown), flags=re.M | re.S)
    parts[::2] = [_COMMENT.sub("\n", LINK.sub(relinked, part)) for part in parts[::2]]
    return "".join(parts)


def on_post_page(output: str, *, page: Page, config: MkDocsConfig) -> str:
    """Refuse a page that loads something from another host. Raises PluginError."""
    from mkdocs.exceptions import PluginError

    found = _LOADED.search(output)
    if found:
        raise PluginError(f"{page.file.src_uri} loads from another host: {found[0]}")
    return output
