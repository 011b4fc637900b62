//! What is small and does not end: products, floods, paths; and what reaches out.

use super::chains::numbered;
use crate::case::{
    ANSWERED, BOUNDED, Case, ENDLESS, Expected, Kind,
    Text::{Is, Made},
    UNSUPPORTED, WRONG_FORM, case, query,
};

const fn endless(name: &'static str, text: &'static str) -> Case {
    query(name, Is(text), ENDLESS)
}

const fn bounded(name: &'static str, text: &'static str) -> Case {
    query(name, Is(text), BOUNDED)
}

pub(crate) const CASES: &[Case] = &[
    endless(
        "count_product",
        "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }",
    ),
    endless(
        "order_product",
        "SELECT * { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i } ORDER BY ?f ?a",
    ),
    endless(
        "order_product_limit",
        "SELECT * { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i } ORDER BY ?f ?a LIMIT 1",
    ),
    endless(
        "order_product_by_expressions",
        "SELECT * { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i } ORDER BY STR(?f) RAND() DESC(?a)",
    ),
    endless(
        "distinct_product",
        "SELECT DISTINCT ?a ?d ?g { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }",
    ),
    endless(
        "distinct_count_product",
        "SELECT (COUNT(*) AS ?n) { SELECT DISTINCT * { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i } }",
    ),
    endless(
        "reduced_product",
        "SELECT (COUNT(*) AS ?n) { SELECT REDUCED ?a { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i } }",
    ),
    endless(
        "group_product",
        "SELECT ?a ?d ?g (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i } GROUP BY ?a ?d ?g",
    ),
    endless(
        "group_product_by_uuid",
        "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f } GROUP BY (UUID() AS ?u)",
    ),
    endless(
        "having_product",
        "SELECT ?a { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i } GROUP BY ?a HAVING (COUNT(DISTINCT ?f) > 1000000)",
    ),
    endless(
        "count_distinct_product",
        "SELECT (COUNT(DISTINCT *) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }",
    ),
    endless(
        "count_distinct_strings",
        "SELECT (COUNT(DISTINCT CONCAT(STR(?c), STR(?f))) AS ?n) { ?a ?b ?c . ?d ?e ?f }",
    ),
    endless(
        "min_max_product",
        "SELECT (MIN(?c) AS ?x) (MAX(?f) AS ?y) (SUM(?c) AS ?z) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }",
    ),
    bounded(
        "filter_product",
        "SELECT * { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i FILTER(?a = 1 && ?f = 2) }",
    ),
    endless(
        "groups_product",
        "SELECT * { { ?a ?b ?c } { ?d ?e ?f } { ?g ?h ?i } FILTER(?c = ?f + ?i) }",
    ),
    bounded(
        "ask_product",
        "ASK { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i FILTER(STRLEN(STR(?a)) < 0) }",
    ),
    endless(
        "union_product",
        "SELECT (COUNT(*) AS ?n) { {?a ?b ?c} UNION {?a ?c ?b} {?d ?e ?f} UNION {?f ?e ?d} ?g ?h ?i }",
    ),
    endless(
        "minus_product",
        "SELECT * { ?a ?b ?c . ?d ?e ?f MINUS { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i } }",
    ),
    endless(
        "minus_products_disjoint",
        "SELECT (COUNT(*) AS ?n) { ?a ?b ?c MINUS { ?d ?e ?f . ?g ?h ?i } ?x ?y ?z . ?u ?v ?w }",
    ),
    endless(
        "not_exists_product",
        "SELECT * { ?a ?b ?c FILTER NOT EXISTS { ?d ?e ?f . ?g ?h ?i FILTER(?d = ?g && ?f = ?i && ?h = ?a) } }",
    ),
    bounded(
        "exists_product",
        "SELECT * { ?a ?b ?c FILTER EXISTS { ?d ?e ?f . ?g ?h ?i . FILTER(?d = 1) } }",
    ),
    endless(
        "optional_product",
        "SELECT (COUNT(*) AS ?n) { ?a ?b ?c OPTIONAL { ?d ?e ?f OPTIONAL { ?g ?h ?i } } }",
    ),
    bounded(
        "optional_filtered_product",
        "SELECT * { ?a ?b ?c OPTIONAL { ?d ?e ?f FILTER(?c = ?f && ?a = ?e) } FILTER(!BOUND(?d) && ?c = 0) }",
    ),
    endless(
        "offset_10_to_the_12",
        "SELECT * { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i } LIMIT 1 OFFSET 1000000000000",
    ),
    endless(
        "offset_of_a_sort",
        "SELECT * { ?a ?b ?c . ?d ?e ?f } ORDER BY ?c ?f LIMIT 1 OFFSET 1000000000",
    ),
    bounded(
        "offset_past_the_end",
        "SELECT * { ?a <d:text> ?c } LIMIT 1 OFFSET 1000000000000",
    ),
    query(
        "limit_of_u64",
        Is("SELECT * { ?a <d:text> ?c } LIMIT 18446744073709551615 OFFSET 18446744073709551615"),
        BOUNDED,
    ),
    query(
        "limit_0_of_a_product",
        Is("SELECT * { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i } LIMIT 0"),
        &[Expected::Count(0)],
    ),
    bounded("top_1", "SELECT * { ?a ?b ?c } ORDER BY DESC(?c) LIMIT 1"),
    endless(
        "subselect_products",
        "SELECT * { { SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f } } { SELECT (COUNT(*) AS ?m) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i } } }",
    ),
    endless("result_flood", "SELECT * { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }"),
    case(
        "result_flood_stalled",
        Kind::Stalled,
        Is("SELECT * { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }"),
        ENDLESS,
    ),
    case(
        "construct_flood_stalled",
        Kind::Stalled,
        Is("CONSTRUCT { ?a ?b ?f } { ?a ?b ?c . ?d ?e ?f }"),
        ENDLESS,
    ),
    case(
        "text_flood_stalled",
        Kind::Stalled,
        Is("SELECT ?c ?f { ?a <d:text> ?c . ?d <d:text> ?f . ?g ?h ?i . ?j ?k ?l }"),
        ENDLESS,
    ),
    endless(
        "text_flood",
        "SELECT ?c ?f { ?a <d:text> ?c . ?d <d:text> ?f . ?g ?h ?i . ?j ?k ?l }",
    ),
    endless(
        "construct_product",
        "CONSTRUCT { ?a ?b ?f . ?d ?b ?c } { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }",
    ),
    endless(
        "construct_blank_nodes",
        "CONSTRUCT { [] ?b [ ?e ?f ] } { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }",
    ),
    endless(
        "describe_product",
        "DESCRIBE ?a ?d { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }",
    ),
    bounded("describe_all", "DESCRIBE * { ?a ?b ?c }"),
    query(
        "values_product_10k",
        Made(|| values(10_000, "SELECT (COUNT(*) AS ?n)", "}")),
        BOUNDED,
    ),
    query(
        "values_product_10k_rows",
        Made(|| values(10_000, "SELECT *", "}")),
        ENDLESS,
    ),
    query(
        "values_product_10k_filter",
        Made(|| values(10_000, "SELECT *", "FILTER(?x + ?y < 0) }")),
        BOUNDED,
    ),
    query(
        "values_product_10k_order",
        Made(|| values(10_000, "SELECT *", "} ORDER BY (?x + ?y)")),
        BOUNDED,
    ),
    query(
        "values_product_10k_distinct",
        Made(|| values(10_000, "SELECT DISTINCT (?x + ?y AS ?z)", "}")),
        BOUNDED,
    ),
    query(
        "values_undef_product",
        Made(|| {
            format!(
                "SELECT (COUNT(*) AS ?n) {{ VALUES (?x ?y) {{ {0} }} {{ VALUES (?x ?y) {{ {0} }} }} }}",
                "(UNDEF UNDEF)".repeat(10_000)
            )
        }),
        BOUNDED,
    ),
    endless(
        "path_dense_any",
        "SELECT (COUNT(*) AS ?n) { ?a (<d:p>|^<d:p>)* ?b . ?c (<d:p>|^<d:p>)* ?d . ?e ?f ?g }",
    ),
    bounded("path_dense", "SELECT (COUNT(*) AS ?n) { ?a (<d:p>|^<d:p>)* ?b }"),
    bounded("path_dense_rows", "SELECT * { ?a (<d:p>|^<d:p>)+ ?b }"),
    bounded(
        "path_stars_nested",
        "SELECT (COUNT(*) AS ?n) { ?a ((<d:p>*/<d:p>*)*|^(<d:p>+)*)* ?b }",
    ),
    bounded(
        "path_negated",
        "SELECT (COUNT(*) AS ?n) { ?a (!<d:x>|!^<d:x>)* ?b }",
    ),
    endless(
        "path_sequence_dense",
        "SELECT (COUNT(*) AS ?n) { ?a <d:p>/<d:p>/<d:p>/<d:p>/<d:p>/<d:p> ?b }",
    ),
    bounded(
        "path_sequence_star",
        "SELECT (COUNT(*) AS ?n) { ?a (<d:p>/<d:p>/<d:p>)* ?b }",
    ),
    bounded(
        "path_optional_chain",
        "SELECT (COUNT(*) AS ?n) { <d:0> <d:p>?/<d:p>?/<d:p>?/<d:p>? ?b }",
    ),
    query(
        "path_alternatives_of_a_hub",
        Made(|| {
            format!(
                "SELECT (COUNT(*) AS ?n) {{ ?a ({})? ?b }}",
                vec!["<d:p>|^<d:p>"; 500].join("|")
            )
        }),
        BOUNDED,
    ),
    query(
        "path_between_constants",
        Is("ASK { <d:0> (<d:p>|!<d:p>)* <d:nowhere> }"),
        BOUNDED,
    ),
    endless(
        "clique",
        "SELECT (COUNT(*) AS ?n) { ?a <d:p> ?b . ?b <d:p> ?c . ?c <d:p> ?d . ?d <d:p> ?a . ?a <d:p> ?c . ?b <d:p> ?d }",
    ),
    query("clique_of_12", Made(|| clique(12)), BOUNDED),
    endless(
        "triple_terms_product",
        "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f BIND(TRIPLE(?a, ?b, TRIPLE(?d, ?e, ?f)) AS ?t) ?g ?h ?i }",
    ),
    bounded(
        "triple_terms_wild",
        "SELECT * { ?r ?p <<( ?a ?b <<( ?c ?d ?e )>> )>> . ?x ?y ?z }",
    ),
    bounded(
        "graphs_product",
        "SELECT (COUNT(*) AS ?n) { GRAPH ?g { ?a ?b ?c } GRAPH ?h { ?d ?e ?f } ?i ?j ?k }",
    ),
    endless(
        "lateral_binds",
        "SELECT * { ?a ?b ?c BIND(STR(?a) AS ?x) ?d ?e ?f BIND(STR(?d) AS ?y) ?g ?h ?i FILTER(?x = ?y && ?a != ?d) }",
    ),
    refused(
        "service_link_local",
        "SELECT * { SERVICE <http://169.254.169.254/latest/meta-data/> { ?s ?p ?o } }",
    ),
    refused(
        "service_silent",
        "SELECT * { SERVICE SILENT <http://[::ffff:169.254.169.254]/> { ?s ?p ?o } }",
    ),
    refused(
        "service_loopback",
        "SELECT * { SERVICE <http://127.0.0.1:1/> { ?s ?p ?o } }",
    ),
    refused(
        "service_file",
        "SELECT * { SERVICE <file:///etc/passwd> { ?s ?p ?o } }",
    ),
    refused(
        "service_variable",
        "SELECT * { ?s ?p ?x . SERVICE ?x { ?a ?b ?c } }",
    ),
    refused(
        "service_in_exists",
        "ASK { ?s ?p ?o FILTER EXISTS { SERVICE <http://169.254.169.254/> {} } }",
    ),
    query(
        "from_link_local",
        Is("SELECT * FROM <http://169.254.169.254/> { ?s ?p ?o }"),
        &[Expected::Count(0), UNSUPPORTED],
    ),
    query("update_as_query", Is("DELETE WHERE { ?s ?p ?o }"), &[WRONG_FORM]),
    query(
        "load_as_query",
        Is("LOAD <http://169.254.169.254/>"),
        &[WRONG_FORM, UNSUPPORTED],
    ),
    query("point_query", Is("SELECT * { <d:0> <d:p> <d:1> }"), ANSWERED),
];

const fn refused(name: &'static str, text: &'static str) -> Case {
    query(name, Is(text), &[UNSUPPORTED])
}

/// Two lists of `count` numbers, every one of the first with every one of the second.
fn values(count: usize, select: &str, end: &str) -> String {
    let numbers = numbered(count, |n| format!("{n} "));
    format!("{select} {{ VALUES ?x {{ {numbers} }} VALUES ?y {{ {numbers} }} {end}")
}

/// Nodes that all have edges to each other.
fn clique(size: usize) -> String {
    let edges = numbered(size, |from| {
        numbered(size, |to| {
            if from < to {
                format!("?v{from} <d:p> ?v{to} . ")
            } else {
                String::new()
            }
        })
    });
    format!("SELECT (COUNT(*) AS ?n) {{ {edges} }}")
}
