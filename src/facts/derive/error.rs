//! Why a change breaks the fact model.

/// Why a change cannot be committed: what it would leave is not as the fact model has it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// Statement nodes, events, claims and observations that the change touches are not what such a node is.
    #[error("{}", describe(faults, *node_count))]
    StatementInvalid {
        /// The faults of the first of them.
        faults: Vec<StatementFault>,
        /// How many nodes have faults.
        node_count: u64,
    },
    /// A triple that follows from statements was deleted.
    #[error("{triple} is derived from statements: retract them instead of deleting it")]
    DerivedTriple {
        /// The triple.
        triple: String,
    },
    /// `g:derived` was written to.
    #[error(
        "the graph <https://w3id.org/dossier/g/derived> follows from the statements and is not written to: {quad}"
    )]
    DerivedGraph {
        /// The triple, or the reference date, that differs from what follows.
        quad: String,
    },
    /// What somebody claims would come to hold.
    #[error("{triple} is only what the claim {claim} says: write a statement of its own that is accepted")]
    ClaimContent {
        /// The triple.
        triple: String,
        /// The statement that is the claim's content: an IRI, or a blank node with `_:` before its label.
        statement: String,
        /// The claim, likewise.
        claim: String,
        /// The statement that makes it the claim's content, if one does.
        link: Option<String>,
    },
}

/// What is wrong with a node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StatementFault {
    /// The node: an IRI, or a blank node with `_:` before its label.
    pub node: String,
    /// The IRI of the property.
    pub property: &'static str,
    /// What is wrong with its values.
    pub message: String,
    /// What of the commit it comes from, if the node is no statement and a statement of the commit is about it.
    pub cause: Option<Cause>,
}

/// A statement that makes another node what it may not be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cause {
    /// The statement, as a node.
    pub statement: String,
    /// The IRI of the property of the statement.
    pub property: &'static str,
}

fn describe(faults: &[StatementFault], node_count: u64) -> String {
    let faults = faults
        .iter()
        .map(|fault| format!("{} <{}>: {}", fault.node, fault.property, fault.message))
        .collect::<Vec<_>>()
        .join("; ");
    if node_count > 1 {
        format!("{node_count} statements or nodes are invalid: {faults}")
    } else {
        format!("a statement or node is invalid: {faults}")
    }
}
