//! Flags, environment, file and defaults, in one: each setting from the first of them that says it.
//!
//! What the file says is given to `clap` as if it stood at the end of the command line, where neither a flag nor the
//! environment says it. So a flag is a key of the file by being a flag.

use std::{
    error::Error as _,
    ffi::OsString,
    fmt, iter,
    path::{Path, PathBuf},
};

use clap::{
    Arg, ArgAction, ArgMatches, Command,
    builder::Resettable,
    error::{ContextKind, ContextValue, ErrorKind},
    parser::ValueSource,
};

use super::file::{Entry, Fault, FileError, SettingsFile, Value};

/// The flag that names the file.
const FILE_FLAG: &str = "config";

/// Why a command line cannot be read.
#[derive(thiserror::Error, Debug)]
pub enum LayersError {
    /// The command line or the environment is wrong, or help is asked for.
    #[error(transparent)]
    CommandLine(#[from] clap::Error),
    /// A variable of the environment is. Its value is not told: a secret may stand where none should.
    #[error("{variable}: {message}")]
    Variable {
        /// The variable.
        variable: String,
        /// What is wrong with its value.
        message: String,
    },
    /// The file is.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A command line, with what its environment and its settings file add.
#[derive(Debug)]
pub struct Layers {
    /// What is to be read from it.
    pub matches: ArgMatches,
    /// The settings, if the command has a settings file.
    pub settings: Vec<Setting>,
}

/// One setting: what holds, and who says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The flag, without the dashes, and the key of the file.
    pub key: String,
    /// What holds, as it was written; nothing if it is not set.
    pub value: Option<SettingValue>,
    /// Who says it.
    pub source: Source,
}

/// What is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingValue {
    /// A flag that is given or not.
    Switch(bool),
    /// One value.
    One(String),
    /// Any number of values.
    Many(Vec<String>),
}

/// Who says what a setting is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The command line.
    Flag,
    /// A variable of the environment.
    Environment(String),
    /// A line of the file, from 1.
    File(PathBuf, usize),
    /// Nobody.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::Environment(variable) => f.write_str(variable),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

impl Layers {
    /// Reads a command line, under it its environment, and under that the file that `--config` names, if the command has one.
    pub fn read(command: &Command, arguments: &[OsString]) -> Result<Self, LayersError> {
        Self::layer(command, arguments).map_err(|error| match error {
            LayersError::CommandLine(error) => of_variable(command, arguments, error),
            error => error,
        })
    }

    fn layer(command: &Command, arguments: &[OsString]) -> Result<Self, LayersError> {
        let plain = |arguments: &[OsString]| command.clone().try_get_matches_from(arguments);
        // It need not be right without the file, such as a certificate without its key.
        let lenient = command.clone().ignore_errors(true);
        let Ok(seen) = lenient.try_get_matches_from(arguments) else {
            return Ok(Self::without_file(plain(arguments)?));
        };
        let (leaf, seen) = leaf(command, &seen);
        if !leaf.get_arguments().any(|arg| arg.get_long() == Some(FILE_FLAG)) {
            return Ok(Self::without_file(plain(arguments)?));
        }
        let Some(path) = seen.get_one::<PathBuf>(FILE_FLAG) else {
            let matches = plain(arguments)?;
            let settings = settings(command, &matches, None);
            return Ok(Self { matches, settings });
        };
        let file = SettingsFile::read(path)?;
        check(leaf, path, &file)?;
        let applied: Vec<_> = file
            .entries
            .iter()
            .filter_map(|entry| Some((entry, argument(leaf, &entry.key)?)))
            .filter(|(_, arg)| !is_said(seen, arg))
            .collect();
        let with = |entries: &mut dyn Iterator<Item = &Entry>| {
            let added = entries.flat_map(|entry| flags(&entry.key, &entry.value));
            plain(&[arguments, &added.collect::<Vec<_>>()].concat())
        };
        let matches = with(&mut applied.iter().map(|(entry, _)| *entry)).map_err(|error| {
            // The one without which it would be right.
            let culprit = applied.iter().map(|(entry, _)| *entry).find(|left_out| {
                with(
                    &mut applied
                        .iter()
                        .map(|(entry, _)| *entry)
                        .filter(|entry| entry.key != left_out.key),
                )
                .is_ok()
            });
            match culprit {
                Some(entry) => LayersError::File(FileError::new(path, vec![fault(entry, message(&error))])),
                None => LayersError::CommandLine(error),
            }
        })?;
        let applied = applied.iter().map(|(entry, _)| *entry).collect();
        let settings = settings(command, &matches, Some((path, applied)));
        Ok(Self { matches, settings })
    }

    fn without_file(matches: ArgMatches) -> Self {
        Self {
            matches,
            settings: Vec::new(),
        }
    }
}

/// Tells an error as that of a variable, if the command line does not say the value that is wrong.
fn of_variable(command: &Command, arguments: &[OsString], error: clap::Error) -> LayersError {
    let wrong = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(wrong))
            if matches!(error.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue) =>
        {
            wrong
        }
        _ => return LayersError::CommandLine(error),
    };
    let is_on_command_line = |arg: &Arg| {
        let flag = format!("--{}", arg.get_long().unwrap_or_default());
        arguments.iter().any(|argument| {
            let argument = argument.to_string_lossy();
            let rest = argument.strip_prefix(&flag);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        })
    };
    // What an argument is called it knows only then.
    let mut command = command.clone();
    command.build();
    let variable = all_arguments(&command)
        .into_iter()
        .find(|arg| arg.to_string() == *wrong && !is_on_command_line(arg))
        .and_then(Arg::get_env);
    match variable {
        Some(variable) => LayersError::Variable {
            variable: variable.to_string_lossy().into_owned(),
            message: message(&error),
        },
        None => LayersError::CommandLine(error),
    }
}

fn all_arguments(command: &Command) -> Vec<&Arg> {
    let inner = command.get_subcommands().flat_map(all_arguments);
    command.get_arguments().chain(inner).collect()
}

/// Returns the innermost subcommand that was chosen.
fn leaf<'a>(command: &'a Command, matches: &'a ArgMatches) -> (&'a Command, &'a ArgMatches) {
    let chosen = matches
        .subcommand()
        .and_then(|(name, matches)| Some((command.find_subcommand(name)?, matches)));
    match chosen {
        Some((command, matches)) => leaf(command, matches),
        None => (command, matches),
    }
}

/// Returns the arguments that are settings.
fn arguments(leaf: &Command) -> impl Iterator<Item = (&Arg, &str)> {
    leaf.get_arguments()
        .filter(|arg| {
            !arg.is_global_set()
                && matches!(
                    arg.get_action(),
                    ArgAction::Set | ArgAction::Append | ArgAction::SetTrue | ArgAction::SetFalse
                )
        })
        .filter_map(|arg| Some((arg, arg.get_long()?)))
        .filter(|(_, key)| *key != FILE_FLAG)
}

fn argument<'a>(leaf: &'a Command, key: &str) -> Option<&'a Arg> {
    arguments(leaf)
        .find(|(_, known)| *known == key)
        .map(|(arg, _)| arg)
}

fn is_said(matches: &ArgMatches, arg: &Arg) -> bool {
    matches!(
        matches.value_source(arg.get_id().as_str()),
        Some(ValueSource::CommandLine | ValueSource::EnvVariable)
    )
}

/// Returns an entry as it would stand on the command line.
fn flags(key: &str, value: &Value) -> Vec<OsString> {
    let flag = |text: &String| OsString::from(format!("--{key}={text}"));
    match value {
        Value::Switch(false) => Vec::new(),
        Value::Switch(true) => vec![format!("--{key}").into()],
        Value::Text(text) => vec![flag(text)],
        Value::Texts(texts) => texts.iter().map(flag).collect(),
    }
}

/// Checks each entry alone, also those that others overrule.
fn check(leaf: &Command, path: &Path, file: &SettingsFile) -> Result<(), FileError> {
    let alone = leaf
        .clone()
        .no_binary_name(true)
        .mut_args(|arg| arg.env(Resettable::Reset));
    let fault_of = |entry: &Entry| {
        let Some(arg) = argument(leaf, &entry.key) else {
            return Some("there is no such setting; `dossier serve --help` lists them".to_owned());
        };
        let expected = match (arg.get_action(), &entry.value) {
            (ArgAction::SetTrue | ArgAction::SetFalse, Value::Switch(_))
            | (ArgAction::Append, Value::Text(_) | Value::Texts(_))
            | (ArgAction::Set, Value::Text(_)) => None,
            (ArgAction::SetTrue | ArgAction::SetFalse, _) => Some("expected true or false"),
            (ArgAction::Append, _) => Some("expected a list of texts"),
            _ => Some("expected one text or number"),
        };
        if let Some(expected) = expected {
            return Some(expected.to_owned());
        }
        match alone
            .clone()
            .try_get_matches_from(flags(&entry.key, &entry.value))
        {
            // What others must go with it is asked of all together.
            Err(error) if error.kind() != ErrorKind::MissingRequiredArgument => Some(message(&error)),
            _ => None,
        }
    };
    let faults: Vec<_> = file
        .entries
        .iter()
        .filter_map(|entry| Some(fault(entry, fault_of(entry)?)))
        .collect();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(FileError::new(path, faults))
    }
}

fn fault(entry: &Entry, message: String) -> Fault {
    Fault {
        line: Some(entry.line),
        key: Some(entry.key.clone()),
        message,
    }
}

/// Returns what is wrong, without the value.
fn message(error: &clap::Error) -> String {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::Strings(texts)) if !texts.is_empty() => Some(texts.join(", ")),
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::ValueValidation => error.source().map(ToString::to_string),
        ErrorKind::InvalidValue => {
            context(ContextKind::ValidValue).map(|valid| format!("expected one of {valid}"))
        }
        ErrorKind::MissingRequiredArgument => {
            context(ContextKind::InvalidArg).map(|missing| format!("it needs {missing} too"))
        }
        ErrorKind::ArgumentConflict => {
            context(ContextKind::PriorArg).map(|prior| format!("it cannot stand beside {prior}"))
        }
        _ => None,
    }
    .unwrap_or_else(|| error.kind().to_string())
}

fn settings(command: &Command, matches: &ArgMatches, file: Option<(&PathBuf, Vec<&Entry>)>) -> Vec<Setting> {
    let (leaf, matches) = leaf(command, matches);
    let (path, entries) = file.unzip();
    let setting = |(arg, key): (&Arg, &str)| {
        let id = arg.get_id().as_str();
        let texts = || {
            let raw = matches.get_raw(id).into_iter().flatten();
            raw.map(|text| text.to_string_lossy().into_owned())
        };
        let value = match arg.get_action() {
            ArgAction::SetTrue => Some(SettingValue::Switch(matches.get_flag(id))),
            ArgAction::SetFalse => Some(SettingValue::Switch(!matches.get_flag(id))),
            ArgAction::Append => Some(SettingValue::Many(texts().collect())),
            _ => texts().next().map(SettingValue::One),
        };
        let entry = iter::zip(path, &entries)
            .flat_map(|(path, entries)| entries.iter().map(move |entry| (path, entry)))
            .find(|(_, entry)| entry.key == key);
        let source = match (entry, matches.value_source(id)) {
            (Some((path, entry)), _) => Source::File(path.clone(), entry.line),
            (None, Some(ValueSource::CommandLine)) => Source::Flag,
            (None, Some(ValueSource::EnvVariable)) => {
                let variable = arg.get_env().unwrap_or_default();
                Source::Environment(variable.to_string_lossy().into_owned())
            }
            _ => Source::Default,
        };
        Setting {
            key: key.to_owned(),
            value,
            source,
        }
    };
    arguments(leaf).map(setting).collect()
}

#[cfg(test)]
mod tests;
