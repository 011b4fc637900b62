"""What the shapes cannot see.

Rows left out, layers mixed up, times that disagree, terms not described, borders of one side only, countries
without names, posts with two holders, built files that were changed by hand.
"""

from collections import Counter
from datetime import date
from itertools import chain

from pyoxigraph import DefaultGraph, NamedNode, Quad, parse

from build import derive, reference_date
from dataset import (
    CHECKSUMS,
    DEFAULT,
    DERIVED,
    DERIVED_GRAPH,
    PROV,
    RDF,
    RDFS,
    SCHEMA,
    STATEMENTS,
    D,
    E,
    G,
    Properties,
    S,
    checksum,
    rdf_format,
    read_nodes,
)
from edtf import bounds
from violation import Violation

ROWS = [f"F{number:02}" for number in range(1, 94)] + [f"E{number:02}" for number in range(1, 14)]
CLAIM_ROWS = ("F59", "F61", "F67", "F68", "F70", "F71", "F89", "F90")
TRUTHY_COUNT = 51
"""Main statements of rows of the article that hold; its other 42 do not."""

LANGUAGES_MIN = 30
"""In how many languages a country or territory is named, at the least."""

CHECKED = date(2026, 11, 25)
PRESENT_HOLDERS = {
    "president-of-south-korea": "lee-jae-myung",
    "foreign-minister-of-japan": "motegi",
    "us-secretary-of-state": "rubio",
}
"""Who holds a post on that day, as far as the sources tell."""

NODE_CLASSES = {SCHEMA + "Event", SCHEMA + "Claim", SCHEMA + "Observation"}


def check_coverage(quads: list[Quad]) -> list[Violation]:
    """Returns what is wrong with the sources, in order."""
    statements = {iri: node for iri, node in read_nodes(quads, STATEMENTS).items() if RDF + "subject" in node}
    checks = (
        rows(quads, statements),
        layers(quads, statements),
        times(statements),
        terms(quads),
        derived(),
        borders(statements),
        offices(statements),
        names(quads),
        built(),
    )
    return sorted(chain(*checks))


def rows(quads: list[Quad], statements: dict[str, Properties]) -> list[Violation]:
    """Every row has its main statement, claims have nodes, and the right number of rows hold."""
    found = []
    for row in ROWS:
        if row not in (term.value for term in statements.get(S + row, {}).get(D + "row", [])):
            found.append(Violation(S + row, D + "row", "the row has no main statement"))
    for iri, node in statements.items():
        main = node[D + "auxiliaryTo"][0].value if D + "auxiliaryTo" in node else iri
        of_a_row = not {D + "row", D + "auxiliaryTo"}.isdisjoint(node)
        if of_a_row and iri.removeprefix(S).split("-")[0] != main.removeprefix(S):
            found.append(Violation(iri, D + "auxiliaryTo", "the name does not begin with the row"))
    contents = {
        term.value for node in read_nodes(quads, DEFAULT).values() for term in node.get(D + "content", [])
    }
    for row in CLAIM_ROWS:
        if S + row not in contents:
            found.append(Violation(S + row, D + "content", "no claim has this statement as content"))
    truthy = derive(list(statements.values()), reference_date(quads))
    main_rows = [node for node in statements.values() if D + "row" in node]
    count = sum(node[D + "row"][0].value.startswith("F") and triple_of(node) in truthy for node in main_rows)
    if count != TRUTHY_COUNT:
        found.append(Violation(G + "statements", D + "row", f"{count} rows hold, not {TRUTHY_COUNT}"))
    return found


def layers(quads: list[Quad], statements: dict[str, Properties]) -> list[Violation]:
    """What holds is plain and the rest is not: nodes by standing, and no triple of a statement is plain."""
    found = []
    for graph, accepted in ((DEFAULT, True), (STATEMENTS, False)):
        for iri, node in read_nodes(quads, graph).items():
            is_node = not NODE_CLASSES.isdisjoint(term.value for term in node.get(RDF + "type", []))
            standing = {term.value for term in node.get(D + "standing", [])}
            if is_node and (standing <= {D + "Preferred", D + "Accepted"}) != accepted:
                found.append(Violation(iri, D + "standing", f"does not belong in {graph_label(graph)}"))
    plain = {(quad.subject, quad.predicate, quad.object) for quad in quads if quad.graph_name == DEFAULT}
    for iri, node in statements.items():
        if triple_of(node) in plain:
            found.append(
                Violation(iri, "-", "its triple is plain as well, so it would outlive the statement")
            )
    return found


def times(statements: dict[str, Properties]) -> list[Violation]:
    """The dates for plain filters are those that follow from the EDTF text."""
    found = []
    for iri, node in statements.items():
        time = bounds(node[D + "edtf"][0].value) if D + "edtf" in node else None
        for name, day in (
            ("validFrom", time.earliest_start if time else None),
            ("validUntil", time.latest_end if time else None),
        ):
            written = [term.value for term in node.get(D + name, [])]
            if written != ([] if day is None else [day.isoformat()]):
                found.append(Violation(iri, D + name, f"is {written}, but d:edtf says {day}"))
    return found


def terms(quads: list[Quad]) -> list[Violation]:
    """Every term of our vocabulary in use is described, and every entity in use has a type."""
    described = {str(quad.subject) for quad in quads if quad.predicate.value == RDF + "type"}
    used = {
        str(term)
        for quad in quads
        for term in (quad.subject, quad.predicate, quad.object)
        if isinstance(term, NamedNode) and term.value.startswith((D, E)) and term.value != D
    }
    return [Violation(iri, RDF + "type", "is used but nowhere described") for iri in used - described]


def derived() -> list[Violation]:
    """The committed derived triples are the same in the default graph and in g:derived."""
    quads = list(parse(path=DERIVED, format=rdf_format(DERIVED)))
    plain, kept = (
        {(quad.subject, quad.predicate, quad.object) for quad in quads if quad.graph_name == graph}
        for graph in (DEFAULT, DERIVED_GRAPH)
    )
    return [
        Violation(str(subject), str(predicate), "is not in both layers of derived.trig")
        for subject, predicate, _ in plain ^ kept
    ]


def borders(statements: dict[str, Properties]) -> list[Violation]:
    """A border is stated from both sides, alike."""
    sides = {
        (node[RDF + "subject"][0], node[RDF + "object"][0]): node
        for node in statements.values()
        if node[RDF + "predicate"][0].value == D + "borders"
    }
    alike = (D + "standing", D + "basis", D + "edtf", D + "observedOn", PROV + "wasDerivedFrom")
    return [
        Violation(str(side), D + "borders", "is not stated alike from the other side")
        for side, node in sides.items()
        if [node.get(iri) for iri in alike] != [sides.get(side[::-1], {}).get(iri) for iri in alike]
    ]


def offices(statements: dict[str, Properties]) -> list[Violation]:
    """No post has two holders in the middle of a month, and the present holders are the right ones."""
    found = []
    days = [date(year, month, 15) for year in range(2016, 2027) for month in range(1, 13)]
    nodes = [node for node in statements.values() if node[RDF + "predicate"][0].value == D + "holdsOffice"]
    for day in [*days, CHECKED]:
        holders = Counter(post.value for _, _, post in derive(nodes, day))
        found += [Violation(post, str(day), f"has {n} holders") for post, n in holders.items() if n > 1]
    present = {post.value.removeprefix(E): person.value for person, _, post in derive(nodes, CHECKED)}
    if present != {post: E + person for post, person in PRESENT_HOLDERS.items()}:
        found.append(Violation(G + "statements", D + "holdsOffice", f"on {CHECKED} they are {present}"))
    return found


def names(quads: list[Quad]) -> list[Violation]:
    """Every country and territory is named in many languages, once in each."""
    found = []
    for iri, node in read_nodes(quads, DEFAULT).items():
        if {D + "iso3166Alpha2", D + "userAssignedCode"}.isdisjoint(node):
            continue
        languages = Counter(term.language for term in node.get(RDFS + "label", []))
        if len(languages) < LANGUAGES_MIN or max(languages.values()) > 1:
            message = f"has {len(languages)} languages, or two names in one"
            found.append(Violation(iri, RDFS + "label", message))
    return found


def built() -> list[Violation]:
    """The files that countries.py builds are as it wrote them."""
    lines = CHECKSUMS.read_text(encoding="utf-8").splitlines()
    return [
        Violation(name, "-", "is not as countries.py wrote it")
        for expected, name in (line.split() for line in lines)
        if checksum((CHECKSUMS.parent.parent / name).read_bytes()) != expected
    ]


def triple_of(node: Properties) -> tuple[object, object, object]:
    return node[RDF + "subject"][0], node[RDF + "predicate"][0], node[RDF + "object"][0]


def graph_label(graph: NamedNode | DefaultGraph) -> str:
    return graph.value if isinstance(graph, NamedNode) else "the default graph"
