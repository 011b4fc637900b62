use super::*;
use crate::cli::term::to_proto;
use crate::proto::v1::{Stance, Standing};

#[test]
fn facts_have_columns() {
    let fact = Fact {
        id: "a:st".to_owned(),
        subject: "_:b".to_owned(),
        predicate: "a:p".to_owned(),
        object: Some(to_proto(Literal::from(7).into())),
        standing: Standing::Disputed.into(),
        stance: Stance::Reported.into(),
        negated: true,
        ..Fact::default()
    };
    let row = columns(fact, &Prefixes::default());
    let shown = row.map(|term| term.map_or("-".to_owned(), |term| term.to_string()));
    let seven = "\"7\"^^<http://www.w3.org/2001/XMLSchema#integer>";
    let flag = |flag: bool| format!("\"{flag}\"^^<http://www.w3.org/2001/XMLSchema#boolean>");
    let expected = [
        "_:b",
        "<a:p>",
        seven,
        &flag(true),
        &flag(false),
        "\"disputed\"",
        "\"reported\"",
        "-",
        "-",
        "<a:st>",
    ];
    assert_eq!(shown, expected);
}
