//! Dossier: a knowledge-graph service over gRPC.

pub mod graph;
pub mod proto;
