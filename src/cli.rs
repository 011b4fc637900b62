//! The command line. Client commands are gRPC clients like any other.

mod backup;
mod bind;
mod caret;
mod check;
mod client;
mod compact;
mod compare;
mod config;
mod conflicts;
mod erase;
mod explain;
mod export;
mod fact;
mod facts;
mod failure;
mod format;
mod get;
mod info;
mod label;
mod load;
mod log;
mod lookup;
mod output;
mod patch;
mod policy;
mod queries;
mod query;
mod rebuild;
mod rows;
mod schema;
mod serve;
mod term;
mod text;
mod timeline;
mod token;
mod update;
mod validate;
mod watch;
mod when;
mod write;

use std::{env, ffi::OsString, process::ExitCode};

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use client::ServerArgs;
use failure::Failure;

use crate::config::{Layers, LayersError, ServeSettings, Setting};

/// A knowledge graph served over gRPC: facts with their date, source and standing, and SPARQL
#[derive(Parser, Debug)]
#[command(name = "dossier", version, after_help = AFTER_HELP, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    server: ServerArgs,
}

const AFTER_HELP: &str = "\
Exit codes: 0 it worked; 1 it failed, or nothing was found; 2 the command line is wrong; 3 the server cannot be reached
or is not ready. Errors go to standard error. Colours are for terminals only, and off with NO_COLOR.";

const GET_EXAMPLES: &str = "\
Examples:
  dossier get e:KR
  dossier get 'South Korea' --language en
  dossier get https://w3id.org/dossier/e/gsomia --output json";

const FACTS_EXAMPLES: &str = "\
Examples:
  dossier facts --subject e:gsomia
  dossier facts --predicate rdfs:label --object '\"Seoul\"@en'
  dossier facts --standing disputed --standing unconfirmed --output json
  dossier facts --subject e:gsomia --as-of 2015-01-01
  dossier facts --source src:diplomat-2019-gsomia --sole-source
  dossier facts --basis inferred
  dossier facts --subject e:gsomia --scope all --known-at 2019-12-01";

const CHECK_EXAMPLES: &str = "\
Examples:
  dossier check e:KR d:listedOn e:japan-white-list
  dossier check e:gsomia d:inForce true --as-of 2015-01-01";

const WHY_EXAMPLES: &str = "\
Examples:
  dossier why s:F48
  dossier why e:tisa d:party e:US";

const COMPARE_EXAMPLES: &str = "\
Examples:
  dossier compare e:gsomia d:endsOn
  dossier compare e:gsomia d:signedOn --as-of 2019-08-27";

const TIMELINE_EXAMPLES: &str = "\
Examples:
  dossier timeline e:kr-jp-dispute
  dossier timeline e:gsomia --from 2019-01-01 --output json";

const HISTORY_EXAMPLES: &str = "\
Examples:
  dossier history s:F44
  dossier history e:gsomia d:endsOn";

const LOOKUP_EXAMPLES: &str = "\
Examples:
  dossier lookup KR JP
  dossier lookup 410 --property d:iso3166Numeric";

const QUERY_EXAMPLES: &str = "\
Examples:
  dossier query 'SELECT ?label { e:KR rdfs:label ?label }'
  dossier query @question.rq --output csv > answer.csv
  dossier query 'SELECT ?label { ?country rdfs:label ?label }' --bind country=e:KR
  echo 'CONSTRUCT WHERE { ?s d:party ?o }' | dossier query | sort";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  dossier explain 'SELECT * { ?treaty d:party e:KR }'
  dossier explain @question.rq --execute --output json";

const UPDATE_EXAMPLES: &str = "\
Examples:
  dossier update 'INSERT DATA { e:seoul rdfs:comment \"A city\"@en }'
  dossier update --file correction.ru --dry-run
  dossier update @correction.ru --expected-revision 7 --message 'as the minister said'";

const LOAD_EXAMPLES: &str = "\
Examples:
  dossier load people.ttl places.nq.gz
  gunzip -c data.nt.gz | dossier load - --format nt --graph https://example.com/data";

const EXPORT_EXAMPLES: &str = "\
Examples:
  dossier export graph.nq.zst
  dossier export statements.ttl --graph g:statements --reified
  dossier export - --format nq --default-graph | sort > facts.nq";

const WRITE_EXAMPLES: &str = "\
Examples:
  dossier write e:gsomia d:party e:KR --source src:treaty --title 'The treaty' --locator 'Article 1'
  dossier write e:gsomia d:endsOn '\"2019-11-23\"^^xsd:date' --source src:diplomat-2019-gsomia --stance planned
  dossier write e:KR d:memberOf e:nuclear-suppliers-group --source src:nsg --title 'Participants' --edtf 1995/..
  dossier write --file facts.json --validate-only";

const RETRACT_EXAMPLES: &str = "\
Examples:
  dossier retract s:F01 --message 'the source withdrew it'";

const WATCH_EXAMPLES: &str = "\
Examples:
  dossier watch --subject e:KR
  dossier watch --after 7 --output json
  dossier watch --snapshot --graph https://example.com/data --no-follow > data.rdfp";

const DIFF_EXAMPLES: &str = "\
Examples:
  dossier diff 7
  dossier diff 7 5 > undo.rdfp";

const BACKUP_EXAMPLES: &str = "\
Examples:
  dossier backup
  dossier backup list
  dossier backup verify --from /var/backups/dossier";

const RESTORE_EXAMPLES: &str = "\
Examples:
  dossier restore --from /var/backups/dossier --data-dir dossier-data
  dossier restore --from /var/backups/dossier --data-dir before --revision 7
  dossier restore --from /var/backups/dossier --data-dir yesterday --time 2026-11-25T08:30:00Z";

const REBUILD_EXAMPLES: &str = "\
Examples:
  dossier rebuild --check --data-dir dossier-data
  dossier rebuild --data-dir dossier-data";
const ERASE_EXAMPLES: &str = "\
Examples:
  dossier erase e:somebody
  dossier erase e:somebody --yes --message 'asked to be forgotten'";

const COMPACT_EXAMPLES: &str = "\
Examples:
  dossier compact --data-dir dossier-data
  dossier compact --data-dir dossier-data --keep-commits 100000";

const TOKEN_EXAMPLES: &str = "\
Examples:
  dossier token create --tokens tokens.json --name loader --role write --expires 90d > loader.token
  dossier token list --tokens tokens.json
  dossier token revoke loader --tokens tokens.json";

#[derive(Subcommand, Debug)]
enum Command {
    /// Serve a knowledge base
    Serve(Box<ServeSettings>),
    /// Look an entity up by IRI, prefixed name or label
    #[command(after_help = GET_EXAMPLES)]
    Get(get::GetArgs),
    /// List facts by subject, predicate, object, source, standing and what else is said of them
    #[command(after_help = FACTS_EXAMPLES)]
    Facts(facts::FactsArgs),
    /// Tell whether a fact is so: true, false, unconfirmed, disputed or unknown
    #[command(after_help = CHECK_EXAMPLES)]
    Check(check::CheckArgs),
    /// Tell why a fact is held: statement, source, place, stance, basis
    #[command(after_help = WHY_EXAMPLES)]
    Why(check::WhyArgs),
    /// Compare what is stated of a subject and a predicate, object by object
    #[command(after_help = COMPARE_EXAMPLES)]
    Compare(compare::CompareArgs),
    /// Draw the events of an entity, and when facts about it begin and end
    #[command(after_help = TIMELINE_EXAMPLES)]
    Timeline(timeline::TimelineArgs),
    /// List where statements are disputed, rejected, or contradict each other
    Conflicts(conflicts::ConflictsArgs),
    /// List every version of a fact that was recorded
    #[command(after_help = HISTORY_EXAMPLES)]
    History(timeline::HistoryArgs),
    /// Find entities by identifiers, such as the codes of countries
    #[command(after_help = LOOKUP_EXAMPLES)]
    Lookup(lookup::LookupArgs),
    /// List the classes in use, with how many instances each has
    Classes(schema::SchemaArgs),
    /// List the predicates in use, with how many triples each has
    Predicates(schema::SchemaArgs),
    /// Run a SPARQL query
    #[command(after_help = QUERY_EXAMPLES)]
    Query(query::QueryArgs),
    /// Run a SPARQL update
    #[command(after_help = UPDATE_EXAMPLES)]
    Update(update::UpdateArgs),
    /// Write facts, with where they come from and how far they are sure
    #[command(after_help = WRITE_EXAMPLES)]
    Write(Box<write::WriteArgs>),
    /// Retract statements: they are kept, and hold no longer
    #[command(after_help = RETRACT_EXAMPLES)]
    Retract(write::RetractArgs),
    /// Tell how a query runs, operator by operator
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain(explain::ExplainArgs),
    /// Check a query or update without running it
    Validate(validate::ValidateArgs),
    /// List the queries and updates that wait or run
    Queries(queries::QueriesArgs),
    /// Cancel a query or update
    Cancel(queries::CancelArgs),
    /// Load RDF files
    #[command(after_help = LOAD_EXAMPLES)]
    Load(load::LoadArgs),
    /// Write the graph, or one graph, to a file
    #[command(after_help = EXPORT_EXAMPLES)]
    Export(export::ExportArgs),
    /// List the commits: when, by whom, why and how much
    Log(log::LogArgs),
    /// Follow the commits as they are made
    #[command(after_help = WATCH_EXAMPLES)]
    Watch(watch::WatchArgs),
    /// Tell what differs between two revisions
    #[command(after_help = DIFF_EXAMPLES)]
    Diff(watch::DiffArgs),
    /// Back up the knowledge base of a running server, list the backups, or verify them
    #[command(after_help = BACKUP_EXAMPLES)]
    Backup(backup::BackupArgs),
    /// Restore a knowledge base from backups, as it was at any revision or time, offline
    #[command(after_help = RESTORE_EXAMPLES)]
    Restore(backup::RestoreArgs),
    /// Look at a policy file: who may do what
    Policy(policy::PolicyArgs),
    /// Recompute what follows from the log, offline, and tell what differs
    #[command(after_help = REBUILD_EXAMPLES)]
    Rebuild(rebuild::RebuildArgs),
    /// Erase an entity for good: from the graph, the log and the snapshot file
    #[command(after_help = ERASE_EXAMPLES)]
    Erase(erase::EraseArgs),
    /// Put the graph in the place of older commits in the log, offline
    #[command(after_help = COMPACT_EXAMPLES)]
    Compact(compact::CompactArgs),
    /// Make, list and revoke the tokens that a server accepts, offline
    #[command(subcommand, after_help = TOKEN_EXAMPLES)]
    Token(token::TokenCommand),
    /// Tell about the server: version, size, limits, prefixes
    Info(info::InfoArgs),
    /// Exit with 0 if the server is ready, else with 1
    Health,
    /// Look after the settings of `dossier serve`
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Write a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Runs the command that the arguments of the process ask for.
pub fn run() -> ExitCode {
    let done =
        parse(&env::args_os().collect::<Vec<_>>()).and_then(|(cli, settings)| dispatch(cli, &settings));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}

/// Reads the command line, with what the environment and a settings file add.
fn parse(arguments: &[OsString]) -> Result<(Cli, Vec<Setting>), Failure> {
    let mut command = Cli::command();
    let layers = Layers::read(&command, arguments).map_err(|error| match error {
        // Tells help, too, and exits as is usual.
        LayersError::CommandLine(error) => error.format(&mut command).exit(),
        error => Failure::usage(error.to_string()),
    })?;
    match Cli::from_arg_matches(&layers.matches) {
        Ok(cli) => Ok((cli, layers.settings)),
        Err(error) => error.format(&mut command).exit(),
    }
}

fn dispatch(Cli { command, server }: Cli, layers: &[Setting]) -> Result<(), Failure> {
    if let Command::Serve(settings) = command {
        return serve::serve(*settings, layers);
    }
    if let Command::Config(config::ConfigCommand::Check(settings)) = command {
        return config::check(&settings, layers, &Cli::command());
    }
    if let Command::Rebuild(args) = command {
        return rebuild::run(&args);
    }
    if let Command::Compact(args) = command {
        return compact::run(&args);
    }
    if let Command::Token(command) = command {
        return token::run(command);
    }
    if let Command::Policy(args) = command {
        return policy::run(&args);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // The main thread prints while this one receives.
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start: {error}")))?;
    let result = match command {
        Command::Serve(_)
        | Command::Policy(_)
        | Command::Rebuild(_)
        | Command::Compact(_)
        | Command::Config(_)
        | Command::Token(_) => Ok(()),
        Command::Get(args) => runtime.block_on(get::get(args, &server)),
        Command::Facts(args) => runtime.block_on(facts::facts(args, &server)),
        Command::Check(args) => runtime.block_on(check::check(args, &server)),
        Command::Why(args) => runtime.block_on(check::why(args, &server)),
        Command::Compare(args) => runtime.block_on(compare::compare(args, &server)),
        Command::Timeline(args) => runtime.block_on(timeline::timeline(args, &server)),
        Command::Conflicts(args) => runtime.block_on(conflicts::conflicts(args, &server)),
        Command::History(args) => runtime.block_on(timeline::history(args, &server)),
        Command::Lookup(args) => runtime.block_on(lookup::look_up(args, &server)),
        Command::Classes(args) => runtime.block_on(schema::classes(args, &server)),
        Command::Predicates(args) => runtime.block_on(schema::predicates(args, &server)),
        Command::Query(args) => runtime.block_on(query::query(args, &server)),
        Command::Update(args) => runtime.block_on(update::update(args, &server)),
        Command::Write(args) => runtime.block_on(write::write(*args, &server)),
        Command::Retract(args) => runtime.block_on(write::retract(args, &server)),
        Command::Erase(args) => runtime.block_on(erase::erase(args, &server)),
        Command::Explain(args) => runtime.block_on(explain::explain(args, &server)),
        Command::Validate(args) => runtime.block_on(validate::validate(args, &server)),
        Command::Queries(args) => runtime.block_on(queries::list(args, &server)),
        Command::Cancel(args) => runtime.block_on(queries::cancel(args, &server)),
        Command::Load(args) => runtime.block_on(load::load(args, &server)),
        Command::Export(args) => runtime.block_on(export::export(args, &server)),
        Command::Log(args) => runtime.block_on(log::log(args, &server)),
        Command::Watch(args) => runtime.block_on(watch::watch(args, &server)),
        Command::Diff(args) => runtime.block_on(watch::diff(args, &server)),
        Command::Backup(args) => runtime.block_on(backup::backup(args, &server)),
        Command::Restore(args) => runtime.block_on(backup::restore(args)),
        Command::Info(args) => runtime.block_on(info::info(args, &server)),
        Command::Health => runtime.block_on(info::health(&server)),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "dossier", &mut std::io::stdout());
            Ok(())
        }
    };
    // A read of standard input that nobody waits for any more must not hold up the end.
    runtime.shutdown_background();
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
