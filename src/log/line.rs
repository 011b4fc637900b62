//! Lines of N-Quads.

use std::io::{self, Write as _};

use oxigraph::model::{GraphNameRef, NamedNodeRef, QuadRef, TermRef, vocab::xsd};

/// Writes a line as `{quad} .` is, mostly without the machinery of that, which takes most of the time of a large import.
pub(super) fn put_quad(text: &mut Vec<u8>, quad: QuadRef<'_>) -> io::Result<()> {
    put_term(text, quad.subject.into())?;
    text.push(b' ');
    put_term(text, quad.predicate.into())?;
    text.push(b' ');
    put_term(text, quad.object)?;
    match quad.graph_name {
        GraphNameRef::DefaultGraph => {}
        GraphNameRef::NamedNode(graph) => {
            text.push(b' ');
            put_term(text, graph.into())?;
        }
        GraphNameRef::BlankNode(graph) => {
            text.push(b' ');
            put_term(text, graph.into())?;
        }
    }
    text.extend_from_slice(b" .\n");
    Ok(())
}

fn put_term(text: &mut Vec<u8>, term: TermRef<'_>) -> io::Result<()> {
    let put_iri = |text: &mut Vec<u8>, iri: NamedNodeRef<'_>| {
        text.push(b'<');
        text.extend_from_slice(iri.as_str().as_bytes());
        text.push(b'>');
    };
    match term {
        TermRef::NamedNode(iri) => put_iri(text, iri),
        TermRef::BlankNode(node) => {
            text.extend_from_slice(b"_:");
            text.extend_from_slice(node.as_str().as_bytes());
        }
        TermRef::Literal(literal) if literal.language().is_none() && is_plain(literal.value()) => {
            text.push(b'"');
            text.extend_from_slice(literal.value().as_bytes());
            text.push(b'"');
            if literal.datatype() != xsd::STRING {
                text.extend_from_slice(b"^^");
                put_iri(text, literal.datatype());
            }
        }
        term => write!(text, "{term}")?,
    }
    Ok(())
}

/// Tells whether a text surely has nothing that is written with a backslash. U+FFFE and U+FFFF begin with 0xEF.
fn is_plain(text: &str) -> bool {
    let is_plain = |byte: u8| byte >= b' ' && !matches!(byte, b'"' | b'\\' | 0x7F | 0xEF);
    text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use oxigraph::model::{BaseDirection, BlankNode, GraphName, Literal, NamedNode, Quad, Term, Triple};
    use proptest::prelude::*;

    use super::*;

    fn check(object: Term, graph: GraphName) {
        let node = NamedNode::new_unchecked("http://e.com/a b");
        for quad in [
            Quad::new(node.clone(), node.clone(), object.clone(), graph.clone()),
            Quad::new(BlankNode::new_unchecked("b"), node, object, graph),
        ] {
            let mut text = Vec::new();
            put_quad(&mut text, quad.as_ref()).unwrap();
            assert_eq!(String::from_utf8(text).unwrap(), format!("{quad} .\n"));
        }
    }

    #[test]
    fn every_kind_of_term_is_written_as_it_is_displayed() {
        let node = NamedNode::new_unchecked("http://e.com/a");
        let text = "a\"\\\t\n\u{1}\u{7f}\u{ffff}\u{fffd}é";
        let objects: [Term; 7] = [
            node.clone().into(),
            BlankNode::new_unchecked("b").into(),
            Literal::from(text).into(),
            Literal::new_typed_literal(text, node.clone()).into(),
            Literal::new_language_tagged_literal_unchecked(text, "en-us").into(),
            Literal::new_directional_language_tagged_literal_unchecked(text, "ar", BaseDirection::Rtl).into(),
            Triple::new(node.clone(), node.clone(), Literal::from(text)).into(),
        ];
        for object in objects {
            for graph in [
                GraphName::DefaultGraph,
                node.clone().into(),
                BlankNode::new_unchecked("g").into(),
            ] {
                check(object.clone(), graph);
            }
        }
    }

    #[test]
    fn every_character_by_itself_is_written_as_it_is_displayed() {
        for character in ('\0'..='\u{ff}').chain('\u{fff0}'..='\u{10000}') {
            check(
                Literal::from(character.to_string()).into(),
                GraphName::DefaultGraph,
            );
        }
    }

    proptest! {
        #[test]
        fn any_literal_is_written_as_it_is_displayed(text in any::<String>(), is_typed in any::<bool>()) {
            let datatype = NamedNode::new_unchecked("http://e.com/type");
            let literal = if is_typed {
                Literal::new_typed_literal(text, datatype)
            } else {
                Literal::from(text)
            };
            check(literal.into(), GraphName::DefaultGraph);
        }
    }
}
