//! Dossier: a knowledge-graph service over gRPC.

pub mod proto;
