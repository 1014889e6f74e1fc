"""Findings of ``pychat doctor``."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Level(Enum):
    """What a finding means. The value is printed before it."""

    OK = "ok  "
    NOTE = "note"
    FIX = "FIX "


class Finding(NamedTuple):
    """One thing that was looked at. ``text`` says what to do, if there is something."""

    level: Level
    subject: str
    text: str


def ok(subject: str, text: str) -> Finding:
    return Finding(Level.OK, subject, text)


def note(subject: str, text: str) -> Finding:
    return Finding(Level.NOTE, subject, text)


def fix(subject: str, text: str) -> Finding:
    return Finding(Level.FIX, subject, text)
