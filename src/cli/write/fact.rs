//! One fact on the command line.

use clap::Args;

use crate::{
    cli::{
        fact::{BasisArg, StanceArg, StandingArg},
        failure::Failure,
        term::{Prefixes, parse},
    },
    proto::v1::{Fact, Qualifier, Source, ValidTime},
};

/// A fact. The names that it has are IRIs or prefixed names such as `e:KR`.
#[derive(Args, Debug)]
#[group(id = "FactArgs", multiple = true)]
pub(super) struct FactArgs {
    /// What the fact is about
    #[arg(
        value_name = "SUBJECT",
        requires = "predicate",
        required_unless_present = "file"
    )]
    subject: Option<String>,

    /// Which property of it
    #[arg(value_name = "PREDICATE", requires = "object")]
    predicate: Option<String>,

    /// The value: a name, or a literal such as '"Seoul"@en', '"2019-07-04"^^xsd:date', 42; d:SomeValue if it is unknown
    #[arg(value_name = "OBJECT")]
    object: Option<String>,

    /// Document that says so; may be repeated
    #[arg(long = "source", value_name = "NAME")]
    sources: Vec<String>,

    /// Title of the source, if the server does not know it yet
    #[arg(
        long,
        value_name = "TEXT",
        requires = "sources",
        default_value = "",
        hide_default_value = true
    )]
    title: String,

    /// Publisher of the source, a name or an IRI
    #[arg(
        long,
        value_name = "TEXT",
        requires = "sources",
        default_value = "",
        hide_default_value = true
    )]
    publisher: String,

    /// Place in the source, such as P3
    #[arg(
        long,
        value_name = "TEXT",
        requires = "sources",
        default_value = "",
        hide_default_value = true
    )]
    locator: String,

    /// Our verdict. Default: accepted for what is asserted, else unconfirmed
    #[arg(long, value_enum, value_name = "STANDING")]
    standing: Option<StandingArg>,

    /// How the source puts it. Default: asserted
    #[arg(long, value_enum, value_name = "STANCE")]
    stance: Option<StanceArg>,

    /// What it rests on. Default: stated
    #[arg(long, value_enum, value_name = "BASIS")]
    basis: Option<BasisArg>,

    /// It is not so
    #[arg(long)]
    negated: bool,

    /// When it holds, in EDTF, such as 2016-11-23/.. or 2019-08~
    #[arg(long, value_name = "EDTF", default_value = "", hide_default_value = true)]
    edtf: String,

    /// Day on which the source says so, such as 2019-08-27
    #[arg(long, value_name = "DATE", default_value = "", hide_default_value = true)]
    observed_on: String,

    /// Whose words it is
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    attributed_to: String,

    /// From 0 to 1
    #[arg(long, value_name = "NUMBER")]
    confidence: Option<f64>,

    /// Further property, such as d:inferredPart='"the year"'; may be repeated
    #[arg(long = "qualifier", value_name = "NAME=TERM", value_parser = pair)]
    qualifiers: Vec<(String, String)>,

    /// Statement that this one disputes; may be repeated
    #[arg(long = "disputes", value_name = "ID")]
    disputes: Vec<String>,

    /// Live statement that this one takes the place of
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    revises: String,

    /// Its own id; the server chooses one if it is left out
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    id: String,
}

impl FactArgs {
    pub(super) fn into_fact(self, prefixes: &Prefixes) -> Result<Fact, Failure> {
        let object = self.object.as_deref().unwrap_or_default();
        let mut qualifiers = Vec::new();
        for (property, text) in self.qualifiers {
            let value = Some(parse(&format!("--qualifier {property}"), &text, prefixes)?);
            qualifiers.push(Qualifier { property, value });
        }
        let is_described = !self.title.is_empty() || !self.publisher.is_empty() || !self.locator.is_empty();
        let sources = match <[String; 1]>::try_from(self.sources) {
            Ok([iri]) => vec![Source {
                iri,
                title: self.title,
                publisher: self.publisher,
                locator: self.locator,
                ..Source::default()
            }],
            Err(_) if is_described => {
                return Err(
                    Failure::usage("--title, --publisher and --locator are those of one --source")
                        .hint("with several, write a --file"),
                );
            }
            Err(sources) => {
                let source = |iri| Source {
                    iri,
                    ..Source::default()
                };
                sources.into_iter().map(source).collect()
            }
        };
        let is_timed = !self.edtf.is_empty() || !self.observed_on.is_empty();
        Ok(Fact {
            id: self.id,
            subject: self.subject.unwrap_or_default(),
            predicate: self.predicate.unwrap_or_default(),
            object: Some(parse("OBJECT", object, prefixes)?),
            standing: self.standing.map_or(0, |standing| standing.to_proto().into()),
            stance: self.stance.map_or(0, |stance| stance.to_proto().into()),
            basis: self.basis.map_or(0, |basis| basis.to_proto().into()),
            negated: self.negated,
            confidence: self.confidence,
            attributed_to: self.attributed_to,
            valid_time: is_timed.then(|| ValidTime {
                edtf: self.edtf,
                observed_on: self.observed_on,
                ..ValidTime::default()
            }),
            qualifiers,
            sources,
            disputes: self.disputes,
            revises: self.revises,
            ..Fact::default()
        })
    }
}

/// Splits `name=term`.
fn pair(text: &str) -> Result<(String, String), String> {
    let (name, term) = text
        .split_once('=')
        .ok_or("expected NAME=TERM, such as d:inferredPart='\"the year\"'")?;
    Ok((name.trim().to_owned(), term.to_owned()))
}
