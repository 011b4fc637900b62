//! The server over the wire: real server, real client, one process.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod admin;
mod auth;
mod backups;
mod calls;
mod changes;
mod elsewhere;
mod entities;
mod erasure;
mod event_stream;
mod explain;
mod exports;
mod fact_requests;
mod facts;
mod federated_updates;
mod federation;
mod grants;
mod harness;
mod histories;
mod http;
mod http_client;
mod imports;
mod imports_in_pieces;
mod intake;
mod lifecycle;
mod limits;
mod loads;
mod model;
mod nodes;
mod operations;
mod parameters;
mod past;
mod queries;
mod questions;
mod retention;
mod schema;
mod slow_senders;
mod sparql;
mod terms;
mod time;
mod tls;
mod updates;
mod uploads;
mod verdicts;
mod waiting;
mod watched_facts;
mod writes;
