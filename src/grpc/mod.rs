//! The gRPC services: thin handlers, one file a service, and what lies around all of them.

pub mod admin;
pub mod call;
pub mod change;
pub mod convert;
pub mod entity;
pub mod fact;
mod page_token;
mod query_stream;
pub mod read;
mod rows;
pub mod sparql;
pub mod status;
pub mod validate;
pub mod write;
