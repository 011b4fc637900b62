"""Runs the commands that README.md and docs/ show, against the server at DOSSIER_ADDRESS.

Every block fenced as `sh` runs, in a shell of its own, from the repository's root, and must succeed. A
comment `<!-- prints: TEXT -->` after a block (in its own paragraph, one or more) names text that its output
must have. The default address 127.0.0.1:50051 is replaced by the one of the server at hand. Relative links
between the pages must lead to files that exist. Commands that cannot run here are in blocks fenced as
`text`.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = ("data", "docker", "examples/http", "examples/python")
LINKED = [*PAGES, *(ROOT / name / "README.md" for name in FOLDERS)]
BLOCK = re.compile(r"^```sh\n(.*?)^```\n((?:\s*<!-- prints: .*? -->\n)*)", re.MULTILINE | re.DOTALL)
PRINTS = re.compile(r"<!-- prints: (.*?) -->")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
TIMEOUT_S = 120


def main() -> int:
    problems = []
    count = 0
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in BLOCK.finditer(text):
            count += 1
            line = text.count("\n", 0, block.start()) + 2
            problem = run(block[1], PRINTS.findall(block[2]))
            if problem:
                problems.append(f"{page.relative_to(ROOT)}:{line}: {problem}")
    for page in LINKED:
        problems += dead_links(page)
    for problem in problems:
        print("FAILED:", problem)
    print(f"{count} blocks of commands run, links of {len(LINKED)} pages followed")
    return 1 if problems or not count else 0


def run(commands: str, expected: list[str]) -> str:
    """Returns what is wrong with a block, or nothing."""
    script = commands.replace("127.0.0.1:50051", os.environ["DOSSIER_ADDRESS"])
    try:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"not done after {TIMEOUT_S} s"
    if done.returncode:
        return f"exit code {done.returncode}:\n{done.stdout}"
    missing = [text for text in expected if text not in done.stdout]
    return f"does not print {missing}, but:\n{done.stdout}" if missing else ""


def dead_links(page: Path) -> list[str]:
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    targets = (target for target in LINK.findall(text) if "://" not in target)
    return [
        f"{page.relative_to(ROOT)}: {target} is not there"
        for target in targets
        if not (page.parent / target).exists()
    ]


if __name__ == "__main__":
    sys.exit(main())
