use std::{fs, path::Path};

use oxigraph::{
    io::{RdfFormat, RdfParser},
    model::{Dataset, GraphName, Literal, NamedNode, Quad, dataset::CanonicalizationAlgorithm},
};
use proptest::prelude::*;
use prost::Message as _;

use super::{
    message::{
        LogicalStreamType, PhysicalStreamType, RdfIri, RdfNameEntry, RdfStreamOptions, RdfStreamRow,
        RdfTriple, rdf_stream_row::Row, rdf_triple,
    },
    *,
};

fn read(bytes: &[u8]) -> Result<Vec<Quad>, String> {
    JellyReader::new(bytes, 7)
        .collect::<Result<_, _>>()
        .map_err(|fault| fault.to_string())
}

fn write(quads: &[Quad], is_quads: bool) -> Vec<u8> {
    let mut writer = JellyWriter::new(Vec::new(), is_quads, false);
    for quad in quads {
        writer.quad(quad.as_ref()).unwrap();
    }
    writer.finish().unwrap()
}

fn write_grouped(quads: &[Quad], is_quads: bool) -> Vec<u8> {
    let mut writer = JellyWriter::new(Vec::new(), is_quads, true);
    for quad in quads {
        writer.quad(quad.as_ref()).unwrap();
    }
    writer.finish().unwrap()
}

fn canonical(quads: impl IntoIterator<Item = Quad>) -> Dataset {
    let mut dataset: Dataset = quads.into_iter().collect();
    dataset.canonicalize(CanonicalizationAlgorithm::Unstable);
    dataset
}

fn trig(text: &str) -> Vec<Quad> {
    RdfParser::from_format(RdfFormat::TriG)
        .for_slice(text.as_bytes())
        .collect::<Result<_, _>>()
        .unwrap()
}

/// The specification's own suite. Where RDF 1.2 has no such statement, a case is refused.
#[test]
fn the_cases_of_the_specification_pass() {
    let folder = Path::new("tests/fixtures/jelly");
    let (mut count, mut failures) = (0, Vec::new());
    for (direction, document) in [("from_jelly", "in.jelly"), ("to_jelly", "out.jelly")] {
        let suites = fs::read_dir(folder.join(direction)).unwrap();
        for suite in suites
            .map(|suite| suite.unwrap().path())
            .filter(|suite| suite.is_dir())
        {
            for case in fs::read_dir(suite).unwrap() {
                let case = case.unwrap().path();
                // A case of what cannot be written under some options has no stream; we choose the options.
                if !case.join(document).exists() {
                    continue;
                }
                count += 1;
                if let Err(fault) = run_case(&case, document) {
                    failures.push(format!("{}: {fault}", case.display()));
                }
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {count} fail:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert_eq!(count, 185);
}

fn run_case(case: &Path, document: &str) -> Result<(), String> {
    let is_negative = case.file_name().unwrap().to_str().unwrap().starts_with("neg");
    let found = read(&fs::read(case.join(document)).unwrap());
    if is_negative {
        return found.map_or(Ok(()), |_| Err("it is read".to_owned()));
    }
    let mut expected = String::new();
    for file in fs::read_dir(case).unwrap() {
        let file = file.unwrap().path();
        if file
            .extension()
            .is_some_and(|extension| extension == "nq" || extension == "nt")
        {
            // Quoted triples were written without parentheses before RDF 1.2.
            let text = fs::read_to_string(file).unwrap();
            expected.push_str(&text.replace("<< ", "<<( ").replace(" >>", " )>>"));
            expected.push('\n');
        }
    }
    let expected: Result<Vec<_>, _> = RdfParser::from_format(RdfFormat::NQuads)
        .for_slice(expected.as_bytes())
        .collect();
    let Ok(expected) = expected else {
        // RDF 1.2 has no such statement.
        return match found {
            Err(fault) if fault.contains("RDF 1.2") => Ok(()),
            found => Err(format!("no RDF 1.2, and yet {found:?}")),
        };
    };
    let found = found?;
    if canonical(found.clone()) != canonical(expected) {
        return Err(format!("other quads: {found:?}"));
    }
    let again = read(&write(&found, true))?;
    if canonical(again) == canonical(found) {
        Ok(())
    } else {
        Err("written and read again it is another".to_owned())
    }
}

const TRIG: &str = r#"
    PREFIX e: <http://e.com/>
    e:s e:p e:o, "text", "1"^^<http://www.w3.org/2001/XMLSchema#int>, "نص"@ar--rtl, "a"@en, "b"@en-us--ltr, _:a .
    _:a e:p <<( e:s e:p <<( _:a e:q 1 )>> )>> . <urn:x> <urn:y> <urn:z> .
    e:g { e:s e:p e:o ; e:q <http://other.org/a#b> }
    _:g { _:a e:p _:b }
"#;

#[test]
fn what_is_written_is_read() {
    let quads = trig(TRIG);
    assert_eq!(
        canonical(read(&write(&quads, true)).unwrap()),
        canonical(quads.clone())
    );
    let triples: Vec<_> = quads
        .iter()
        .filter(|quad| quad.graph_name.is_default_graph())
        .cloned()
        .collect();
    assert_eq!(
        canonical(read(&write(&triples, false)).unwrap()),
        canonical(triples)
    );
    assert_eq!(read(&write(&[], true)).unwrap(), []);
}

#[derive(Clone, PartialEq, prost::Message)]
struct Frame {
    #[prost(message, repeated, tag = "1")]
    rows: Vec<RdfStreamRow>,
}

#[test]
fn a_frame_of_a_grouped_stream_has_one_subject() {
    let mut quads = trig(TRIG);
    // More than a frame may have, at the end.
    let subject = NamedNode::new_unchecked("http://e.com/large");
    let text = "a".repeat(1_000);
    for number in 0..1_500 {
        let object = Literal::from(format!("{number}{text}"));
        let graph = GraphName::DefaultGraph;
        quads.push(Quad::new(subject.clone(), subject.clone(), object, graph));
    }
    for (is_quads, logical_type) in [
        (true, LogicalStreamType::Datasets),
        (false, LogicalStreamType::SubjectGraphs),
    ] {
        let bytes = write_grouped(&quads, is_quads);
        let mut rest = &*bytes;
        let (mut frame_count, mut larger_count) = (0, 0);
        while !rest.is_empty() {
            let frame = Frame::decode_length_delimited(&mut rest).unwrap();
            larger_count += usize::from(frame.encoded_len() >= 1 << 20);
            frame_count += 1;
            let rows = frame.rows.into_iter().filter_map(|row| row.row);
            let mut subject_count = 0;
            for row in rows {
                match row {
                    Row::Options(options) => assert_eq!(options.logical_type(), logical_type),
                    // A subject that comes again is left out.
                    Row::Quad(quad) => subject_count += usize::from(quad.subject.is_some()),
                    Row::Triple(triple) => subject_count += usize::from(triple.subject.is_some()),
                    _ => {}
                }
            }
            assert!(subject_count <= 1, "{subject_count} subjects");
        }
        let mut subjects: Vec<_> = quads.iter().map(|quad| &quad.subject).collect();
        subjects.dedup();
        assert_eq!((frame_count, larger_count), (subjects.len() + 1, 1));
        let found = canonical(read(&bytes).unwrap());
        let in_default = |quad: Quad| Quad {
            graph_name: GraphName::DefaultGraph,
            ..quad
        };
        let quads = quads.iter().cloned();
        assert!(
            found
                == if is_quads {
                    canonical(quads)
                } else {
                    canonical(quads.map(in_default))
                }
        );
    }
    assert_eq!(read(&write_grouped(&[], true)).unwrap(), []);
}

proptest! {
    /// Many more names, prefixes and datatypes than the lookup tables have room for.
    #[test]
    fn what_is_written_is_read_however_full_the_tables_are(
        terms in proptest::collection::vec((0..9_000_u32, 0..400_u32, 0..90_u32, 0..4_u32), 1..8_000)
    ) {
        let quads: Vec<_> = terms.iter().map(|&(name, prefix, datatype, graph)| {
            let iri = |kind, name| NamedNode::new_unchecked(format!("http://e.com/{kind}{}/{name}", prefix + graph));
            let datatype = NamedNode::new_unchecked(format!("http://e.com/type#{datatype}"));
            Quad::new(
                iri("s", name / 3),
                iri("p", name % 40),
                Literal::new_typed_literal(name.to_string(), datatype),
                if graph == 0 { GraphName::DefaultGraph } else { iri("g", graph).into() },
            )
        }).collect();
        prop_assert!(read(&write(&quads, true)).unwrap() == quads);
    }

    #[test]
    fn no_bytes_break_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
    }

    #[test]
    fn no_altered_byte_breaks_the_reader(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = write(&trig(TRIG), true);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = read(&bytes);
    }
}

fn options() -> RdfStreamOptions {
    RdfStreamOptions {
        physical_type: PhysicalStreamType::Triples.into(),
        max_name_table_size: 8,
        max_prefix_table_size: 8,
        version: 1,
        ..RdfStreamOptions::default()
    }
}

/// A delimited frame of rows.
fn frame(rows: Vec<Row>) -> Vec<u8> {
    let mut frame = Vec::new();
    for row in rows {
        frame.push(0x0A);
        frame.extend(RdfStreamRow { row: Some(row) }.encode_length_delimited_to_vec());
    }
    let mut bytes = Vec::new();
    prost::encode_length_delimiter(frame.len(), &mut bytes).unwrap();
    bytes.extend(frame);
    bytes
}

#[track_caller]
fn check_fault(bytes: &[u8], expected: &str) {
    let fault = read(bytes).unwrap_err();
    assert!(fault.contains(expected), "{fault}");
}

#[test]
fn a_fault_says_where_and_what() {
    let name = |id, value: &str| {
        Row::Name(RdfNameEntry {
            id,
            value: value.to_owned(),
        })
    };
    let triple = |name_id| {
        Row::Triple(RdfTriple {
            subject: Some(rdf_triple::Subject::SIri(RdfIri {
                prefix_id: 0,
                name_id,
            })),
            ..RdfTriple::default()
        })
    };
    let faulty = |rows: Vec<Row>| [frame(vec![Row::Options(options())]), frame(rows)].concat();
    check_fault(b"", "frame 0: the stream has no options");
    check_fault(
        &frame(vec![name(1, "urn:a")]),
        "frame 1, row 1: the stream does not begin with its options",
    );
    check_fault(
        &faulty(vec![name(8, "urn:a"), name(0, "urn:b")]),
        "frame 2, row 2: entry 9 of the table of names",
    );
    check_fault(
        &faulty(vec![triple(3)]),
        "frame 2, row 1: the table of names has no entry 3",
    );
    check_fault(
        &faulty(vec![name(0, "no iri"), triple(1)]),
        "frame 2, row 2: <no iri>",
    );
    check_fault(
        &faulty(vec![name(0, "urn:a"), triple(1)]),
        "row 2: the first statement has no predicate",
    );
    check_fault(
        &faulty(vec![name(0, "urn:a"), triple(1)])[..30],
        "frame 2: it ends too early",
    );
    check_fault(&[0x80; 12], "frame 1: its length is malformed");
    check_fault(
        &[3, 0x0A, 0x7F, 0],
        "frame 1: it is not a message of Protocol Buffers",
    );
    let other = RdfStreamOptions {
        rdf_star: true,
        ..options()
    };
    check_fault(&faulty(vec![Row::Options(other)]), "the options differ");
    let newer = RdfStreamOptions {
        version: 3,
        ..options()
    };
    check_fault(
        &frame(vec![Row::Options(newer)]),
        "version 3 of the protocol; 1 to 2 are known",
    );
}

#[test]
fn limits_hold_at_them_and_one_past() {
    let with_names = |length| {
        frame(vec![Row::Options(RdfStreamOptions {
            max_name_table_size: length,
            ..options()
        })])
    };
    assert_eq!(read(&with_names(TABLE_LENGTH_MAX)), Ok(Vec::new()));
    check_fault(&with_names(TABLE_LENGTH_MAX + 1), "has more than 65536 entries");

    // A frame of one row, which is one name.
    let frame_of = |bytes| {
        let overhead = frame(vec![Row::Name(RdfNameEntry {
            id: 1,
            value: "a".repeat(bytes),
        })])
        .len()
            - bytes;
        let value = "a".repeat(bytes + 4 - overhead);
        frame(vec![Row::Name(RdfNameEntry { id: 1, value })])
    };
    let begin = frame(vec![Row::Options(options())]);
    let largest = frame_of(FRAME_BYTES_MAX);
    assert_eq!(largest.len(), FRAME_BYTES_MAX + 4);
    assert_eq!(read(&[&*begin, &*largest].concat()), Ok(Vec::new()));
    check_fault(
        &[begin.clone(), frame_of(FRAME_BYTES_MAX + 1)].concat(),
        "frame 2: it has more than 16777216 bytes",
    );

    let entry = |id, bytes| {
        frame(vec![Row::Name(RdfNameEntry {
            id,
            value: "a".repeat(bytes),
        })])
    };
    let mut full = begin;
    for id in 1..=8 {
        full.extend(entry(id, TABLE_BYTES_MAX / 8));
    }
    assert_eq!(read(&full), Ok(Vec::new()));
    // A text that goes gives its bytes back.
    full.extend(entry(1, TABLE_BYTES_MAX / 8));
    assert_eq!(read(&full), Ok(Vec::new()));
    full.extend(entry(1, TABLE_BYTES_MAX / 8 + 1));
    check_fault(&full, "the lookup tables have more than 67108864 bytes");
}

#[test]
fn a_frame_may_come_alone() {
    let quads = trig(TRIG);
    let delimited = write(&quads, true);
    let (_, alone) = delimited.split_at(if delimited[0] < 0x80 { 1 } else { 2 });
    assert_eq!(canonical(read(alone).unwrap()), canonical(quads));
}
