"""The samples in the documentation: Python, TOML, JSON and commands."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from pychat.cli.main import cli
from tests.test_docs import PAGES, ROOT

BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
ENDS = {"|", "&&", "||", ";", ">", ">>", "<", "&"}


def samples(language: str) -> Iterator[tuple[str, str]]:
    """The samples in a language, each after the page that has it."""
    for page in PAGES:
        for indent, found, code in BLOCK.findall(page.read_text("utf-8")):
            if found == language:
                yield str(page.relative_to(ROOT)), re.sub(rf"^{indent}", "", code, flags=re.M)


@pytest.mark.parametrize("korean", [ROOT / "README.ko.md", *(ROOT / "docs").rglob("*.ko.md")])
def test_translations_have_the_samples_of_their_originals(korean: Path) -> None:
    original = korean.with_name(korean.name.replace(".ko.md", ".md"))
    assert BLOCK.findall(korean.read_text("utf-8")) == BLOCK.findall(original.read_text("utf-8"))


def imported(code: str) -> Iterator[tuple[str, str]]:
    """Modules, and the names that are imported from them."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)


def exists(module: str, name: str) -> bool:
    if importlib.util.find_spec(module) is None:
        return False
    return (
        not name
        or hasattr(importlib.import_module(module), name)
        or importlib.util.find_spec(f"{module}.{name}") is not None
    )


def test_python_compiles_and_finds_what_it_imports() -> None:
    for page, code in samples("python"):
        compile(code, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        missing = [each for each in imported(code) if not exists(*each)]
        assert not missing, page


def test_toml_and_json_are_valid() -> None:
    for _, code in samples("toml"):
        tomllib.loads(code)
    for page, code in samples("json"):
        decoder, position = json.JSONDecoder(), 0
        while rest := code[position:].lstrip():  # one value, or one in each line
            position = len(code) - len(rest) + decoder.raw_decode(rest)[1]
        assert position, page


def commands() -> Iterator[tuple[str, list[str]]]:
    """What follows ``pychat``, up to the next command."""
    for page, code in samples("sh"):
        for line in code.replace("\\\n", " ").splitlines():
            lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            words = list(lexer)
            for start, word in enumerate(words, start=1):
                rest = words[start:]
                # The last one: there is `sudo -u pychat pychat …`.
                if is_pychat(word) and rest and not is_pychat(rest[0]) and rest[0] not in ENDS:
                    end = next((n for n, each in enumerate(rest) if each in ENDS), len(rest))
                    yield page, rest[:end]


def is_pychat(word: str) -> bool:
    return word == "pychat" or word.endswith("/bin/pychat")


def problem(words: list[str]) -> str:
    """What is wrong with a command, empty if nothing is."""
    command: click.Command | None = cli
    context = click.Context(cli, info_name="pychat")
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        command = command.get_command(context, rest.pop(0))
    if command is None:
        return "no such command"
    known = {option for each in command.get_params(context) for option in each.opts}
    given = {word.partition("=")[0] for word in rest if re.match(r"--\w", word)}
    return ", ".join(sorted(given - known))


def test_commands_exist_with_their_options() -> None:
    found = [(page, words, problem(words)) for page, words in commands()]
    assert len(found) > 80
    assert [each for each in found if each[2]] == []
