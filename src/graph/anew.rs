//! The same graph, indexed anew.

use std::{array, sync::Arc};

use super::{
    Pattern, Snapshot, TermId,
    dictionary::Segment,
    keys::SortedKeys,
    layer::{Layer, Run},
    order::Bounds,
    quads::{Scan, scan_default, scan_named},
    room::room,
    snapshot::GraphPattern,
};

impl Snapshot {
    /// Returns the same graph as one layer, with a dictionary of the terms that are in it and an epoch of its own. Fails as soon as
    /// `check` does, which is asked now and then.
    ///
    /// Terms stay in their order, and so every sorted order stays sorted: beside the outcome it takes four bytes for each term.
    pub fn anew<E>(&self, check: impl Fn() -> Result<(), E>) -> Result<Self, E> {
        let mut numbers = vec![0; self.next_term() as usize];
        let (len, text_len) = self.mark_terms(&mut numbers, &check)?;
        let mut terms = Segment::with_capacity(1, len, text_len);
        for number in 1..self.next_term() {
            if numbers[number as usize] > 0 {
                // The parts of a term come before it.
                let key = self.key(number).renumbered(|part| numbers[part as usize]);
                let key = key.as_key();
                numbers[number as usize] = terms.push(key, key.hash());
            }
        }
        check()?;
        let mut layer = Layer::empty(1);
        layer.terms = terms;
        for order in 0..layer.default.len() {
            layer.default[order] = renumbered(scan_default(&self.layers, Bounds::new(order, &[])), &numbers);
            check()?;
        }
        for order in 0..layer.named.len() {
            layer.named[order] = renumbered(scan_named(&self.layers, Bounds::new(order, &[])), &numbers);
            check()?;
        }
        let mut graphs: Vec<_> = self
            .named_graphs()
            .map(|graph| [numbers[graph.get() as usize]])
            .collect();
        graphs.sort_unstable();
        layer.graphs.added = SortedKeys::new(graphs);
        Ok(Self {
            layers: [Arc::new(layer)].into(),
            epoch: Self::default().epoch,
            sight: None,
        })
    }

    /// Puts a 1 for each term that is in the graph; returns how many there are, and at most how long their texts are.
    fn mark_terms<E>(
        &self,
        numbers: &mut [u32],
        check: impl Fn() -> Result<(), E>,
    ) -> Result<(usize, usize), E> {
        for quad in self.quads(Pattern::all(GraphPattern::Any)) {
            quad.to_array()
                .into_iter()
                .for_each(|number| numbers[number as usize] = 1);
        }
        for graph in self.named_graphs() {
            numbers[graph.get() as usize] = 1;
        }
        numbers[TermId::DEFAULT_GRAPH.get() as usize] = 0;
        check()?;
        let (mut len, mut text_len) = (0, 0);
        // From the last: the parts of a term come before it.
        for number in (1..self.next_term()).rev() {
            if numbers[number as usize] > 0 {
                let key = self.key(number);
                key.for_parts(|part| numbers[part as usize] = 1);
                len += 1;
                text_len += key.text_len();
            }
        }
        Ok((len, text_len))
    }
}

fn renumbered<const N: usize>(mut keys: Scan<'_, N>, numbers: &[u32]) -> Run<N> {
    let len = usize::try_from(keys.remaining()).unwrap_or_default();
    let mut added = room(len);
    while let Some(key) = keys.next_key() {
        added.push(array::from_fn(|place| numbers[key[place] as usize]));
    }
    Run {
        added: SortedKeys::new(added),
        removed: SortedKeys::default(),
    }
}
