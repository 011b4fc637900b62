"""Land borders: lines that two areas of Natural Earth share, and the neighbours that GeoNames lists."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from world.packages import ATLAS_SCALES, Packages

Pair = tuple[str, str]

ATLAS, GEONAMES_2018, GEONAMES_2026 = "natural-earth", "geonames-2018", "geonames-2026"

NAMED_ONLY = {"Kosovo": "XK", "Somaliland": "SO"}
"""Areas without a code: Kosovo has one that ISO leaves to users, Somaliland is in Somalia by its code."""

LEFT_OUT = {
    # French Guiana has a code of its own; the atlas has it in France.
    ("BR", "FR"),
    ("FR", "SR"),
    # The base at Guantanamo is leased.
    ("CU", "US"),
}
"""Borders of one source only that the other contradicts."""

DISPUTED = {("AL", "RS"), ("EH", "MA"), ("IL", "PS"), ("RS", "XK")}
"""Borders between a territory and a state that claims it, or that are there only if the claim is right."""


class Border(NamedTuple):
    """A border, both codes in order, and which sources have it."""

    pair: Pair
    sources: tuple[str, ...]
    disputed: bool


def read_borders(packages: Packages, numeric: dict[str, str], codes: set[str]) -> list[Border]:
    """Returns the borders between codes, in order."""
    atlas = shared_lines(packages, numeric, codes)
    lists = {
        GEONAMES_2018: listed_neighbours(packages.geonames_2018(), codes),
        GEONAMES_2026: listed_neighbours(packages.geonames_2026(), codes),
    }
    borders = []
    for pair in sorted(atlas.union(*lists.values()) - LEFT_OUT):
        sources = [ATLAS] if pair in atlas else []
        sources += [name for name, pairs in lists.items() if pair in pairs]
        borders.append(Border(pair, tuple(sources), pair in DISPUTED))
    return borders


def shared_lines(packages: Packages, numeric: dict[str, str], codes: set[str]) -> set[Pair]:
    """Returns the pairs of areas that share a line; areas without a code of ours are left out."""
    pairs = set()
    for scale in ATLAS_SCALES:
        owners: dict[int, set[str]] = defaultdict(set)
        for area in packages.atlas(scale)["objects"]["countries"]["geometries"]:
            code = numeric.get(area.get("id", "")) or NAMED_ONLY.get(area["properties"]["name"])
            if code in codes:
                for arc in flatten(area.get("arcs", [])):
                    # A line in the other direction has the complement as its number.
                    owners[max(arc, ~arc)].add(code)
        pairs |= {(a, b) for owner in owners.values() for a in owner for b in owner if a < b}
    return pairs


def flatten(arcs: list[Any]) -> Iterator[int]:
    for arc in arcs:
        if isinstance(arc, list):
            yield from flatten(arc)
        else:
            yield arc


def listed_neighbours(countries: dict[str, dict[str, Any]], codes: set[str]) -> set[Pair]:
    """Returns the pairs of which one lists the other."""
    return {
        (min(code, other), max(code, other))
        for code, country in countries.items()
        for other in country["neighbours"].split(",")
        if code in codes and other in codes
    }
