//! Clients that count with preconditions on quads: each step is made once, whoever else writes meanwhile.

use dossier::proto::v1::{
    ErrorReason, Literal, Precondition, Quad, Term, UpdateRequest, precondition::Condition,
    sparql_service_client::SparqlServiceClient, term::Term as Kind,
};
use tokio::task::JoinSet;
use tonic::Code;

use super::iri;
use crate::{
    harness::{Server, check_error, connect},
    sparql::{ask, query},
};

const CLIENT_COUNT: usize = 8;
const COUNTER_COUNT: usize = 2;
const STEP_COUNT: usize = 40;

/// A step that a client made.
struct Step {
    revision: i64,
    counter: usize,
    from: usize,
}

fn quad(counter: usize, predicate: &str, number: usize) -> Quad {
    Quad {
        subject: Some(iri(&format!("e:counter-{counter}"))),
        predicate: predicate.into(),
        object: Some(Term {
            term: Some(Kind::Literal(Literal {
                lexical_form: number.to_string(),
                datatype: "xsd:integer".into(),
                ..Default::default()
            })),
        }),
        graph: None,
    }
}

/// Counts, by turns, from what it has last heard or guessed, until so many of its steps were made.
async fn client(server: std::net::SocketAddr, number: usize) -> Vec<Step> {
    let mut sparql = SparqlServiceClient::new(connect(server).await);
    let mut made = Vec::new();
    let mut guesses = [0; COUNTER_COUNT];
    while made.len() < STEP_COUNT {
        let counter = (number + made.len()) % COUNTER_COUNT;
        let from = guesses[counter];
        // The counter stands there, or nobody has made the step: that is the same.
        let condition = if made.len() % 4 < 2 {
            Condition::PresentQuad(quad(counter, "e:count", from))
        } else {
            Condition::AbsentQuad(quad(counter, "e:made", from))
        };
        let request = UpdateRequest {
            update: format!(
                "DELETE DATA {{ e:counter-{counter} e:count {from} }} ;
                 INSERT DATA {{ e:counter-{counter} e:count {} ; e:made {from} }}",
                from + 1
            ),
            preconditions: vec![Precondition {
                condition: Some(condition),
            }],
            ..UpdateRequest::default()
        };
        match sparql.update(request).await {
            Ok(answer) => made.push(Step {
                revision: answer.into_inner().revision,
                counter,
                from,
            }),
            Err(status) => {
                check_error(
                    Err::<(), _>(status),
                    Code::Aborted,
                    ErrorReason::PreconditionFailed,
                );
            }
        }
        // Whether it was this one's step or another's: it was made.
        guesses[counter] = from + 1;
    }
    made
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_is_made_once_and_in_order() {
    let server = Server::start_empty().await;
    crate::sparql::insert(&server, "e:counter-0 e:count 0 . e:counter-1 e:count 0").await;
    let mut clients = JoinSet::new();
    for number in 0..CLIENT_COUNT {
        clients.spawn(client(server.address, number));
    }
    let mut steps = Vec::new();
    while let Some(made) = clients.join_next().await {
        steps.extend(made.unwrap());
    }
    // The model: a commit is one step, each counter goes up by one.
    steps.sort_by_key(|step| step.revision);
    let mut model = [0; COUNTER_COUNT];
    for (index, step) in steps.iter().enumerate() {
        assert_eq!(step.revision, 2 + i64::try_from(index).unwrap());
        assert_eq!(step.from, model[step.counter], "revision {}", step.revision);
        model[step.counter] += 1;
    }
    assert_eq!(steps.len(), CLIENT_COUNT * STEP_COUNT);
    let counts = query(&server, ask("SELECT ?n { ?c e:count ?n } ORDER BY ?c"))
        .await
        .unwrap();
    let counts: Vec<_> = counts.rows.iter().map(|row| format!("{row:?}")).collect();
    assert_eq!(counts.len(), COUNTER_COUNT);
    for (count, model) in counts.iter().zip(model) {
        assert!(count.contains(&format!("\"{model}\"")), "{count}: {model}");
    }
}
