"""Names of countries and territories in the languages of the world, from Unicode CLDR."""

from typing import NamedTuple

from world.packages import Packages

LANGUAGES = """
    ar bg bn ca cs da de el en es et eu fa fi fil fr ga gl gu he hi hr hu hy id is it ja ka kk km ko lt lv
    mk mn mr ms mt my ne nl no pa pl pt ro ru sk sl sq sr sv sw ta te th tr uk ur uz vi zh zh-Hant
"""
"""The six of the United Nations, the 24 of the European Union, and others that many people speak."""


class Names(NamedTuple):
    """One name a language, and further ones."""

    labels: dict[str, str]
    aliases: dict[str, list[str]]


def read_names(packages: Packages, codes: list[str]) -> dict[str, Names]:
    """Returns the names of the codes; a code that a language has no name for is without one."""
    names = {code: Names({}, {}) for code in codes}
    for language in LANGUAGES.split():
        territories = packages.cldr_territories(language)
        for code in codes:
            label = territories.get(code, code)
            if label == code:
                continue
            names[code].labels[language] = label
            others = {
                name for key, name in territories.items() if key.startswith(f"{code}-alt-") and name != label
            }
            if others:
                names[code].aliases[language] = sorted(others)
    return names
