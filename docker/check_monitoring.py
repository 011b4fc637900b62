"""Holds the alerts, the dashboard and docs/operations.md to the metrics that a real server exposes.

    DOSSIER_BIN=… .ci/with-server python docker/check_monitoring.py

Every expression must parse, and every metric and label in it be among those that the server at DOSSIER_SERVER
tells at /metrics, after some calls of each kind.
"""

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import promql_parser
import yaml

HERE = Path(__file__).resolve().parent
ALERTS = HERE / "prometheus" / "alerts.yaml"
DASHBOARD = HERE / "grafana" / "dashboards" / "dossier.json"
OPERATIONS = HERE.parent / "docs" / "operations.md"
SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+", re.MULTILINE)
LABEL = re.compile(r'(\w+)="(?:[^"\\]|\\.)*"')
# Prometheus makes these itself.
OWN = {"up": set()}
# These are told only by a server that has the setting for it.
OPTIONAL = {
    "dossier_backup_succeeded_timestamp_seconds": set(),
    "dossier_backup_revision": set(),
    "dossier_backup_failures_total": set(),
}
# A matcher that names values: their series must be there before the first is counted, or alerts miss it.
NAMED = re.compile(r'(\w+_total)\{(\w+)=~?"([\w|]+)"\}')
TARGET_LABELS = {"job", "instance"}
# A variable of Grafana, in the place of a duration.
RATE_INTERVAL = "$__rate_interval"
TIMEOUT_S = 20


def main() -> int:
    problems = list(unseen_at_first(fetch("/metrics")))
    call_the_server()
    known = {**scrape(), **OWN, **OPTIONAL}
    count = 0
    for place, expression in [*alerts(problems), *panels(problems)]:
        count += 1
        problems += [f"{place}: {fault}" for fault in faults(expression, known)]
    for name in documented():
        count += 1
        if not any(known_name.startswith(name) for known_name in known):
            problems.append(f"{OPERATIONS.name}: {name} is not exposed")
    for problem in problems:
        print("FAILED:", problem)
    print(f"{count} expressions and names held to {len(known)} metrics")
    return 1 if problems or count < 30 else 0


def call_the_server() -> None:
    """Makes a call that works, one that fails, and a request of HTTP: what was never counted is not told."""
    server = os.environ["DOSSIER_SERVER"]
    for entity, code in [("e:KR", 0), ("e:nobody-at-all", 1)]:
        command = [os.environ["DOSSIER_BIN"], "--server", server, "get", entity]
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)
        if done.returncode != code:
            sys.exit(f"{command}: {done}")
    fetch("/sparql?query=ASK%7B%7D")


def fetch(path: str) -> str:
    with urllib.request.urlopen(os.environ["DOSSIER_SERVER"] + path, timeout=TIMEOUT_S) as answer:
        return answer.read().decode()


def scrape() -> dict[str, set[str]]:
    """Returns the labels of each metric."""
    metrics: dict[str, set[str]] = {}
    for name, labels in SAMPLE.findall(fetch("/metrics")):
        metrics.setdefault(name, set()).update(LABEL.findall(labels))
    return metrics


def alerts(problems: list[str]) -> Iterator[tuple[str, str]]:
    for group in yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            name = f"{ALERTS.name}: {rule['alert']}"
            is_known = rule["labels"]["severity"] in {"critical", "warning"}
            if set(rule["annotations"]) != {"summary", "action"} or not is_known:
                problems.append(f"{name}: it needs a summary, an action and a severity")
            yield name, rule["expr"]


def unseen_at_first(text: str) -> Iterator[str]:
    for place, expression in alerts([]):
        for name, label, values in NAMED.findall(expression):
            for series in (f'{name}{{{label}="{value}"}} ' for value in values.split("|")):
                if series not in text:
                    yield f"{place}: {series}is not there until it was counted"


def panels(problems: list[str]) -> Iterator[tuple[str, str]]:
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    ids, cells = set(), set()
    for panel in dashboard["panels"]:
        name = f"{DASHBOARD.name}: {panel['title']}"
        grid = panel["gridPos"]
        own = {(grid["x"] + x, grid["y"] + y) for x in range(grid["w"]) for y in range(grid["h"])}
        if panel["id"] in ids or cells & own or grid["x"] + grid["w"] > 24:
            problems.append(f"{name}: its id is used twice, or its place")
        ids.add(panel["id"])
        cells |= own
        for target in panel["targets"]:
            yield name, target["expr"].replace(RATE_INTERVAL, "1m")


def documented() -> set[str]:
    """Returns the names in the documentation; those with labels are told only once they were counted."""
    text = OPERATIONS.read_text(encoding="utf-8")
    return set(re.findall(r"`((?:dossier|grpc_server|http_server)_\w*[a-z])`", text))


def faults(expression: str, known: dict[str, set[str]]) -> Iterator[str]:
    try:
        parsed = promql_parser.parse(expression)
    except ValueError as error:
        yield f"{expression}: {error}"
        return
    labels_of_all = set().union(*known.values())
    for node in nodes(parsed):
        if isinstance(node, promql_parser.VectorSelector):
            if node.name not in known:
                yield f"there is no metric {node.name}"
                continue
            labels = known[node.name] | TARGET_LABELS
            named = {matcher.name for matcher in node.matchers.matchers}
            yield from (f"{node.name} has no label {label}" for label in named - labels)
        elif isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            unknown = set(node.modifier.labels) - labels_of_all
            yield from (f"no metric has the label {label}" for label in unknown)


def nodes(node: object) -> Iterator[object]:
    """Returns an expression and all within it."""
    yield node
    for name in ("lhs", "rhs", "expr", "param", "vector_selector"):
        inner = getattr(node, name, None)
        if inner is not None:
            yield from nodes(inner)
    for inner in getattr(node, "args", []):
        yield from nodes(inner)


if __name__ == "__main__":
    sys.exit(main())
