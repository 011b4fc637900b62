//! Facts in a file.

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
};

use serde_json::Value;

use crate::{
    cli::{failure::Failure, output::Json},
    proto::v1::Fact,
};

/// Reads facts in protobuf's JSON mapping: one after the other, or in arrays.
pub(super) fn read(path: &Path) -> Result<Vec<Fact>, Failure> {
    let is_input = path == Path::new("-");
    let path = if is_input {
        Path::new("standard input")
    } else {
        path
    };
    let text = if is_input {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(path)
    };
    let text = text.map_err(|error| Failure::file(path, &error))?;
    parse(&text, &path.display().to_string())
}

fn parse(text: &str, origin: &str) -> Result<Vec<Fact>, Failure> {
    let json = Json::new()?;
    let mut facts = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        let value = value.map_err(|error| Failure::failed(format!("{origin} is no JSON: {error}")))?;
        let values = match value {
            Value::Array(values) => values,
            value => vec![value],
        };
        for value in values {
            let index = facts.len();
            let fact = json.read("Fact", value).map_err(|error| {
                Failure::failed(format!("{origin}: facts[{index}]: {error}"))
                    .hint("a fact is an object as `dossier facts --output json` writes it")
            })?;
            facts.push(fact);
        }
    }
    if facts.is_empty() {
        return Err(Failure::failed(format!("{origin} has no facts")));
    }
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&[&str], &str>) {
        match (parse(text, "f.json"), expected) {
            (Ok(facts), Ok(ids)) => {
                assert_eq!(facts.iter().map(|fact| fact.id.as_str()).collect::<Vec<_>>(), ids);
            }
            (Err(failure), Err(part)) => {
                let told = format!("{failure:?}");
                assert!(told.contains(part), "{told}");
            }
            (found, expected) => panic!("{text}: {found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn facts_come_one_after_the_other_or_in_arrays() {
        check(r#"{"id":"s:1"}"#, Ok(&["s:1"]));
        check(
            "{\"id\":\"s:1\"}\n[{\"id\":\"s:2\"},{\"id\":\"s:3\",\"stance\":\"STANCE_PLANNED\"}]\n",
            Ok(&["s:1", "s:2", "s:3"]),
        );
        check("", Err("f.json has no facts"));
        check("[]", Err("f.json has no facts"));
        check("{\"id\":\n x}", Err("line 2"));
        check(r#"[{"id":"s:1"},{"name":"x"}]"#, Err("facts[1]"));
        check("[7]", Err("facts[0]"));
        check(r#"{"stance":"STANCE_ODD"}"#, Err("STANCE_ODD"));
    }
}
