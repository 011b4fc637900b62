//! Parameters of a query or update: `--bind NAME=TERM`.

use std::collections::HashMap;

use clap::Args;

use super::{client::Client, failure::Failure, term};
use crate::proto::v1;

/// Terms for variables of the text.
#[derive(Args, Clone, Debug)]
pub(super) struct BindArgs {
    /// Term in the place of a variable, such as country=e:KR, name='"Seoul"@en' or count=3; may be repeated
    #[arg(long = "bind", value_name = "NAME=TERM", value_parser = pair)]
    bound: Vec<(String, String)>,
}

impl BindArgs {
    /// Returns the parameters of a request.
    pub(super) async fn parameters(self, client: &mut Client) -> Result<HashMap<String, v1::Term>, Failure> {
        if self.bound.is_empty() {
            return Ok(HashMap::new());
        }
        let prefixes = client.prefixes().await?;
        let mut parameters = HashMap::new();
        for (name, text) in self.bound {
            let term = term::parse(&format!("--bind {name}"), &text, &prefixes)?;
            if parameters.insert(name.clone(), term).is_some() {
                return Err(Failure::usage(format!("--bind {name} is given twice")));
            }
        }
        Ok(parameters)
    }
}

/// Splits `name=term`; a `?` or `$` before the name may stand or be left out.
fn pair(text: &str) -> Result<(String, String), String> {
    let (name, term) = text
        .split_once('=')
        .ok_or("expected NAME=TERM, such as country=e:KR")?;
    let name = name.trim().trim_start_matches(['?', '$']);
    if name.is_empty() {
        return Err("the name of the variable is missing".to_owned());
    }
    Ok((name.to_owned(), term.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_terms_are_split_at_the_first_equals_sign() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let expected = expected.map(|(name, term)| (name.to_owned(), term.to_owned()));
            assert_eq!(pair(text).ok(), expected, "{text}");
        };
        check("country=e:KR", Some(("country", "e:KR")));
        check("?x=\"a=b\"", Some(("x", "\"a=b\"")));
        check(
            "$x=<http://example.com/?a=b>",
            Some(("x", "<http://example.com/?a=b>")),
        );
        check("x", None);
        check("=e:KR", None);
    }
}
