"""Clock: the current time, and times as text; tests replace it by a stopped one."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, tzinfo

_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_LONG_MONTHS = [
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
]


class Clock:
    """Format moments in seconds since the epoch. ``timezone`` None: the local time zone."""

    def __init__(
        self, now: Callable[[], float] = time.time, timezone: tzinfo | None = None
    ) -> None:
        self.now = now
        self._timezone = timezone

    def _at(self, moment: float) -> datetime:
        return datetime.fromtimestamp(moment, self._timezone)

    def day(self, moment: float) -> int:
        """Return the number of the day; the next day has the next number."""
        return self._at(moment).toordinal()

    def time(self, moment: float) -> str:
        """Return the time of day: ``09:05``."""
        at = self._at(moment)
        return f"{at.hour:02}:{at.minute:02}"

    def long_day(self, moment: float) -> str:
        """Return ``Today``, ``Yesterday`` or ``Monday, 23 November``; another year is added."""
        at, today = self._at(moment), self._at(self.now())
        ago = today.toordinal() - at.toordinal()
        if ago == 0:
            return "Today"
        if ago == 1:
            return "Yesterday"
        written = f"{_DAYS[at.weekday()]}, {at.day} {_LONG_MONTHS[at.month - 1]}"
        return written if at.year == today.year else f"{written} {at.year}"

    def short(self, moment: float) -> str:
        """Return a short form: ``09:05`` today, else ``Mon``, ``3 Nov`` or ``2024``."""
        at, today = self._at(moment), self._at(self.now())
        ago = today.toordinal() - at.toordinal()
        if ago <= 0:
            return self.time(moment)
        if ago < 7:
            return _DAYS[at.weekday()][:3]
        if at.year == today.year:
            return f"{at.day} {_MONTHS[at.month - 1]}"
        return str(at.year)

    def exact(self, moment: float) -> str:
        """Return day and time with seconds: ``Yesterday, 10:32:07``."""
        return f"{self.long_day(moment)}, {self._at(moment):%H:%M:%S}"

    def since(self, moment: float) -> str:
        """Return a form for sentences: ``10:32``, ``yesterday 10:32``, ``3 Nov 10:32``."""
        ago = self.day(self.now()) - self.day(moment)
        if ago <= 0:
            return self.time(moment)
        return f"{'yesterday' if ago == 1 else self.short(moment)} {self.time(moment)}"
