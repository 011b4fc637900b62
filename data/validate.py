"""Validates the data set: its shapes, its layers, its times, its vocabulary and its coverage of the rows.

`validate.py` prints node, path and message of each violation and exits 1 if there is one.
`validate.py --self-test` breaks the data in memory in many ways, and checks that each is reported.
"""

import argparse
import sys

from pyshacl import validate
from rdflib import SH, Graph

from coverage import check_coverage
from dataset import SHAPES, load_union, read_quads
from violation import Violation


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--self-test", action="store_true", help="check that broken data is reported")
    if parser.parse_args().self_test:
        from self_test import run_self_test

        return run_self_test(check_shapes)
    violations = check_shapes(load_union()) + check_coverage(read_quads())
    for violation in violations:
        print(violation)
    print(f"{len(violations)} violations")
    return 1 if violations else 0


def check_shapes(data: Graph) -> list[Violation]:
    """Returns what the shapes find wrong with the union of the graphs, in order."""
    _, report, _ = validate(data, shacl_graph=Graph().parse(SHAPES))
    if not isinstance(report, Graph):
        raise RuntimeError(f"the shapes could not be applied: {report}")
    return sorted(
        Violation(
            str(report.value(result, SH.focusNode)),
            str(report.value(result, SH.resultPath) or "-"),
            str(report.value(result, SH.resultMessage)),
        )
        for result in report.subjects(SH.resultSeverity, SH.Violation)
    )


if __name__ == "__main__":
    sys.exit(main())
