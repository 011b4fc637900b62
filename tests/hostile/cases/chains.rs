//! What is flat and long, and deep once it is parsed; and what is just large.

use std::fmt::Write as _;

use super::nesting::{filter, pattern};
use crate::case::{
    ANSWERED, BOUNDED, Case, DEADLINE, Expected, INVALID, MALFORMED, MEMORY, REFUSED, SYNTAX, TOO_COMPLEX,
    TOO_LARGE,
    Text::{Bytes, Made},
    query,
};

/// Links of a chain, far past any limit.
const LONG: usize = 100_000;

pub(crate) const CASES: &[Case] = &[
    query("or_100k", Made(|| filter(&("1||".repeat(LONG) + "1"))), REFUSED),
    query("and_100k", Made(|| filter(&("1&&".repeat(LONG) + "1"))), REFUSED),
    query("plus_100k", Made(|| filter(&("1+".repeat(LONG) + "1"))), REFUSED),
    query(
        "minus_100k",
        Made(|| filter(&("1 - ".repeat(LONG) + "1"))),
        REFUSED,
    ),
    query("times_100k", Made(|| filter(&("1*".repeat(LONG) + "1"))), REFUSED),
    query("not_100k", Made(|| filter(&("!".repeat(LONG) + "1"))), REFUSED),
    query(
        "signs_100k",
        Made(|| filter(&("- ".repeat(LONG) + "?x"))),
        REFUSED,
    ),
    query(
        "path_sequence_10k",
        Made(|| pattern(&format!("?s {}<d:p> ?o", "<d:p>/".repeat(10_000)))),
        REFUSED,
    ),
    query(
        "path_alternatives_10k",
        Made(|| pattern(&format!("?s {}<d:p> ?o", "<d:p>|".repeat(10_000)))),
        REFUSED,
    ),
    query(
        "path_negated_set_10k",
        Made(|| pattern(&format!("?s !({}<d:p>) ?o", "<d:q>|".repeat(10_000)))),
        REFUSED,
    ),
    query(
        "union_10k",
        Made(|| pattern(&("{} UNION ".repeat(10_000) + "{}"))),
        REFUSED,
    ),
    query(
        "optional_10k",
        Made(|| pattern(&"OPTIONAL {?s ?p ?o}".repeat(10_000))),
        REFUSED,
    ),
    query(
        "minus_clauses_10k",
        Made(|| pattern(&"MINUS {?s ?p ?o}".repeat(10_000))),
        REFUSED,
    ),
    query(
        "filter_10k",
        Made(|| pattern(&"FILTER(1)".repeat(10_000))),
        REFUSED,
    ),
    query(
        "bind_10k",
        Made(|| pattern(&numbered(10_000, |n| format!("BIND(1 AS ?v{n})")))),
        REFUSED,
    ),
    query(
        "values_clauses_10k",
        Made(|| pattern(&"VALUES ?x {1}".repeat(10_000))),
        REFUSED,
    ),
    query(
        "triple_patterns_400",
        Made(|| pattern(&numbered(400, |n| format!("?v{n} ?p{n} ?v{}.", n + 1)))),
        REFUSED,
    ),
    query(
        "semicolons_100k",
        Made(|| pattern(&format!("?s ?p ?o {}", ";".repeat(LONG)))),
        REFUSED,
    ),
    query(
        "commas_100k",
        Made(|| pattern(&format!("?s ?p ?o{}", ",?o".repeat(LONG)))),
        REFUSED,
    ),
    query("stops_100k", Made(|| pattern(&"?s ?p ?o.".repeat(LONG))), REFUSED),
    query(
        "exists_10k",
        Made(|| filter(&("EXISTS{}||".repeat(10_000) + "1"))),
        REFUSED,
    ),
    // As long as it may be: the stacks must hold it, and planning must end.
    query(
        "or_at_the_limit",
        Made(|| filter(&("0||".repeat(2_000) + "1"))),
        ANSWERED,
    ),
    query(
        "plus_at_the_limit",
        Made(|| filter(&("1 + ".repeat(2_000) + "1"))),
        ANSWERED,
    ),
    query(
        "not_at_the_limit",
        Made(|| filter(&("!".repeat(2_000) + "1"))),
        ANSWERED,
    ),
    query(
        "union_at_the_limit",
        Made(|| pattern(&("{} UNION ".repeat(499) + "{}"))),
        &[Expected::Count(500)],
    ),
    query(
        "union_of_patterns_at_the_limit",
        Made(|| pattern(&("{?s <d:p> ?o} UNION ".repeat(149) + "{}"))),
        BOUNDED,
    ),
    query(
        "optional_at_the_limit",
        Made(|| pattern(&"OPTIONAL {<d:0> ?p ?o}".repeat(499))),
        BOUNDED,
    ),
    query(
        "minus_clauses_at_the_limit",
        Made(|| pattern(&format!("?s ?p ?o {}", "MINUS {?s <d:p> ?o}".repeat(499)))),
        BOUNDED,
    ),
    query(
        "path_sequence_at_the_limit",
        Made(|| pattern(&format!("<d:0> {}<d:p> ?o", "<d:p>/".repeat(150)))),
        BOUNDED,
    ),
    query(
        "path_alternatives_at_the_limit",
        Made(|| pattern(&format!("?s {}<d:p> ?o", "<d:p>|".repeat(2_000)))),
        BOUNDED,
    ),
    query(
        "triple_patterns_at_the_limit",
        Made(|| pattern(&numbered(150, |n| format!("?v{n} <d:p> ?v{}.", n + 1)))),
        BOUNDED,
    ),
    query(
        "star_patterns_at_the_limit",
        Made(|| pattern(&numbered(150, |n| format!("?s ?p{n} ?o{n}.")))),
        BOUNDED,
    ),
    query(
        "bind_at_the_limit",
        Made(|| pattern(&numbered(499, |n| format!("BIND(1 AS ?v{n})")))),
        ANSWERED,
    ),
    query(
        "values_clauses_at_the_limit",
        Made(|| pattern(&numbered(499, |n| format!("VALUES ?v{n} {{1 2}}")))),
        BOUNDED,
    ),
    // Large.
    query(
        "variables_10k",
        Made(|| {
            format!(
                "SELECT {} {{?v0 <d:p> <d:1>}}",
                numbered(10_000, |n| format!("?v{n} "))
            )
        }),
        BOUNDED,
    ),
    query(
        "group_by_10k",
        Made(|| {
            format!(
                "SELECT (COUNT(*) AS ?n) {{?v0 ?p ?o}} GROUP BY {}",
                numbered(10_000, |n| format!("?v{n} "))
            )
        }),
        BOUNDED,
    ),
    query(
        "order_by_10k",
        Made(|| {
            format!(
                "SELECT ?s {{?s ?p ?o}} ORDER BY {}",
                numbered(10_000, |n| format!("?v{n} "))
            )
        }),
        BOUNDED,
    ),
    query(
        "aggregates_5k",
        Made(|| {
            format!(
                "SELECT {} {{?s ?p ?o}}",
                numbered(5_000, |n| format!("(COUNT(?s) AS ?v{n})"))
            )
        }),
        BOUNDED,
    ),
    query(
        "having_5k",
        Made(|| {
            format!(
                "SELECT ?s {{?s ?p ?o}} GROUP BY ?s HAVING {}",
                "(COUNT(?p)>0)".repeat(5_000)
            )
        }),
        BOUNDED,
    ),
    query(
        "prefixes_20k",
        Made(|| numbered(20_000, |n| format!("PREFIX p{n}:<d:{n}> ")) + "ASK {}"),
        BOUNDED,
    ),
    query(
        "from_20k",
        Made(|| "SELECT * ".to_owned() + &numbered(20_000, |n| format!("FROM <d:{n}>")) + "{?s ?p ?o}"),
        BOUNDED,
    ),
    query(
        "from_named_10k",
        Made(|| {
            "SELECT * ".to_owned()
                + &numbered(10_000, |n| format!("FROM NAMED <d:{n}>"))
                + "{GRAPH ?g {?s ?p ?o}}"
        }),
        BOUNDED,
    ),
    query(
        "in_list_100k",
        Made(|| pattern(&format!("?s ?p ?o FILTER(?o IN ({}0))", "1,".repeat(LONG)))),
        BOUNDED,
    ),
    query(
        "in_list_100k_of_edges",
        Made(|| pattern(&format!("?s <d:p> ?o FILTER(?o IN ({}0))", "1,".repeat(LONG)))),
        BOUNDED,
    ),
    query(
        "order_by_10k_edges",
        Made(|| {
            format!(
                "SELECT ?s {{?s <d:p> ?o}} ORDER BY {}",
                numbered(10_000, |n| format!("?v{n} "))
            )
        }),
        BOUNDED,
    ),
    query(
        "concat_of_100k",
        Made(|| filter(&format!("STRLEN(CONCAT({}'b')) > 0", "'a',".repeat(LONG)))),
        BOUNDED,
    ),
    query(
        "template_10k",
        Made(|| {
            format!(
                "CONSTRUCT {{{}}} {{?s <d:p> ?o}}",
                "?s ?s ?o.".repeat(10_000).replace("?s ?s", "?s <d:q>")
            )
        }),
        BOUNDED,
    ),
    query(
        "describe_10k",
        Made(|| "DESCRIBE ".to_owned() + &numbered(10_000, |n| format!("<d:{n}>"))),
        BOUNDED,
    ),
    query(
        "values_400k_rows",
        Made(|| pattern(&format!("VALUES ?x {{{}}}", "1 ".repeat(400_000)))),
        BOUNDED,
    ),
    query(
        "values_1m_rows",
        Made(|| pattern(&format!("VALUES ?x {{{}}}", "1 ".repeat(1_000_000)))),
        REFUSED,
    ),
    query(
        "text_of_20_mb",
        Made(|| format!("ASK {{}} #{}", "x".repeat(20 << 20))),
        &[TOO_LARGE],
    ),
    query(
        "comment_1_mb",
        Made(|| format!("ASK {{}} #{}", "x".repeat(1_000_000))),
        ANSWERED,
    ),
    query("spaces_1_mb", Made(|| " ".repeat(1_000_000) + "ASK {}"), ANSWERED),
    query(
        "iri_1_mb",
        Made(|| pattern(&format!("?s <d:{}> ?o", "x".repeat(1_000_000)))),
        REFUSED,
    ),
    query(
        "prefixed_name_1_mb",
        Made(|| {
            format!(
                "PREFIX d:<d:> {}",
                pattern(&format!("?s d:{} ?o", "x".repeat(1_000_000)))
            )
        }),
        BOUNDED,
    ),
    query(
        "number_1_mb",
        Made(|| format!("SELECT (1{} AS ?n) {{}}", "0".repeat(1_000_000))),
        BOUNDED,
    ),
    query(
        "decimal_1_mb",
        Made(|| format!("SELECT (0.{}1+1 AS ?n) {{}}", "0".repeat(1_000_000))),
        BOUNDED,
    ),
    query(
        "exponent_500k",
        Made(|| format!("SELECT (1e{}+1 AS ?n) {{}}", "9".repeat(500_000))),
        BOUNDED,
    ),
    query(
        "variable_1_mb",
        Made(|| pattern(&format!("?{} <d:p> <d:1>", "v".repeat(1_000_000)))),
        BOUNDED,
    ),
    query(
        "literal_1_mb",
        Made(|| pattern(&format!("?s ?p '{}'", "v".repeat(1_000_000)))),
        &[Expected::Count(0)],
    ),
    query(
        "language_tag_500k",
        Made(|| pattern(&format!("?s ?p 'v'@a{}", "-a".repeat(250_000)))),
        &[SYNTAX, Expected::Count(0), TOO_COMPLEX],
    ),
    query(
        "escapes_1_mb",
        Made(|| pattern(&format!("?s ?p '{}'", "\\u0041".repeat(160_000)))),
        &[Expected::Count(0)],
    ),
    query(
        "quotes_1_mb",
        Made(|| format!("ASK {{ ?s ?p {} }}", "'".repeat(1_000_000))),
        &[SYNTAX],
    ),
    query(
        "words_1_mb",
        Made(|| "SELECT ".repeat(140_000)),
        &[SYNTAX, TOO_COMPLEX],
    ),
    query("nulls_1_mb", Made(|| "\0".repeat(1_000_000)), &[SYNTAX]),
    query(
        "null_in_a_string",
        Made(|| pattern("VALUES ?x {'\0'}")),
        &[SYNTAX, Expected::Count(1)],
    ),
    query(
        "invalid_utf_8",
        Bytes(|| b"SELECT * { ?s ?p '\xff\xfe' }".to_vec()),
        &[MALFORMED, INVALID],
    ),
    query(
        "surrogate_utf_8",
        Bytes(|| b"SELECT * { ?s ?p '\xed\xa0\x80' }".to_vec()),
        &[MALFORMED, INVALID],
    ),
    query(
        "overlong_utf_8",
        Bytes(|| b"ASK { FILTER('\xc0\xaf' = '/') }".to_vec()),
        &[MALFORMED, INVALID],
    ),
    query(
        "surrogate_escape",
        Made(|| pattern("VALUES ?x {'\\uD800'}")),
        &[SYNTAX],
    ),
    query("byte_order_marks", Made(|| "\u{feff}".repeat(300_000)), &[SYNTAX]),
    query(
        "combining_marks_1_mb",
        Made(|| pattern(&format!("?s ?p 'a{}'", "\u{301}".repeat(500_000)))),
        &[Expected::Count(0), DEADLINE, MEMORY],
    ),
];

/// The pieces for 0, 1, ... one after the other.
pub(super) fn numbered(count: usize, piece: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    for number in 0..count {
        write!(text, "{}", piece(number)).unwrap();
    }
    text
}
