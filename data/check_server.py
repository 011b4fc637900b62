"""Holds a server to the shapes: what they call general it refuses, what they ask of this data alone it takes.

    check_server.py --server http://127.0.0.1:50051

The server must have the shipped data. Each fault of self_test.py in a statement or an entity is made with an
update; one that is taken is taken back.
"""

import argparse
import json
import sys
import urllib.error
from urllib.request import Request, urlopen

from dataset import E, S
from self_test import CHANGES, Change

STATEMENTS = "https://w3id.org/dossier/g/statements"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", default="http://127.0.0.1:50051")
    server = parser.parse_args().server
    changes = [change for change in CHANGES if change.node.startswith((S, E))]
    wrong = [message for change in changes if (message := check(server, change))]
    print("\n".join(wrong) if wrong else f"{len(changes)} faults, as the shapes have it")
    return 1 if wrong else 0


def check(server: str, change: Change) -> str:
    """Makes a fault; says what is wrong with how the server takes it."""
    before = values(server, change)
    problem = update(server, change, [value.n3() for value in change.values])
    if problem is None:
        update(server, change, before)
        return f"taken: {change.fault}" if change.is_refused else ""
    if not change.is_refused:
        return f"refused: {change.fault}: {problem['detail']}"
    if values(server, change) != before:
        return f"refused, and yet written: {change.fault}"
    named = (problem["reason"], problem["node"]) == ("STATEMENT_INVALID", change.node)
    return "" if named else f"refused as something else: {change.fault}: {problem}"


def within(change: Change, pattern: str) -> str:
    """Returns a pattern in the graph of the node: that of entities is the default graph."""
    return f"GRAPH <{STATEMENTS}> {{ {pattern} }}" if change.node.startswith(S) else pattern


def values(server: str, change: Change) -> list[str]:
    """Returns the values of the property that the fault is in, as N-Triples has them."""
    node, path = f"<{change.node}>", f"<{change.path}>"
    query = f"CONSTRUCT {{ {node} {path} ?o }} WHERE {{ {within(change, f'{node} {path} ?o')} }}"
    headers = {"Content-Type": "application/sparql-query", "Accept": "application/n-triples"}
    with urlopen(Request(f"{server}/sparql", query.encode(), headers)) as answer:
        lines = answer.read().decode().splitlines()
    return sorted(line.split(" ", 2)[2].removesuffix(" .") for line in lines)


def update(server: str, change: Change, objects: list[str]) -> dict | None:
    """Replaces the values of a property; returns the problem if the server refuses."""
    node, path = f"<{change.node}>", f"<{change.path}>"
    inserted = " ".join(f"{node} {path} {value} ." for value in objects)
    old, new = within(change, f"{node} {path} ?o"), within(change, inserted)
    text = f"DELETE {{ {old} }} INSERT {{ {new} }} WHERE {{ OPTIONAL {{ {old} }} }}"
    headers = {"Content-Type": "application/sparql-update"}
    try:
        with urlopen(Request(f"{server}/sparql", text.encode(), headers)):
            return None
    except urllib.error.HTTPError as error:
        return json.load(error)


if __name__ == "__main__":
    sys.exit(main())
