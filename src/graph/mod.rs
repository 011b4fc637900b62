//! The graph index: every quad in sorted orders over a term dictionary, in immutable layers.
//!
//! A [`Snapshot`] is a stack of immutable layers and is free to clone. A [`Draft`] puts changes on top of a snapshot
//! without publishing them; its [`Changes`] are the effective difference, exact to the quad. Within a layer stack the
//! newest word on a quad wins.

mod anew;
mod batch;
mod changes;
mod chosen;
mod dictionary;
mod draft;
mod edit;
mod file;
mod keys;
mod layer;
mod lent;
mod merge;
mod order;
mod quads;
mod replaced;
mod room;
mod sight;
mod snapshot;
mod term;
#[cfg(test)]
mod tests;
mod undo;

pub use batch::Batch;
pub use changes::Changes;
pub use draft::Draft;
pub use edit::Edit;
pub use file::{SnapshotFileError, read_snapshot_file, write_snapshot_file};
pub use merge::{Merge, Merged};
pub use quads::Quads;
pub use replaced::Replaced;
pub use snapshot::{GraphPattern, Pattern, Snapshot};
pub use term::{QuadIds, TermId, TermView};
pub use undo::Undo;
