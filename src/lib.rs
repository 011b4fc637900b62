//! Dossier: a knowledge-graph service over gRPC.

pub mod cli;
pub mod config;
pub mod facts;
pub mod graph;
pub mod grpc;
pub mod knowledge;
pub mod log;
pub mod model;
pub mod proto;
pub mod rdf;
pub mod server;
pub mod sparql;
pub mod telemetry;
