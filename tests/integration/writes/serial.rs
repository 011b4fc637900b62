//! Clients that read, decide and write: with preconditions it is as if they went one after the other.

use dossier::proto::v1::{self, ErrorReason, UpdateRequest, sparql_service_client::SparqlServiceClient};
use tokio::task::JoinSet;
use tonic::{Code, transport::Channel};

use crate::{
    harness::{Server, check_error, connect},
    sparql::{ask, query},
};

type Sparql = SparqlServiceClient<Channel>;

const CLIENT_COUNT: u64 = 8;
const TURN_COUNT: u64 = 40;
const ACCOUNT_COUNT: u64 = 5;
const BALANCE: i64 = 100;

/// What a client did: the revision that it made, and what it read to decide.
#[derive(Clone, Debug)]
struct Transfer {
    revision: i64,
    read_at: i64,
    from: (u64, i64),
    to: (u64, i64),
    amount: i64,
}

/// Reads the balances of all accounts, and the revision that they are of.
async fn balances(sparql: &mut Sparql) -> (i64, Vec<i64>) {
    let request = v1::QueryRequest {
        query: "SELECT ?balance { ?account e:balance ?balance } ORDER BY ?account".into(),
        ..v1::QueryRequest::default()
    };
    let mut frames = sparql.query(request).await.unwrap().into_inner();
    let (mut revision, mut found) = (0, Vec::new());
    while let Some(message) = frames.message().await.unwrap() {
        match message.frame.unwrap() {
            v1::query_response::Frame::Header(header) => revision = header.revision,
            v1::query_response::Frame::Rows(batch) => {
                for row in batch.rows {
                    let Some(v1::term::Term::Literal(literal)) = &row.terms[0].term else {
                        panic!("{row:?}");
                    };
                    found.push(literal.lexical_form.parse().unwrap());
                }
            }
            _ => {}
        }
    }
    (revision, found)
}

/// Moves money about, each time from what it has just read, until so many of its transfers were made.
async fn client(mut sparql: Sparql, client: u64) -> Vec<Transfer> {
    let mut made = Vec::new();
    let mut turn = client;
    while (made.len() as u64) < TURN_COUNT {
        turn += 1;
        let (read_at, found) = balances(&mut sparql).await;
        // Whoever reads sees a whole moment.
        assert_eq!(
            found.iter().sum::<i64>(),
            BALANCE * i64::try_from(ACCOUNT_COUNT).unwrap()
        );
        let (from, to) = (turn % ACCOUNT_COUNT, (turn + 1 + client % 4) % ACCOUNT_COUNT);
        let read = |account: u64| (account, found[usize::try_from(account).unwrap()]);
        let amount = i64::try_from(1 + turn % 7).unwrap();
        let ((_, from_has), (_, to_has)) = (read(from), read(to));
        let update = format!(
            "DELETE DATA {{ e:{from} e:balance {from_has} . e:{to} e:balance {to_has} }} ;
             INSERT DATA {{ e:{from} e:balance {} . e:{to} e:balance {} }}",
            from_has - amount,
            to_has + amount
        );
        let request = UpdateRequest {
            update,
            expected_revision: Some(read_at),
            ..UpdateRequest::default()
        };
        match sparql.update(request).await {
            Ok(answer) => made.push(Transfer {
                revision: answer.into_inner().revision,
                read_at,
                from: read(from),
                to: read(to),
                amount,
            }),
            // Somebody else was first: read again, decide anew.
            Err(status) => {
                check_error(Err::<(), _>(status), Code::Aborted, ErrorReason::RevisionMismatch);
            }
        }
    }
    made
}

#[tokio::test(flavor = "multi_thread")]
async fn transfers_are_as_if_made_one_after_the_other() {
    let server = Server::start_empty().await;
    let accounts = (0..ACCOUNT_COUNT).map(|account| format!("e:{account} e:balance {BALANCE} . "));
    let mut sparql = SparqlServiceClient::new(server.channel.clone());
    let request = UpdateRequest {
        update: format!("INSERT DATA {{ {} }}", accounts.collect::<String>()),
        ..UpdateRequest::default()
    };
    let first = sparql.update(request).await.unwrap().into_inner().revision;
    let mut clients = JoinSet::new();
    for number in 0..CLIENT_COUNT {
        let channel = connect(server.address).await;
        clients.spawn(client(SparqlServiceClient::new(channel), number));
    }
    let mut transfers = Vec::new();
    while let Some(made) = clients.join_next().await {
        transfers.extend(made.unwrap());
    }
    // The model: one transfer a revision, in their order, each from what the one before it left.
    transfers.sort_by_key(|transfer| transfer.revision);
    let mut model = vec![BALANCE; usize::try_from(ACCOUNT_COUNT).unwrap()];
    for (number, transfer) in transfers.iter().enumerate() {
        assert_eq!(
            transfer.revision,
            first + 1 + i64::try_from(number).unwrap(),
            "{transfer:?}"
        );
        assert_eq!(transfer.read_at, transfer.revision - 1, "{transfer:?}");
        for ((account, read), change) in [(transfer.from, -transfer.amount), (transfer.to, transfer.amount)] {
            let account = usize::try_from(account).unwrap();
            assert_eq!(model[account], read, "{transfer:?}");
            model[account] += change;
        }
    }
    assert_eq!(transfers.len() as u64, CLIENT_COUNT * TURN_COUNT);
    assert_eq!(balances(&mut sparql).await.1, model);
    // One quad an account: no transfer was added to another.
    let count = query(&server, ask("SELECT ?b { ?a e:balance ?b }"))
        .await
        .unwrap()
        .rows
        .len();
    assert_eq!(count as u64, ACCOUNT_COUNT);
}
