//! Random quads, and random groups of patterns over their terms.

use oxigraph::model::{GraphName, Literal, NamedNode, Quad, Term};
use proptest::{prelude::*, sample::select};

pub(crate) fn node(number: u8) -> NamedNode {
    NamedNode::new_unchecked(format!("http://ex/{number}"))
}

fn object() -> impl Strategy<Value = Term> {
    prop_oneof![
        (0..5_u8).prop_map(|number| node(number).into()),
        (0..5_i64).prop_map(|number| Literal::from(number).into()),
        select(vec!["a", "b"]).prop_map(|text| Literal::from(text).into()),
        select(vec!["en", "ko"])
            .prop_map(|tag| Literal::new_language_tagged_literal_unchecked("a", tag).into()),
    ]
}

fn graph_name() -> impl Strategy<Value = GraphName> {
    prop_oneof![
        2 => Just(GraphName::DefaultGraph),
        3 => (10..13_u8).prop_map(|number| node(number).into()),
    ]
}

pub(crate) fn quad() -> impl Strategy<Value = Quad> {
    (0..5_u8, 5..8_u8, object(), graph_name()).prop_map(|(subject, predicate, object, graph)| {
        Quad::new(node(subject), node(predicate), object, graph)
    })
}

/// A place of a pattern: often a variable, else a term that may be there.
fn place(terms: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    prop_oneof![3 => select(vec!["?a", "?b", "?c"]).prop_map(str::to_owned), 2 => terms]
}

fn triple_pattern() -> impl Strategy<Value = String> {
    let resource = || (0..5_u8).prop_map(|number| node(number).to_string());
    let predicate = (5..8_u8).prop_map(|number| node(number).to_string());
    (
        place(resource()),
        place(predicate),
        place(object().prop_map(|term| term.to_string())),
    )
        .prop_map(|(subject, predicate, object)| format!("{subject} {predicate} {object} . "))
}

fn filter() -> impl Strategy<Value = String> {
    let filters = select(vec![
        "?a = ?b",
        "?c > 1",
        "BOUND(?b)",
        "isIRI(?a)",
        "STR(?c) != 'a'",
        "?a IN (1, 2, ?b)",
        "?a != <http://ex/1> || !BOUND(?c)",
        "LANG(?c) = 'en' && ?b > 0",
        "?a = <http://ex/1>",
    ]);
    filters.prop_map(str::to_owned)
}

fn path() -> impl Strategy<Value = String> {
    let step = || (5..8_u8).prop_map(|number| node(number).to_string());
    prop_oneof![
        (step(), step()).prop_map(|(a, b)| format!("{a}/^{b}")),
        (step(), step()).prop_map(|(a, b)| format!("({a}|{b})*")),
        (step(), step()).prop_map(|(a, b)| format!("({a}/{b})+")),
        (step(), step()).prop_map(|(a, b)| format!("(^{a}|{b}?)")),
        step().prop_map(|a| format!("!({a})")),
        step().prop_map(|a| format!("{a}?")),
        (step(), step()).prop_map(|(a, b)| format!("!({a}|^{b})")),
        step().prop_map(|a| format!("!(^{a})")),
        (step(), step()).prop_map(|(a, b)| format!("({a}?/{b}*)")),
        (step(), step()).prop_map(|(a, b)| format!("({a}*|^{b})+")),
        (step(), step()).prop_map(|(a, b)| format!("^({a}/{b})*")),
        (step(), step()).prop_map(|(a, b)| format!("({a}|{b}/{a})?")),
        (step(), step()).prop_map(|(a, b)| format!("(!{a})*/{b}")),
    ]
}

fn path_pattern() -> impl Strategy<Value = String> {
    let resource = || (0..5_u8).prop_map(|number| node(number).to_string());
    (
        place(resource()),
        path(),
        place(object().prop_map(|term| term.to_string())),
    )
        .prop_map(|(subject, path, object)| format!("{subject} {path} {object} . "))
}

/// Groups that may stand in EXISTS: what to put in place of a variable is plain there.
fn simple_group() -> impl Strategy<Value = String> {
    let triples = prop::collection::vec(triple_pattern(), 1..3).prop_map(|triples| triples.concat());
    let leaf = triples;
    leaf.prop_recursive(3, 6, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone())
                .prop_map(|(left, right)| format!("{left} OPTIONAL {{ {right} }} ")),
            (inner.clone(), inner.clone())
                .prop_map(|(left, right)| format!("{{ {left} }} UNION {{ {right} }} ")),
            (inner.clone(), filter()).prop_map(|(group, filter)| format!("{group} FILTER({filter}) ")),
            (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("{left} {{ {right} }} ")),
            inner.prop_map(|group| format!("GRAPH ?g {{ {group} }} ")),
        ]
    })
}

/// Groups that Oxigraph evaluates as the specification says.
pub(crate) fn group() -> impl Strategy<Value = String> {
    let triples = || prop::collection::vec(triple_pattern(), 1..3).prop_map(|triples| triples.concat());
    let graph = triples().prop_map(|group| format!("GRAPH ?g {{ {group} }} "));
    let leaf = prop_oneof![4 => triples(), 1 => graph];
    leaf.prop_recursive(2, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone())
                .prop_map(|(left, right)| format!("{left} OPTIONAL {{ {right} }} ")),
            (inner.clone(), inner.clone())
                .prop_map(|(left, right)| format!("{{ {left} }} UNION {{ {right} }} ")),
            (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("{left} MINUS {{ {right} }} ")),
            (inner.clone(), inner.clone())
                .prop_map(|(left, right)| format!("{left} FILTER EXISTS {{ {right} }} ")),
            (inner.clone(), filter()).prop_map(|(group, filter)| format!("{group} FILTER({filter}) ")),
        ]
    })
}

/// Groups with everything.
pub(crate) fn any_group() -> impl Strategy<Value = String> {
    let triples = prop::collection::vec(triple_pattern(), 1..4).prop_map(|triples| triples.concat());
    let values = select(vec![
        "VALUES (?a ?b) { (<http://ex/1> UNDEF) (<http://ex/2> <http://ex/3>) (UNDEF 1) } ",
        "VALUES ?c { 1 2 'a' <http://ex/2> } ",
        "BIND(1 AS ?d) ",
    ]);
    let leaf = prop_oneof![4 => triples, 1 => values.prop_map(str::to_owned), 2 => path_pattern()];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let not = select(vec!["", "NOT "]);
        prop_oneof![
            1 => (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("{left} {{ {right} }} ")),
            2 => (inner.clone(), inner.clone())
                .prop_map(|(left, right)| format!("{left} OPTIONAL {{ {right} }} ")),
            1 => (inner.clone(), inner.clone())
                .prop_map(|(left, right)| format!("{{ {left} }} UNION {{ {right} }} ")),
            1 => (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("{left} MINUS {{ {right} }} ")),
            1 => (inner.clone(), not, simple_group())
                .prop_map(|(left, not, right)| format!("{left} FILTER {not}EXISTS {{ {right} }} ")),
            1 => (inner.clone(), filter(), simple_group()).prop_map(|(left, filter, right)| format!(
                "{left} FILTER({filter} || EXISTS {{ {right} }}) "
            )),
            2 => (inner.clone(), filter()).prop_map(|(group, filter)| format!("{group} FILTER({filter}) ")),
            1 => inner.clone().prop_map(|group| format!("GRAPH ?g {{ {group} }} ")),
            1 => inner.clone().prop_map(|group| format!("GRAPH <http://ex/11> {{ {group} }} ")),
            1 => inner.clone().prop_map(|group| format!("{{ SELECT ?a ?c {{ {group} }} }} ")),
            1 => (inner.clone(), select(vec!["MIN", "MAX", "AVG", "SUM", "COUNT"]), select(vec!["", "DISTINCT "])).prop_map(|(group, f, d)| format!("{{ SELECT ?b ({f}({d}?c) AS ?m) {{ {group} }} GROUP BY ?b HAVING(COUNT(*) > 1) }} ")),
            1 => inner.clone().prop_map(|group| format!("{{ SELECT ?g ?b {{ {group} }} }} ")),
            1 => (inner.clone(), inner.clone(), filter(), simple_group()).prop_map(|(left, right, f, ex)| format!("{left} OPTIONAL {{ {right} FILTER({f} || NOT EXISTS {{ {ex} }}) }} ")),
            1 => (inner.clone(), inner.clone(), filter()).prop_map(|(left, right, f)| format!("{left} OPTIONAL {{ {right} FILTER({f}) }} ")),
            3 => (inner.clone(), simple_group()).prop_map(|(left, ex)| format!("{left} LATERAL {{ {ex} }} ")),
            2 => (inner.clone(), simple_group(), select(vec!["?a = <http://ex/1>", "?b IN (<http://ex/2>, <http://ex/3>)"]))
                .prop_map(|(left, ex, f)| format!("{left} LATERAL {{ {ex} FILTER({f}) }} ")),
            1 => (inner.clone(), simple_group()).prop_map(|(left, ex)| format!("{{ {left} }} BIND(EXISTS {{ {ex} }} AS ?f) ")),
            1 => (inner.clone(), 0..3_u8, 1..4_u8).prop_map(|(group, o, l)| format!("{{ SELECT ?a ?b ?c {{ {{ SELECT DISTINCT ?a ?b ?c {{ {group} }} }} }} ORDER BY STR(?a) DESC(STR(?b)) STR(?c) LANG(?c) DATATYPE(?a) DATATYPE(?b) DATATYPE(?c) LANG(?a) LANG(?b) ISIRI(?a) ISIRI(?b) ISIRI(?c) OFFSET {o} LIMIT {l} }} ")),
            1 => inner.clone().prop_map(|group| format!("{{ SELECT DISTINCT ?b {{ {group} }} }} ")),
            1 => inner.clone().prop_map(|group| format!(
                "{{ SELECT ?a (COUNT(*) AS ?n) (COUNT(DISTINCT ?b) AS ?m) {{ {group} }} GROUP BY ?a }} "
            )),
            1 => (inner, select(vec!["?a", "STR(?b)", "IF(BOUND(?c), ?c, 1)", "?c + 1"])).prop_map(
                |(group, value)| format!("{{ {group} }} BIND({value} AS ?e) ")
            ),
        ]
    })
}
