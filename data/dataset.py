"""The files of the data set and the names in it."""

from pathlib import Path

from pyoxigraph import DefaultGraph, Literal, NamedNode, Quad, RdfFormat, Store, parse
from rdflib import Dataset, Graph

HERE = Path(__file__).resolve().parent
SOURCES = (HERE / "vocabulary.ttl", HERE / "japan-korea-2019.trig")
DERIVED = HERE / "derived.trig"
SHAPES = HERE / "shapes.ttl"
QUESTIONS = HERE / "questions"

D = "https://w3id.org/dossier/ns#"
E = "https://w3id.org/dossier/e/"
S = "https://w3id.org/dossier/s/"
SRC = "https://w3id.org/dossier/src/"
G = "https://w3id.org/dossier/g/"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
PROV = "http://www.w3.org/ns/prov#"
SCHEMA = "http://schema.org/"

DEFAULT = DefaultGraph()
STATEMENTS = NamedNode(G + "statements")
DERIVED_GRAPH = NamedNode(G + "derived")

Resource = NamedNode | Literal
Properties = dict[str, list[Resource]]


def read_quads() -> list[Quad]:
    """Returns the quads of the sources, terms exactly as written."""
    return [quad for path in SOURCES for quad in parse(path=path, format=rdf_format(path))]


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


def load_union() -> Graph:
    """Returns all graphs of the data set, derived triples included, as one."""
    union = Graph()
    for path in (*SOURCES, DERIVED):
        graphs = Dataset()
        graphs.parse(path)
        for subject, predicate, value, _ in graphs.quads():
            union.add((subject, predicate, value))
    return union


def rdf_format(path: Path) -> RdfFormat:
    return RdfFormat.TURTLE if path.suffix == ".ttl" else RdfFormat.TRIG
