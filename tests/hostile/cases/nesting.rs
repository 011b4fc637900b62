//! What a recursive parser, planner or evaluator would follow until its stack ends.

use crate::case::{
    ANSWERED, BOUNDED, Case, REFUSED,
    Text::{Is, Made},
    query,
};

/// Levels far past any limit.
const DEEP: usize = 100_000;

pub(crate) const CASES: &[Case] = &[
    query(
        "braces_100k",
        Made(|| pattern(&nested("{", "", "}", DEEP))),
        REFUSED,
    ),
    query(
        "braces_100k_open",
        Made(|| "SELECT * ".to_owned() + &"{".repeat(DEEP)),
        REFUSED,
    ),
    query(
        "parentheses_100k",
        Made(|| filter(&nested("(", "1", ")", DEEP))),
        REFUSED,
    ),
    query(
        "parentheses_100k_open",
        Made(|| "ASK { FILTER".to_owned() + &"(".repeat(DEEP)),
        REFUSED,
    ),
    query(
        "squares_100k",
        Made(|| pattern(&nested("[<d:p> ", "1", "]", DEEP))),
        REFUSED,
    ),
    query(
        "squares_100k_open",
        Made(|| "ASK { ?s ?p ".to_owned() + &"[".repeat(DEEP)),
        REFUSED,
    ),
    query(
        "reified_100k",
        Made(|| pattern(&nested("<<", "?s ?p ?o", ">> ?p ?o", DEEP))),
        REFUSED,
    ),
    query(
        "triple_terms_100k",
        Made(|| pattern(&nested("?s ?p <<(", "?s ?p ?o", ")>>", DEEP))),
        REFUSED,
    ),
    query(
        "annotations_100k",
        Made(|| pattern(&nested("?s ?p ?o {|", "", "|}", DEEP))),
        REFUSED,
    ),
    query(
        "brackets_mixed_100k",
        Made(|| "ASK ".to_owned() + &"{(<<[<<({|".repeat(DEEP / 8)),
        REFUSED,
    ),
    query(
        "collections_800",
        Made(|| pattern(&format!("?s ?p {}", nested("(", "1", ")", 800)))),
        REFUSED,
    ),
    query(
        "blank_nodes_600",
        Made(|| pattern(&nested("[<d:p> ", "1", "]", 600))),
        REFUSED,
    ),
    query(
        "subselects_400",
        Made(|| nested("SELECT * {", "", "}", 400).replace("{S", "{ S")),
        REFUSED,
    ),
    query(
        "exists_400",
        Made(|| pattern(&nested("FILTER EXISTS {", "?s ?p ?o ", "}", 400))),
        REFUSED,
    ),
    query(
        "if_500",
        Made(|| filter(&nested("IF(1, ", "1", ", 2)", 500))),
        REFUSED,
    ),
    query(
        "coalesce_5k",
        Made(|| filter(&nested("COALESCE(", "1", ")", 5_000))),
        REFUSED,
    ),
    query(
        "functions_5k",
        Made(|| filter(&nested("STR(", "1", ")", 5_000))),
        REFUSED,
    ),
    query(
        "optionals_400",
        Made(|| pattern(&nested("?s ?p ?o OPTIONAL {", "", "}", 400))),
        REFUSED,
    ),
    query(
        "graphs_400",
        Made(|| pattern(&nested("GRAPH ?g {", "?s ?p ?o", "}", 400))),
        REFUSED,
    ),
    query(
        "minuses_400",
        Made(|| pattern(&nested("?s ?p ?o MINUS {", "?s ?p ?o", "}", 400))),
        REFUSED,
    ),
    query(
        "paths_5k",
        Made(|| pattern(&format!("?s {} ?o", nested("(", "<d:p>", ")*", 5_000)))),
        REFUSED,
    ),
    query(
        "negations_64",
        Made(|| filter(&nested("!(", "1", ")", 64))),
        REFUSED,
    ),
    query(
        "negated_functions_64",
        Made(|| filter(&nested("!<d:f>(", "1", ")", 64))),
        REFUSED,
    ),
    query(
        "negated_exists_64",
        Made(|| filter(&nested("!EXISTS{FILTER(", "1", ")}", 64))),
        REFUSED,
    ),
    query(
        "replaces_64",
        Made(|| filter(&nested("REPLACE(", "'a'", ",'b','c')", 64))),
        REFUSED,
    ),
    query(
        "regexes_64",
        Made(|| filter(&nested("REGEX(", "'a'", ",'b')", 64))),
        REFUSED,
    ),
    query(
        "substrings_64",
        Made(|| filter(&nested("SUBSTR(", "'a'", ",1)", 64))),
        REFUSED,
    ),
    query(
        "hidden_in_a_comparison",
        Made(|| "ASK { FILTER(1".to_owned() + &"<((1>".repeat(20_000)),
        REFUSED,
    ),
    // As deep as it may be: the stacks must hold it.
    query(
        "braces_at_the_limit",
        Made(|| pattern(&nested("{", "", "}", 99))),
        ANSWERED,
    ),
    query(
        "parentheses_at_the_limit",
        Made(|| filter(&nested("(", "1", ")", 98))),
        ANSWERED,
    ),
    query(
        "blank_nodes_at_the_limit",
        Made(|| pattern(&format!("?s ?p {}", nested("[<d:p> ", "1", "]", 99)))),
        BOUNDED,
    ),
    query(
        "collections_at_the_limit",
        Made(|| pattern(&format!("?s ?p {}", nested("(", "1", ")", 40)))),
        BOUNDED,
    ),
    query(
        "subselects_at_the_limit",
        Made(|| nested("SELECT * { ", "?s <d:p> <d:1>", " }", 99)),
        ANSWERED,
    ),
    query(
        "exists_at_the_limit",
        Made(|| {
            pattern(&format!(
                "<d:0> <d:p> ?o {}",
                nested("FILTER EXISTS { ?s <d:p> ?o ", "", "}", 49)
            ))
        }),
        BOUNDED,
    ),
    query(
        "not_exists_at_the_limit",
        Made(|| {
            pattern(&format!(
                "<d:0> <d:p> ?o {}",
                nested("FILTER NOT EXISTS { ?o <d:p> ?s ", "", "}", 49)
            ))
        }),
        BOUNDED,
    ),
    query(
        "optionals_at_the_limit",
        Made(|| pattern(&nested("OPTIONAL { <d:0> <d:p> ?o ", "", "}", 98))),
        BOUNDED,
    ),
    query(
        "if_at_the_limit",
        Made(|| filter(&nested("IF(1, ", "1", ", 2)", 98))),
        ANSWERED,
    ),
    query(
        "paths_at_the_limit",
        Made(|| pattern(&format!("<d:0> {} ?o", nested("(", "<d:p>", ")*", 98)))),
        BOUNDED,
    ),
    query(
        "negations_at_the_limit",
        Made(|| filter(&nested("!(", "1", ")", 8))),
        ANSWERED,
    ),
    query(
        "triple_terms_at_the_limit",
        Made(|| pattern(&format!("?s ?p {}", nested("<<( ?s ?p ", "?o", " )>>", 49)))),
        BOUNDED,
    ),
    query(
        "not_a_bracket",
        Is("SELECT * { VALUES ?x { '{{{{' \"((((\" '''[[[[''' } } # <<<<"),
        ANSWERED,
    ),
];

/// `depth` times `open`, then `inner`, then as often `close`.
pub(super) fn nested(open: &str, inner: &str, close: &str, depth: usize) -> String {
    open.repeat(depth) + inner + &close.repeat(depth)
}

pub(super) fn pattern(inner: &str) -> String {
    format!("SELECT * {{ {inner} }}")
}

pub(super) fn filter(inner: &str) -> String {
    format!("ASK {{ FILTER({inner}) }}")
}
