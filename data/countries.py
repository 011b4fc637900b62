"""Builds countries.trig and country-names.ttl from the packages of world/packages.csv.

`countries.py` writes the files and their checksums; `countries.py --check` exits 1 with a diff if a file is
not what would be written.
"""

import argparse
import difflib
import sys
from typing import NamedTuple

from pyoxigraph import Literal, NamedNode

from dataset import (
    CHECKSUMS,
    COUNTRIES,
    COUNTRY_NAMES,
    DEFAULT,
    FIRST,
    RDFS,
    D,
    E,
    checksum,
    read_file,
    read_nodes,
)
from world import statements
from world.borders import Border, read_borders
from world.capitals import Capital, read_capitals
from world.names import Names, read_names
from world.packages import Packages
from world.turtle import paragraph, prefixes, text

RDFS_LABEL = RDFS + "label"
SKOS_ALT_LABEL = "http://www.w3.org/2004/02/skos/core#altLabel"

GROUPS = {"UN": "united-nations", "EU": "european-union", "EZ": "eurozone"}
"""Groups of CLDR that have names. Whom it has in the euro area is out of date: see members.csv."""
NOT_PLACES = {"QO"}
"""Codes that CLDR made to group places under."""
KOSOVO, ANTARCTICA, VATICAN = "XK", "AQ", "VA"


class World(NamedTuple):
    """What the packages say, by code."""

    codes: dict[str, dict[str, str]]
    members: dict[str, set[str]]
    capitals: dict[str, Capital]
    borders: list[Border]
    names: dict[str, Names]
    subdivisions: dict[str, dict[str, str]]
    known: dict[str, dict[str, list[NamedNode | Literal]]]
    """Entities of the first data set, by local name."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file would change")
    arguments = parser.parse_args()
    world = read_world(Packages())
    files = {COUNTRIES: as_text(render_countries(world)), COUNTRY_NAMES: as_text(render_names(world))}
    files[CHECKSUMS] = as_text([f"{checksum(text.encode())}  {path.name}" for path, text in files.items()])
    changed = False
    for path, built in files.items():
        if not arguments.check:
            path.write_text(built, encoding="utf-8")
            continue
        committed = path.read_text(encoding="utf-8") if path.exists() else ""
        diff = difflib.unified_diff(
            committed.splitlines(), built.splitlines(), path.name, f"{path.name} as built", lineterm=""
        )
        differences = list(diff)
        print("\n".join(differences) if differences else f"{path.name} is up to date")
        changed = changed or bool(differences)
    return 1 if changed else 0


def as_text(lines: list[str]) -> str:
    return "\n".join([*lines, ""])


def read_world(packages: Packages) -> World:
    mappings = packages.cldr_core("codeMappings")
    containment = packages.cldr_core("territoryContainment")
    contained = {
        code
        for group, members in containment.items()
        if "-status-" not in group and not group.isalpha()
        for code in members["_contains"]
    }
    codes = {
        code: mappings[code]
        for code in sorted(contained - NOT_PLACES)
        if "_numeric" in mappings.get(code, {}) and len(code) == 2
    }
    numeric = {mapping["_numeric"]: code for code, mapping in codes.items()}
    entities = read_nodes(read_file(FIRST), DEFAULT)
    return World(
        codes=codes,
        members={group: set(containment[group]["_contains"]) for group in GROUPS},
        capitals=read_capitals(packages, list(codes)),
        borders=read_borders(packages, numeric, set(codes)),
        names=read_names(packages, [*codes, *GROUPS]),
        subdivisions=packages.cldr_core("metadata", file="aliases")["alias"]["subdivisionAlias"],
        known={iri.removeprefix(E): node for iri, node in entities.items()},
    )


def render_countries(world: World) -> list[str]:
    """Returns the lines of countries.trig."""
    lines = [
        "# Codes, capitals, borders and memberships of all countries: built by countries.py, not by hand.",
        "# Contains data of Unicode CLDR, Natural Earth and GeoNames: see LICENSES.md.",
        "",
        *prefixes("d e s src g rdf rdfs xsd skos schema org prov"),
        "",
    ]
    for code in world.codes:
        lines += country(code, world)
    lines.append("")
    for code, capital in world.capitals.items():
        if not capital.is_known:
            lines += city(code, capital, world)
    lines += ["", "g:statements {"]
    for code, capital in world.capitals.items():
        lines += statements.capital(code, capital)
    for border in world.borders:
        for side in statements.borders(border):
            lines += side
    for found in (
        statements.united_nations(world.members["UN"], world.codes),
        statements.european_union(world.members["EU"], world.codes),
        statements.other_organisations(world.codes),
        statements.administration(world.codes),
        statements.subdivisions(world.subdivisions, set(world.codes)),
    ):
        for one in found:
            lines += one
    return [*lines, "}"]


def country(code: str, world: World) -> list[str]:
    """Returns the class and the codes; of a country of the first data set only what is not there."""
    mapping = world.codes[code]
    says = {
        D + "iso3166Alpha2": code,
        D + "iso3166Alpha3": mapping["_alpha3"],
        D + "iso3166Numeric": mapping["_numeric"],
    }
    if code in world.known:
        for iri, value in says.items():
            if [term.value for term in world.known[code][iri]] != [value]:
                raise ValueError(f"{code} has another {iri} in the first data set")
        return []
    if code in world.members["UN"] or code == VATICAN:
        kind = "schema:Country"
    else:
        kind = "schema:Place" if code == ANTARCTICA else "schema:AdministrativeArea"
    if code == KOSOVO:
        said = [("d:userAssignedCode", [text(code)])]
    else:
        said = [(iri.replace(D, "d:"), [text(value)]) for iri, value in says.items()]
    return paragraph(f"e:{code}", [("a", [kind]), *said])


def city(code: str, capital: Capital, world: World) -> list[str]:
    if capital.slug in world.known:
        raise ValueError(f"{capital.slug} is something else in the first data set")
    link = f"<https://www.geonames.org/{capital.geonames_id}>"
    names = [capital.name, *capital.aliases]
    # A name alone is the country's: Singapore is found as a state, and the city beside it.
    if not english_names(world).isdisjoint(names):
        names.insert(0, f"{capital.name} (city)")
    return paragraph(
        f"e:{capital.slug}",
        [
            ("a", ["schema:City"]),
            ("rdfs:label", [text(names[0], "en")]),
            ("skos:altLabel", [text(name, "en") for name in names[1:]]),
            ("schema:sameAs", [link] if capital.geonames_id else []),
        ],
    )


def english_names(world: World) -> set[str]:
    return {
        name
        for names in world.names.values()
        for name in (names.labels.get("en", ""), *names.aliases.get("en", []))
    }


def render_names(world: World) -> list[str]:
    """Returns the lines of country-names.ttl."""
    lines = [
        "# Names of all countries and territories in many languages: built by countries.py, not by hand.",
        "# From Unicode CLDR, under the Unicode License v3: see LICENSES.md.",
        "",
        *prefixes("e rdfs skos"),
        "",
    ]
    for code, names in world.names.items():
        lines += name_paragraph(code, names, world)
    return lines


def name_paragraph(code: str, names: Names, world: World) -> list[str]:
    """Returns the names; beside a label of the first data set, CLDR's own is an alias."""
    known = world.known.get(code, {})
    labels = {term.language: term.value for term in known.get(RDFS_LABEL, [])}
    terms = [*known.get(RDFS_LABEL, []), *known.get(SKOS_ALT_LABEL, [])]
    said = {(term.language, term.value) for term in terms}
    aliases = {(language, name) for language, found in names.aliases.items() for name in found}
    aliases |= {(language, name) for language, name in names.labels.items() if language in labels}
    new = [text(name, language) for language, name in names.labels.items() if language not in labels]
    return paragraph(
        f"e:{GROUPS.get(code, code)}",
        [
            ("rdfs:label", new),
            ("skos:altLabel", [text(name, language) for language, name in sorted(aliases - said)]),
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
