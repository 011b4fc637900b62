//! Expressions whose values grow, and expressions that take long over one value.

use super::{chains::numbered, nesting::nested};
use crate::case::{
    BOUNDED, Case, DEADLINE, ENDLESS, EVALUATION, Expected, LIMIT, MEMORY, REFUSED, TOO_COMPLEX,
    Text::{Is, Made},
    query,
};

/// A value that nobody needs, and that has no end: at best it is never made.
const GROWS: &[Expected] = &[Expected::Answer, DEADLINE, MEMORY, LIMIT, TOO_COMPLEX];

pub(crate) const CASES: &[Case] = &[
    query(
        "concat_doubling_40_binds",
        Made(|| doubling(40, |v| format!("CONCAT({v},{v})"))),
        GROWS,
    ),
    query(
        "concat_tenfold_12_binds",
        Made(|| doubling(12, |v| format!("CONCAT({v},{v},{v},{v},{v},{v},{v},{v},{v},{v})"))),
        GROWS,
    ),
    query("concat_nested_to_the_20", Made(|| concat_nested(20)), GROWS),
    query(
        "concat_of_texts",
        Is(
            "SELECT (CONCAT(?a,?b,?c,?d) AS ?x) { ?1 <d:text> ?a . ?2 <d:text> ?b . ?3 <d:text> ?c . ?4 <d:text> ?d }",
        ),
        GROWS,
    ),
    query(
        "replace_doubling_40_binds",
        Made(|| doubling(40, |v| format!("REPLACE({v},'a','aa')"))),
        GROWS,
    ),
    query(
        "replace_nested_8",
        Made(|| {
            format!(
                "SELECT (STRLEN({}) AS ?n) {{}}",
                nested("REPLACE(", "'aaaaaaaaaaaaaaaa'", ",'a','aaaaaaaaaaaaaaaa')", 8)
            )
        }),
        GROWS,
    ),
    query(
        "replace_between_characters",
        Made(|| {
            format!(
                "SELECT (STRLEN({}) AS ?n) {{ ?s <d:text> ?t }}",
                nested("REPLACE(", "?t", ",'',?t)", 4)
            )
        }),
        GROWS,
    ),
    query(
        "encode_for_uri_growing",
        Made(|| doubling(40, |v| format!("ENCODE_FOR_URI(CONCAT('%',{v},'%'))"))),
        GROWS,
    ),
    query(
        "strings_in_triple_terms",
        Made(|| doubling(400, |v| format!("TRIPLE(<d:s>,<d:p>,{v})"))),
        GROWS,
    ),
    query(
        "strings_of_triple_terms",
        Made(|| {
            doubling(30, |v| {
                format!("CONCAT(STR(OBJECT(TRIPLE(<d:s>,<d:p>,{v}))),{v})")
            })
        }),
        GROWS,
    ),
    query(
        "integers_growing",
        Made(|| doubling(400, |v| format!("COALESCE({v}*{v},9223372036854775807)"))),
        GROWS,
    ),
    query(
        "decimals_growing",
        Made(|| "SELECT (1.5".to_owned() + &"*1.5".repeat(1_900) + " AS ?x) {}"),
        GROWS,
    ),
    query(
        "group_concat_flood",
        Is("SELECT (GROUP_CONCAT(?c) AS ?x) { ?a ?b ?c . ?d ?e ?f }"),
        BOUNDED,
    ),
    query(
        "group_concat_of_texts",
        Is("SELECT (GROUP_CONCAT(?c; SEPARATOR='----------------') AS ?x) { ?a <d:text> ?c . ?d ?e ?f }"),
        BOUNDED,
    ),
    query(
        "group_concat_distinct",
        Is("SELECT (GROUP_CONCAT(DISTINCT CONCAT(STR(?a), STR(?d))) AS ?x) { ?a ?b ?c . ?d ?e ?f }"),
        BOUNDED,
    ),
    query(
        "group_concat_groups",
        Is("SELECT ?a (GROUP_CONCAT(?f) AS ?x) { ?a ?b ?c . ?d <d:text> ?f } GROUP BY ?a"),
        BOUNDED,
    ),
    query(
        "sample_of_texts",
        Is(
            "SELECT ?a ?d (SAMPLE(CONCAT(?f, STR(?c))) AS ?x) { ?a ?b ?c . ?d <d:text> ?f } GROUP BY ?a ?c ?d",
        ),
        BOUNDED,
    ),
    query(
        "order_by_texts",
        Is("SELECT ?x { ?a ?b ?c . ?d <d:text> ?f BIND(CONCAT(?f, STR(?c)) AS ?x) } ORDER BY ?x"),
        BOUNDED,
    ),
    query(
        "distinct_texts",
        Is("SELECT DISTINCT ?x { ?a ?b ?c . ?d <d:text> ?f BIND(CONCAT(?f, STR(?c)) AS ?x) }"),
        BOUNDED,
    ),
    query(
        "regex_nested_quantifiers",
        Is("SELECT * { ?s <d:text> ?t FILTER REGEX(?t, '^((a+)+)+$') }"),
        BOUNDED,
    ),
    query(
        "regex_nested_quantifiers_product",
        Is("SELECT * { ?a ?b ?c . ?s <d:text> ?t FILTER REGEX(?t, '(a*)*(a*)*b') }"),
        BOUNDED,
    ),
    query(
        "regex_alternatives",
        Is("SELECT * { ?s <d:text> ?t FILTER REGEX(?t, '^(a|a|aa|aaa)*$') }"),
        BOUNDED,
    ),
    query(
        "regex_counted",
        Is("ASK { FILTER REGEX('aaa', '(((a{1,1000}){1,1000}){1,1000}){1,1000}') }"),
        BOUNDED,
    ),
    query(
        "regex_counted_once",
        Is("SELECT * { ?s <d:text> ?t FILTER REGEX(?t, '(a{1,5000}){2}b') }"),
        BOUNDED,
    ),
    query(
        "regex_unicode_classes",
        Is("ASK { FILTER REGEX('aaa', '(\\\\p{L}{1,200}\\\\p{N}{1,200}){1,200}') }"),
        BOUNDED,
    ),
    query(
        "regex_nested_100k",
        Made(|| {
            format!(
                "ASK {{ FILTER REGEX('a', '{}') }}",
                nested("(", "a", ")", 100_000)
            )
        }),
        BOUNDED,
    ),
    query(
        "regex_alternatives_300k",
        Made(|| format!("ASK {{ FILTER REGEX('b', '{}b') }}", "a|".repeat(300_000))),
        BOUNDED,
    ),
    query(
        "regex_of_the_data",
        Is("SELECT * { ?a <d:text> ?t . ?b <d:text> ?u FILTER REGEX(?t, ?u) }"),
        BOUNDED,
    ),
    query(
        "regex_made_for_each_row",
        Is(
            "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f FILTER REGEX(STR(?a), CONCAT('(', STR(?f), ')*$')) }",
        ),
        BOUNDED,
    ),
    query(
        "replace_backreferences",
        Is(
            "SELECT (STRLEN(REPLACE(?t, '(a)', '$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1')) AS ?n) { ?s <d:text> ?t }",
        ),
        BOUNDED,
    ),
    query(
        "replace_many_references",
        Made(|| {
            let references = "$0".repeat(200_000);
            format!(
                "SELECT (STRLEN(REPLACE('{}', '^.*$', '{references}')) AS ?n) {{}}",
                "a".repeat(400_000)
            )
        }),
        REFUSED,
    ),
    query(
        "replace_many_empty_references",
        Made(|| {
            let references = "$1".repeat(200_000);
            format!(
                "SELECT (STRLEN(REPLACE('{}', '(b?)a', '{references}')) AS ?n) {{}}",
                "a".repeat(400_000)
            )
        }),
        ENDLESS,
    ),
    query(
        "rows_of_4_mib",
        Made(|| {
            let (text, replacement) = ("a".repeat(400), "b".repeat(10_000));
            format!(
                "SELECT ?x {{ {{ SELECT (REPLACE('{text}', 'a', '{replacement}') AS ?x) {{}} }} ?s ?p ?o }}"
            )
        }),
        &[LIMIT, DEADLINE],
    ),
    query(
        "contains_product",
        Is(
            "SELECT (COUNT(*) AS ?n) { ?s <d:text> ?t . ?r <d:text> ?u . ?a ?b ?c FILTER CONTAINS(?t, CONCAT(?u, STR(?c))) }",
        ),
        BOUNDED,
    ),
    query(
        "hash_of_texts",
        Is("SELECT (SHA512(CONCAT(?t, STR(?c))) AS ?h) { ?s <d:text> ?t . ?a ?b ?c }"),
        BOUNDED,
    ),
    query(
        "substrings",
        Is("SELECT (SUBSTR(?t, ?n) AS ?x) { ?s <d:text> ?t . ?a <http://example.org/p/population> ?n }"),
        BOUNDED,
    ),
    query(
        "casts_of_texts",
        Is(
            "SELECT (COUNT(<http://www.w3.org/2001/XMLSchema#double>(?t)) AS ?n) { ?s <d:text> ?t . ?a ?b ?c }",
        ),
        BOUNDED,
    ),
    query(
        "iris_of_texts",
        Is("SELECT (IRI(CONCAT('d:', ?t)) AS ?x) { ?s <d:text> ?t . ?a ?b ?c }"),
        BOUNDED,
    ),
    query(
        "comparisons_of_texts",
        Is("SELECT (COUNT(*) AS ?n) { ?s <d:text> ?t . ?r <d:text> ?u . ?a ?b ?c FILTER(?t < ?u) }"),
        BOUNDED,
    ),
    query(
        "unknown_functions",
        Made(|| {
            format!(
                "SELECT * {{ FILTER({}) }}",
                numbered(1_000, |n| format!("<d:f{n}>(1)||")) + "1"
            )
        }),
        &[EVALUATION, Expected::Answer, DEADLINE],
    ),
    query(
        "divisions_by_zero",
        Is("SELECT (COUNT(1/0) AS ?n) { ?a ?b ?c . ?d ?e ?f }"),
        BOUNDED,
    ),
    query(
        "integer_overflows",
        Is("SELECT (SUM(9223372036854775807) AS ?n) { ?a ?b ?c . ?d <d:text> ?f }"),
        BOUNDED,
    ),
    query(
        "dates_overflowing",
        Is(
            "SELECT (?x + 'P999999999999999Y'^^<http://www.w3.org/2001/XMLSchema#duration> AS ?y) { ?s <http://example.org/p/foundedOn> ?x }",
        ),
        BOUNDED,
    ),
];

/// A value that each of so many BINDs makes of the one before.
fn doubling(count: usize, grown: impl Fn(&str) -> String) -> String {
    let binds = numbered(count, |n| {
        format!("BIND({} AS ?v{}) ", grown(&format!("?v{n}")), n + 1)
    });
    format!("SELECT (STRLEN(STR(?v{count})) AS ?n) {{ BIND('aaaaaaaaaaaaaaaa' AS ?v0) {binds} }}")
}

/// CONCAT of ten times the CONCAT of ten times ...
fn concat_nested(depth: usize) -> String {
    let inner = "REPLACE('aaaaaaaaaa','a','aaaaaaaaaa')";
    let ten = "'a',".repeat(2);
    format!(
        "SELECT (STRLEN({}) AS ?n) {{ ?s <d:text> ?t }}",
        nested(
            &format!("CONCAT({ten}?t,?t,?t,?t,?t,?t,?t,?t,"),
            inner,
            ")",
            depth
        )
    )
}
