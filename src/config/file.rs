//! The settings file: TOML with the names of the flags as its keys.

use std::{fmt, fs, io, path::Path};

use toml::de::{DeTable, DeValue};

/// More than anybody writes by hand.
const BYTES_MAX: u64 = 1 << 20;

/// What a settings file says, in the order of its lines.
#[derive(Debug, Default)]
pub(super) struct SettingsFile {
    pub(super) entries: Vec<Entry>,
}

/// One setting.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    /// From 1.
    pub(super) line: usize,
    pub(super) value: Value,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value {
    Switch(bool),
    Text(String),
    Texts(Vec<String>),
}

/// Why a settings file cannot be used: every fault of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    path: String,
    faults: Vec<Fault>,
}

/// One fault, never with the value: a secret may stand where none should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// From 1; none if it is the file as a whole.
    pub(super) line: Option<usize>,
    pub(super) key: Option<String>,
    pub(super) message: String,
}

impl FileError {
    pub(super) fn new(path: &Path, faults: Vec<Fault>) -> Self {
        Self {
            path: path.display().to_string(),
            faults,
        }
    }

    fn whole(path: &Path, message: String) -> Self {
        Self::new(
            path,
            vec![Fault {
                line: None,
                key: None,
                message,
            }],
        )
    }
}

impl std::error::Error for FileError {}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&self.path)?;
            if let Some(line) = fault.line {
                write!(f, ":{line}")?;
            }
            if let Some(key) = &fault.key {
                write!(f, ": {key}")?;
            }
            write!(f, ": {}", fault.message)?;
        }
        Ok(())
    }
}

impl SettingsFile {
    /// Reads a file. All that is wrong with its form is told at once.
    pub(super) fn read(path: &Path) -> Result<Self, FileError> {
        let whole = |error: io::Error| FileError::whole(path, format!("cannot be read: {error}"));
        if fs::metadata(path).map_err(whole)?.len() > BYTES_MAX {
            let message = format!("is larger than {} MiB", BYTES_MAX >> 20);
            return Err(FileError::whole(path, message));
        }
        let text = fs::read_to_string(path).map_err(whole)?;
        Self::parse(&text).map_err(|faults| FileError::new(path, faults))
    }

    fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        let line_of = |at: usize| 1 + text.bytes().take(at).filter(|&byte| byte == b'\n').count();
        let table = DeTable::parse(text).map_err(|error| {
            vec![Fault {
                line: error.span().map(|span| line_of(span.start)),
                key: None,
                message: error.message().replace('\n', ", "),
            }]
        })?;
        let (mut entries, mut faults) = (Vec::new(), Vec::new());
        for (key, value) in table.get_ref() {
            let line = line_of(key.span().start);
            let key = key.get_ref().to_string();
            match read_value(value.get_ref()) {
                Ok(value) => entries.push(Entry { key, line, value }),
                Err(message) => faults.push(Fault {
                    line: Some(line),
                    key: Some(key),
                    message: message.to_owned(),
                }),
            }
        }
        if faults.is_empty() {
            entries.sort_by_key(|entry| entry.line);
            Ok(Self { entries })
        } else {
            faults.sort_by_key(|fault| fault.line);
            Err(faults)
        }
    }
}

fn read_value(value: &DeValue<'_>) -> Result<Value, &'static str> {
    match value {
        DeValue::Boolean(switch) => Ok(Value::Switch(*switch)),
        DeValue::Array(values) => {
            let texts = values.iter().map(|value| scalar(value.get_ref()));
            Ok(Value::Texts(texts.collect::<Result<_, _>>()?))
        }
        value => Ok(Value::Text(scalar(value)?)),
    }
}

fn scalar(value: &DeValue<'_>) -> Result<String, &'static str> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().to_owned()),
        DeValue::Integer(_) => Err("expected a decimal number"),
        DeValue::Datetime(date) => Ok(date.to_string()),
        DeValue::Float(_) => Err("expected a whole number; put a size or duration with its unit into quotes"),
        DeValue::Boolean(_) => Err("expected a list of texts"),
        DeValue::Array(_) => Err("expected a list without lists in it"),
        DeValue::Table(_) => Err("is a table, and settings stand in none"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_have_lines_and_values() {
        let file = SettingsFile::parse(
            "# a comment\nquery-size-max = \"2MiB\"\n\nwatchers-max = 1_000\nas-of = 2019-08-27\ninsecure = true\n\
             cors-origin = [\n  \"https://a.example\",\n  \"*\",\n]\n",
        )
        .unwrap();
        let text = |text: &str| Value::Text(text.to_owned());
        let found: Vec<_> = file
            .entries
            .iter()
            .map(|entry| (entry.key.as_str(), entry.line, &entry.value))
            .collect();
        let origins = Value::Texts(vec!["https://a.example".to_owned(), "*".to_owned()]);
        assert_eq!(
            found,
            [
                ("query-size-max", 2, &text("2MiB")),
                ("watchers-max", 4, &text("1000")),
                ("as-of", 5, &text("2019-08-27")),
                ("insecure", 6, &Value::Switch(true)),
                ("cors-origin", 7, &origins),
            ]
        );
    }

    #[test]
    fn faults_have_lines() {
        let check = |text: &str, expected: &str| {
            let error = FileError::new(Path::new("dossier.toml"), SettingsFile::parse(text).unwrap_err());
            assert!(error.to_string().starts_with(expected), "{error}");
        };
        check("listen = ", "dossier.toml:1: ");
        check("a = 1\nb = 2\na = 3\n", "dossier.toml:3: duplicate key");
        check(
            "x = 1\nquery-timeout-max = 1.5\n",
            "dossier.toml:2: query-timeout-max: expected a whole number",
        );
        check(
            "streams-max = 0x10",
            "dossier.toml:1: streams-max: expected a decimal",
        );
        check(
            "[tls]\ncert = \"a\"\n",
            "dossier.toml:1: tls: is a table, and settings stand in none",
        );
        check(
            "cors-origin = [[\"*\"]]",
            "dossier.toml:1: cors-origin: expected a list",
        );
    }

    #[test]
    fn files_that_cannot_be_read_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dossier.toml");
        let told = || SettingsFile::read(&path).unwrap_err().to_string();
        assert!(told().contains("dossier.toml: cannot be read: "), "{}", told());
        fs::write(&path, [b'#', 0xff]).unwrap();
        assert!(told().contains("UTF-8"), "{}", told());
        let full = usize::try_from(BYTES_MAX).unwrap();
        fs::write(&path, vec![b'\n'; full]).unwrap();
        assert!(SettingsFile::read(&path).unwrap().entries.is_empty());
        fs::write(&path, vec![b'\n'; full + 1]).unwrap();
        assert!(told().contains("larger than 1 MiB"), "{}", told());
    }
}
