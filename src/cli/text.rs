//! The text of a query or update: an argument, a file, or standard input.

use std::{
    fs,
    io::{self, IsTerminal as _, Read as _},
    path::{Path, PathBuf},
};

use clap::Args;

use super::failure::{Failure, SourceText};

/// Where the text comes from.
#[derive(Args, Clone, Debug)]
pub(super) struct TextArgs {
    /// SPARQL text, `@FILE`, or `-` for standard input (also taken if there is neither text nor --file)
    #[arg(value_name = "TEXT", conflicts_with = "file")]
    text: Option<String>,

    /// File with the SPARQL text
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// A text and its origin.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) text: String,
    origin: String,
}

impl TextArgs {
    /// Reads the text. `what` names it, such as `query`.
    pub(super) fn read(self, what: &str) -> Result<Text, Failure> {
        let file = self
            .file
            .or_else(|| Some(PathBuf::from(self.text.as_deref()?.strip_prefix('@')?)));
        if let Some(path) = file {
            let text = fs::read_to_string(&path).map_err(|error| Failure::file(&path, &error))?;
            return Ok(Text {
                text,
                origin: path.display().to_string(),
            });
        }
        match self.text.as_deref() {
            Some("-") => {}
            Some(_) => {
                return Ok(Text {
                    text: self.text.unwrap_or_default(),
                    origin: what.to_owned(),
                });
            }
            None if io::stdin().is_terminal() => {
                return Err(Failure::usage(format!("there is no {what}"))
                    .hint("give it as an argument, as @FILE, or on standard input"));
            }
            None => {}
        }
        let mut text = String::new();
        io::stdin()
            .read_to_string(&mut text)
            .map_err(|error| Failure::file(Path::new("standard input"), &error))?;
        Ok(Text {
            text,
            origin: "standard input".to_owned(),
        })
    }
}

impl Text {
    /// What a fault in the text is shown with.
    pub(super) fn source(&self) -> SourceText<'_> {
        SourceText {
            origin: &self.origin,
            text: Some(&self.text),
        }
    }
}
