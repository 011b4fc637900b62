use std::io::Write as _;

use super::*;

const BYTES_MAX: u64 = 1 << 20;
/// Of `import`.
const IMPORT_BYTES_MAX: u64 = 8 << 20;

fn read(
    document: &Document,
    bytes: impl Read,
    memory: &Memory,
    graph_bytes: u64,
    progress: impl FnMut(u64) -> bool,
) -> Result<Batch, ImportError> {
    super::read(document, bytes, memory, graph_bytes, progress).map(|parsed| parsed.batch)
}

pub(super) fn import(name: &str, text: &[u8], compression: Compression) -> Result<Batch, ImportError> {
    let document = Document {
        format: Format::named(name).unwrap(),
        compression,
        base_iri: None,
        default_graph: None,
        is_one_graph: false,
    };
    read(&document, text, &Memory::new(IMPORT_BYTES_MAX), 0, |_| true)
}

pub(super) fn check(name: &str, text: &str, expected: u64) {
    let batch = import(name, text.as_bytes(), Compression::None);
    assert_eq!(batch.unwrap().quad_count(), expected, "{text}");
}

pub(super) fn check_fault(name: &str, text: &str, expected: &str, place: Option<(u64, u64)>) {
    let Err(ImportError::Document(error)) = import(name, text.as_bytes(), Compression::None) else {
        panic!("{text} was taken");
    };
    assert!(error.message.contains(expected), "{error}");
    assert_eq!(
        error.place.map(|place| (place.line, place.column)),
        place,
        "{error}"
    );
}

const NT: &str = "<http://e.com/s> <http://e.com/p> \"o\" .\n";

#[test]
fn every_format_is_read() {
    check("nt", NT, 1);
    check(
        "application/n-quads",
        "<http://e.com/s> <http://e.com/p> _:b <http://e.com/g> .",
        1,
    );
    check("ttl", "@prefix e: <http://e.com/> . e:s e:p [ e:q ( 1 2 ) ] .", 6);
    check(
        "text/turtle",
        "<http://e.com/s> <http://e.com/p> <<( <http://e.com/s> <http://e.com/p> 1 )>> .",
        1,
    );
    check(
        ".trig",
        "<http://e.com/g> { <http://e.com/s> <http://e.com/p> 1, 2 }",
        2,
    );
    check(
        "jsonld",
        r#"{"@id": "http://e.com/s", "http://e.com/p": [1, "b"]}"#,
        2,
    );
    let xml = r#"<?xml version="1.0"?><!-- <!DOCTYPE x> --><rdf:RDF
        xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:e="http://e.com/"><rdf:Description
        rdf:about="http://e.com/s" e:p="o"><e:q><![CDATA[<!DOCTYPE]]></e:q></rdf:Description></rdf:RDF>"#;
    check("rdf", xml, 2);
    assert_eq!(Format::named("n3"), None);
    assert_eq!(
        Format::named("application/n-triples; charset=utf-8"),
        Format::named("nt")
    );
    assert_eq!(Format::named("docx"), None);
}

#[test]
fn faults_are_placed() {
    check_fault(
        "nt",
        &format!("{NT}{NT}<http://e.com/s> oops .\n"),
        "",
        Some((3, 18)),
    );
    check_fault("ttl", "<relative> <http://e.com/p> 1 .", "IRI", Some((1, 1)));
}

#[test]
fn nesting_is_bounded() {
    let turtle = |depth: usize| {
        format!(
            "<http://e.com/s> <http://e.com/p> {}{} .",
            "[<http://e.com/p> ".repeat(depth),
            "1".to_owned() + &"]".repeat(depth)
        )
    };
    check("ttl", &turtle(200), 201);
    check_fault("ttl", &turtle(201), "nested deeper", Some((1, 35 + 200 * 18)));
    let json = |depth: usize| {
        format!(
            r#"{{"@id": "http://e.com/s", "http://e.com/p": {}1{}}}"#,
            "[".repeat(depth),
            "]".repeat(depth)
        )
    };
    check("jsonld", &json(100), 1);
    check_fault("jsonld", &json(200), "nested deeper", Some((1, 45 + 199)));
    let term = |depth: usize| {
        let open = "<<( <http://e.com/s> <http://e.com/p> ".repeat(depth);
        format!(
            "<http://e.com/s> <http://e.com/p> {open}1{} .",
            " )>>".repeat(depth)
        )
    };
    // A triple term has two brackets.
    check("ttl", &term(100), 1);
    check_fault("ttl", &term(101), "nested deeper", Some((1, 35 + 100 * 38 + 1)));
}

#[test]
fn text_is_no_nesting() {
    let brackets = "[({<<".repeat(300);
    check(
        "ttl",
        &format!("<http://e.com/s> <http://e.com/p> \"{brackets}\" . # {brackets}\n"),
        1,
    );
    check(
        "ttl",
        &format!("<http://e.com/s> <http://e.com/p> '''a'b''\\'{brackets}''', \"\", '{brackets}' ."),
        3,
    );
    check(
        "ttl",
        &format!("<http://e.com/s> <http://e.com/p> \"\\\"{brackets}\" ."),
        1,
    );
    check(
        "jsonld",
        &format!(r#"{{"@id": "http://e.com/s", "http://e.com/p": "\"{brackets}"}}"#),
        1,
    );
}

#[test]
fn dangerous_xml_is_refused() {
    let doctype = "<?xml version=\"1.0\"?>\n<!DOCTYPE rdf [<!ENTITY a \"b\">]><rdf/>";
    check_fault("rdf", doctype, "document type", Some((2, 3)));
    let attributes = " a='='".repeat(257);
    check_fault(
        "rdf",
        &format!("<rdf{attributes}/>"),
        "256 attributes",
        Some((1, attributes.len() as u64 + 1)),
    );
    // Without its `<` and the byte after that, a tag of 2 MiB; two may be open.
    let half = 2 << 20;
    let tag = |begin: &str, bytes: usize| {
        let begin = format!("{begin}=\"http://e.com/");
        format!("{begin}{}\">", "x".repeat(bytes - begin.len()))
    };
    let outer = "<rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\" xmlns:a";
    let opened = |bytes| [tag(outer, half), tag("<rdf:Description xmlns:b", bytes)].concat();
    check("rdf", &(opened(half) + "</rdf:Description></rdf:RDF>"), 0);
    let too_long = opened(half + 1);
    let end = too_long.len() as u64;
    check_fault("rdf", &too_long, "more than 4 MiB", Some((1, end)));
    check_fault("rdf", &"<a>".repeat(201), "nested deeper", Some((1, 603)));
    check_fault("rdf", "\0<\0a", "UTF-8", Some((1, 1)));
}

#[test]
fn blank_nodes_get_fresh_labels() {
    let text = "_:a <http://e.com/p> _:b .";
    let apply = |batch: &Batch| {
        let mut draft = crate::graph::Draft::new(crate::graph::Snapshot::default());
        draft.apply(batch);
        let snapshot = draft.snapshot().clone();
        let pattern = crate::graph::Pattern::all(crate::graph::GraphPattern::Default);
        let quad = snapshot.quads(pattern).next().unwrap();
        snapshot.quad(quad).to_string()
    };
    let first = import("nt", text.as_bytes(), Compression::None).unwrap();
    let second = import("nt", text.as_bytes(), Compression::None).unwrap();
    assert_ne!(apply(&first), apply(&second));
    assert!(!apply(&first).contains("_:a "));
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn compressed_documents_are_read_whole() {
    let members = [gzip(NT.as_bytes()), gzip(NT.as_bytes())].concat();
    assert_eq!(import("nt", &members, Compression::Gzip).unwrap().quad_count(), 2);
    let frame = zstd::encode_all(NT.as_bytes(), 1).unwrap();
    let frames = [frame.clone(), frame].concat();
    assert_eq!(import("nt", &frames, Compression::Zstd).unwrap().quad_count(), 2);
    let truncated = &members[..members.len() - 4];
    assert!(matches!(
        import("nt", truncated, Compression::Gzip),
        Err(ImportError::Document(_))
    ));
    assert!(matches!(
        import("nt", b"no gzip", Compression::Gzip),
        Err(ImportError::Document(_))
    ));
}

#[test]
fn inflation_is_bounded() {
    let at = |size: u64| "#".repeat(usize::try_from(size).unwrap()).into_bytes();
    assert_eq!(
        import("nt", &gzip(&at(IMPORT_BYTES_MAX)), Compression::Gzip)
            .unwrap()
            .quad_count(),
        0
    );
    for (bomb, compression) in [
        (gzip(&at(IMPORT_BYTES_MAX + 1)), Compression::Gzip),
        (
            zstd::encode_all(&*at(IMPORT_BYTES_MAX + 1), 1).unwrap(),
            Compression::Zstd,
        ),
    ] {
        assert!(matches!(
            import("nt", &bomb, compression),
            Err(ImportError::Full { .. })
        ));
    }
}

#[test]
fn lines_may_inflate_to_more_than_their_quads_take() {
    let line = |subject| {
        format!(
            "<http://e.com/{subject}> <http://e.com/p> \"{}\" .\n",
            "x".repeat(500)
        )
    };
    // Lines of one subject would be one block.
    let lines = [line("a"), line("b")].concat().repeat(20_000);
    assert!(lines.len() as u64 > 2 * IMPORT_BYTES_MAX);
    let read = import("nt", &gzip(lines.as_bytes()), Compression::Gzip);
    assert_eq!(read.unwrap().quad_count(), 40_000);
    // What is read of Turtle is not accounted for by its quads alone.
    let read = import("ttl", &gzip(lines.as_bytes()), Compression::Gzip);
    assert!(matches!(read, Err(ImportError::Full { .. })));
}

#[test]
fn memory_is_bounded_and_given_back() {
    use std::fmt::Write as _;
    let mut text = String::new();
    for number in 0..20_000 {
        writeln!(text, "<http://e.com/{number}> <http://e.com/p> \"{number}\" .").unwrap();
    }
    let document = Document {
        format: Format::Text(RdfFormat::NTriples),
        compression: Compression::None,
        base_iri: None,
        default_graph: None,
        is_one_graph: false,
    };
    let memory = Memory::new(BYTES_MAX);
    let full = read(&document, text.as_bytes(), &memory, 0, |_| true);
    assert!(matches!(
        full,
        Err(ImportError::Full {
            graph_memory_bytes_max: BYTES_MAX
        })
    ));
    assert_eq!(memory.taken.load(Ordering::Relaxed), 0);
    assert_eq!(
        read(&document, NT.as_bytes(), &memory, 0, |_| true)
            .unwrap()
            .quad_count(),
        1
    );
    // Memory is taken until the document is applied and dropped.
    let parsed = super::read(&document, NT.as_bytes(), &memory, 0, |_| true).unwrap();
    assert_eq!(memory.taken.load(Ordering::Relaxed), parsed.batch.memory_bytes());
    drop(parsed);
    assert_eq!(memory.taken.load(Ordering::Relaxed), 0);
    assert!(matches!(
        read(&document, NT.as_bytes(), &memory, BYTES_MAX, |_| true),
        Err(ImportError::Full { .. })
    ));
}

#[test]
fn imports_can_be_broken_off() {
    struct BreaksOff;
    impl Read for BreaksOff {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(broken_off())
        }
    }
    let document = |compression| Document {
        format: Format::Text(RdfFormat::NTriples),
        compression,
        base_iri: None,
        default_graph: None,
        is_one_graph: false,
    };
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let outcome = read(
            &document(compression),
            BreaksOff,
            &Memory::new(BYTES_MAX),
            0,
            |_| true,
        );
        assert!(
            matches!(outcome, Err(ImportError::BrokenOff)),
            "{compression:?}: {outcome:?}"
        );
    }
    let outcome = read(
        &document(Compression::None),
        NT.as_bytes(),
        &Memory::new(BYTES_MAX),
        0,
        |_| false,
    );
    assert!(matches!(outcome, Err(ImportError::BrokenOff)));
}

#[test]
fn a_document_without_quads_is_left_once_nobody_wants_it() {
    /// A comment that does not end.
    struct Endless;
    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            buffer.fill(b'#');
            Ok(buffer.len())
        }
    }
    // The parser keeps what is no end of a line; it would end at its own limit.
    let document = |format| Document {
        format,
        compression: Compression::None,
        base_iri: None,
        default_graph: None,
        is_one_graph: false,
    };
    for format in [RdfFormat::NTriples, RdfFormat::Turtle, RdfFormat::TriG] {
        let mut asked = 0;
        let outcome = read(
            &document(Format::Text(format)),
            Endless,
            &Memory::new(BYTES_MAX),
            0,
            |count| {
                assert_eq!(count, 0);
                asked += 1;
                asked < 10
            },
        );
        assert!(matches!(outcome, Err(ImportError::BrokenOff)), "{outcome:?}");
        assert_eq!(asked, 10);
    }
}

#[test]
fn a_piece_is_handed_on_while_more_of_the_document_is_waited_for() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (to_reader, chunks) = tokio::sync::mpsc::channel(8);
    let (put, pieces) = mpsc::channel();
    let document = Document {
        format: Format::named("nt").unwrap(),
        compression: Compression::None,
        base_iri: None,
        default_graph: None,
        is_one_graph: false,
    };
    let handle = runtime.handle().clone();
    let reading = std::thread::spawn(move || {
        let waker = Waker::default();
        let chunks = ChunkReader::new(chunks).woken_by(&waker, handle);
        let cut = Cut {
            salt: 1,
            from: Position::default(),
            quads_min: 1_000,
        };
        let memory = Memory::new(u64::MAX);
        let take = |piece: Piece| put.send(piece.end.quads).is_ok();
        read_pieces(&document, (chunks, &waker), (&memory, 0), cut, |_| true, take)
    });
    let mut line_count = 0;
    for _ in 0..3 {
        // More than a block, so that one can be cut.
        let mut text = String::new();
        while text.len() < 600_000 {
            line_count += 1;
            text.push_str(&NT.replacen("/s>", &format!("/{line_count}>"), 1));
        }
        let chunk = Chunk::Bytes(text.into_bytes().into());
        to_reader.blocking_send(chunk).unwrap();
        let patience = std::time::Duration::from_mins(1);
        assert!(pieces.recv_timeout(patience).unwrap() < line_count);
    }
    to_reader.blocking_send(Chunk::End).unwrap();
    reading.join().unwrap().unwrap();
    assert_eq!(pieces.iter().last(), Some(line_count));
}
