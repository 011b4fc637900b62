"""Breaks the data in memory, one way at a time, and checks that the shapes report it."""

from collections.abc import Callable
from typing import NamedTuple

from rdflib import RDFS, XSD, Graph, Literal, URIRef
from rdflib.term import Node

from dataset import DCTERMS, DERIVED, FIRST, PROV, RDF, SCHEMA, SOURCES, SRC, VOCABULARY, D, E, S, load_union
from violation import Violation


class Change(NamedTuple):
    """One fault: the values of a property are replaced; the report must name the node and say the message.

    What `is_refused` a server refuses too, whatever the data set (check_server.py).
    """

    fault: str
    node: str
    path: str
    values: list[Node]
    message: str
    is_refused: bool = False


def text(value: str, datatype: URIRef | None = None) -> Literal:
    return Literal(value, datatype=datatype)


NOTHING: list[Node] = []
CHANGES = (
    Change(
        "marks of nothing",
        E + "nothing",
        D + "standing",
        [URIRef(D + "Disputed")],
        "is a statement, or has a class",
    ),
    Change(
        "event without a time of record",
        E + "gsomia-decision",
        PROV + "generatedAtTime",
        NOTHING,
        "tells when it was recorded",
    ),
    Change("no subject", S + "F48", RDF + "subject", NOTHING, "has one subject", is_refused=True),
    Change(
        "two objects",
        S + "F48",
        RDF + "object",
        [URIRef(E + "US"), URIRef(E + "CN")],
        "has one object",
        is_refused=True,
    ),
    Change(
        "literal as predicate",
        S + "F48",
        RDF + "predicate",
        [text("party")],
        "has one predicate",
        is_refused=True,
    ),
    Change(
        "unknown stance", S + "F17", D + "stance", [URIRef(D + "Claimed")], "has one stance", is_refused=True
    ),
    Change("no standing", S + "F17", D + "standing", NOTHING, "has one standing", is_refused=True),
    Change("text as basis", S + "F17", D + "basis", [text("Stated")], "has one basis", is_refused=True),
    Change("bad EDTF", S + "F13", D + "edtf", [text("2019-13/..")], "has one EDTF", is_refused=True),
    Change(
        "valid until before valid from",
        S + "E13",
        D + "validUntil",
        [text("2017-01-01", XSD.date)],
        "is valid from a date before",
        is_refused=True,
    ),
    Change(
        "negated with a word", S + "F39", D + "negated", [text("yes")], "is negated or not", is_refused=True
    ),
    Change("no source", S + "F17", PROV + "wasDerivedFrom", NOTHING, "has a source", is_refused=True),
    Change(
        "source not described",
        S + "F17",
        PROV + "wasDerivedFrom",
        [URIRef(SRC + "nobody")],
        "has a publisher",
    ),
    # Of a live statement the commit adds it; this one is retracted.
    Change(
        "no time of generation",
        S + "F17",
        PROV + "generatedAtTime",
        NOTHING,
        "was generated at one time",
        is_refused=True,
    ),
    Change(
        "invalidated before generated",
        S + "E04",
        PROV + "invalidatedAtTime",
        [text("2019-01-01T00:00:00Z", XSD.dateTime)],
        "was generated before",
        is_refused=True,
    ),
    Change(
        "accepted plan",
        S + "F65",
        D + "standing",
        [URIRef(D + "Accepted")],
        "is not accepted unless",
        is_refused=True,
    ),
    Change(
        "accepted claim",
        S + "F61",
        D + "standing",
        [URIRef(D + "Accepted")],
        "is not accepted unless",
        is_refused=True,
    ),
    Change("inference not described", S + "F13", D + "inferredPart", NOTHING, "says what is inferred"),
    Change("attributed to nobody", S + "F61", D + "attributedTo", NOTHING, "says to whom"),
    Change(
        "unknown start, never observed", S + "F65-listed", D + "observedOn", NOTHING, "was observed on a day"
    ),
    Change("no row", S + "F17", D + "row", NOTHING, "is the main statement of one row"),
    Change("paragraph that is not there", S + "F17", D + "locator", [text("P17")], "has locators"),
    Change(
        "disputes an entity", S + "E05", D + "disputes", [URIRef(E + "gsomia")], "disputes statements only"
    ),
    Change(
        "content is no statement",
        E + "claim-kono-security",
        D + "content",
        [URIRef(E + "KR")],
        "has one content",
        is_refused=True,
    ),
    Change(
        "nobody speaks",
        E + "claim-kono-security",
        D + "speaker",
        NOTHING,
        "has one speaker",
        is_refused=True,
    ),
    Change(
        "bound as value too",
        E + "poll-2019-ending-after",
        SCHEMA + "value",
        [Literal(55)],
        "has a number",
        is_refused=True,
    ),
    Change(
        "word as figure",
        E + "poll-2016-opposing",
        SCHEMA + "value",
        [text("most")],
        "has a number",
        is_refused=True,
    ),
    Change(
        "figure without variable",
        E + "poll-2016-opposing",
        SCHEMA + "variableMeasured",
        NOTHING,
        "one variable",
        is_refused=True,
    ),
    Change(
        "event without a stance",
        E + "gsomia-decision",
        D + "stance",
        NOTHING,
        "has one stance",
        is_refused=True,
    ),
    Change("event without standing", E + "gsomia-decision", D + "standing", NOTHING, "has one standing"),
    Change(
        "two English labels",
        E + "KR",
        str(RDFS.label),
        [Literal("South Korea", lang="en"), Literal("Korea", lang="en")],
        "has one label a language",
    ),
    Change(
        "code in small letters", E + "KR", D + "iso3166Alpha2", [text("kr")], "has one code of two letters"
    ),
    Change(
        "post in no country",
        E + "president-of-south-korea",
        D + "postIn",
        NOTHING,
        "is a post in one country",
    ),
    Change("term without comment", D + "party", str(RDFS.comment), NOTHING, "has one comment"),
)


WORLD_CHANGES = (
    Change("borders a city", E + "FR", D + "borders", [URIRef(E + "paris")], "borders countries"),
    Change("a country as capital", E + "FR", D + "capital", [URIRef(E + "DE")], "has a city as capital"),
    Change("statement with a wrong name", S + "un-FR", D + "row", [text("F94x")], "has rows such as"),
    Change("no licence", SRC + "cldr-48", DCTERMS + "license", NOTHING, "has a licence"),
    Change("no attribution", SRC + "geonames-2026", D + "attribution", NOTHING, "says how it is to be named"),
)


def run_self_test(check_shapes: Callable[[Graph], list[Violation]]) -> int:
    """Returns 1 if a fault is not reported, or if the data is at fault before."""
    missed: list[str] = []
    for paths, changes in (((VOCABULARY, FIRST), CHANGES), ((*SOURCES, DERIVED), WORLD_CHANGES)):
        data = load_union(paths)
        missed += [str(violation) for violation in check_shapes(data)]
        missed += [
            f"not reported: {change.fault}"
            for change in changes
            if not is_reported(change, data, check_shapes)
        ]
    print("\n".join(missed) if missed else f"{len(CHANGES) + len(WORLD_CHANGES)} faults, all reported")
    return 1 if missed else 0


def is_reported(change: Change, data: Graph, check_shapes: Callable[[Graph], list[Violation]]) -> bool:
    """Makes the change, asks for a violation that fits, and takes the change back."""
    node, path = URIRef(change.node), URIRef(change.path)
    original = list(data.objects(node, path))
    data.remove((node, path, None))
    for value in change.values:
        data.add((node, path, value))
    places = {change.node, *(str(value) for value in change.values)}
    found = any(
        violation.node in places and change.message in violation.message for violation in check_shapes(data)
    )
    data.remove((node, path, None))
    for value in original:
        data.add((node, path, value))
    return found
