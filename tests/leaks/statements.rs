//! Random statements, claims of them, and changes of both.

use dossier::model::vocabulary as iris;
use oxigraph::model::{GraphName, NamedNode, Quad};
use proptest::{prelude::*, sample::select};

use super::generate::node;

/// The statements, each of the triple `node(n) node(5) node(n)`.
const STATEMENTS: std::ops::Range<u8> = 20..23;
const CLAIMS: std::ops::Range<u8> = 30..33;

fn iri(text: &str) -> NamedNode {
    NamedNode::new_unchecked(text)
}

/// A standing with the stance that may have it.
fn standing() -> impl Strategy<Value = [&'static str; 2]> {
    select(vec![
        [iris::ACCEPTED, iris::ASSERTED],
        [iris::UNCONFIRMED, iris::ATTRIBUTED],
        [iris::REJECTED, iris::ASSERTED],
    ])
}

fn graph() -> impl Strategy<Value = GraphName> {
    prop_oneof![
        1 => Just(GraphName::DefaultGraph),
        1 => Just(iri(iris::STATEMENTS).into()),
        3 => (10..13_u8).prop_map(|number| node(number).into()),
    ]
}

fn claim() -> impl Strategy<Value = Quad> {
    (CLAIMS, STATEMENTS, graph())
        .prop_map(|(claim, content, graph)| Quad::new(node(claim), iri(iris::CONTENT), node(content), graph))
}

fn triple(statement: u8) -> Quad {
    let about = node(statement - 20);
    Quad::new(about.clone(), node(5), about, GraphName::DefaultGraph)
}

fn statement(id: u8, [standing, stance]: [&str; 2]) -> Vec<Quad> {
    let triple = triple(id);
    let said = [
        (iris::SUBJECT, triple.subject.into()),
        (iris::PREDICATE, triple.predicate.into()),
        (iris::OBJECT, triple.object),
        (iris::STANDING, iri(standing).into()),
        (iris::STANCE, iri(stance).into()),
        (iris::BASIS, iri(iris::STATED).into()),
        (iris::DERIVED_FROM, node(40).into()),
    ];
    let quad = |(property, object)| Quad::new(node(id), iri(property), object, iri(iris::STATEMENTS));
    said.map(quad).into()
}

/// What a graph has: some statements, and claims of them in any graph.
pub(crate) fn held() -> impl Strategy<Value = Vec<Quad>> {
    let statements =
        STATEMENTS.map(|id| proptest::option::of(standing()).prop_map(move |standing| (id, standing)));
    let statements = statements.collect::<Vec<_>>();
    (statements, prop::collection::vec(claim(), 0..4)).prop_map(|(statements, claims)| {
        let stated = statements
            .into_iter()
            .filter_map(|(id, standing)| Some(statement(id, standing?)));
        stated.flatten().chain(claims).collect()
    })
}

/// An update that claims, states, or says plainly.
pub(crate) fn change() -> impl Strategy<Value = String> {
    let written = |quads: &[Quad]| {
        let quads = quads.iter().map(|quad| {
            let triple = format!("{} {} {}", quad.subject, quad.predicate, quad.object);
            match &quad.graph_name {
                GraphName::DefaultGraph => format!("{triple} . "),
                graph => format!("GRAPH {graph} {{ {triple} }} "),
            }
        });
        format!("INSERT DATA {{ {} }}", quads.collect::<String>())
    };
    prop_oneof![
        3 => claim().prop_map(move |claim| written(&[claim])),
        1 => STATEMENTS.prop_map(move |id| written(&[triple(id)])),
        1 => (STATEMENTS, standing()).prop_map(move |(id, [standing, stance])| {
            let graph = format!("GRAPH <{}>", iris::STATEMENTS);
            let [of_standing, of_stance] = [iris::STANDING, iris::STANCE]
                .map(|property| format!("{} <{property}> ?before", node(id)));
            format!(
                "DELETE {{ {graph} {{ {of_standing} }} }} WHERE {{ {graph} {{ {of_standing} }} }} ; \
                DELETE {{ {graph} {{ {of_stance} }} }} WHERE {{ {graph} {{ {of_stance} }} }} ; {}",
                written(&statement(id, [standing, stance]))
            )
        }),
    ]
}
