//! Dossier: a knowledge-graph service over gRPC.

pub mod config;
pub mod graph;
pub mod knowledge;
pub mod log;
pub mod proto;
