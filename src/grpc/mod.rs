//! The gRPC services: thin handlers, one file a service, and what lies around all of them.

pub mod admin;
pub mod admission;
mod backup;
pub mod call;
pub mod change;
pub mod codec;
pub mod convert;
pub mod entity;
pub mod fact;
mod lookup;
mod mask;
mod page_token;
mod query_stream;
pub mod read;
pub mod request_body;
mod rows;
mod schema;
pub mod sparql;
pub mod status;
mod time;
mod timeline;
pub mod validate;
mod verdict;
pub mod write;
