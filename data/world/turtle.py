"""Writes Turtle as the files of the data set are written: one subject a paragraph, lines of 110 columns."""

WIDTH = 110
PREFIXES = {
    "d": "https://w3id.org/dossier/ns#",
    "e": "https://w3id.org/dossier/e/",
    "s": "https://w3id.org/dossier/s/",
    "src": "https://w3id.org/dossier/src/",
    "g": "https://w3id.org/dossier/g/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "schema": "http://schema.org/",
    "org": "http://www.w3.org/ns/org#",
    "prov": "http://www.w3.org/ns/prov#",
}


def prefixes(names: str) -> list[str]:
    return [f"@prefix {name}: <{PREFIXES[name]}> ." for name in names.split()]


def text(value: str, language: str = "") -> str:
    """Returns a literal, with a language if one is given."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' + (f"@{language}" if language else "")


def date(day: str) -> str:
    return f'"{day}"^^xsd:date'


def paragraph(subject: str, properties: list[tuple[str, list[str]]], indent: str = "") -> list[str]:
    """Returns the lines that say the properties of a subject; those without values are left out."""
    lines, line = [], f"{indent}{subject}"
    said = [(name, values) for name, values in properties if values]
    for place, (name, values) in enumerate(said):
        words = [f"{name} {values[0]}", *values[1:]]
        words = [word + ("," if word is not words[-1] else "") for word in words]
        words[-1] += " ;" if place + 1 < len(said) else " ."
        for word in words:
            if len(line) + 1 + len(word) > WIDTH:
                lines.append(line)
                line = f"{indent}   "
            line += f" {word}"
    return [*lines, line]
