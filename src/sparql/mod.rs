//! SPARQL: guard, parse, run under a deadline, plan updates. [`Queries`] is the front for those who speak a protocol.
//!
//! The engine's parser, planner and evaluator recurse, so a text passes the [guard](GuardLimits) first and everything after
//! it runs on a thread with a large stack ([`QueryPool`], or the writer's). The evaluator sees the graph through a data set
//! whose iterators *end* when the [`Interrupt`] strikes: that stops operators which ignore errors. Whoever drains them asks
//! the interrupt afterwards, so a short result never looks whole.

mod dataset;
mod error;
mod explain;
mod guard;
mod interrupt;
mod parameters;
mod parse;
mod pool;
mod queries;
mod registry;
mod run;
mod slow;
mod syntax;
#[cfg(test)]
mod tests;
mod update;
mod validate;
mod watch;

pub use error::{ParameterFault, SparqlError};
pub use explain::{Explanation, PlanNode, explain_query};
pub use guard::{GuardFigures, GuardLimits};
pub use interrupt::{Interrupt, MemoryLimits};
pub use parameters::Parameters;
pub use parse::Parser;
pub use pool::{PoolError, QueryPool};
pub use queries::{Queries, QuerySettings, Ticket};
pub use registry::{Caller, QueryIdInUse, RunningQuery, TextHash};
pub use run::{Cell, Completion, Query, QueryForm, Row, Sink, run_query};
pub use update::{ParsedUpdate, parse_update};
pub use validate::{TextKind, Validation, validate};
