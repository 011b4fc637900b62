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

/// Makes statement nodes of the reifiers that have a `d:standing`, in the default graph or among the statements, and of annotations with a
/// source, `s p o {| prov:wasDerivedFrom src:1 |}`, in the default graph; other reifiers stay as they are. What a node does not say of its
/// standing, stance and basis is what `WriteFacts` takes it for.
///
/// The triple that such a reifier is about is left out: whether it holds follows from the statement. But in the export of a whole
/// knowledge base, which tells by the graph of derived triples and its date what follows, the others are plain and stay, and what is no
/// statement there is none here. A reifier without a name gets one.
pub(super) fn gather(batch: &mut Batch) {
    make_nodes(batch, true);
}

/// Makes statement nodes of the reifiers of a piece that have a `d:standing`: whether a triple is annotated, it does not tell.
pub(super) fn gather_in_piece(batch: &mut Batch) {
    make_nodes(batch, false);
}

fn make_nodes(batch: &mut Batch, is_whole: bool) {
    let word = |iri| TermRef::from(NamedNodeRef::new_unchecked(iri));
    let known = |iri| batch.number_of(word(iri));
    let Some(reifies) = known(vocabulary::REIFIES) else {
        return;
    };
    let statements = known(vocabulary::STATEMENTS);
    let standing = known(vocabulary::STANDING);
    let is_read = |quad: &QuadIds| quad.graph == TermId::DEFAULT_GRAPH || Some(quad.graph) == statements;
    let judged: HashSet<_> = batch
        .inserted()
        .filter(|quad| is_read(quad) && Some(quad.predicate) == standing)
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
    if is_whole && derived.is_none() {
        for (node, triple) in sourced(batch, reifies) {
            triples.insert(triple);
            nodes.insert(node, node);
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
    // Of nodes: subject, predicate and object, and that there is any object.
    let mut said = HashSet::new();
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
            said.insert([of_node.subject, of_node.predicate, of_node.object]);
            said.insert([of_node.subject, of_node.predicate, TermId::MAX]);
            gathered.push(QuadIds {
                graph: statements,
                ..of_node
            });
        }
    }
    for node in nodes.values() {
        let of_node = |(predicate, object)| QuadIds {
            subject: *node,
            predicate,
            object,
            graph: statements,
        };
        gathered.extend(unsaid(batch, *node, &said).map(of_node));
    }
    batch.set_inserted(gathered);
}

/// Returns what a node, of which this is said, does not say of its stance, standing and basis.
fn unsaid(
    batch: &mut Batch,
    node: TermId,
    said: &HashSet<[TermId; 3]>,
) -> impl Iterator<Item = (TermId, TermId)> {
    let [stance, standing, basis, asserted, accepted, unconfirmed, stated] = [
        vocabulary::STANCE,
        vocabulary::STANDING,
        vocabulary::BASIS,
        vocabulary::ASSERTED,
        vocabulary::ACCEPTED,
        vocabulary::UNCONFIRMED,
        vocabulary::STATED,
    ]
    .map(|iri| batch.number(NamedNodeRef::new_unchecked(iri).into()));
    let says = move |predicate, object| said.contains(&[node, predicate, object]);
    let is_asserted = !says(stance, TermId::MAX) || says(stance, asserted);
    let usual = if is_asserted { accepted } else { unconfirmed };
    let all = [(stance, asserted), (standing, usual), (basis, stated)];
    all.into_iter()
        .filter(move |(predicate, _)| !says(*predicate, TermId::MAX))
}

/// Returns the reifiers in the default graph that have a source, each with the one triple that it is about, if the graph has that too.
fn sourced(batch: &Batch, reifies: TermId) -> HashMap<TermId, [TermId; 3]> {
    let source = batch.number_of(NamedNodeRef::new_unchecked(vocabulary::DERIVED_FROM).into());
    let of_default = || {
        batch
            .inserted()
            .filter(|quad| quad.graph == TermId::DEFAULT_GRAPH)
    };
    let with_source: HashSet<_> = of_default()
        .filter(|quad| Some(quad.predicate) == source)
        .map(|quad| quad.subject)
        .collect();
    if with_source.is_empty() {
        return HashMap::new();
    }
    let mut about: HashMap<TermId, Option<[TermId; 3]>> = HashMap::new();
    for quad in of_default() {
        if quad.predicate == reifies && with_source.contains(&quad.subject) {
            let triple = parts(batch, quad.object);
            // Whoever is about several is no statement.
            about
                .entry(quad.subject)
                .and_modify(|first| *first = first.filter(|first| Some(*first) == triple))
                .or_insert(triple);
        }
    }
    let mut asserted: HashMap<_, bool> = about.values().flatten().map(|triple| (*triple, false)).collect();
    for quad in of_default() {
        if let Some(is_asserted) = asserted.get_mut(&[quad.subject, quad.predicate, quad.object]) {
            *is_asserted = true;
        }
    }
    let about = about
        .into_iter()
        .filter_map(|(node, triple)| Some((node, triple?)));
    about.filter(|(_, triple)| asserted[triple]).collect()
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
        @prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> . @prefix prov: <http://www.w3.org/ns/prov#> . ";

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
        let said = "d:standing d:Accepted ; d:stance d:Reported ; d:basis d:Stated ; d:locator 'P1', 'P2'";
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
            "e:s e:p 2 . g:statements { s:1 rdf:subject e:s ; rdf:predicate e:p ; rdf:object 1 ; d:standing d:Accepted ;
             d:stance d:Asserted ; d:basis d:Stated . s:2 rdf:subject e:s ; rdf:predicate e:p ; rdf:object 1 ; d:standing d:Disputed ;
             d:stance d:Asserted ; d:basis d:Stated ; d:disputes s:1 }",
        );
    }

    #[test]
    fn annotations_with_a_source_are_statements() {
        let statement = |id, object, standing, stance| {
            format!(
                "s:{id} rdf:subject e:s ; rdf:predicate e:p ; rdf:object {object} ; prov:wasDerivedFrom e:src ; d:standing d:{standing} ;
                d:stance d:{stance} ; d:basis d:Stated . "
            )
        };
        check(
            "e:s e:p 1 ~ s:1 {| prov:wasDerivedFrom e:src |}, 2 ~ s:2 {| prov:wasDerivedFrom e:src ; d:stance d:Planned |}, 3 .",
            &format!(
                "e:s e:p 3 . g:statements {{ {} {} }}",
                statement(1, 1, "Accepted", "Asserted"),
                statement(2, 2, "Unconfirmed", "Planned")
            ),
        );
    }

    #[test]
    fn other_reifiers_stay_as_they_are() {
        for text in [
            "e:s e:p e:o . e:r rdf:reifies <<( e:s e:p e:o )>> ; e:certainty 0.9 .",
            "e:g { e:s e:p e:o . s:1 rdf:reifies <<( e:s e:p e:o )>> ; d:standing d:Accepted }",
            "e:event d:standing d:Accepted . e:r rdf:reifies <<( e:s e:p e:o )>> .",
            "e:r rdf:reifies e:x ; d:standing d:Accepted .",
            // What is not asserted itself, or is about several; in another graph; in the export of a whole knowledge base.
            "e:r rdf:reifies <<( e:s e:p e:o )>> ; prov:wasDerivedFrom e:src .",
            "e:s e:p e:o, e:x . e:r rdf:reifies <<( e:s e:p e:o )>>, <<( e:s e:p e:x )>> ; prov:wasDerivedFrom e:src .",
            "e:g { e:s e:p e:o . s:1 rdf:reifies <<( e:s e:p e:o )>> ; prov:wasDerivedFrom e:src }",
            "e:s e:p e:o . g:statements { s:1 rdf:reifies <<( e:s e:p e:o )>> ; prov:wasDerivedFrom e:src }",
            "e:s e:p e:o . s:1 rdf:reifies <<( e:s e:p e:o )>> ; prov:wasDerivedFrom e:src .
             g:meta { g:derived d:referenceDate '2019-08-27' } g:derived { e:s e:p e:o }",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn an_export_tells_what_is_plain() {
        let said = "d:standing d:Accepted ; d:stance d:Asserted ; d:basis d:Stated";
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
            6,
            "{found:?}"
        );
    }
}
