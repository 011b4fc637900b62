"""Capitals, from GeoNames: the city of each country, and whether the older edition had the same."""

import re
import unicodedata
from collections import Counter
from typing import Any, NamedTuple

from world.packages import Packages

IDS = {
    "AG": "3576022",
    "BR": "3469058",
    "CM": "2220957",
    "CO": "3688689",
    "CR": "3621849",
    "EH": "2462881",
    "FO": "2611396",
    "GD": "3579925",
    "GG": "3042287",
    "GU": "4044012",
    "IS": "3413829",
    "KZ": "1526273",
    "MN": "2028462",
    "MO": "1821274",
    "NC": "2139521",
    "PY": "3439389",
    "ST": "2410763",
    "TF": "1546102",
    "TG": "2365267",
    "TO": "4032402",
    "VU": "2135171",
    "WF": "4034821",
}
"""GeoNames ids of capitals whose name in the list of countries is not that in the list of places."""

RENAMED = {"KZ", "MN"}
"""Capitals that the editions spell or name differently, and that are the same city."""

KNOWN = {"KR": "seoul", "JP": "tokyo"}
"""Cities that are entities of the first data set."""

DISPUTED = {"EH", "IL", "PS"}


class Capital(NamedTuple):
    """A capital: the local name of its IRI, its name, other spellings, its GeoNames id."""

    slug: str
    name: str
    aliases: tuple[str, ...]
    geonames_id: str | None
    since_2018: bool
    disputed: bool
    is_known: bool


def read_capitals(packages: Packages, codes: list[str]) -> dict[str, Capital]:
    """Returns the capital of each code that has one."""
    old, new = packages.geonames_2018(), packages.geonames_2026()
    cities = packages.geonames_cities()
    largest = largest_by_name(cities)
    named = {code: new[code]["capital"].strip() for code in codes if new[code]["capital"].strip()}
    ids = {code: IDS.get(code) or largest.get((code, name)) for code, name in named.items()}
    names = {
        code: cities[id]["name"] if (id := ids[code]) in cities else name for code, name in named.items()
    }
    # Nur-Sultan's former and present name is that of the list of places.
    slugs = Counter(slug(name) for name in names.values())
    capitals = {}
    for code, name in names.items():
        unique = slug(name) if slugs[slug(name)] == 1 else f"{slug(name)}-{code.lower()}"
        capitals[code] = Capital(
            slug=KNOWN.get(code, unique),
            name=name,
            aliases=(named[code],) if named[code] != name else (),
            geonames_id=ids[code],
            since_2018=code in RENAMED or old[code]["capital"].strip() == named[code],
            disputed=code in DISPUTED,
            is_known=code in KNOWN,
        )
    return capitals


def largest_by_name(cities: dict[str, dict[str, Any]]) -> dict[tuple[str, str], str]:
    """Returns the id of the most populous place of each country and name."""
    largest: dict[tuple[str, str], str] = {}
    for id, city in sorted(cities.items()):
        key = city["countrycode"], city["name"]
        if key not in largest or cities[largest[key]]["population"] < city["population"]:
            largest[key] = id
    return largest


def slug(name: str) -> str:
    """Returns a name in small Latin letters, with hyphens."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z]+", "-", plain.lower()).strip("-")
