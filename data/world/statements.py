"""The statements about countries and territories, as paragraphs of g:statements."""

import csv
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

from edtf import ALWAYS, bounds
from world.borders import GEONAMES_2018, GEONAMES_2026, Border
from world.capitals import Capital
from world.turtle import date, paragraph, text

HERE = Path(__file__).resolve().parent
PUT_TOGETHER = '"2026-11-25T00:00:00Z"^^xsd:dateTime'
"""Since when the data set says it."""
GEONAMES_2018_DAY = "2018-05-18"
SOUTH_SUDAN_ADMITTED = "2011-07-14"
CLDR = "cldr-48"
ONGOING = "/.."
"""EDTF of what began on an unknown day and goes on."""


def capital(code: str, city: Capital) -> list[str]:
    sources = [GEONAMES_2018, GEONAMES_2026] if city.since_2018 else [GEONAMES_2026]
    day = GEONAMES_2018_DAY if city.since_2018 else "2026-11-25"
    return statement(
        f"capital-{code}",
        (f"e:{code}", "d:capital", f"e:{city.slug}"),
        sources,
        edtf=ONGOING,
        observed=day,
        standing="Disputed" if city.disputed else "Accepted",
    )


def borders(border: Border) -> Iterator[list[str]]:
    """Yields the statements of a border, one for each side."""
    for code, other in (border.pair, border.pair[::-1]):
        is_listed = GEONAMES_2018 in border.sources
        yield statement(
            f"borders-{code}-{other}",
            (f"e:{code}", "d:borders", f"e:{other}"),
            border.sources,
            edtf=ONGOING if is_listed else None,
            observed=GEONAMES_2018_DAY if is_listed else None,
            inferred=None if is_listed else "that a line which two areas share is a land border",
            standing="Disputed" if border.disputed else "Accepted",
        )


def united_nations(members: Iterable[str], codes: Container[str]) -> Iterator[list[str]]:
    """Yields the memberships in the United Nations: the members are CLDR's, the days are those of un.csv."""
    admissions = {row["code"]: row for row in read_table("un", codes)}
    for code in sorted(members):
        triple = f"e:{code}", "org:memberOf", "e:united-nations"
        if code in admissions:
            admission = admissions.pop(code)
            yield statement(f"un-{code}", triple, [CLDR, admission["source"]], edtf=admission["time"])
        else:
            yield statement(
                f"un-{code}",
                triple,
                [CLDR, "bbc-14151390"],
                edtf=ONGOING,
                observed=SOUTH_SUDAN_ADMITTED,
                inferred="the day: that it was a member when the 193rd, the last of CLDR's 193, was admitted",
            )
    if admissions:
        raise ValueError(f"not members by CLDR: {sorted(admissions)}")


def european_union(members: Iterable[str], codes: Container[str]) -> Iterator[list[str]]:
    """Yields the memberships in the European Union and its forerunner."""
    rows = read_table("eu", codes)
    present = {row["code"] for row in rows if row["time"].endswith("/..")}
    if present != set(members):
        raise ValueError(f"CLDR and eu.csv differ: {sorted(present ^ set(members))}")
    for row in rows:
        sources = ["europa-countries", CLDR] if row["code"] in present else ["europa-countries"]
        triple = f"e:{row['code']}", "org:memberOf", "e:european-union"
        yield statement(f"eu-{row['code']}", triple, sources, edtf=row["time"])


def other_organisations(codes: Container[str]) -> Iterator[list[str]]:
    """Yields the memberships in organisations that only pages tell of."""
    for row in read_table("members", codes):
        yield statement(
            f"{row['organisation']}-{row['code']}",
            (f"e:{row['code']}", "org:memberOf", f"e:{row['organisation']}"),
            [row["source"]],
            edtf=row["time"],
        )


def administration(codes: Container[str]) -> Iterator[list[str]]:
    """Yields who administers the territories that the United Nations list as not self-governing."""
    for row in read_table("administered", codes):
        yield statement(
            f"administered-{row['code']}",
            (f"e:{row['code']}", "d:administeredBy", f"e:{row['by']}"),
            ["un-non-self-governing-2016"],
            edtf=row["time"],
        )


def subdivisions(aliases: dict[str, dict[str, str]], codes: set[str]) -> Iterator[list[str]]:
    """Yields which codes of territories stand for subdivisions of a country too."""
    parents = {
        alias["_replacement"]: key[:2].upper()
        for key, alias in aliases.items()
        if alias["_replacement"] in codes
    }
    for code, parent in sorted(parents.items()):
        yield statement(
            f"subdivision-{code}",
            (f"e:{code}", "d:subdivisionOf", f"e:{parent}"),
            [CLDR],
            standing="Disputed" if code == "TW" else "Accepted",
        )


def statement(
    name: str,
    triple: tuple[str, str, str],
    sources: Iterable[str],
    *,
    edtf: str | None = None,
    observed: str | None = None,
    inferred: str | None = None,
    standing: str = "Accepted",
) -> list[str]:
    """Returns the lines of an asserted statement."""
    time = bounds(edtf) if edtf else ALWAYS
    subject, predicate, value = triple
    return paragraph(
        f"s:{name}",
        [
            ("rdf:subject", [subject]),
            ("rdf:predicate", [predicate]),
            ("rdf:object", [value]),
            ("d:stance", ["d:Asserted"]),
            ("d:standing", [f"d:{standing}"]),
            ("d:basis", ["d:Inferred" if inferred else "d:Stated"]),
            ("d:inferredPart", [text(inferred)] if inferred else []),
            ("d:edtf", [text(edtf)] if edtf else []),
            ("d:validFrom", [date(time.earliest_start.isoformat())] if time.earliest_start else []),
            ("d:validUntil", [date(time.latest_end.isoformat())] if time.latest_end else []),
            ("d:observedOn", [date(observed)] if observed else []),
            ("prov:wasDerivedFrom", [f"src:{source}" for source in sources]),
            ("prov:generatedAtTime", [PUT_TOGETHER]),
        ],
        indent="    ",
    )


def read_table(name: str, codes: Container[str]) -> list[dict[str, str]]:
    """Returns the rows of a table that is kept by hand; a code that is none of these is an error."""
    with (HERE / f"{name}.csv").open(encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    unknown = [row["code"] for row in rows if row["code"] not in codes]
    if unknown:
        raise ValueError(f"{name}.csv has codes of no country: {unknown}")
    return rows
