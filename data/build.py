"""Writes derived.trig: what the truthy rule derives from the statements at the reference date.

`build.py` writes the file; `build.py --check` exits 1 with a diff if the file is not what would be written.
"""

import argparse
import difflib
import sys
from collections import defaultdict
from datetime import date

from pyoxigraph import NamedNode, Quad

from dataset import (
    DERIVED,
    DERIVED_GRAPH,
    PROV,
    RDF,
    STATEMENTS,
    D,
    G,
    Properties,
    Resource,
    read_nodes,
    read_quads,
)
from edtf import ALWAYS, bounds

NEVER_TRUTHY = {D + "Planned", D + "Projected", D + "Opinion"}
Triple = tuple[Resource, Resource, Resource]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the file would change")
    arguments = parser.parse_args()
    text = render(read_quads())
    if not arguments.check:
        DERIVED.write_text(text, encoding="utf-8")
        return 0
    committed = DERIVED.read_text(encoding="utf-8") if DERIVED.exists() else ""
    diff = difflib.unified_diff(
        committed.splitlines(), text.splitlines(), "derived.trig", "derived.trig as built", lineterm=""
    )
    lines = list(diff)
    print("\n".join(lines) if lines else "derived.trig is up to date")
    return 1 if lines else 0


def render(quads: list[Quad]) -> str:
    """Returns the text of derived.trig."""
    day = reference_date(quads)
    statements = read_nodes(quads, STATEMENTS)
    triples = sorted(f"{s} {p} {o} ." for s, p, o in derive(list(statements.values()), day))
    return "\n".join(
        [
            f"# The triples that hold on {day}: written by build.py, not by hand.",
            *triples,
            "",
            f"{DERIVED_GRAPH} {{",
            *(f"    {triple}" for triple in triples),
            "}",
            "",
        ]
    )


def reference_date(quads: list[Quad]) -> date:
    """Returns the day at which the rule is applied, from the description of the data set."""
    described = read_nodes(quads, NamedNode(G + "meta")).values()
    dates = {node[D + "referenceDate"][0].value for node in described if D + "referenceDate" in node}
    if len(dates) != 1:
        raise ValueError(f"expected one reference date in g:meta, found {sorted(dates)}")
    return date.fromisoformat(dates.pop())


def derive(nodes: list[Properties], day: date) -> set[Triple]:
    """Returns the triples that hold on the day.

    Preferred statements of a subject and predicate that hold hide its accepted ones.
    """
    by_standing: dict[tuple[Resource, Resource], dict[str, set[Triple]]] = defaultdict(
        lambda: defaultdict(set)
    )
    for node in nodes:
        if RDF + "subject" in node and holds(node, day):
            subject, predicate = node[RDF + "subject"][0], node[RDF + "predicate"][0]
            triple = subject, predicate, node[RDF + "object"][0]
            by_standing[subject, predicate][node[D + "standing"][0].value].add(triple)
    return {
        triple
        for standings in by_standing.values()
        for triple in standings.get(D + "Preferred") or standings[D + "Accepted"]
    }


def holds(node: Properties, day: date) -> bool:
    """Tells whether a statement, its siblings aside, holds on the day."""

    def value(iri: str) -> str | None:
        return node[iri][0].value if iri in node else None

    return (
        PROV + "invalidatedAtTime" not in node
        and value(D + "stance") not in NEVER_TRUTHY
        and value(D + "standing") in (D + "Preferred", D + "Accepted")
        and value(D + "negated") != "true"
        and value(RDF + "object") != D + "SomeValue"
        and valid_on(day, value(D + "edtf"), value(D + "observedOn"))
    )


def valid_on(day: date, edtf: str | None, observed: str | None) -> bool:
    """Tells whether a valid time certainly includes the day; no end is presumed not to have come.

    A statement without any time holds always; one that was only observed holds from that day. It begins
    no later than it was observed, and ends no earlier.
    """
    time = bounds(edtf) if edtf else ALWAYS
    seen = date.fromisoformat(observed) if observed is not None else None
    if time.earliest_end is not None and day >= time.earliest_end and (seen is None or day > seen):
        return False
    if edtf is not None and time.latest_start is None and not time.start_unknown:
        return True
    starts = [start for start in (time.latest_start, seen) if start is not None]
    return day >= min(starts) if starts else not time.start_unknown


if __name__ == "__main__":
    sys.exit(main())
