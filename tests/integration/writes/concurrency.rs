//! Many clients write, retract and state anew, at once.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use dossier::{
    knowledge::{Settings, rebuild},
    proto::v1::{ErrorReason, Fact, RetractFactsRequest, Stance, Standing, ValidTime},
};
use tokio::task::JoinSet;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{S, count, fact, request, retraction};
use crate::harness::{Server, connect};

type Writes = dossier::proto::v1::write_service_client::WriteServiceClient<tonic::transport::Channel>;

const CLIENT_COUNT: usize = 8;
const ROUND_COUNT: usize = 40;
const FACT_COUNT: usize = 25;

/// What one client was told.
#[derive(Default)]
struct Told {
    written: usize,
    retracted: usize,
    hot_versions: usize,
}

fn named(id: String, revises: String, number: usize) -> Fact {
    Fact {
        id,
        revises,
        ..fact(&format!("e:{}", number % 50), &format!("e:o{}", number % 7))
    }
}

/// Returns a fact of any standing and time, with a chance to be denied: siblings of one subject that all clients write about.
fn any(id: String, revises: String) -> Fact {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    let mut dice = hasher.finish();
    let mut choose = |count: u64| {
        dice = dice.rotate_left(19).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        usize::try_from((dice >> 32) % count).unwrap()
    };
    let (stance, standing) = [
        (Stance::Asserted, Standing::Accepted),
        (Stance::Asserted, Standing::Preferred),
        (Stance::Asserted, Standing::Disputed),
        (Stance::Asserted, Standing::Rejected),
        (Stance::Reported, Standing::Unconfirmed),
        (Stance::Planned, Standing::Unconfirmed),
    ][choose(6)];
    let edtf = ["", "2016/2018", "2016-11-23/..", "2019-08~", "2030/..", "../2019"][choose(6)];
    Fact {
        predicate: format!("e:q{}", choose(2)),
        stance: stance.into(),
        standing: standing.into(),
        negated: choose(5) == 0,
        valid_time: (!edtf.is_empty()).then(|| ValidTime {
            edtf: edtf.into(),
            ..ValidTime::default()
        }),
        ..named(id, revises, choose(50))
    }
}

/// Returns one of both kinds.
fn some(id: String, revises: String, number: usize) -> Fact {
    if number.is_multiple_of(2) {
        named(id, revises, number)
    } else {
        any(id, revises)
    }
}

fn reason(status: &Status) -> (Code, String) {
    (
        status.code(),
        status.get_error_details().error_info().unwrap().reason.clone(),
    )
}

fn name(reason: ErrorReason) -> String {
    reason.as_str_name().replace("ERROR_REASON_", "")
}

/// Writes facts, retracts a third, states another third anew; then takes part in the race for a statement that all revise, and
/// for one that all retract.
async fn client(mut writes: Writes, client: usize) -> Told {
    let mut told = Told::default();
    for round in 0..ROUND_COUNT {
        let id = |kind: &str, number: usize| format!("{S}{kind}-{client}-{round}-{number}");
        let facts = (0..FACT_COUNT).map(|number| some(id("a", number), String::new(), number + round));
        let written = writes.write_facts(request(facts)).await.unwrap().into_inner();
        told.written += written.ids.len();
        let ended: Vec<_> = (0..FACT_COUNT)
            .filter(|number| number % 3 == 0)
            .map(|number| id("a", number))
            .collect();
        let retracting = RetractFactsRequest {
            ids: ended.clone(),
            ..Default::default()
        };
        writes.retract_facts(retracting.clone()).await.unwrap();
        told.retracted += ended.len();
        let again = writes.retract_facts(retracting).await.unwrap_err();
        assert_eq!(
            reason(&again),
            (Code::FailedPrecondition, name(ErrorReason::FactAlreadyRetracted))
        );
        let anew = (0..FACT_COUNT).filter(|number| number % 3 == 1).map(|number| {
            let old = some(id("a", number), String::new(), number + round);
            // Of the same kind.
            let new = some(id("b", number), id("a", number), number + round + 2);
            Fact {
                subject: old.subject,
                predicate: old.predicate,
                ..new
            }
        });
        let written = writes.write_facts(request(anew)).await.unwrap().into_inner();
        told.written += written.ids.len();
        told.retracted += written.ids.len();

        let hot = named(
            format!("{S}hot-{}-{client}", round + 1),
            format!("{S}hot-{round}"),
            0,
        );
        // Whoever is first also names the next one to race for.
        let next = named(format!("{S}hot-{}", round + 1), String::new(), 0);
        match writes.write_facts(request([hot, next])).await {
            Ok(written) => {
                told.written += written.into_inner().ids.len();
                told.retracted += 1;
                told.hot_versions += 1;
            }
            Err(status) => {
                let (code, reason) = reason(&status);
                let late = [
                    (Code::FailedPrecondition, name(ErrorReason::FactAlreadyRetracted)),
                    (Code::NotFound, name(ErrorReason::FactNotFound)),
                ];
                assert!(late.contains(&(code, reason)), "{status:?}");
            }
        }
        match writes
            .retract_facts(retraction(&[&format!("{S}cold-{round}")]))
            .await
        {
            Ok(_) => told.retracted += 1,
            Err(status) => assert_eq!(reason(&status).0, Code::FailedPrecondition),
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_is_lost_or_doubled() {
    let server = Server::start_empty().await;
    let first = named(format!("{S}hot-0"), String::new(), 0);
    let cold = (0..ROUND_COUNT).map(|round| named(format!("{S}cold-{round}"), String::new(), round));
    let first = server
        .writes()
        .write_facts(request([first].into_iter().chain(cold)))
        .await;
    let mut expected = Told {
        written: first.unwrap().into_inner().ids.len(),
        ..Told::default()
    };
    let mut clients = JoinSet::new();
    for number in 0..CLIENT_COUNT {
        let channel = connect(server.address).await;
        clients.spawn(client(Writes::new(channel), number));
    }
    while let Some(told) = clients.join_next().await {
        let told = told.unwrap();
        expected.written += told.written;
        expected.retracted += told.retracted;
        expected.hot_versions += told.hot_versions;
    }
    let statements = "GRAPH g:statements { ?s rdf:subject ?subject }";
    assert_eq!(count(&server, statements).await, expected.written as u64);
    let ended = "GRAPH g:statements { ?s prov:invalidatedAtTime ?end }";
    assert_eq!(count(&server, ended).await, expected.retracted as u64);
    let each = "{ SELECT DISTINCT ?s { GRAPH g:statements { ?s prov:invalidatedAtTime ?end } } }";
    assert_eq!(count(&server, each).await, expected.retracted as u64);
    // One version after the other, each the only one of that before it.
    let raced = format!(
        "GRAPH g:statements {{ ?s prov:wasRevisionOf ?old FILTER(STRSTARTS(STR(?old), '{S}hot-')) }}"
    );
    assert_eq!(count(&server, &raced).await, expected.hot_versions as u64);
    let old = format!("{{ SELECT DISTINCT ?old {{ {raced} }} }}");
    assert_eq!(count(&server, &old).await, expected.hot_versions as u64);
    // The shared one was retracted once, by whoever came first.
    let cold = format!("{ended} FILTER(STRSTARTS(STR(?s), '{S}cold-'))");
    assert_eq!(count(&server, &cold).await, ROUND_COUNT as u64);
    // Just what live statements say holds.
    let live =
        "{ SELECT DISTINCT ?a ?c { GRAPH g:statements { ?s rdf:subject ?a ; rdf:predicate e:p ; rdf:object ?c
        FILTER NOT EXISTS { ?s prov:invalidatedAtTime ?end } } } }";
    let expected_triples = count(&server, live).await;
    assert!(expected_triples > 30);
    assert_eq!(count(&server, "?a e:p ?c").await, expected_triples);
    let joined = format!("{live} ?a e:p ?c . GRAPH g:derived {{ ?a e:p ?c }}");
    assert_eq!(count(&server, &joined).await, expected_triples);
    // Of the others some hold.
    let others = "{ SELECT DISTINCT ?a ?b ?c { ?a ?b ?c . GRAPH g:derived { ?a ?b ?c } FILTER(?b != e:p) } }";
    let held = count(&server, others).await;
    assert!((20..650).contains(&held), "{held}");
    // Nothing was written in part.
    let whole = "GRAPH g:statements { ?s rdf:subject ?a ; rdf:predicate ?b ; rdf:object ?c ; d:standing ?d ;
        prov:generatedAtTime ?e ; prov:wasDerivedFrom src:a }";
    assert_eq!(count(&server, whole).await, expected.written as u64);
    assert!(expected.written > 10_000, "{}", expected.written);
    // What follows from the log and from the statements is just what is there.
    let folder = server.stop().await;
    let settings = Settings {
        reference_date: "2019-08-27".parse().unwrap(),
        ..Settings::new(folder.path().join("data"))
    };
    let rebuilt = rebuild(&settings, true).unwrap();
    assert_eq!((rebuilt.difference_count, rebuilt.differences), (0, Vec::new()));
    assert!(rebuilt.quad_count > 80_000, "{}", rebuilt.quad_count);
}
