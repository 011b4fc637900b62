"""Runs the functions of client.py against a server that has the shipped data, and checks what they return.

    python check.py --server 127.0.0.1:50051

It writes a few quads and removes them again. The last line says how many checks passed.
"""

import argparse
import sys
import uuid

import grpc

import client
from client import entity, fact, sparql, sparql_grpc

ENTITY = "https://w3id.org/dossier/e/"
AGREEMENTS = {ENTITY + name for name in ("gsomia", "sma", "tisa")}
AGREEMENTS_QUERY = "SELECT ?agreement ?none WHERE { ?agreement d:party e:KR ; a d:Agreement }"
ENCODINGS = (sparql.ROW_ENCODING_PLAIN, sparql.ROW_ENCODING_DICTIONARY)
ROWS = 1_000_000
# The windows of grpc grow to some tens of MB on a busy machine; the whole result is 100 MB and more.
GROWTH_MB = 64


def looks_an_entity_up(channel: grpc.Channel) -> None:
    found, revision = client.get_entity(channel, "e:KR")
    labels = {(label.text, label.language) for label in found.labels}
    assert found.iri == ENTITY + "KR"
    assert {("South Korea", "en"), ("대한민국", "ko"), ("韓国", "ja")} <= labels, labels
    assert "http://schema.org/Country" in found.types, found.types
    assert revision > 0
    decided = [item for item in found.facts if item.predicate.endswith("#decidedToEnd")]
    assert [item.object.iri for item in decided] == [ENTITY + "gsomia"], decided
    assert decided[0].id and decided[0].sources, decided
    assert decided[0].standing in (fact.STANDING_ACCEPTED, fact.STANDING_PREFERRED), decided


def pages_through_facts(channel: grpc.Channel) -> None:
    whole, _ = client.get_entity(channel, "e:gsomia")
    paged, _ = client.get_entity(channel, "e:gsomia", page_size=2)
    assert len(whole.facts) > 4
    assert [item.SerializeToString() for item in paged.facts] == [
        item.SerializeToString() for item in whole.facts
    ]


def streams_rows_in_both_encodings(channel: grpc.Channel) -> None:
    for encoding in ENCODINGS:
        rows = list(client.query(channel, AGREEMENTS_QUERY, encoding=encoding))
        assert {row["agreement"].iri for row in rows} == AGREEMENTS, rows
        assert all("none" not in row for row in rows), rows


def streams_a_million_rows_in_flat_memory(channel: grpc.Channel) -> None:
    for encoding in ENCODINGS:
        seen, total, settled = 0, 0, 0.0
        for row in client.query(channel, client.rows_query(ROWS), encoding=encoding):
            seen += 1
            total += int(row["x"].literal.lexical_form) * 1000 + int(row["y"].literal.lexical_form)
            if seen == ROWS // 10:
                settled = client.max_memory_mb()
        assert seen == ROWS, seen
        assert total == ROWS * (ROWS - 1) // 2, "every pair comes once"
        growth = client.max_memory_mb() - settled
        assert growth < GROWTH_MB, f"memory grew by {growth:.0f} MB after the first tenth"


def reads_its_own_write(channel: grpc.Channel) -> None:
    name = f"<{ENTITY}check-{uuid.uuid4()}>"
    triple = f'{name} rdfs:label "Check"@en-US'
    done = client.update(channel, f"INSERT DATA {{ {triple} }}", message="check of the Python example")
    assert (done.quads_inserted, done.quads_removed) == (1, 0), done
    found, revision = client.get_entity(channel, name.strip("<>"), min_revision=done.revision)
    assert revision >= done.revision
    assert [(label.text, label.language) for label in found.labels] == [("Check", "en-US")], found
    asked = f"SELECT ?label WHERE {{ {name} rdfs:label ?label }}"
    rows = list(client.query(channel, asked, min_revision=done.revision))
    assert [client.text_of(row["label"]) for row in rows] == ["Check@en-US"], rows
    removed = client.update(channel, f"DELETE DATA {{ {triple} }}")
    assert removed.revision > done.revision and removed.quads_removed == 1, removed


def repeats_an_update_safely(channel: grpc.Channel) -> None:
    stub = sparql_grpc.SparqlServiceStub(channel)
    triple = f"<{ENTITY}check-{uuid.uuid4()}> d:party e:KR"
    request = sparql.UpdateRequest(update=f"INSERT DATA {{ {triple} }}", request_id=str(uuid.uuid4()))
    first, second = stub.Update(request), stub.Update(request)
    assert first == second and first.quads_inserted == 1, (first, second)
    fails(
        lambda: stub.Update(sparql.UpdateRequest(update="CLEAR DEFAULT", request_id=request.request_id)),
        grpc.StatusCode.ALREADY_EXISTS,
        "REQUEST_ID_REUSED",
    )
    assert client.update(channel, f"DELETE DATA {{ {triple} }}").quads_removed == 1


def follows_the_commits(channel: grpc.Channel) -> None:
    thing = f"<urn:uuid:{uuid.uuid4()}>"
    first = client.update(channel, f"INSERT DATA {{ {thing} rdfs:label 'a' }}", message="follow me")
    commits = client.follow(channel, first.revision - 1)
    commit = next(commits)
    assert (commit.revision, commit.header.message) == (first.revision, "follow me"), commit
    assert [quad.object.literal.lexical_form for quad in commit.inserted] == ["a"], commit
    # One that is made while it waits.
    client.update(channel, f"DELETE DATA {{ {thing} rdfs:label 'a' }}")
    commit = next(commits)
    assert commit.revision == first.revision + 1 and len(commit.removed) == 1, commit
    commits.close()
    # As the client goes on, and as one of another history would.
    commits = client.follow(channel, first.revision, commit.header.hash)
    other = grpc.StatusCode.FAILED_PRECONDITION, "WATCH_OTHER_HISTORY"
    assert fails(lambda: next(commits), *other)["position"] == "WATCH_START_SNAPSHOT"
    third = client.update(channel, f"INSERT DATA {{ {thing} rdfs:label 'b' }}")
    commits = client.follow(channel, commit.revision, commit.header.hash)
    assert next(commits).revision == third.revision
    commits.close()
    client.update(channel, f"DELETE DATA {{ {thing} rdfs:label 'b' }}")


def tells_why_a_call_failed(channel: grpc.Channel) -> None:
    get = client.entity_grpc.EntityServiceStub(channel).GetEntity
    invalid = grpc.StatusCode.INVALID_ARGUMENT

    def ask(name: str, **fields: object) -> entity.GetEntityResponse:
        return get(entity.GetEntityRequest(entity=name, **fields))

    missing = fails(lambda: ask("e:XX"), grpc.StatusCode.NOT_FOUND, "ENTITY_NOT_FOUND")
    assert missing["entity"] == ENTITY + "XX", missing
    fails(lambda: ask("nope:KR"), invalid, "UNKNOWN_PREFIX")
    fails(lambda: ask("e:KR", page_size=-1), invalid, "INVALID_FIELD")
    fails(lambda: ask("e:KR", page_token="forged"), invalid, "INVALID_PAGE_TOKEN")
    fault = fails(lambda: list(client.query(channel, "SELECT *\nWHERE { ?s ?p }")), invalid, "SPARQL_SYNTAX")
    assert fault["line"] == "2", fault
    ahead = 1 << 40
    fails(
        lambda: client.get_entity(channel, "e:KR", min_revision=ahead),
        grpc.StatusCode.FAILED_PRECONDITION,
        "REVISION_NOT_REACHED",
    )


def fails(call: object, code: grpc.StatusCode, reason: str) -> dict[str, str]:
    """Returns the metadata of the error that a call must end with."""
    try:
        answer = call()
    except grpc.RpcError as error:
        info = client.error_info(error)
        assert info is not None, f"no ErrorInfo in {error.code()}: {error.details()}"
        assert (error.code(), info.reason) == (code, reason), (error.code(), info.reason, error.details())
        return dict(info.metadata)
    raise AssertionError(f"expected {reason}, got {answer}")


CHECKS = (
    looks_an_entity_up,
    pages_through_facts,
    streams_rows_in_both_encodings,
    streams_a_million_rows_in_flat_memory,
    reads_its_own_write,
    repeats_an_update_safely,
    follows_the_commits,
    tells_why_a_call_failed,
)


def main() -> int:
    parser = argparse.ArgumentParser(description="Checks the Python example against a server")
    parser.add_argument("--server", default="127.0.0.1:50051", help="ADDRESS:PORT")
    arguments = parser.parse_args()
    failed = 0
    with client.connect(arguments.server) as channel:
        grpc.channel_ready_future(channel).result(timeout=30)
        for check in CHECKS:
            try:
                check(channel)
                print(f"ok: {check.__name__.replace('_', ' ')}")
            except Exception as error:  # a check that breaks has failed; go on with the next
                failed += 1
                print(f"FAILED: {check.__name__.replace('_', ' ')}: {error!r}")
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
