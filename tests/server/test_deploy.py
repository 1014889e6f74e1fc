"""The files in deploy/: names of metrics and settings, and the systemd unit."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from pychat.cli.settings.files import all_settings
from pychat.cli.settings.options import Option
from tests.requirements import require_program
from tests.serving import serving

DEPLOY = Path(__file__).parents[2] / "deploy"
OF_PROMETHEUS = {"up"}
OF_COMPOSE = {"PYCHAT_DOMAIN", "PYCHAT_UPSTREAM"}


def names_in(expression: str) -> set[str]:
    """The metrics that an expression of Prometheus names."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b\w+\s*\(|\d+\w*", " ", expression)
    return set(re.findall(r"[a-z_]+", bare))


async def test_every_metric_that_is_named_exists() -> None:
    alerts = re.findall(r"^ +expr: (.+)$", (DEPLOY / "prometheus-alerts.yaml").read_text(), re.M)
    dashboard = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    panels = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(alerts) == 7
    assert len(panels) > 10
    async with serving(metrics_port=0) as server, aiohttp.ClientSession() as http:
        answer = await (await http.get(server.metrics_url)).text()
    there = OF_PROMETHEUS | set(re.findall(r"^(\w+)(?:\{.*\})? ", answer, re.M))
    for expression in (*alerts, *panels):
        found = names_in(expression)
        assert found, expression
        assert found <= there, expression


def test_every_setting_that_is_named_exists() -> None:
    known = {option.envvar for _, option in all_settings() if isinstance(option, Option)}
    for path in DEPLOY.iterdir():
        named = set(re.findall(r"\bPYCHAT_[A-Z_]+", path.read_text()))
        assert named - OF_COMPOSE <= known, path.name


def test_the_containers_store_is_in_its_volume() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    [volume] = re.findall(r"^VOLUME (\S+)$", text, re.M)
    assert f"PYCHAT_STORE=sqlite:///{volume}/" in text
    assert re.search(r"^USER [1-9]", text, re.M)


@pytest.mark.e2e  # starts a program
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "pychat.service"
    text = (DEPLOY / "pychat.service").read_text()
    unit.write_text(
        text.replace("/opt/pychat/bin/pychat serve", f"{sys.executable} -m pychat serve")
    )
    analyze = require_program("systemd-analyze")
    done = subprocess.run([analyze, "verify", unit], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    # 0 is no exposure, 100 is everything.
    security = [analyze, "security", "--offline=true", "--threshold=20", unit]
    done = subprocess.run(security, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
