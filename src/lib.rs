//! Dossier: a knowledge-graph service over gRPC and HTTP.

pub mod auth;
pub mod backup;
pub mod cli;
pub mod config;
pub mod facts;
pub mod feed;
pub mod graph;
pub mod grpc;
pub mod http;
pub mod intake;
pub mod knowledge;
pub mod log;
pub mod model;
pub mod places;
pub mod proto;
pub mod rdf;
pub mod remote;
pub mod request;
pub mod server;
pub mod sparql;
pub mod sync;
pub mod telemetry;
