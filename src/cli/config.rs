//! `dossier config`.

use std::io::Write as _;

use clap::{Command, Subcommand};

use super::{failure::Failure, output::Output, serve};
use crate::{
    config::{ServeSettings, Setting, SettingValue},
    server, telemetry,
};

const CHECK_EXAMPLES: &str = "\
Examples:
  dossier config check --config dossier.toml
  DOSSIER_CONFIG=dossier.toml dossier config check --query-timeout-max 30s";

/// Variables whose names begin like ours, and that something else reads: tests, and Kubernetes' names of services.
const NOT_OURS: [&str; 3] = ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT"];

/// What to do with settings.
#[derive(Subcommand, Debug)]
pub(super) enum ConfigCommand {
    /// Check the settings as `dossier serve` would, and tell each with where it comes from
    ///
    /// Takes the same flags, environment and file, and reads the files that they name. The answer is a settings file itself. Exits with 2 if it finds a fault.
    #[command(after_help = CHECK_EXAMPLES)]
    Check(Box<ServeSettings>),
}

/// Checks settings and the files that they name, and tells them.
pub(super) fn check(settings: &ServeSettings, layers: &[Setting], command: &Command) -> Result<(), Failure> {
    serve::validate(settings, layers)?;
    server::check_files(settings).map_err(|error| Failure::usage(error.to_string()))?;
    telemetry::check_files(settings).map_err(|error| Failure::usage(error.to_string()))?;
    let mut output = Output::stdout();
    let lines: Vec<_> = layers.iter().map(|setting| (line(setting), setting)).collect();
    let width = lines
        .iter()
        .map(|(line, _)| line.len().min(60))
        .max()
        .unwrap_or(0);
    for (line, setting) in lines {
        writeln!(output, "{line:width$}  # {}", setting.source)?;
    }
    output.flush()?;
    for variable in unknown_variables(command) {
        anstream::eprintln!("note: {variable} is set, and no setting has that name");
    }
    Ok(())
}

/// Returns a setting as a settings file would have it; as a comment if it is not set.
fn line(setting: &Setting) -> String {
    let key = &setting.key;
    match &setting.value {
        None => format!("# {key} ="),
        Some(SettingValue::Many(texts)) if texts.is_empty() => format!("# {key} = []"),
        Some(SettingValue::Switch(switch)) => format!("{key} = {switch}"),
        Some(SettingValue::One(text)) => format!("{key} = {}", scalar(text)),
        Some(SettingValue::Many(texts)) => {
            let texts: Vec<_> = texts.iter().map(|text| scalar(text)).collect();
            format!("{key} = [{}]", texts.join(", "))
        }
    }
}

fn scalar(text: &str) -> String {
    if text.parse::<i64>().is_ok_and(|number| number.to_string() == text) {
        return text.to_owned();
    }
    // A string of JSON is one of TOML.
    serde_json::Value::from(text).to_string()
}

/// Returns variables of the environment that look like a setting and are none.
fn unknown_variables(command: &Command) -> Vec<String> {
    let mut variables: Vec<_> = std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with("DOSSIER_") && !is_read(command, name))
        .filter(|name| !NOT_OURS.iter().any(|part| name.contains(part)))
        .collect();
    variables.sort();
    variables
}

fn is_read(command: &Command, name: &str) -> bool {
    command
        .get_arguments()
        .any(|arg| arg.get_env().is_some_and(|variable| variable == name))
        || command
            .get_subcommands()
            .any(|subcommand| is_read(subcommand, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;

    #[test]
    fn settings_are_lines_of_a_file() {
        let check = |value: Option<SettingValue>, expected: &str| {
            let setting = Setting {
                key: "key".to_owned(),
                value,
                source: Source::Default,
            };
            assert_eq!(line(&setting), expected);
        };
        let one = |text: &str| Some(SettingValue::One(text.to_owned()));
        let many = |texts: &[&str]| {
            Some(SettingValue::Many(
                texts.iter().map(|&text| text.to_owned()).collect(),
            ))
        };
        check(None, "# key =");
        check(one("60s"), "key = \"60s\"");
        check(one("60"), "key = 60");
        check(one("060"), "key = \"060\"");
        check(one("a\"\\\n"), "key = \"a\\\"\\\\\\n\"");
        check(many(&[]), "# key = []");
        check(many(&["*", "1"]), "key = [\"*\", 1]");
        check(Some(SettingValue::Switch(true)), "key = true");
    }
}
