//! Updates: products in templates, all the data, and what reaches out.

use super::{chains::numbered, nesting::nested};
use crate::{
    case::{
        BOUNDED, Case, DEADLINE, Expected, GRAPH_FULL, INVALID, Kind, MALFORMED, MEMORY, SYNTAX, TOO_COMPLEX,
        Text,
        Text::{Bytes, Is, Made},
        UNSUPPORTED, WRONG_FORM, case,
    },
    graph::QUAD_COUNT,
};

/// More than any server can do in a second, or hold.
const ENDLESS: &[Expected] = &[DEADLINE, MEMORY, GRAPH_FULL];
const ALL: &[Expected] = &[Expected::Count(QUAD_COUNT), DEADLINE, MEMORY];

const fn plan(name: &'static str, text: Text, expected: &'static [Expected]) -> Case {
    case(name, Kind::Plan, text, expected)
}

pub(crate) const CASES: &[Case] = &[
    plan(
        "insert_product",
        Is("INSERT { ?a ?e ?i } WHERE { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }"),
        ENDLESS,
    ),
    case(
        "insert_product_committed",
        Kind::Update,
        Is("INSERT { ?a ?e ?i } WHERE { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }"),
        ENDLESS,
    ),
    plan(
        "insert_product_of_blank_nodes",
        Is("INSERT { [] ?b [ ?e ?f ] } WHERE { ?a ?b ?c . ?d ?e ?f }"),
        ENDLESS,
    ),
    plan(
        "insert_product_into_graphs",
        Is("INSERT { GRAPH ?a { ?d ?e ?f } } WHERE { ?a ?b ?c . ?d ?e ?f }"),
        ENDLESS,
    ),
    plan(
        "insert_texts",
        Is("INSERT { ?a <d:new> ?x } WHERE { ?a ?b ?c . ?d <d:text> ?t BIND(CONCAT(?t, STR(?c)) AS ?x) }"),
        &[DEADLINE, MEMORY, GRAPH_FULL],
    ),
    plan(
        "delete_product",
        Is("DELETE { ?a ?e ?i } WHERE { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }"),
        ENDLESS,
    ),
    plan(
        "delete_insert_product",
        Is("DELETE { ?a ?b ?c } INSERT { ?a ?b ?f } WHERE { ?a ?b ?c . ?d ?e ?f }"),
        ENDLESS,
    ),
    plan(
        "delete_where_product",
        Is("DELETE WHERE { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }"),
        ENDLESS,
    ),
    plan(
        "sorting_for_an_insert",
        Is(
            "INSERT { ?a ?b ?n } WHERE { SELECT ?a ?b (COUNT(DISTINCT ?f) AS ?n) { ?a ?b ?c . ?d ?e ?f } GROUP BY ?a ?b ORDER BY ?n }",
        ),
        ENDLESS,
    ),
    plan("delete_where_everything", Is("DELETE WHERE { ?s ?p ?o }"), ALL),
    plan("clear_all", Is("CLEAR ALL"), ALL),
    plan("drop_all", Is("DROP ALL"), ALL),
    plan("copy_everything", Is("COPY DEFAULT TO <d:copy>"), ALL),
    plan(
        "copies_20",
        Made(|| numbered(20, |n| format!("COPY DEFAULT TO <d:copy{n}>;"))),
        &[Expected::Count(20 * QUAD_COUNT), DEADLINE, MEMORY, GRAPH_FULL],
    ),
    plan(
        "scans_10k",
        Made(|| "DELETE { ?s ?p 1 } WHERE { ?s ?p ?o FILTER(?o = 'nothing') };".repeat(10_000)),
        &[DEADLINE, TOO_COMPLEX],
    ),
    plan(
        "create_graphs_20k",
        Made(|| numbered(20_000, |n| format!("CREATE GRAPH <d:g{n}>;"))),
        BOUNDED,
    ),
    plan(
        "operations_100k",
        Made(|| "CLEAR DEFAULT;".repeat(70_000)),
        &[Expected::Count(QUAD_COUNT), DEADLINE, TOO_COMPLEX],
    ),
    plan(
        "insert_data_1_mb",
        Made(|| {
            format!(
                "INSERT DATA {{ {} }}",
                numbered(40_000, |n| format!("<d:{n}> <d:q> {n}."))
            )
        }),
        BOUNDED,
    ),
    plan(
        "insert_data_one_subject",
        Made(|| {
            format!(
                "INSERT DATA {{ <d:s> <d:q> {} }}",
                numbered(100_000, |n| format!("{n},")) + "0"
            )
        }),
        &[Expected::Count(100_000), DEADLINE],
    ),
    plan(
        "insert_data_braces_100k",
        Made(|| format!("INSERT DATA {}", nested("{", "", "}", 100_000))),
        &[TOO_COMPLEX],
    ),
    plan(
        "insert_data_collections_100k",
        Made(|| format!("INSERT DATA {{ <d:s> <d:q> {} }}", nested("(", "1", ")", 100_000))),
        &[TOO_COMPLEX],
    ),
    plan(
        "insert_data_blank_nodes_100k",
        Made(|| {
            format!(
                "INSERT DATA {{ <d:s> <d:q> {} }}",
                nested("[<d:q>", "1", "]", 100_000)
            )
        }),
        &[TOO_COMPLEX],
    ),
    plan(
        "insert_data_triple_terms_10k",
        Made(|| {
            format!(
                "INSERT DATA {{ <d:s> <d:q> {} }}",
                nested("<<(<d:s> <d:q> ", "1", ")>>", 10_000)
            )
        }),
        &[TOO_COMPLEX],
    ),
    plan(
        "insert_data_triple_terms_at_the_limit",
        Made(|| {
            format!(
                "INSERT DATA {{ <d:s> <d:q> {} }}",
                nested("<<(<d:s> <d:q> ", "1", ")>>", 49)
            )
        }),
        &[Expected::Count(1)],
    ),
    plan(
        "template_30k",
        Made(|| {
            format!(
                "INSERT {{ {} }} WHERE {{ ?s <d:p> ?o }}",
                numbered(30_000, |n| format!("?s <d:q{n}> ?o."))
            )
        }),
        ENDLESS,
    ),
    plan(
        "concat_doubling_in_an_insert",
        Made(|| {
            format!(
                "INSERT {{ <d:s> <d:q> ?v40 }} WHERE {{ BIND('aaaa' AS ?v0) {} }}",
                numbered(40, |n| format!("BIND(CONCAT(?v{n},?v{n}) AS ?v{})", n + 1))
            )
        }),
        &[Expected::Count(0), DEADLINE, MEMORY, GRAPH_FULL, TOO_COMPLEX],
    ),
    plan(
        "doubling_over_operations",
        Made(|| {
            "INSERT DATA { <d:s> <d:q> 'aaaaaaaa' };".to_owned() + &"DELETE { <d:s> <d:q> ?x } INSERT { <d:s> <d:q> ?y } WHERE { <d:s> <d:q> ?x BIND(CONCAT(?x,?x) AS ?y) };".repeat(40)
        }),
        &[Expected::Count(1), DEADLINE, MEMORY, GRAPH_FULL, TOO_COMPLEX],
    ),
    plan(
        "growing_over_operations",
        Made(|| "INSERT { ?s <d:q> ?y } WHERE { ?s ?p ?x BIND(CONCAT('x', STR(?x)) AS ?y) };".repeat(200)),
        ENDLESS,
    ),
    plan(
        "load_link_local",
        Is("LOAD <http://169.254.169.254/latest/meta-data/>"),
        &[UNSUPPORTED],
    ),
    plan(
        "load_silent",
        Is("LOAD SILENT <http://169.254.169.254/> INTO GRAPH <d:g>"),
        &[UNSUPPORTED],
    ),
    plan(
        "load_file",
        Is("CLEAR ALL; LOAD <file:///etc/passwd>"),
        &[UNSUPPORTED],
    ),
    plan(
        "service_in_an_update",
        Is("INSERT { ?s ?p ?o } WHERE { SERVICE <http://169.254.169.254/> { ?s ?p ?o } }"),
        &[UNSUPPORTED],
    ),
    plan(
        "update_braces_100k",
        Made(|| format!("INSERT {{}} WHERE {}", nested("{", "", "}", 100_000))),
        &[TOO_COMPLEX],
    ),
    plan(
        "query_as_update",
        Is("SELECT * { ?a ?b ?c . ?d ?e ?f }"),
        &[WRONG_FORM],
    ),
    plan("update_of_nulls", Made(|| "\0".repeat(100_000)), &[SYNTAX]),
    plan(
        "update_invalid_utf_8",
        Bytes(|| b"INSERT DATA { <d:s> <d:q> '\xff' }".to_vec()),
        &[MALFORMED, INVALID],
    ),
];
