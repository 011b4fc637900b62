"""One thing that is wrong with the data."""

from typing import NamedTuple


class Violation(NamedTuple):
    node: str
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.node} {self.path}: {self.message}"
