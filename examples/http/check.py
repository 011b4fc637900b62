"""Asks a server as any SPARQL endpoint, with common libraries of Python, and checks the answers.

    dossier export grouped.jelly --grouped
    python check.py --server http://127.0.0.1:50051 --grouped grouped.jelly

The server must have the shipped data. It writes a graph and removes it again. The last line says how many
checks passed.
"""

import argparse
import sys
import urllib.error
from urllib.request import Request, urlopen

import pyoxigraph
from pyjelly.integrations.rdflib.parse import parse_jelly_grouped
from rdflib import BNode, Dataset, Graph, Literal, URIRef
from rdflib.plugins.stores.sparqlstore import SPARQLUpdateStore
from SPARQLWrapper import CSV, JSON, POST, TURTLE, XML, SPARQLWrapper
from SPARQLWrapper.SPARQLExceptions import QueryBadFormed

ENTITY = "https://w3id.org/dossier/e/"
STATEMENTS = "https%3A%2F%2Fw3id.org%2Fdossier%2Fg%2Fstatements"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
GRAPH = URIRef("https://example.org/http-check")
NAME = "SELECT ?name WHERE { e:gsomia d:fullName ?name }"
FULL_NAME = "General Security of Military Information Agreement"
DOCUMENT = '<https://example.org/a> <https://example.org/b> [ <https://example.org/c> "d"@en, 1 ] .'
FORMATS = {"turtle": "text/turtle", "xml": "application/rdf+xml", "nt": "application/n-triples"}


def wrapper(server: str, text: str, form: str, method: str = "GET") -> SPARQLWrapper:
    endpoint = SPARQLWrapper(f"{server}/sparql", returnFormat=form)
    endpoint.setMethod(method)
    endpoint.setQuery(text)
    return endpoint


def sparqlwrapper_reads_rows(server: str) -> None:
    for method in ("GET", POST):
        rows = wrapper(server, NAME, JSON, method).queryAndConvert()["results"]["bindings"]
        assert any(FULL_NAME in row["name"]["value"] for row in rows), rows
    assert FULL_NAME in wrapper(server, NAME, XML).queryAndConvert().toxml()
    assert FULL_NAME.encode() in wrapper(server, NAME, CSV).queryAndConvert()


def sparqlwrapper_reads_booleans_and_graphs(server: str) -> None:
    assert wrapper(server, "ASK { e:KR ?p ?o }", JSON).queryAndConvert()["boolean"] is True
    turtle = wrapper(server, "DESCRIBE e:KR", TURTLE).queryAndConvert()
    graph = Graph().parse(data=turtle, format="turtle")
    assert (URIRef(ENTITY + "KR"), None, None) in graph


def sparqlwrapper_updates(server: str) -> None:
    wrapper(server, f"INSERT DATA {{ GRAPH <{GRAPH}> {{ e:a e:b 1 }} }}", JSON, POST).query()
    ask = f"ASK {{ GRAPH <{GRAPH}> {{ e:a e:b 1 }} }}"
    assert wrapper(server, ask, JSON).queryAndConvert()["boolean"] is True
    wrapper(server, f"DROP GRAPH <{GRAPH}>", JSON, POST).query()
    assert wrapper(server, ask, JSON).queryAndConvert()["boolean"] is False


def sparqlwrapper_raises_errors(server: str) -> None:
    try:
        wrapper(server, "SELECT * WHERE { ?s ?p }", JSON).query()
    except QueryBadFormed as error:
        assert "SPARQL_SYNTAX" in str(error), error
    else:
        raise AssertionError("no error")


def rdflib_reads_and_writes_a_graph(server: str) -> None:
    store = SPARQLUpdateStore(f"{server}/sparql", f"{server}/sparql", context_aware=True)
    graph = Graph(store, identifier=GRAPH)
    triple = (URIRef(ENTITY + "a"), URIRef(ENTITY + "b"), Literal("한국", lang="ko"))
    graph.add(triple)
    assert triple in graph
    assert len(graph) == 1
    assert [row.o for row in graph.query("SELECT ?o WHERE { ?s ?p ?o }")] == [triple[2]]
    graph.remove(triple)
    assert len(graph) == 0
    graph.update(f"DROP SILENT GRAPH <{GRAPH}>")


def rdflib_documents_go_through_the_graph_store(server: str) -> None:
    url = f"{server}/store?graph={GRAPH}"
    written = Graph().parse(data=DOCUMENT, format="turtle")
    for form, media_type in FORMATS.items():
        body = written.serialize(format=form, encoding="utf-8")
        headers = {"Content-Type": media_type}
        assert urlopen(Request(url, body, headers, method="PUT")).status in (201, 204)
        with urlopen(Request(url, headers={"Accept": media_type})) as answer:
            assert Graph().parse(data=answer.read(), format=form).isomorphic(written), form
    assert urlopen(Request(url, method="DELETE")).status == 204
    try:
        urlopen(url)
    except urllib.error.HTTPError as error:
        assert error.code == 404
    else:
        raise AssertionError("the graph is still there")


def pyoxigraph_reads_statements_as_rdf_1_2(server: str) -> None:
    for media_type in ("text/turtle", "application/n-triples"):
        documents = []
        for more in ("", "&statements=reified"):
            request = Request(f"{server}/store?graph={STATEMENTS}{more}", headers={"Accept": media_type})
            with urlopen(request) as answer:
                form = pyoxigraph.RdfFormat.from_media_type(media_type)
                documents.append([(*quad,)[:3] for quad in pyoxigraph.parse(answer.read(), format=form)])
        nodes, reified = documents
        # Each reifier is about the triple that its node has in parts, and all else is the same.
        reifiers = [(node, of) for node, predicate, of in reified if predicate.value == f"{RDF}reifies"]
        parts = {
            (node, pyoxigraph.NamedNode(RDF + part), getattr(of, part))
            for node, of in reifiers
            for part in ("subject", "predicate", "object")
        }
        others = {triple for triple in reified if triple[1].value != f"{RDF}reifies"}
        assert len(reifiers) > 200, media_type
        assert parts | others == set(nodes), media_type


def pyjelly_documents_go_through_the_graph_store(server: str) -> None:
    url = f"{server}/store?graph={GRAPH}"
    written = Graph().parse(data=DOCUMENT, format="turtle")
    body = written.serialize(format="jelly", encoding="utf-8")
    headers = {"Content-Type": "application/x-jelly-rdf"}
    assert urlopen(Request(url, body, headers, method="PUT")).status in (201, 204)
    with urlopen(Request(url, headers={"Accept": "application/x-jelly-rdf"})) as answer:
        assert Graph().parse(data=answer.read(), format="jelly").isomorphic(written)
    assert urlopen(Request(url, method="DELETE")).status == 204
    # The whole store, as two formats have it. Blank nodes have other labels in each.
    datasets = []
    for form, media_type in (("jelly", "application/x-jelly-rdf"), ("nquads", "application/n-quads")):
        with urlopen(Request(f"{server}/store", headers={"Accept": media_type})) as answer:
            datasets.append(Dataset().parse(data=answer.read(), format=form))
    jelly, quads = ({quad for quad in dataset.quads() if not has_blank(quad)} for dataset in datasets)
    assert len(jelly) > 30_000
    assert jelly == quads


def pyjelly_reads_a_grouped_export(server: str, path: str) -> None:
    subjects, quads = [], set()
    with open(path, "rb") as document:
        for frame in parse_jelly_grouped(document, logical_type_strict=True):
            subjects.append({quad[0] for quad in frame.quads()})
            quads |= {quad for quad in frame.quads() if not has_blank(quad)}
    assert len(subjects) > 1_000
    assert all(len(of_frame) == 1 for of_frame in subjects)
    with urlopen(Request(f"{server}/store", headers={"Accept": "application/n-quads"})) as answer:
        whole = Dataset().parse(data=answer.read(), format="nquads")
    assert quads == {quad for quad in whole.quads() if not has_blank(quad)}


def has_blank(terms: tuple) -> bool:
    return any(isinstance(term, BNode) for term in terms)


CHECKS = [
    sparqlwrapper_reads_rows,
    sparqlwrapper_reads_booleans_and_graphs,
    sparqlwrapper_updates,
    sparqlwrapper_raises_errors,
    rdflib_reads_and_writes_a_graph,
    rdflib_documents_go_through_the_graph_store,
    pyoxigraph_reads_statements_as_rdf_1_2,
    pyjelly_documents_go_through_the_graph_store,
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", default="http://127.0.0.1:50051")
    parser.add_argument("--grouped", metavar="FILE", help="an export of the server with --grouped")
    arguments = parser.parse_args()
    checks = [(check, [arguments.server]) for check in CHECKS]
    if arguments.grouped:
        # First: the others write.
        checks.insert(0, (pyjelly_reads_a_grouped_export, [arguments.server, arguments.grouped]))
    for check, values in checks:
        check(*values)
        print("ok:", check.__name__.replace("_", " "))
    print(f"{len(checks)} checks passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
