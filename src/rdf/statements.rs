//! RDF 1.2 reifiers that are statements.
//!
//! `s p o ~ s:1 {| d:standing d:Accepted |}` and `<< s p o ~ s:1 >> d:standing d:Accepted` say what the statement node `s:1` says in
//! the graph of statements, which is where it is kept: patterns of triple terms are scans.

use std::collections::{HashMap, HashSet};

use oxigraph::model::{NamedNode, NamedNodeRef, TermRef};

use crate::{
    graph::{Batch, QuadIds, TermId, TermView},
    model::{prefixes, vocabulary},
};

/// Makes statement nodes of the reifiers that have a `d:standing`, in the default graph or among the statements; other reifiers stay
/// as they are.
///
/// The triple that such a reifier is about is left out: whether it holds follows from the statement. But in the export of a whole
/// knowledge base, which tells by the graph of derived triples and its date what follows, the others are plain and stay. A reifier
/// without a name gets one.
pub(super) fn gather(batch: &mut Batch) {
    let word = |iri| TermRef::from(NamedNodeRef::new_unchecked(iri));
    let known = |iri| batch.number_of(word(iri));
    let (Some(reifies), Some(standing)) = (known(vocabulary::REIFIES), known(vocabulary::STANDING)) else {
        return;
    };
    let statements = known(vocabulary::STATEMENTS);
    let is_read = |quad: &QuadIds| quad.graph == TermId::DEFAULT_GRAPH || Some(quad.graph) == statements;
    let judged: HashSet<_> = batch
        .inserted()
        .filter(|quad| is_read(quad) && quad.predicate == standing)
        .map(|quad| quad.subject)
        .collect();
    let derived = derived(batch);
    let mut triples = HashSet::new();
    let mut nodes = HashMap::new();
    for quad in batch.inserted() {
        if quad.predicate == reifies
            && is_read(&quad)
            && judged.contains(&quad.subject)
            && let Some(triple) = parts(batch, quad.object)
        {
            triples.insert(triple);
            nodes.insert(quad.subject, quad.subject);
        }
    }
    if nodes.is_empty() {
        return;
    }
    for (node, named) in &mut nodes {
        if let TermView::BlankNode(label) = batch.view(*node) {
            let namespace = prefixes::namespace("s").unwrap_or_default();
            let iri = NamedNode::new_unchecked(format!("{namespace}{label}"));
            *named = batch.number(iri.as_ref().into());
        }
    }
    let [subject, predicate, object, statements] = [
        vocabulary::SUBJECT,
        vocabulary::PREDICATE,
        vocabulary::OBJECT,
        vocabulary::STATEMENTS,
    ]
    .map(|iri| batch.number(word(iri)));
    let named = |id: TermId| nodes.get(&id).copied().unwrap_or(id);
    let is_read = |quad: &QuadIds| quad.graph == TermId::DEFAULT_GRAPH || quad.graph == statements;
    let mut gathered = Vec::new();
    for quad in batch.inserted() {
        let of_node = QuadIds {
            subject: named(quad.subject),
            object: named(quad.object),
            ..quad
        };
        if !is_read(&quad) {
            gathered.push(of_node);
        } else if !nodes.contains_key(&quad.subject) {
            let triple = [quad.subject, quad.predicate, quad.object];
            let is_plain = derived.as_ref().is_some_and(|derived| !derived.contains(&triple));
            if is_plain || !triples.contains(&triple) {
                gathered.push(of_node);
            }
        } else if quad.predicate == reifies
            && let Some(triple) = parts(batch, quad.object)
        {
            let property = |(predicate, part)| QuadIds {
                subject: of_node.subject,
                predicate,
                object: named(part),
                graph: statements,
            };
            gathered.extend([subject, predicate, object].into_iter().zip(triple).map(property));
        } else {
            gathered.push(QuadIds {
                graph: statements,
                ..of_node
            });
        }
    }
    batch.set_inserted(gathered);
}

/// Tells whether [`gather`] would make a statement node of a reifier in the default graph.
pub(super) fn has_annotated(batch: &Batch) -> bool {
    let known = |iri| batch.number_of(NamedNodeRef::new_unchecked(iri).into());
    let (Some(reifies), Some(standing)) = (known(vocabulary::REIFIES), known(vocabulary::STANDING)) else {
        return false;
    };
    let of = |property: TermId| {
        let quads = batch.inserted();
        quads.filter(move |quad| quad.graph == TermId::DEFAULT_GRAPH && quad.predicate == property)
    };
    let judged: HashSet<_> = of(standing).map(|quad| quad.subject).collect();
    of(reifies).any(|quad| judged.contains(&quad.subject))
}

/// Returns the triples that follow from statements, if the document tells: it has the day that they were derived for.
fn derived(batch: &Batch) -> Option<HashSet<[TermId; 3]>> {
    let known = |iri| batch.number_of(NamedNodeRef::new_unchecked(iri).into());
    let (graph, date, meta) = (
        known(vocabulary::DERIVED)?,
        known(vocabulary::REFERENCE_DATE)?,
        known(vocabulary::META)?,
    );
    let is_date = |quad: QuadIds| quad.subject == graph && quad.predicate == date && quad.graph == meta;
    if !batch.inserted().any(is_date) {
        return None;
    }
    let of_graph = batch.inserted().filter(|quad| quad.graph == graph);
    Some(
        of_graph
            .map(|quad| [quad.subject, quad.predicate, quad.object])
            .collect(),
    )
}

/// Returns the parts of a triple term.
fn parts(batch: &Batch, id: TermId) -> Option<[TermId; 3]> {
    match batch.view(id) {
        TermView::Triple {
            subject,
            predicate,
            object,
        } => Some([subject, predicate, object]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use oxigraph::io::{RdfFormat, RdfParser};

    use crate::{
        graph::{Draft, GraphPattern, Pattern, Snapshot},
        rdf::{Compression, tests::import},
    };

    const PREFIXES: &str = "@prefix d: <https://w3id.org/dossier/ns#> . @prefix e: <http://e.com/> .
        @prefix s: <https://w3id.org/dossier/s/> . @prefix g: <https://w3id.org/dossier/g/> .
        @prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> . ";

    fn quads(text: &str) -> Vec<String> {
        let text = format!("{PREFIXES}{text}");
        let batch = import("trig", text.as_bytes(), Compression::None).unwrap();
        let mut draft = Draft::new(Snapshot::default());
        draft.apply(&batch);
        let snapshot = draft.finish().1;
        let quads = snapshot.quads(Pattern::all(GraphPattern::Any));
        let mut quads: Vec<_> = quads.map(|quad| snapshot.quad(quad).to_string()).collect();
        quads.sort();
        quads
    }

    /// Checks what is kept of a document, against a document of which all is kept.
    fn check(text: &str, expected: &str) {
        let expected = format!("{PREFIXES}{expected}");
        let parser = RdfParser::from_format(RdfFormat::TriG).for_slice(expected.as_bytes());
        let mut expected: Vec<_> = parser.map(|quad| quad.unwrap().to_string()).collect();
        expected.sort();
        assert_eq!(quads(text), expected, "{text}");
    }

    #[test]
    fn annotations_are_statements() {
        let said = "d:standing d:Accepted ; d:locator 'P1', 'P2'";
        let statement =
            format!("g:statements {{ s:1 rdf:subject e:s ; rdf:predicate e:p ; rdf:object e:o ; {said} }}");
        for text in [
            format!("e:s e:p e:o ~ s:1 {{| {said} |}} ."),
            format!("<< e:s e:p e:o ~ s:1 >> {said} ."),
            format!("s:1 rdf:reifies <<( e:s e:p e:o )>> ; {said} ."),
            format!("g:statements {{ e:s e:p e:o ~ s:1 {{| {said} |}} . }}"),
        ] {
            check(&text, &statement);
        }
        check(
            "e:s e:p 1 ~ s:1 {| d:standing d:Accepted |} ~ s:2 {| d:standing d:Disputed ; d:disputes s:1 |}, 2 .",
            "e:s e:p 2 . g:statements { s:1 rdf:subject e:s ; rdf:predicate e:p ; rdf:object 1 ; d:standing d:Accepted .
             s:2 rdf:subject e:s ; rdf:predicate e:p ; rdf:object 1 ; d:standing d:Disputed ; d:disputes s:1 }",
        );
    }

    #[test]
    fn other_reifiers_stay_as_they_are() {
        for text in [
            "e:s e:p e:o . e:r rdf:reifies <<( e:s e:p e:o )>> ; e:certainty 0.9 .",
            "e:g { e:s e:p e:o . s:1 rdf:reifies <<( e:s e:p e:o )>> ; d:standing d:Accepted }",
            "e:event d:standing d:Accepted . e:r rdf:reifies <<( e:s e:p e:o )>> .",
            "e:r rdf:reifies e:x ; d:standing d:Accepted .",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn an_export_tells_what_is_plain() {
        let said = "d:standing d:Accepted";
        let date = "g:meta { g:derived d:referenceDate '2019-08-27' }";
        let both = format!("e:s e:p e:plain ~ s:1 {{| {said} |}} . e:s e:p e:derived ~ s:2 {{| {said} |}} .");
        let derived = "g:derived { e:s e:p e:derived }";
        let statement = |id, object| {
            format!(
                "g:statements {{ s:{id} rdf:subject e:s ; rdf:predicate e:p ; rdf:object {object} ; {said} }} "
            )
        };
        let statements = statement(1, "e:plain") + &statement(2, "e:derived");
        check(&both, &statements);
        check(
            &format!("{both} {derived} {date}"),
            &format!("e:s e:p e:plain . {statements} {derived} {date}"),
        );
        // Nothing is derived.
        check(
            &format!("{both} {date}"),
            &format!("e:s e:p e:plain, e:derived . {statements} {date}"),
        );
    }

    #[test]
    fn a_reifier_without_a_name_gets_one() {
        let found = quads(
            "e:s e:p e:o ~ _:r {| d:standing d:Accepted |} . e:x e:about _:r, _:other . _:other e:p _:r .",
        );
        let blank = found.iter().filter(|quad| quad.contains("_:"));
        assert_eq!(blank.count(), 2, "{found:?}");
        let about = found
            .iter()
            .find(|quad| quad.contains("about> <https://w3id.org/dossier/s/"))
            .unwrap();
        let name = about.split(' ').nth(2).unwrap();
        assert_eq!(
            found.iter().filter(|quad| quad.starts_with(name)).count(),
            4,
            "{found:?}"
        );
    }
}
