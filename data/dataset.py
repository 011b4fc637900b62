"""The files of the data set and the names in it."""

import hashlib
from pathlib import Path

from pyoxigraph import DefaultGraph, Literal, NamedNode, Quad, RdfFormat, Store, parse
from rdflib import Dataset, Graph

HERE = Path(__file__).resolve().parent
VOCABULARY = HERE / "vocabulary.ttl"
FIRST = HERE / "japan-korea-2019.trig"
WORLD = HERE / "world.trig"
COUNTRIES = HERE / "countries.trig"
COUNTRY_NAMES = HERE / "country-names.ttl"
CHECKSUMS = HERE / "world" / "built.sha256"
SOURCES = (VOCABULARY, FIRST, WORLD, COUNTRIES, COUNTRY_NAMES)
DERIVED = HERE / "derived.trig"
SHAPES = HERE / "shapes.ttl"
QUESTIONS = HERE / "questions"

D = "https://w3id.org/dossier/ns#"
E = "https://w3id.org/dossier/e/"
S = "https://w3id.org/dossier/s/"
SRC = "https://w3id.org/dossier/src/"
G = "https://w3id.org/dossier/g/"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS = "http://www.w3.org/2000/01/rdf-schema#"
PROV = "http://www.w3.org/ns/prov#"
DCTERMS = "http://purl.org/dc/terms/"
SCHEMA = "http://schema.org/"

DEFAULT = DefaultGraph()
STATEMENTS = NamedNode(G + "statements")
DERIVED_GRAPH = NamedNode(G + "derived")

Resource = NamedNode | Literal
Properties = dict[str, list[Resource]]


def read_quads() -> list[Quad]:
    """Returns the quads of the sources, terms exactly as written."""
    return [quad for path in SOURCES for quad in read_file(path)]


def read_file(path: Path) -> list[Quad]:
    return list(parse(path=path, format=rdf_format(path)))


def read_nodes(quads: list[Quad], graph: NamedNode | DefaultGraph) -> dict[str, Properties]:
    """Returns the subjects of a graph with their properties, both by IRI."""
    nodes: dict[str, Properties] = {}
    for quad in quads:
        if quad.graph_name == graph:
            if not isinstance(quad.subject, NamedNode) or not isinstance(quad.object, NamedNode | Literal):
                raise ValueError(f"expected IRIs and literals only, found {quad}")
            properties = nodes.setdefault(quad.subject.value, {})
            properties.setdefault(quad.predicate.value, []).append(quad.object)
    return nodes


def load_store() -> Store:
    """Returns the whole data set, derived triples included, ready for SPARQL."""
    store = Store()
    for path in (*SOURCES, DERIVED):
        store.load(path=path, format=rdf_format(path))
    return store


def load_union(paths: tuple[Path, ...] = (*SOURCES, DERIVED)) -> Graph:
    """Returns all graphs of the files as one."""
    union = Graph()
    for path in paths:
        graphs = Dataset()
        graphs.parse(path)
        for subject, predicate, value, _ in graphs.quads():
            union.add((subject, predicate, value))
    return union


def rdf_format(path: Path) -> RdfFormat:
    return RdfFormat.TURTLE if path.suffix == ".ttl" else RdfFormat.TRIG


def checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
