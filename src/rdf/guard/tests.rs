use super::super::{
    Compression, ImportError, Memory, STACK_BYTES,
    tests::{check, check_fault, import},
};
use oxigraph::io::JsonLdProfileSet;

use super::{
    json::{COPIED_BYTES_MAX, KEPT_BYTES_MIN, TOKEN_BYTES},
    *,
};

fn fault(name: &str, text: &str) -> String {
    match import(name, text.as_bytes(), Compression::None) {
        Err(ImportError::Document(error)) => error.message,
        other => panic!("{text}: {other:?}"),
    }
}

/// The pieces for 0, 1, ... one after the other.
fn numbered(count: usize, piece: impl Fn(usize) -> String) -> String {
    (0..count).map(piece).collect()
}

#[test]
fn no_markup_hides_a_document_type() {
    let root = r#"<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="d:">"#;
    // Where the parser's mark-up ends, the scan's must end too.
    for (markup, expected) in [
        ("<>", "document type"),
        ("<\">\">", "document type"),
        ("<'>'>", "document type"),
        ("</>", "document type"),
        ("<?>", "document type"),
        ("<!---><a \" -->", "document type"),
        ("<!----><a b='>'>", "document type"),
        ("<![CDATA[]]>", "document type"),
        ("<![CDATA[]]]]><a/>", "document type"),
        ("<!-x-->", "comment"),
    ] {
        let text = format!("{root}{markup}<!DOCTYPE r [<!ENTITY a \"b\">]>\"'>-->");
        let message = fault("rdf", &text);
        assert!(message.contains(expected), "{markup}: {message}");
    }
}

#[test]
fn the_limits_of_xml_hold_at_and_one_past() {
    let root = r#"<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:e="d:""#;
    let attributes = |count: usize| {
        let more = numbered(count, |number| format!(" e:p{number}=''"));
        format!("{root}><r:Description{more} r:about='d:s'/></r:RDF>")
    };
    check("rdf", &attributes(255), 255);
    let past = attributes(256);
    let place = past.find("='d:s'").unwrap() as u64 + 1;
    check_fault("rdf", &past, "256 attributes", Some((1, place)));
    // Two levels a resource, below the root.
    let elements = |count: usize, inner: &str| {
        let (open, close) = ("<e:A><e:p>".repeat(count), "</e:p></e:A>".repeat(count));
        format!("{root}>{open}{inner}{close}</r:RDF>")
    };
    check("rdf", &elements(99, "<e:A/>"), 199);
    check("rdf", &elements(99, "<e:A></e:A>"), 199);
    let message = fault("rdf", &elements(99, "<e:A><e:p></e:p></e:A>"));
    assert!(message.contains("nested deeper"), "{message}");
    let unknown = format!("{root}><e:A><e:p>&laughs;</e:p></e:A></r:RDF>");
    assert!(fault("rdf", &unknown).contains("laughs"));
}

#[test]
fn the_nesting_of_every_syntax_is_bounded() {
    // What is opened is not closed, so the parser fails at the end of it where the scan does not before.
    let check_depth = |name: &str, open: &str, depth: usize| {
        let at = fault(name, &open.repeat(depth));
        assert!(!at.contains("nested deeper"), "{name} {open}: {at}");
    };
    let check_past = |name: &str, open: &str, depth: usize| {
        let past = fault(name, &open.repeat(depth));
        assert!(past.contains("nested deeper"), "{name} {open}: {past}");
    };
    for (name, open, depth) in [
        ("ttl", "<d:s> <d:p> [", 200),
        ("trig", "<d:s> <d:p> [", 200),
        ("jsonld", "[", 200),
        ("jsonld", r#"{"":"#, 200),
        ("jsonld", r#"{"\"[[":["#, 100),
        ("jsonld", r#"{"@context":["#, 100),
    ] {
        check_depth(name, open, depth);
        check_past(name, open, depth + 1);
    }
    // The scan is a buffer ahead of the parser, which finds fault with these sooner or later.
    for name in ["ttl", "trig"] {
        for open in ["[", "(", "<<", "<<(", "{", "{|", "''[", "\"\"[", "["] {
            check_past(name, open, 201);
        }
    }
    for name in ["nt", "nq"] {
        check_past(name, "<<( <d:s> <d:p> ", 101);
    }
}

#[test]
fn terms_of_a_context_do_not_follow_each_other_without_end() {
    let document = |key: &str, count: usize| {
        let terms = numbered(count - 1, |number| format!(r#""t{number}":"t{}:x","#, number + 1));
        format!(
            r#"{{"{key}" : [{{{terms}"t{}":"d:x"}}],"@id":"d:s","t0":1}}"#,
            count - 1
        )
    };
    let import_on_a_thread = move |key: &'static str, count| {
        let thread = std::thread::Builder::new()
            .stack_size(STACK_BYTES / 2)
            .spawn(move || {
                let document = document(key, count);
                import("jsonld", document.as_bytes(), Compression::None).map(|batch| batch.quad_count())
            });
        thread.unwrap().join().unwrap()
    };
    // Half of the stack holds it.
    assert_eq!(import_on_a_thread("@context", 5_000).unwrap(), 1);
    for key in ["@context", "@\\u0063ontext", "\\u0040context"] {
        let error = import_on_a_thread(key, 5_001).unwrap_err();
        assert!(error.to_string().contains("5000 keys"), "{key}: {error}");
    }
    // Keys of data do not count, wherever they stand.
    let keys = numbered(6_000, |number| format!(r#""d:{number}":1,"#));
    let data = format!(r#"{{"@context":{{}},"x":"@context",{keys}"@id":"d:s"}}"#);
    check("jsonld", &data, 6_000);
}

#[test]
fn copies_of_contexts_are_bounded() {
    // One large context, and as many in it as are taken; the last one makes it exact.
    let bytes = 16_384;
    let count = COPIED_BYTES_MAX / (bytes + 2) - 2;
    let left = COPIED_BYTES_MAX - bytes - count * (bytes + 2) - bytes;
    let repeated = |text: &str, count: u64| text.repeat(usize::try_from(count).unwrap());
    let padded = |text: &str, bytes: u64| {
        format!(
            "{text}{}}}",
            " ".repeat(usize::try_from(bytes).unwrap() - text.len() - 1)
        )
    };
    let inner = repeated(r#"{"@context":{}},"#, count);
    let outer = padded(r#"{"t":"d:x""#, bytes);
    let document = |left| {
        let last = padded("{", left);
        format!(r#"{{"@context":{outer},"d:p":[{inner}{{"@context":{last},"t":1}}]}}"#)
    };
    scan(&document(left)).unwrap();
    assert!(
        scan(&document(left + 1))
            .unwrap_err()
            .contains("bytes are copied")
    );
    // A context may come after what it is for.
    let late = |left| {
        let last = padded("{", left);
        format!(r#"{{"d:p":[{inner}{{"@context":{last},"t":1}}],"@context":{outer}}}"#)
    };
    scan(&late(left)).unwrap();
    assert!(scan(&late(left + 1)).unwrap_err().contains("bytes are copied"));
}

#[test]
fn uses_of_terms_with_contexts_are_bounded() {
    let context = |more: &str| {
        let terms = numbered(2_000, |number| format!(r#""t{number}":"d:{number}","#));
        format!(r#"{{{terms}"t":{{"@id":"d:x"{more}}}}}"#)
    };
    let uses = r#"{"t":1},"#.repeat(20_000);
    let refused = |document: &str| scan(document).is_err_and(|message| message.contains("bytes are copied"));
    let documents = |context: &str| {
        [
            format!(r#"{{"@context":{context},"d:p":[{uses}1]}}"#),
            format!(r#"{{"d:p":[{uses}1],"@context":{context}}}"#),
        ]
    };
    for document in documents(&context("")) {
        scan(&document).unwrap();
    }
    for more in [r#","@context":{}"#, r#", "@\u0063ontext" : null"#] {
        for document in documents(&context(more)) {
            assert!(refused(&document), "{more}");
        }
    }
    // Contexts that stand side by side are not copied for each other.
    let apart = format!(
        "[{}1]",
        r#"{"@context":{"t":{"@id":"d:x","@context":{}}},"t":{"t":1}},"#.repeat(50_000)
    );
    scan(&apart).unwrap();
    let nulls = "null,".repeat(1_000);
    let context = context("");
    assert!(refused(&format!(
        r#"{{"@context":{context},"d:p":{{"@context":[{nulls}null]}}}}"#
    )));
}

#[test]
fn objects_that_are_kept_are_of_the_graphs_memory() {
    let name = RdfFormat::JsonLd {
        profile: JsonLdProfileSet::empty(),
    };
    let needs = |text: &str, bytes_max: u64| {
        let share = Share::new(&Memory::new(bytes_max));
        let mut guarded = Guarded::new(text.as_bytes(), name, share, 0);
        io::copy(&mut guarded, &mut io::sink()).is_err()
    };
    // In one object: a key of 4 bytes and a colon, an array with a number and one of 2 digits after a comma, its end.
    let flat = r#"{"a":[1,23]"#;
    let flat_bytes = 10 + 5 * TOKEN_BYTES;
    assert!(!needs(flat, flat_bytes));
    assert!(needs(flat, flat_bytes - 1));
    // In two objects it is kept twice, and the outer one has a key, a colon and a bracket more.
    let nested = format!(r#"{{"b":{flat}"#);
    let nested_bytes = 2 * flat_bytes + 5 + 2 * TOKEN_BYTES;
    assert!(!needs(&nested, nested_bytes));
    assert!(needs(&nested, nested_bytes - 1));
    // What is whole is let go.
    let apart = format!("[{}1]", r#"{"d:p":[1,2]},"#.repeat(10_000));
    assert!(!needs(&apart, 1_000 + 1_000 * TOKEN_BYTES));
}

#[test]
fn large_documents_are_not_deep_throughout() {
    // Past 24 times their size, in bytes: what opens 100 objects and an array, and a number and a comma in them.
    let (opened, number) = (434_600, (100 - 24) * (2 + TOKEN_BYTES));
    let count = (KEPT_BYTES_MIN - opened) / number;
    let document = |count: u64| r#"{"":"#.repeat(100) + "[" + &"1,".repeat(usize::try_from(count).unwrap());
    scan(&document(count)).unwrap();
    assert!(scan(&document(count + 1)).unwrap_err().contains("24 levels"));
    let shallow = r#"{"":"#.repeat(20) + "[" + &"1,".repeat(200_000);
    scan(&shallow).unwrap();
}

/// Has the guard alone read a document.
fn scan(text: &str) -> Result<(), String> {
    let share = Share::new(&Memory::new(u64::MAX));
    let mut guarded = Guarded::new(
        text.as_bytes(),
        RdfFormat::JsonLd {
            profile: JsonLdProfileSet::empty(),
        },
        share,
        0,
    );
    io::copy(&mut guarded, &mut io::sink())
        .map(|_| ())
        .map_err(|error| error.to_string())
}
