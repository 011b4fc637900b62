//! SPARQL: guard, parse, run under a deadline and a budget, plan updates. [`Queries`] is the front for those who speak a
//! protocol.
//!
//! The parser recurses, and so does the planner, so a text passes the [guard](GuardLimits) first and everything after it runs
//! on a thread with a large stack ([`QueryPool`], or the writer's). The engine looks at the [`Interrupt`] for every row that
//! it makes, and accounts for every row that it keeps.

mod engine;
mod error;
mod explain;
mod guard;
mod interrupt;
mod limits;
mod load;
mod memory;
mod parameters;
mod parse;
mod pool;
mod queries;
mod registry;
mod remote;
mod run;
mod slow;
mod syntax;
#[cfg(test)]
mod tests;
mod update;
mod validate;

pub use error::{ParameterFault, SparqlError};
pub use explain::{Explanation, PlanNode, explain_query};
pub use guard::{GuardFigures, GuardLimits};
pub use interrupt::Interrupt;
pub use limits::{CallerLimits, RunLimit, RunLimits, ValueLimits};
pub use memory::{MemoryLimits, MemoryPool};
pub use parameters::Parameters;
pub use parse::Parser;
pub use pool::{PoolError, QueryPool};
pub use queries::{AdmitError, Queries, QuerySettings, Ticket};
pub use registry::{Caller, QueryIdInUse, RunningQuery, TextHash};
pub use run::{Cell, Completion, Query, QueryForm, Row, Sink, run_query};
pub use update::{ParsedUpdate, UsingConflict, parse_update};
pub use validate::{TextKind, Validation, validate};
