//! RDF documents.

use super::{chains::numbered, nesting::nested};
use crate::case::{
    Case, DOCUMENT, Expected, GRAPH_FULL, Kind, TERM, Text,
    Text::{Bytes, Is, Made},
    case,
};

const REFUSED: &[Expected] = &[DOCUMENT];
const FULL: &[Expected] = &[GRAPH_FULL];
const DEEP: usize = 100_000;
const RDF: &str = r#"<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:e="d:">"#;

const fn document(name: &'static str, format: &'static str, text: Text) -> Case {
    case(name, Kind::Import(format), text, REFUSED)
}

pub(crate) const CASES: &[Case] = &[
    document(
        "jsonld_arrays_100k",
        "jsonld",
        Made(|| format!(r#"{{"d:p":{}}}"#, nested("[", "1", "]", DEEP))),
    ),
    document(
        "jsonld_objects_100k",
        "jsonld",
        Made(|| nested(r#"{"d:p":"#, "1", "}", DEEP)),
    ),
    document("jsonld_arrays_open", "jsonld", Made(|| "[".repeat(DEEP))),
    document(
        "jsonld_context_100k",
        "jsonld",
        Made(|| format!(r#"{{"@context":{}}}"#, nested("[", "", "]", DEEP))),
    ),
    document(
        "jsonld_lists_100k",
        "jsonld",
        Made(|| format!(r#"{{"d:p":{}}}"#, nested(r#"{"@list":["#, "1", "]}", DEEP))),
    ),
    document(
        "jsonld_remote_context",
        "jsonld",
        Is(r#"{"@context":"http://169.254.169.254/","@id":"d:s","d:p":1}"#),
    ),
    document(
        "jsonld_remote_import",
        "jsonld",
        Is(r#"{"@context":{"@version":1.1,"@import":"file:///etc/passwd"},"@id":"d:s","d:p":1}"#),
    ),
    document(
        "jsonld_cyclic_terms",
        "jsonld",
        Is(r#"{"@context":{"a":"b:x","b":"c:x","c":"a:x"},"@id":"d:s","a":1}"#),
    ),
    document(
        "jsonld_terms_of_terms_100k",
        "jsonld",
        Made(|| {
            format!(
                r#"{{"@context":{{{}"t":"d:x"}},"t0":1}}"#,
                numbered(100_000, |n| format!(r#""t{n}":"t{}:x","#, n + 1))
            )
        }),
    ),
    document(
        "jsonld_terms_of_terms_escaped",
        "jsonld",
        Made(|| {
            format!(
                r#"{{"@\u0063ontext":{{{}"t":"d:x"}},"t0":1}}"#,
                numbered(100_000, |n| format!(r#""t{n}":"t{}:x","#, n + 1))
            )
        }),
    ),
    document(
        "jsonld_contexts_34k",
        "jsonld",
        Made(|| {
            let terms = numbered(4_999, |n| format!(r#""t{n}":"d:{n}","#));
            let inner = r#"{"@context":{}},"#.repeat(34_000);
            format!(r#"{{"@context":{{{terms}"t":"d:x"}},"d:p":[{inner}1]}}"#)
        }),
    ),
    document(
        "jsonld_contexts_of_terms_90k",
        "jsonld",
        Made(|| {
            let terms = numbered(2_000, |n| format!(r#""t{n}":"d:{n}","#));
            let uses = r#"{"t":1},"#.repeat(90_000);
            format!(r#"{{"d:p":[{uses}1],"@context":{{{terms}"t":{{"@id":"d:x","@context":{{}}}}}}}}"#)
        }),
    ),
    document(
        "jsonld_null_contexts_100k",
        "jsonld",
        Made(|| {
            let terms = numbered(4_900, |n| format!(r#""t{n}":"d:{n}","#));
            let nulls = "null,".repeat(100_000);
            format!(
                r#"{{"@context":{{"@protected":true,{terms}"t":"d:x"}},"d:p":{{"@context":[{nulls}null]}}}}"#
            )
        }),
    ),
    case(
        "jsonld_objects_that_are_kept",
        Kind::Import("jsonld"),
        Made(|| {
            let values = numbered(150_000, |n| format!(r#"{{"@id":"d:{n}"}},"#));
            nested(r#"{"d:p":["#, &format!("{values}1"), "]}", 95)
        }),
        REFUSED,
    ),
    case(
        "jsonld_object_of_20_mb",
        Kind::Import("jsonld"),
        Made(|| {
            let values = numbered(1_000_000, |n| format!(r#"{{"@id":"d:{n}"}},"#));
            format!(r#"{{"d:p":[{values}1]}}"#)
        }),
        FULL,
    ),
    document("jsonld_truncated", "jsonld", Is(r#"{"@id":"d:s","d:p":[1,"#)),
    document("jelly_text", "jelly", Is("<d:s> <d:p> <d:o> .")),
    document("jelly_truncated", "jelly", Is("\u{7f}\n")),
    document("jelly_empty_rows_1m", "jelly", Made(|| "\n\0".repeat(1_000_000))),
    document(
        "xml_doctype",
        "rdf",
        Is(r#"<!DOCTYPE rdf:RDF SYSTEM "http://169.254.169.254/x.dtd"><rdf:RDF/>"#),
    ),
    document(
        "xml_external_entity",
        "rdf",
        Is(r#"<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r>&x;</r>"#),
    ),
    document(
        "xml_billion_laughs",
        "rdf",
        Made(|| {
            format!(
                "<!DOCTYPE r [<!ENTITY e0 'ha'>{}]><r>&e30;</r>",
                numbered(30, |n| format!("<!ENTITY e{} '&e{n};&e{n};'>", n + 1))
            )
        }),
    ),
    document(
        "xml_doctype_after_an_empty_tag",
        "rdf",
        Is("<r xmlns='d:'><><!DOCTYPE r [<!ENTITY a \"b\">]>"),
    ),
    document(
        "xml_doctype_after_half_a_comment",
        "rdf",
        Is("<!---><a \" --><!DOCTYPE r [<!ENTITY a \"b\">]><r/>"),
    ),
    document(
        "xml_unknown_entity",
        "rdf",
        Made(|| format!("{RDF}<e:A e:p='&laughs;'/></rdf:RDF>")),
    ),
    document(
        "xml_elements_100k",
        "rdf",
        Made(|| format!("{RDF}{}", nested("<e:A><e:p>", "", "</e:p></e:A>", DEEP))),
    ),
    document(
        "xml_attributes_80k",
        "rdf",
        Made(|| {
            format!(
                "{RDF}<e:A {}/></rdf:RDF>",
                numbered(80_000, |n| format!("e:p{n}='' "))
            )
        }),
    ),
    document(
        "xml_attributes_unquoted",
        "rdf",
        Made(|| format!("{RDF}<e:A {}/></rdf:RDF>", "e:p=1 ".repeat(80_000))),
    ),
    document(
        "xml_utf_16",
        "rdf",
        Bytes(|| {
            "\u{feff}<!DOCTYPE r><r/>"
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect()
        }),
    ),
    document(
        "xml_doctype_after_a_comment",
        "rdf",
        Is("<!-- > --><?x y?><!doctype r [<!ENTITY a 'b'>]><r/>"),
    ),
    document(
        "turtle_squares_100k",
        "ttl",
        Made(|| format!("<d:s> <d:p> {}.", nested("[<d:p> ", "1", "]", DEEP))),
    ),
    document(
        "turtle_collections_100k",
        "ttl",
        Made(|| format!("<d:s> <d:p> {}.", nested("(", "1", ")", DEEP))),
    ),
    document(
        "turtle_triple_terms_100k",
        "ttl",
        Made(|| format!("<d:s> <d:p> {}.", nested("<<(<d:s> <d:p> ", "1", ")>>", DEEP))),
    ),
    document(
        "turtle_reified_100k",
        "ttl",
        Made(|| format!("{}.", nested("<<", "<d:s> <d:p> 1", ">> <d:p> 1", DEEP))),
    ),
    document(
        "turtle_annotations_100k",
        "ttl",
        Made(|| format!("<d:s> <d:p> 1 {}.", nested("{| <d:p> 1 ", "", "|}", DEEP))),
    ),
    document(
        "turtle_open",
        "ttl",
        Made(|| "<d:s> <d:p> ".to_owned() + &"[(".repeat(DEEP)),
    ),
    document("trig_braces_100k", "trig", Made(|| nested("{", "", "}", DEEP))),
    document(
        "triples_terms_100k",
        "nt",
        Made(|| format!("<d:s> <d:p> {}.", nested("<<(<d:s> <d:p> ", "<d:o>", ")>>", DEEP))),
    ),
    document(
        "quads_terms_100k",
        "nq",
        Made(|| format!("<d:s> <d:p> {}.", nested("<<(<d:s> <d:p> ", "<d:o>", ")>>", DEEP))),
    ),
    document(
        "turtle_invalid_utf_8",
        "ttl",
        Bytes(|| b"<d:s> <d:p> '\xff' .".to_vec()),
    ),
    document("turtle_nulls", "ttl", Made(|| "\0".repeat(1_000_000))),
    case(
        "turtle_relative_iri",
        Kind::Import("ttl"),
        Is("<../../etc/passwd> <d:p> 1 ."),
        // Over HTTP it is relative to the graph's own IRI.
        &[DOCUMENT, Expected::Untold],
    ),
    document(
        "turtle_quotes",
        "ttl",
        Made(|| "<d:s> <d:p> '''".to_owned() + &"''x".repeat(300_000)),
    ),
    case(
        "turtle_prefixes_100k",
        Kind::Import("ttl"),
        Made(|| numbered(100_000, |n| format!("@prefix p{n}: <d:{n}> .\n"))),
        &[Expected::Count(0)],
    ),
    case(
        "turtle_iri_20_mb",
        Kind::Import("ttl"),
        Made(|| format!("<d:{}> <d:p> 1 .", "x".repeat(20 << 20))),
        &[DOCUMENT, TERM, GRAPH_FULL],
    ),
    case(
        "turtle_literal_20_mb",
        Kind::Import("ttl"),
        Made(|| format!("<d:s> <d:p> '{}' .", "x".repeat(20 << 20))),
        &[DOCUMENT, TERM, GRAPH_FULL],
    ),
    case(
        "n_triples_literal_20_mb",
        Kind::Import("nt"),
        Made(|| format!("<d:s> <d:p> \"{}\" .", "x".repeat(20 << 20))),
        &[TERM],
    ),
    case(
        "turtle_number_1_mb",
        Kind::Import("ttl"),
        Made(|| format!("<d:s> <d:p> {} .", "9".repeat(1 << 20))),
        &[DOCUMENT, Expected::Count(1)],
    ),
    case(
        "jsonld_number_1_mb",
        Kind::Import("jsonld"),
        Made(|| format!(r#"{{"@id":"d:s","d:p":{}}}"#, "9".repeat(1 << 20))),
        &[DOCUMENT, Expected::Count(1)],
    ),
    case(
        "jsonld_exponent",
        Kind::Import("jsonld"),
        Is(r#"{"@id":"d:s","d:p":1e999999999}"#),
        &[DOCUMENT, Expected::Count(1)],
    ),
    case(
        "gzip_bomb",
        Kind::Gzip("nt"),
        Made(|| format!("#{}\n", "x".repeat(1_022)).repeat(300 << 10)),
        FULL,
    ),
    case(
        "gzip_bomb_of_one_literal",
        Kind::Gzip("nt"),
        Made(|| format!("<d:s> <d:p> \"{}\" .", "x".repeat(1 << 28))),
        &[GRAPH_FULL, DOCUMENT, TERM],
    ),
    case(
        "gzip_of_braces",
        Kind::Gzip("trig"),
        Made(|| "{".repeat(1 << 24)),
        REFUSED,
    ),
];
