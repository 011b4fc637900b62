//! The limits of a SPARQL text, and what it comes to under them.

/// Limits of a SPARQL text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GuardLimits {
    /// Bytes of the text.
    pub byte_count_max: usize,
    /// Brackets of any kind that are open at once.
    pub nesting_max: usize,
    /// Operators of expressions and paths in one operation: each may be a level of recursion.
    pub operator_count_max: usize,
    /// UNION, OPTIONAL, MINUS, FILTER, BIND, GRAPH, VALUES, SELECT and EXISTS in one operation.
    pub clause_count_max: usize,
    /// Triple patterns and steps of paths in one operation: planning takes time that grows faster than their number.
    pub pattern_count_max: usize,
    /// Open brackets that the parser reads twice: after `!`, of `REGEX`, `SUBSTR`, `REPLACE`, `GROUP_CONCAT`. Each doubles
    /// its time.
    pub ambiguity_max: usize,
    /// Bytes of an IRI.
    pub iri_byte_count_max: usize,
}

impl Default for GuardLimits {
    fn default() -> Self {
        Self {
            byte_count_max: 1 << 20,
            nesting_max: 100,
            operator_count_max: 2_000,
            clause_count_max: 500,
            pattern_count_max: 150,
            ambiguity_max: 8,
            iri_byte_count_max: 8_192,
        }
    }
}

/// What a text comes to: of an update's operations the largest, figure by figure.
///
/// Of a text past a limit, as far as the scan came.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct GuardFigures {
    /// Bytes of the text.
    pub byte_count: usize,
    /// Brackets that are open at once.
    pub nesting: usize,
    /// Operators in one operation.
    pub operator_count: usize,
    /// Clauses in one operation.
    pub clause_count: usize,
    /// Triple patterns and steps of paths in one operation.
    pub pattern_count: usize,
    /// Open brackets that the parser reads twice.
    pub ambiguity: usize,
    /// Bytes of the longest IRI.
    pub iri_byte_count: usize,
}

impl GuardLimits {
    /// Pairs each figure with its limit, under the limit's name.
    pub fn beside(&self, figures: &GuardFigures) -> [(&'static str, usize, usize); 7] {
        [
            ("query_bytes_max", figures.byte_count, self.byte_count_max),
            ("query_nesting_max", figures.nesting, self.nesting_max),
            (
                "query_operator_count_max",
                figures.operator_count,
                self.operator_count_max,
            ),
            (
                "query_clause_count_max",
                figures.clause_count,
                self.clause_count_max,
            ),
            (
                "query_pattern_count_max",
                figures.pattern_count,
                self.pattern_count_max,
            ),
            ("query_ambiguity_max", figures.ambiguity, self.ambiguity_max),
            (
                "query_iri_bytes_max",
                figures.iri_byte_count,
                self.iri_byte_count_max,
            ),
        ]
    }
}
