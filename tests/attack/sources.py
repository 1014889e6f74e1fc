"""The regular expressions in the code, and those that docs/explanation/linear.md lists."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "pychat/server/page/js"
DOCUMENT = ROOT / "docs/explanation/linear.md"

# In order: comments and strings, in which nothing is a pattern; patterns; names at the left margin;
# and one token of anything else, which decides whether a slash divides.
_JAVASCRIPT = re.compile(
    r"""(?P<skip>\s+|//[^\n]*|/\*.*?\*/)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`)
    |(?P<pattern>/(?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/[dgimsuvy]*)
    |(?P<other>[\w$]+|.)""",
    re.DOTALL | re.VERBOSE,
)
_PLACE = re.compile(r"^(?:export )?(?:async )?(?:const|let|function|class) (\w+)", re.MULTILINE)
_USES = re.compile(r"\.(?:test|exec|match|matchAll|replace|replaceAll|search|split)\(|RegExp")
_MAY_DIVIDE = re.compile(r"[\w$)\]}]$")


def python_patterns() -> Iterator[tuple[str, str]]:
    """File and name of each; one without a name of its own at the left margin is an error."""
    for path in sorted((ROOT / "pychat").rglob("*.py")):
        tree = ast.parse(path.read_text())
        file = str(path.relative_to(ROOT))
        named = {
            id(call): target.id
            for node in tree.body
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Name)
            for call in ast.walk(node.value)
        }
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Import | ast.ImportFrom | ast.Call)):
                continue
            if isinstance(node, ast.ImportFrom):
                assert node.module != "re", f"{file}: import re, whose patterns are found"
            elif isinstance(node, ast.Import):
                assert all(each.asname is None for each in node.names if each.name == "re"), file
            elif isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "re":
                if node.func.attr == "escape":
                    continue
                where = f"{file}:{node.lineno}"
                assert node.func.attr == "compile", f"{where}: compile the pattern, with a name"
                assert id(node) in named, f"{where}: give the pattern a name at the left margin"
                yield file, named[id(node)]


def page_patterns() -> Iterator[tuple[str, str, str]]:
    """File, place and source of each."""
    for path in sorted(PAGE.rglob("*.js")):
        source = path.read_text()
        places = [(match.start(), match[1]) for match in _PLACE.finditer(source)]
        before, position = "", 0
        while position < len(source):
            match = _JAVASCRIPT.match(source, position)
            assert match is not None
            kind = match.lastgroup
            if kind == "pattern" and _MAY_DIVIDE.search(before) and before != "return":
                kind, position = "other", position + 1
                before = "/"
                continue
            position = match.end()
            if kind == "string" and match[0][0] == "`":
                assert not _USES.search(match[0]), f"{path}: no pattern inside of a template"
            if kind == "pattern":
                place = [name for start, name in places if start <= match.start()][-1:]
                yield str(path.relative_to(PAGE)), "".join(place), match[0]
            if kind != "skip":
                before = match[0]


def listed_python() -> dict[tuple[str, str], str]:
    """File and name, and what it is used with."""
    rows = re.findall(r"^\| `(pychat/[\w/]+\.py)` \| `(\w+)` \| (\w+) \| \S.* \|$", _text(), re.M)
    return {(file, name): used for file, name, used in rows}


def listed_page() -> Counter[tuple[str, str]]:
    """File and place, and how many there are."""
    rows = re.findall(r"^\| `([\w/-]+\.js)` \| `(\w+)` \| (\d+) \| \S.* \|$", _text(), re.M)
    return Counter({(file, place): int(count) for file, place, count in rows})


def _text() -> str:
    return DOCUMENT.read_text()
