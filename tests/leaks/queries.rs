//! Random queries and updates of every form.

use dossier::graph::{GraphPattern, Pattern, Snapshot};
use proptest::{prelude::*, sample::select};

use super::generate::{any_group, group, node, quad};

/// FROM and FROM NAMED with graphs that there may be, one that there never is, and one that only is a term.
fn data_set() -> impl Strategy<Value = String> {
    let clause = (
        select(vec!["FROM", "FROM NAMED"]),
        select(vec![10, 11, 12, 13, 1_u8]),
    );
    let clauses = prop::collection::vec(clause, 1..4).prop_map(|clauses| {
        let written = clauses
            .into_iter()
            .map(|(from, graph)| format!("{from} {} ", node(graph)));
        written.collect::<String>()
    });
    prop_oneof![2 => Just(String::new()), 1 => clauses]
}

/// Groups that look at graphs as such.
fn graphs() -> impl Strategy<Value = String> {
    let groups = select(vec![
        "GRAPH ?g {} ",
        "GRAPH ?g { ?a ?p ?c } ",
        "GRAPH <http://ex/11> { ?a ?p ?c } ",
        "GRAPH ?g { ?a ?p ?b } GRAPH ?h { ?b ?q ?c } ",
        "{ SELECT ?g (COUNT(*) AS ?n) { GRAPH ?g { ?a ?p ?c } } GROUP BY ?g } ",
        "{ SELECT (COUNT(*) AS ?n) { GRAPH ?g { ?a <http://ex/5> ?c } } } ",
        "{ SELECT (COUNT(DISTINCT ?g) AS ?n) { GRAPH ?g {} } } ",
        "?a ?p ?c FILTER EXISTS { GRAPH ?g { ?a ?q ?c } } ",
        "?a ?p ?c FILTER NOT EXISTS { GRAPH <http://ex/12> { ?a ?q ?d } } ",
        "GRAPH ?g { ?a (<http://ex/5>|<http://ex/6>)+ ?c } ",
        "GRAPH ?g { ?a <http://ex/5>/^<http://ex/6> ?c } ",
        "GRAPH <http://ex/10> { ?a <http://ex/5>* ?c } ",
        "VALUES ?g { <http://ex/10> <http://ex/12> <http://ex/13> } GRAPH ?g { ?a ?p ?c } ",
        "{ ?a ?p ?c } UNION { GRAPH ?g { ?a ?p ?c } } ",
        "GRAPH ?g { { SELECT ?a (COUNT(*) AS ?n) { ?a ?p ?c } GROUP BY ?a } } ",
        "?a ?p ?c MINUS { GRAPH ?g { ?a ?p ?c } } ",
    ]);
    groups.prop_map(str::to_owned)
}

pub(crate) fn query() -> impl Strategy<Value = String> {
    let form = select(vec![
        "SELECT *",
        "SELECT *",
        "SELECT DISTINCT ?a ?g",
        "SELECT (COUNT(*) AS ?rows) (COUNT(DISTINCT ?a) AS ?some)",
        "ASK",
        "CONSTRUCT { ?a <http://ex/new> ?c }",
        "DESCRIBE ?a",
        "DESCRIBE ?g ?c",
        "DESCRIBE <http://ex/1>",
    ]);
    let group = prop_oneof![3 => any_group(), 2 => group(), 3 => graphs()];
    (form, data_set(), group).prop_map(|(form, data_set, group)| format!("{form} {data_set}{{ {group}}}"))
}

pub(crate) fn update() -> impl Strategy<Value = String> {
    let graph = || select(vec![10, 11, 12, 13_u8]).prop_map(|graph| format!("GRAPH {}", node(graph)));
    let any = select(vec!["DEFAULT", "NAMED", "ALL"]).prop_map(str::to_owned);
    let target = prop_oneof![graph(), any];
    let either = || prop_oneof![2 => graph(), 1 => Just("DEFAULT".to_owned())];
    let silent = || select(vec!["", "SILENT "]);
    let written = |graph: String, pattern: &str| match graph.as_str() {
        "DEFAULT" => pattern.to_owned(),
        graph => format!("{graph} {{ {pattern} }}"),
    };
    prop_oneof![
        1 => (quad(), either(), select(vec!["INSERT", "DELETE"])).prop_map(move |(quad, graph, verb)| {
            let triple = format!("{} {} {}", quad.subject, quad.predicate, quad.object);
            format!("{verb} DATA {{ {} }}", written(graph, &triple))
        }),
        2 => (either(), group()).prop_map(move |(graph, group)| {
            format!("INSERT {{ {} }} WHERE {{ {group}}}", written(graph, "?a <http://ex/7> ?c"))
        }),
        1 => group().prop_map(|group| format!("DELETE {{ GRAPH ?g {{ ?a <http://ex/5> ?b }} }} WHERE {{ {group}}}")),
        1 => Just("DELETE WHERE { GRAPH ?g { ?a <http://ex/5> ?b } }".to_owned()),
        1 => (graph(), group()).prop_map(|(graph, group)| {
            let graph = graph.trim_start_matches("GRAPH ");
            format!("WITH {graph} DELETE {{ ?a ?p ?b }} INSERT {{ ?b <http://ex/6> ?a }} WHERE {{ {group}?a ?p ?b }}")
        }),
        2 => (select(vec!["CLEAR", "DROP"]), silent(), target)
            .prop_map(|(verb, silent, target)| format!("{verb} {silent}{target}")),
        1 => (silent(), graph()).prop_map(|(silent, graph)| format!("CREATE {silent}{graph}")),
        1 => (select(vec!["ADD", "MOVE", "COPY"]), silent(), either(), either())
            .prop_map(|(verb, silent, from, to)| format!("{verb} {silent}{from} TO {to}")),
    ]
}

/// Returns all quads of a snapshot.
pub(crate) fn quads(snapshot: &Snapshot) -> Vec<String> {
    let quads = snapshot.quads(Pattern::all(GraphPattern::Any));
    quads.map(|quad| snapshot.quad(quad).to_string()).collect()
}
