//! Reads the rows of a query's result, in both encodings.

use oxigraph::model::Term;

use super::{failure::Failure, term};
use crate::proto::v1::{self, RowBatch};

/// One cell a variable; None where it is unbound.
pub(super) type Row = Vec<Option<v1::Term>>;

/// Reads batches of rows; it keeps the stream's dictionary.
#[derive(Debug)]
pub(super) struct RowReader {
    variable_count: usize,
    dictionary: Vec<v1::Term>,
}

impl RowReader {
    pub(super) fn new(variable_count: usize) -> Self {
        Self {
            variable_count,
            dictionary: Vec::new(),
        }
    }

    /// Hands each row of the batch on.
    pub(super) fn read(
        &mut self,
        batch: RowBatch,
        mut each: impl FnMut(Row) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let row_count = usize::try_from(batch.row_count).map_err(|_| broken())?;
        self.dictionary.extend(batch.new_terms);
        if batch.rows.is_empty() {
            if self.variable_count.checked_mul(row_count) != Some(batch.cells.len()) {
                return Err(broken());
            }
            // Not `chunks`: a row of no variables has no cells, and is a row.
            let mut cells = batch.cells.into_iter();
            for _ in 0..row_count {
                let row = cells
                    .by_ref()
                    .take(self.variable_count)
                    .map(|cell| self.look_up(cell));
                each(row.collect::<Result<_, _>>()?)?;
            }
            return Ok(());
        }
        if batch.rows.len() != row_count {
            return Err(broken());
        }
        for row in batch.rows {
            if row.terms.len() != self.variable_count {
                return Err(broken());
            }
            each(
                row.terms
                    .into_iter()
                    .map(|term| term.term.is_some().then_some(term))
                    .collect(),
            )?;
        }
        Ok(())
    }

    fn look_up(&self, cell: u32) -> Result<Option<v1::Term>, Failure> {
        let Some(index) = cell.checked_sub(1) else {
            return Ok(None);
        };
        let term = usize::try_from(index)
            .ok()
            .and_then(|index| self.dictionary.get(index));
        term.cloned().map(Some).ok_or_else(broken)
    }
}

/// Returns the terms of a row for the serializers of RDF.
pub(super) fn terms(row: Row) -> impl Iterator<Item = Option<Term>> {
    row.into_iter().map(|cell| cell.and_then(term::from_proto))
}

fn broken() -> Failure {
    Failure::failed("the server sent a batch of rows that does not add up")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iri(iri: &str) -> v1::Term {
        v1::Term {
            term: Some(v1::term::Term::Iri(iri.to_owned())),
        }
    }

    fn plain(row_count: i32, rows: &[&[&str]]) -> RowBatch {
        let term = |text: &&str| {
            if text.is_empty() {
                v1::Term::default()
            } else {
                iri(text)
            }
        };
        let rows = rows
            .iter()
            .map(|row| v1::Row {
                terms: row.iter().map(term).collect(),
            })
            .collect();
        RowBatch {
            row_count,
            rows,
            ..RowBatch::default()
        }
    }

    fn dictionary(row_count: i32, new_terms: &[&str], cells: &[u32]) -> RowBatch {
        let new_terms = new_terms.iter().map(|text| iri(text)).collect();
        RowBatch {
            row_count,
            new_terms,
            cells: cells.to_vec(),
            ..RowBatch::default()
        }
    }

    /// `expected`: the rows, cells apart by a space and `-` for unbound; None for a fault.
    fn check(variable_count: usize, batches: Vec<RowBatch>, expected: Option<&[&str]>) {
        let mut reader = RowReader::new(variable_count);
        let mut rows = Vec::new();
        let result = batches.into_iter().try_for_each(|batch| {
            reader.read(batch, |row| {
                let cell = |cell: Option<Term>| cell.map_or("-".to_owned(), |term| term.to_string());
                rows.push(terms(row).map(cell).collect::<Vec<_>>().join(" "));
                Ok(())
            })
        });
        assert_eq!(
            result.ok().map(|()| rows.iter().map(String::as_str).collect()),
            expected.map(<[_]>::to_vec)
        );
    }

    #[test]
    fn rows_are_read_in_both_encodings() {
        check(
            2,
            vec![plain(2, &[&["a:a", "a:b"], &["", "a:a"]])],
            Some(&["<a:a> <a:b>", "- <a:a>"]),
        );
        check(
            2,
            vec![
                dictionary(2, &["a:a", "a:b"], &[1, 2, 0, 1]),
                dictionary(1, &["a:c"], &[3, 1]),
            ],
            Some(&["<a:a> <a:b>", "- <a:a>", "<a:c> <a:a>"]),
        );
        check(0, vec![plain(2, &[&[], &[]])], Some(&["", ""]));
        check(0, vec![dictionary(2, &[], &[])], Some(&["", ""]));
        check(1, vec![RowBatch::default()], Some(&[]));
    }

    #[test]
    fn batches_that_do_not_add_up_are_refused() {
        check(2, vec![plain(1, &[&["a:a"]])], None);
        check(1, vec![plain(2, &[&["a:a"]])], None);
        check(1, vec![dictionary(1, &["a:a"], &[2])], None);
        check(2, vec![dictionary(1, &["a:a"], &[1])], None);
        check(1, vec![dictionary(-1, &[], &[])], None);
    }
}
