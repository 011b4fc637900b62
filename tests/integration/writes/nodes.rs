//! Events, claims and figures: facts about nodes of their own.

use dossier::proto::v1::{Fact, Literal, Stance, Standing, Term, term::Term as Kind};

use super::{count, fact, iri, request, write};
use crate::harness::Server;

fn about(subject: &str, predicate: &str, object: Term) -> Fact {
    Fact {
        predicate: predicate.into(),
        object: Some(object),
        ..fact(subject, "")
    }
}

fn number(lexical_form: &str) -> Term {
    Term {
        term: Some(Kind::Literal(Literal {
            lexical_form: lexical_form.into(),
            datatype: "xsd:decimal".into(),
            ..Literal::default()
        })),
    }
}

#[tokio::test]
async fn events_claims_and_figures_are_written_in_one_request() {
    let server = Server::start_empty().await;
    let content = Fact {
        id: "s:content".into(),
        stance: Stance::Attributed.into(),
        standing: Standing::Unconfirmed.into(),
        attributed_to: "e:kono".into(),
        ..about("e:KR", "d:violated", iri("e:agreement"))
    };
    let facts = [
        about("e:announcement", "rdf:type", iri("schema:Event")),
        about("e:announcement", "d:actor", iri("e:KR")),
        about("e:claim", "rdf:type", iri("schema:Claim")),
        about("e:claim", "d:speaker", iri("e:kono")),
        about("e:claim", "d:content", iri("s:content")),
        content,
        about("e:poll", "rdf:type", iri("schema:Observation")),
        about("e:poll", "schema:observationAbout", iri("e:gsomia")),
        about("e:poll", "schema:value", number("54.9")),
    ];
    let written = write(&server, request(facts)).await.unwrap();
    assert_eq!(written.ids.len(), 9);
    let claim = "GRAPH g:statements { ?said rdf:subject e:claim ; rdf:predicate d:content ; rdf:object ?content .
        ?content rdf:subject e:KR ; d:stance d:Attributed ; d:standing d:Unconfirmed ; d:attributedTo e:kono }";
    assert_eq!(count(&server, claim).await, 1);
    let figure = "GRAPH g:statements { ?said rdf:subject e:poll ; rdf:object 54.9 }";
    assert_eq!(count(&server, figure).await, 1);
    // That it was said is a fact, its content is not.
    assert_eq!(count(&server, "e:KR d:violated ?what").await, 0);
}
