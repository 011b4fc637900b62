"""Earliest and latest start and end of the EDTF level 1 forms that the data uses.

Forms: `2016`, `2019-07`, `2019-08-02`, `2019-08-XX` and intervals of them. A side of an interval can also be
`..` (open) or empty (unknown). The last day of an interval is inside it: its exclusive end is the day after.
"""

import re
from dataclasses import dataclass
from datetime import date, timedelta

FORM = re.compile(r"(\d{4})(?:-(\d{2}))?(?:-(\d{2}|XX))?")
OPEN = ".."
UNKNOWN = ""


@dataclass(frozen=True)
class Bounds:
    """Bounds of a valid time; None is no bound. Ends are exclusive."""

    earliest_start: date | None
    latest_start: date | None
    earliest_end: date | None
    latest_end: date | None
    start_unknown: bool


ALWAYS = Bounds(None, None, None, None, start_unknown=False)


def bounds(text: str) -> Bounds:
    """Returns the bounds of an EDTF date or interval; a date is an interval from itself to itself."""
    start, separator, end = text.partition("/")
    first, last = span(start), span(end if separator else start)
    return Bounds(
        earliest_start=first[0],
        latest_start=first[1],
        earliest_end=day_after(last[0]),
        latest_end=day_after(last[1]),
        start_unknown=start == UNKNOWN,
    )


def span(text: str) -> tuple[date | None, date | None]:
    """Returns the first and the last day that a date can mean."""
    if text in (OPEN, UNKNOWN):
        return None, None
    match = FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"not an EDTF form in use: {text!r}")
    year, month, day = match.groups()
    if month is None:
        return date(int(year), 1, 1), date(int(year), 12, 31)
    first = date(int(year), int(month), 1)
    if day in (None, "XX"):
        return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    exact = date(int(year), int(month), int(day))
    return exact, exact


def day_after(day: date | None) -> date | None:
    return None if day is None else day + timedelta(days=1)
