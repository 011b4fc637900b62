"""Calls a Dossier server from Python: looks an entity up, streams a query, updates and reads its own write.

Generate the stubs once with ./generate.sh, then:

    python client.py get e:KR
    python client.py query 'SELECT ?agreement WHERE { ?agreement d:party e:KR }'
    python client.py update 'INSERT DATA { e:seoul rdfs:label "Séoul"@fr }'
    python client.py stream --rows 1000000
    python client.py follow --after 0
    python client.py follow --after 7-9f3a0c51d27be864

The functions are meant to be copied: each takes a channel and does one thing.
"""

import argparse
import os
import resource
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

sys.path.insert(0, os.environ.get("DOSSIER_STUBS", str(Path(__file__).parent / "generated")))

from dossier.v1 import (
    change_service_pb2 as change,
    change_service_pb2_grpc as change_grpc,
    entity_service_pb2 as entity,
    entity_service_pb2_grpc as entity_grpc,
    fact_pb2 as fact,
    read_options_pb2 as read_options,
    sparql_service_pb2 as sparql,
    sparql_service_pb2_grpc as sparql_grpc,
    term_pb2 as term,
)

TIMEOUT_S = 60
# A page of facts or a batch of rows can pass the 4 MiB that gRPC takes by default.
CHANNEL_OPTIONS = [("grpc.max_receive_message_length", 64 << 20)]
Binding = dict[str, term.Term]


def connect(server: str) -> grpc.Channel:
    """Returns a channel in plain text that shows the token of DOSSIER_TOKEN, if there is one, with each call.

    A token must not travel in plain text to other machines: there, take grpc.secure_channel.
    """
    channel = grpc.insecure_channel(server, options=CHANNEL_OPTIONS)
    token = os.environ.get("DOSSIER_TOKEN", "").strip()
    return grpc.intercept_channel(channel, Bearer(token)) if token else channel


class Bearer(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Shows a token with each call."""

    def __init__(self, token: str) -> None:
        self.header = ("authorization", f"Bearer {token}")

    def intercept_unary_unary(self, continuation, details, request):
        return continuation(self.with_token(details), request)

    intercept_unary_stream = intercept_unary_unary

    def with_token(self, details: grpc.ClientCallDetails) -> grpc.ClientCallDetails:
        return details._replace(metadata=[*(details.metadata or ()), self.header])


def get_entity(
    channel: grpc.Channel, name: str, *, min_revision: int = 0, page_size: int = 0
) -> tuple[entity.Entity, int]:
    """Returns an entity with all its facts, and the revision that the last page was read at."""
    stub = entity_grpc.EntityServiceStub(channel)
    request = entity.GetEntityRequest(
        entity=name, read=read_options.ReadOptions(min_revision=min_revision), page_size=page_size
    )
    response = stub.GetEntity(request, timeout=TIMEOUT_S)
    found = response.entity
    while found.next_page_token:
        request.page_token = found.next_page_token
        response = stub.GetEntity(request, timeout=TIMEOUT_S)
        found.facts.extend(response.entity.facts)
        found.next_page_token = response.entity.next_page_token
    return found, response.revision


def query(
    channel: grpc.Channel,
    text: str,
    *,
    encoding: sparql.RowEncoding = sparql.ROW_ENCODING_PLAIN,
    min_revision: int = 0,
) -> Iterator[Binding]:
    """Yields the rows of a SELECT as they arrive. Unbound variables are left out of a row."""
    request = sparql.QueryRequest(query=text, row_encoding=encoding, min_revision=min_revision)
    variables: list[str] = []
    terms: list[term.Term] = []  # ROW_ENCODING_DICTIONARY: the stream's terms so far
    complete = False
    for response in sparql_grpc.SparqlServiceStub(channel).Query(request, timeout=TIMEOUT_S):
        match response.WhichOneof("frame"):
            case "header":
                if response.header.form != sparql.QUERY_FORM_SELECT:
                    raise ValueError("this example reads the rows of a SELECT; the query has another form")
                variables = list(response.header.variables)
            case "rows" if encoding == sparql.ROW_ENCODING_DICTIONARY:
                terms.extend(response.rows.new_terms)
                yield from numbered_rows(response.rows, variables, terms)
            case "rows":
                for row in response.rows.rows:
                    cells = zip(variables, row.terms, strict=True)
                    yield {name: cell for name, cell in cells if cell.WhichOneof("term")}
            case "complete":
                complete = True
    # The server ends a short stream with an error status. This check is for what stands between.
    if not complete:
        raise ConnectionError("the result ended before it was whole")


def numbered_rows(batch: sparql.RowBatch, variables: list[str], terms: list[term.Term]) -> Iterator[Binding]:
    """Yields the rows of a batch whose cells are numbers: 1 is the stream's first term, 0 is unbound."""
    cells, width = batch.cells, len(variables)
    for start in range(0, batch.row_count * width, width):
        row = zip(variables, cells[start : start + width], strict=True)
        yield {name: terms[number - 1] for name, number in row if number}


def update(channel: grpc.Channel, text: str, *, message: str = "") -> sparql.UpdateResponse:
    """Runs an update, and sends it again if the server was away.

    The request_id makes that safe: an update that was committed, and whose answer was lost, is not run twice.
    """
    request = sparql.UpdateRequest(update=text, request_id=str(uuid.uuid4()), message=message)
    stub = sparql_grpc.SparqlServiceStub(channel)
    try:
        return stub.Update(request, timeout=TIMEOUT_S)
    except grpc.RpcError as error:
        if error.code() != grpc.StatusCode.UNAVAILABLE:
            raise
        return stub.Update(request, timeout=TIMEOUT_S, wait_for_ready=True)


def follow(
    channel: grpc.Channel, after_revision: int, after_hash: bytes = b""
) -> Iterator[change.CommitFragment]:
    """Yields every commit after a revision, whole and once, for ever: it resumes when the server was away.

    Keep the revision and the hash of the last commit that you have dealt with, and begin with them the next
    time. WATCH_OTHER_HISTORY says that the server was restored and does not have it: begin with the graph.
    """
    stub = change_grpc.ChangeServiceStub(channel)
    while True:
        request = change.WatchRequest(after_revision=after_revision, after_hash=after_hash)
        commit = change.CommitFragment()  # the fragments of a commit so far
        try:
            for response in stub.Watch(request, wait_for_ready=True):
                if response.WhichOneof("frame") != "commit":
                    continue  # a checkpoint: nothing is missing
                commit.MergeFrom(response.commit)
                if commit.is_last:
                    after_revision, after_hash = commit.revision, commit.header.hash
                    yield commit
                    commit = change.CommitFragment()
        except grpc.RpcError as error:
            info = error_info(error)
            is_slow = info is not None and info.reason == "READER_TOO_SLOW"
            if error.code() != grpc.StatusCode.UNAVAILABLE and not is_slow:
                raise
            time.sleep(1)


def error_info(error: grpc.RpcError) -> error_details_pb2.ErrorInfo | None:
    """Returns why a call failed. None: the error is not the server's (no connection, say)."""
    status = rpc_status.from_call(error)
    for detail in status.details if status else []:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info) and info.domain == "dossier":
            return info
    return None


def text_of(value: term.Term) -> str:
    """Writes a term for people."""
    match value.WhichOneof("term"):
        case "iri":
            return value.iri
        case "blank_node":
            return "_:" + value.blank_node
        case "literal":
            language = value.literal.language
            return value.literal.lexical_form + (f"@{language}" if language else "")
        case "triple":
            inner = value.triple
            return f"<<( {text_of(inner.subject)} {inner.predicate} {text_of(inner.object)} )>>"
    return ""


def run_get(channel: grpc.Channel, arguments: argparse.Namespace) -> None:
    found, revision = get_entity(channel, arguments.entity)
    print(found.iri, f"(revision {revision})")
    for label in found.labels:
        print(f"  {label.text}@{label.language}" if label.language else f"  {label.text}")
    for item in found.facts:
        standing = fact.Standing.Name(item.standing).removeprefix("STANDING_").lower()
        print(f"  {item.predicate} {text_of(item.object)} [{standing}]")
        for source in item.sources:
            print(f"    source: {source.title or source.iri} {source.locator}".rstrip())


def run_query(channel: grpc.Channel, arguments: argparse.Namespace) -> None:
    for row in query(channel, arguments.query, encoding=arguments.encoding):
        print("\t".join(f"{name}={text_of(value)}" for name, value in row.items()))


def run_update(channel: grpc.Channel, arguments: argparse.Namespace) -> None:
    done = update(channel, arguments.update)
    print(f"revision {done.revision}: {done.quads_inserted} inserted, {done.quads_removed} removed")


def run_stream(channel: grpc.Channel, arguments: argparse.Namespace) -> None:
    """Counts the rows of a large result. Memory does not grow with their number, nor with time."""
    started = time.monotonic()
    count = sum(1 for _ in query(channel, rows_query(arguments.rows), encoding=arguments.encoding))
    seconds = time.monotonic() - started
    print(f"{count} rows in {seconds:.1f} s, at most {max_memory_mb():.0f} MB of memory")


def run_follow(channel: grpc.Channel, arguments: argparse.Namespace) -> None:
    revision, _, digits = arguments.after.partition("-")
    for commit in follow(channel, int(revision), bytes.fromhex(digits)):
        print(f"revision {commit.revision}-{commit.header.hash.hex()}: {commit.header.message}")
        for sign, quads in (("-", commit.removed), ("+", commit.inserted)):
            for quad in quads:
                print(f"  {sign} {text_of(quad.subject)} {quad.predicate} {text_of(quad.object)}")


def rows_query(count: int) -> str:
    """Returns a query that has exactly so many rows, whatever the server holds: pairs of numbers."""
    side = 1
    while side * side < count:
        side += 1
    numbers = " ".join(map(str, range(side)))
    return f"SELECT ?x ?y WHERE {{ VALUES ?x {{ {numbers} }} VALUES ?y {{ {numbers} }} }} LIMIT {count}"


def max_memory_mb() -> float:
    """Returns the most memory that this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def main() -> int:
    parser = argparse.ArgumentParser(description="A client of Dossier")
    parser.add_argument("--server", default="127.0.0.1:50051", help="ADDRESS:PORT")
    commands = parser.add_subparsers(required=True)
    encodings = {"plain": sparql.ROW_ENCODING_PLAIN, "dictionary": sparql.ROW_ENCODING_DICTIONARY}

    def command(name: str, run: object, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text)
        added.set_defaults(run=run)
        return added

    command("get", run_get, "looks an entity up").add_argument("entity", help="IRI or prefixed name")
    command("update", run_update, "runs a SPARQL update").add_argument("update")
    asking = command("query", run_query, "runs a SELECT")
    asking.add_argument("query")
    following = command("follow", run_follow, "follows the commits, until it is stopped")
    following.add_argument("--after", default="0", metavar="REVISION[-HASH]", help="the last that you have")
    streaming = command("stream", run_stream, "reads a large result in flat memory")
    streaming.add_argument("--rows", type=int, default=1_000_000)
    for reader in (asking, streaming):
        reader.add_argument("--encoding", choices=encodings, default="plain")
    arguments = parser.parse_args()
    if "encoding" in arguments:
        arguments.encoding = encodings[arguments.encoding]

    with connect(arguments.server) as channel:
        try:
            arguments.run(channel, arguments)
        except grpc.RpcError as error:
            info = error_info(error)
            reason = f" ({info.reason} {dict(info.metadata)})" if info else ""
            print(f"{error.code().name}: {error.details()}{reason}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
