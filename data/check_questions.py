"""Asks the questions in questions/ of the data set and compares the answers with those written beside them.

NN.rq is a query, NN.csv its answer as SPARQL 1.1 CSV with plain line feeds: `true` or `false` for ASK, rows
sorted by their text unless the query has an ORDER BY. Exits 1 with a diff for each answer that differs.
"""

import difflib
import re
import sys
from pathlib import Path

from pyoxigraph import QueryBoolean, QueryResultsFormat, QuerySolutions, Store

from dataset import QUESTIONS, load_store

ORDER_BY = re.compile(r"^\s*ORDER\s+BY\b", re.IGNORECASE | re.MULTILINE)


def main() -> int:
    store = load_store()
    questions = sorted(QUESTIONS.glob("*.rq"))
    wrong = sum(not is_answered(path, store) for path in questions)
    wrong += sum(report_missing_query(path) for path in sorted(QUESTIONS.glob("*.csv")))
    print(f"{len(questions)} questions, {wrong} wrong")
    return 1 if wrong else 0


def is_answered(path: Path, store: Store) -> bool:
    """Asks one question; prints the difference if the answer is not as expected."""
    expected_path = path.with_suffix(".csv")
    expected = expected_path.read_text(encoding="utf-8").splitlines() if expected_path.exists() else []
    actual = answer(path.read_text(encoding="utf-8"), store)
    if actual == expected:
        return True
    diff = difflib.unified_diff(expected, actual, expected_path.name, f"{path.name} answered", lineterm="")
    print("\n".join(diff))
    return False


def answer(query: str, store: Store) -> list[str]:
    """Returns the lines of the answer."""
    results = store.query(query)
    if isinstance(results, QueryBoolean):
        return ["true" if results else "false"]
    if not isinstance(results, QuerySolutions):
        raise TypeError("questions are SELECT or ASK queries")
    csv = results.serialize(format=QueryResultsFormat.CSV) or b""
    header, *rows = csv.decode().splitlines()
    return [header, *(rows if ORDER_BY.search(query) else sorted(rows))]


def report_missing_query(path: Path) -> bool:
    """Tells whether an answer has no question."""
    missing = not path.with_suffix(".rq").exists()
    if missing:
        print(f"{path.name} has no query")
    return missing


if __name__ == "__main__":
    sys.exit(main())
