//! `dossier facts`.

use std::io::Write as _;

use clap::{Args, ValueEnum};
use oxigraph::{
    io::{RdfFormat, RdfSerializer},
    model::{Literal, Term, Variable},
    sparql::results::{QueryResultsFormat, QueryResultsSerializer},
};

use super::{
    client::{Client, ServerArgs},
    fact::{self, BasisArg, StanceArg, StandingArg},
    failure::Failure,
    output::{Json, Output, thousands},
    term::{Prefixes, from_proto, parse, triple_from_proto},
    when::WhenArgs,
};
use crate::proto::v1::{self, Fact, FactScope, ListFactsRequest, TripleTerm, term::Term as Kind};

/// Facts of one answer.
const PAGE_SIZE: i32 = 1_000;

/// Arguments of `dossier facts`.
#[derive(Args, Debug)]
pub(super) struct FactsArgs {
    /// Only facts of this subject: an IRI or a prefixed name such as `e:KR`
    #[arg(
        long,
        short,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    subject: String,

    /// Only facts of this predicate
    #[arg(
        long,
        short,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    predicate: String,

    /// Only facts with exactly this object: a name, or a literal such as '"Seoul"@en', '"2019-07-04"^^xsd:date', 42
    #[arg(long, value_name = "TERM")]
    object: Option<String>,

    /// Only facts that a statement from this source supports
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    source: String,

    /// Only facts of this standing; may be repeated
    #[arg(long = "standing", value_enum, value_name = "STANDING")]
    standings: Vec<StandingArg>,

    /// Only facts of this stance; may be repeated
    #[arg(long = "stance", value_enum, value_name = "STANCE")]
    stances: Vec<StanceArg>,

    /// Only facts that rest on this: what follows from a source is inferred; may be repeated
    #[arg(long = "basis", value_enum, value_name = "BASIS")]
    bases: Vec<BasisArg>,

    /// Only facts that are the words of this
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    attributed_to: String,

    /// Only facts that would no longer hold without the source; with --scope live or all, all that have no other source
    #[arg(long, requires = "source")]
    sole_source: bool,

    /// Stop after so many facts. Default: all
    #[arg(long, value_name = "FACTS", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,

    /// Which facts. Default: those that hold, or with a standing that never does all that are live
    #[arg(long, value_enum, value_name = "SCOPE")]
    scope: Option<ScopeArg>,

    #[command(flatten)]
    when: WhenArgs,

    /// Form of the output. Default: table on a terminal, tsv in a pipe
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    output: Option<FactsFormat>,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
pub(super) enum ScopeArg {
    /// Those that hold
    Holding,
    /// All that is known and not retracted
    Live,
    /// Retracted ones too
    All,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum FactsFormat {
    /// For people: columns, with IRIs in short
    Table,
    /// One `Fact` a line, whole, in protobuf's JSON mapping
    Json,
    /// SPARQL Results CSV: plain values, for spreadsheets
    Csv,
    /// SPARQL Results TSV: exact terms, one fact a line
    Tsv,
    /// The triples alone of the facts that hold, as N-Triples
    #[value(name = "ntriples", alias = "nt")]
    NTriples,
}

/// Lists facts, a page at a time.
pub(super) async fn facts(args: FactsArgs, server: &ServerArgs) -> Result<(), Failure> {
    let mut client = Client::connect(server).await?;
    let prefixes = client.prefixes().await?;
    let object = args
        .object
        .as_deref()
        .map(|text| parse("--object", text, &prefixes))
        .transpose()?;
    let mut request = ListFactsRequest {
        subject: args.subject,
        predicate: args.predicate,
        object,
        source: args.source,
        standings: args
            .standings
            .iter()
            .map(|standing| standing.to_proto().into())
            .collect(),
        stances: args
            .stances
            .iter()
            .map(|stance| stance.to_proto().into())
            .collect(),
        bases: args.bases.iter().map(|basis| basis.to_proto().into()).collect(),
        attributed_to: args.attributed_to,
        sole_source: args.sole_source,
        read: Some(args.when.options()),
        scope: args
            .scope
            .map_or(FactScope::Unspecified, ScopeArg::to_proto)
            .into(),
        page_size: PAGE_SIZE,
        ..ListFactsRequest::default()
    };
    let mut output = Output::stdout();
    let format = args.output.unwrap_or(if output.is_terminal() {
        FactsFormat::Table
    } else {
        FactsFormat::Tsv
    });
    let mut pages = Pages {
        format,
        prefixes,
        first: true,
    };
    let mut left = args.limit.unwrap_or(u64::MAX);
    loop {
        request.page_size = i32::try_from(left).unwrap_or(PAGE_SIZE).min(PAGE_SIZE);
        let page = client.facts.list_facts(request.clone()).await?.into_inner();
        left = left.saturating_sub(page.facts.len() as u64);
        let last = page.next_page_token.is_empty();
        pages.write(page.facts, &mut output)?;
        output.flush()?;
        if last {
            return Ok(());
        }
        if left == 0 {
            if output.is_terminal() {
                anstream::eprintln!(
                    "stopped after {} facts; there are more",
                    thousands(args.limit.unwrap_or(0))
                );
            }
            return Ok(());
        }
        request.page_token = page.next_page_token;
    }
}

impl ScopeArg {
    pub(super) fn to_proto(self) -> FactScope {
        match self {
            Self::Holding => FactScope::Holding,
            Self::Live => FactScope::Live,
            Self::All => FactScope::All,
        }
    }
}

/// Writes pages of facts; the columns are named once, a table's on each page.
struct Pages {
    format: FactsFormat,
    prefixes: Prefixes,
    first: bool,
}

impl Pages {
    fn write(&mut self, facts: Vec<Fact>, output: &mut Output) -> Result<(), Failure> {
        match self.format {
            FactsFormat::Table => {
                let rows = facts
                    .iter()
                    .map(|fact| fact::cells(fact, &self.prefixes, output))
                    .collect();
                output.table(&fact::COLUMNS, rows)?;
            }
            FactsFormat::Json => {
                let json = Json::new()?;
                for fact in &facts {
                    writeln!(output, "{}", json.value("Fact", fact)?)?;
                }
            }
            FactsFormat::Csv => self.rows(facts, QueryResultsFormat::Csv, output)?,
            FactsFormat::Tsv => self.rows(facts, QueryResultsFormat::Tsv, output)?,
            FactsFormat::NTriples => {
                let mut writer = RdfSerializer::from_format(RdfFormat::NTriples).for_writer(&mut *output);
                // A denial, or what is rejected, is none of what its triple says.
                for triple in facts
                    .into_iter()
                    .filter(|fact| fact.holds)
                    .filter_map(|fact| triple_from_proto(triple(fact)))
                {
                    writer.serialize_triple(&triple)?;
                }
                writer.finish()?;
            }
        }
        self.first = false;
        Ok(())
    }

    fn rows(&self, facts: Vec<Fact>, format: QueryResultsFormat, output: &mut Output) -> Result<(), Failure> {
        let names = [
            "subject",
            "predicate",
            "object",
            "negated",
            "holds",
            "standing",
            "stance",
            "time",
            "sources",
            "id",
        ];
        let variables = names.map(Variable::new_unchecked);
        let mut lines = Vec::new();
        let mut writer = QueryResultsSerializer::from_format(format)
            .serialize_solutions_to_writer(&mut lines, variables.to_vec())?;
        for fact in facts {
            let row = columns(fact, &self.prefixes);
            writer.serialize(
                variables
                    .iter()
                    .zip(&row)
                    .filter_map(|(name, term)| Some((name, term.as_ref()?))),
            )?;
        }
        writer.finish()?;
        // The serializer begins each page with the names.
        let header = lines
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        output.write_all(&lines[if self.first { 0 } else { header }..])?;
        Ok(())
    }
}

fn columns(fact: Fact, prefixes: &Prefixes) -> [Option<Term>; 10] {
    let text = |text: String| (!text.is_empty()).then(|| Term::from(Literal::new_simple_literal(text)));
    let iri = |iri: String| {
        (!iri.is_empty())
            .then_some(v1::Term {
                term: Some(Kind::Iri(iri)),
            })
            .and_then(from_proto)
    };
    let flag = |flag: bool| Some(Term::from(Literal::from(flag)));
    let (negated, holds) = (flag(fact.negated), flag(fact.holds));
    let standing = text(fact::standing_word(fact.standing()));
    let stance = text(fact::word(fact.stance().as_str_name(), "STANCE_"));
    let time = text(fact.valid_time.as_ref().map(fact::time).unwrap_or_default());
    let sources = text(fact::sources(&fact.sources, prefixes));
    let subject = from_proto(fact::subject_term(&fact.subject));
    [
        subject,
        iri(fact.predicate),
        fact.object.and_then(from_proto),
        negated,
        holds,
        standing,
        stance,
        time,
        sources,
        iri(fact.id),
    ]
}

/// Returns the triple of a fact.
pub(super) fn triple(fact: Fact) -> TripleTerm {
    TripleTerm {
        subject: Some(Box::new(fact::subject_term(&fact.subject))),
        predicate: fact.predicate,
        object: fact.object.map(Box::new),
    }
}

#[cfg(test)]
mod tests;
