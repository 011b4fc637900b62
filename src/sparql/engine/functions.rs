//! Functions that the engine would run without bounds, and those that fetch values for it.

use std::{
    borrow::Cow,
    cell::RefCell,
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
};

use oxigraph::model::{BaseDirection, BlankNode, Literal, NamedNode, Term, vocab::xsd};
use regex::{Regex, RegexBuilder};
use spareval::QueryEvaluator;
use spargebra::algebra::{Expression as Algebra, Function};

use super::{
    super::{Interrupt, SparqlError, ValueLimits},
    algebra::{each, map},
};

/// Texts up to this many bytes are short: regular expressions for them may be larger.
const SHORT_TEXT_BYTES: usize = 4 << 10;
/// Compiled regular expressions that one expression remembers.
const REGEX_COUNT_MAX: usize = 64;

const CALL: &str = "dossier:call";
const CALL_BOUND: &str = "dossier:bound";
const NODE: &str = "dossier:node";
const CONCAT: &str = "dossier:concat";
const REGEX: &str = "dossier:regex";
const REPLACE: &str = "dossier:replace";

thread_local! {
    /// Values that the pattern of a pipe does not carry.
    static CALLED: RefCell<Vec<Option<Term>>> = const { RefCell::new(Vec::new()) };
    /// The blank nodes of the row at hand, by the names that it gave them.
    static NODES: RefCell<Vec<(String, BlankNode)>> = const { RefCell::new(Vec::new()) };
}

/// Says that another row is at hand.
pub(super) fn begin_row() {
    NODES.with_borrow_mut(Vec::clear);
}

/// BNODE with a name (SPARQL 1.1 Query, section 17.4.2.9): another node in each row. The engine would give the node of that label,
/// which the data may have.
fn node(arguments: &[Term]) -> Option<Term> {
    let name = simple(arguments.first()?)?;
    let node = NODES.with_borrow_mut(|nodes| {
        if let Some((_, node)) = nodes.iter().find(|(known, _)| known == name) {
            return node.clone();
        }
        let node = BlankNode::default();
        nodes.push((name.to_owned(), node.clone()));
        node
    });
    Some(node.into())
}

/// Says what [`CALL`] gives for each number.
pub(super) fn set_called(values: impl Iterator<Item = Option<Term>>) {
    CALLED.with_borrow_mut(|called| {
        called.clear();
        called.extend(values);
    });
}

fn called(arguments: &[Term]) -> Option<Term> {
    let Some(Term::Literal(index)) = arguments.first() else {
        return None;
    };
    let index: usize = index.value().parse().ok()?;
    CALLED.with_borrow(|called| called.get(index).cloned().flatten())
}

/// What went wrong in a function, which can say no more than "no value".
#[derive(Clone, Copy)]
#[repr(u8)]
enum Failure {
    Literal = 1,
    RegexText,
    Regex,
    RegexLong,
}

/// The functions of one expression.
#[derive(Clone)]
pub(super) struct Functions {
    failure: Arc<AtomicU8>,
    interrupt: Interrupt,
}

impl Functions {
    pub(super) fn new(interrupt: &Interrupt) -> Self {
        Self {
            failure: Arc::default(),
            interrupt: interrupt.clone(),
        }
    }

    /// Fails if a function was past a limit.
    pub(super) fn check(&self) -> Result<(), SparqlError> {
        let past = |limit, limit_value: usize| {
            Err(SparqlError::ValueTooLarge {
                limit,
                limit_value: limit_value as u64,
            })
        };
        let limits = self.limits();
        match self.failure.swap(0, Ordering::Relaxed) {
            0 => Ok(()),
            code if code == Failure::Literal as u8 => past("literal_bytes_max", limits.literal_bytes_max),
            code if code == Failure::RegexText as u8 => {
                past("regex_text_bytes_max", limits.regex_text_bytes_max)
            }
            code if code == Failure::Regex as u8 => past("regex_bytes_max", limits.regex_bytes_max),
            _ => past("long_text_regex_bytes_max", limits.long_text_regex_bytes_max),
        }
    }

    fn limits(&self) -> &ValueLimits {
        &self.interrupt.limits().values
    }

    fn fail<T>(&self, failure: Failure) -> Option<T> {
        self.failure.store(failure as u8, Ordering::Relaxed);
        None
    }

    /// Registers the functions that an expression calls.
    pub(super) fn registered(&self, evaluator: QueryEvaluator, expression: &Algebra) -> QueryEvaluator {
        let mut names = Vec::new();
        each_function(expression, &mut |function| {
            if let Function::Custom(name) = function
                && name.as_str().starts_with("dossier:")
                && !names.contains(name)
            {
                names.push(name.clone());
            }
        });
        names.into_iter().fold(evaluator, |evaluator, name| {
            let functions = self.clone();
            match name.as_str() {
                CALL => evaluator.with_custom_function(name, called),
                CALL_BOUND => evaluator.with_custom_function(name, |arguments| {
                    Some(Literal::from(called(arguments).is_some()).into())
                }),
                NODE => evaluator.with_custom_function(name, node),
                CONCAT => evaluator.with_custom_function(name, move |arguments| functions.concat(arguments)),
                REGEX => {
                    let cache = RegexCache::default();
                    evaluator.with_custom_function(name, move |arguments| functions.regex(&cache, arguments))
                }
                REPLACE => {
                    let cache = RegexCache::default();
                    evaluator
                        .with_custom_function(name, move |arguments| functions.replace(&cache, arguments))
                }
                _ => evaluator,
            }
        })
    }

    /// CONCAT (SPARQL 1.1 Query, section 17.4.3.12).
    fn concat(&self, arguments: &[Term]) -> Option<Term> {
        let bytes = arguments
            .iter()
            .filter_map(plain)
            .map(|(value, _)| value.len())
            .sum();
        if bytes > self.limits().literal_bytes_max {
            return self.fail(Failure::Literal);
        }
        // No larger than it is accounted for.
        let mut text = String::with_capacity(bytes);
        let mut tag = None;
        for argument in arguments {
            let (value, of_argument) = plain(argument)?;
            text.push_str(value);
            if *tag.get_or_insert(of_argument) != of_argument {
                tag = Some(None);
            }
        }
        Some(tagged(text, tag.flatten()))
    }

    /// REGEX (SPARQL 1.1 Query, section 17.4.3.14).
    fn regex(&self, cache: &RegexCache, arguments: &[Term]) -> Option<Term> {
        let (text, _) = plain(arguments.first()?)?;
        let regex = self.compiled(cache, text.len(), arguments.get(1)?, arguments.get(2))?;
        Some(Literal::from(regex.is_match(text)).into())
    }

    /// REPLACE (SPARQL 1.1 Query, section 17.4.3.15).
    fn replace(&self, cache: &RegexCache, arguments: &[Term]) -> Option<Term> {
        let (text, tag) = plain(arguments.first()?)?;
        let regex = self.compiled(cache, text.len(), arguments.get(1)?, arguments.get(3))?;
        let replacement = simple(arguments.get(2)?)?;
        let bytes_max = self.limits().literal_bytes_max;
        let mut replaced = String::new();
        let mut end = 0;
        let mut work = 0_usize;
        for found in regex.captures_iter(text) {
            let whole = found.get(0)?;
            replaced.push_str(&text[end..whole.start()]);
            // An empty one is a piece of work, too.
            for piece in std::iter::once("").chain(pieces(replacement)) {
                if work.is_multiple_of(256) && self.interrupt.check().is_err() {
                    return None;
                }
                work += 1;
                found.expand(piece, &mut replaced);
                if replaced.len() > bytes_max {
                    return self.fail(Failure::Literal);
                }
            }
            end = whole.end();
        }
        replaced.push_str(&text[end..]);
        if replaced.len() > bytes_max {
            return self.fail(Failure::Literal);
        }
        replaced.shrink_to_fit();
        Some(tagged(replaced, tag))
    }

    fn compiled(
        &self,
        cache: &RegexCache,
        text_bytes: usize,
        pattern: &Term,
        flags: Option<&Term>,
    ) -> Option<Regex> {
        if text_bytes > self.limits().regex_text_bytes_max {
            return self.fail(Failure::RegexText);
        }
        let pattern = simple(pattern)?;
        let flags = flags.map_or(Some(""), simple)?;
        let (size, failure) = if text_bytes <= SHORT_TEXT_BYTES {
            (self.limits().regex_bytes_max, Failure::Regex)
        } else {
            (self.limits().long_text_regex_bytes_max, Failure::RegexLong)
        };
        let mut cache = cache.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (size, flags.to_owned(), pattern.to_owned());
        if let Some(regex) = cache.get(&key) {
            return regex.clone();
        }
        let regex = match compile(pattern, flags, size) {
            Some(Err(regex::Error::CompiledTooBig(_))) => return self.fail(failure),
            Some(Ok(regex)) => Some(regex),
            _ => None,
        };
        if cache.len() >= REGEX_COUNT_MAX {
            cache.clear();
        }
        cache.insert(key, regex.clone());
        regex
    }
}

/// Regular expressions by size limit, flags and pattern; `None` for those that are wrong.
#[derive(Clone, Default)]
struct RegexCache(Arc<Mutex<HashMap<RegexKey, Option<Regex>>>>);

type RegexKey = (usize, String, String);

/// Compiles a pattern; `None` where a flag is wrong (Functions and Operators 3.1, section 5.6.2).
fn compile(pattern: &str, flags: &str, size: usize) -> Option<Result<Regex, regex::Error>> {
    let pattern = if flags.contains('q') {
        Cow::Owned(regex::escape(pattern))
    } else {
        Cow::Borrowed(pattern)
    };
    let mut builder = RegexBuilder::new(&pattern);
    builder.size_limit(size).dfa_size_limit(1 << 20);
    for flag in flags.chars() {
        match flag {
            's' => builder.dot_matches_new_line(true),
            'm' => builder.multi_line(true),
            'i' => builder.case_insensitive(true),
            'x' => builder.ignore_whitespace(true),
            'q' => &mut builder,
            _ => return None,
        };
    }
    Some(builder.build())
}

/// Cuts a replacement into pieces with one reference to a group at most: each adds no more than the text has.
fn pieces(mut replacement: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let first = replacement.chars().next()?.len_utf8();
        let whole = match replacement.as_bytes() {
            [b'$', b'$', ..] => 2,
            [b'$', b'{', ..] => replacement.find('}').map_or(first, |at| at + 1),
            _ => first,
        };
        let next = replacement[whole..].find('$');
        let (piece, rest) = replacement.split_at(next.map_or(replacement.len(), |at| whole + at));
        replacement = rest;
        Some(piece)
    })
}

type Tag<'t> = Option<(&'t str, Option<BaseDirection>)>;

/// Returns the text of a string literal, and its language.
fn plain(term: &Term) -> Option<(&str, Tag<'_>)> {
    let Term::Literal(literal) = term else {
        return None;
    };
    match literal.language() {
        Some(language) => Some((literal.value(), Some((language, literal.direction())))),
        None => (literal.datatype() == xsd::STRING).then(|| (literal.value(), None)),
    }
}

/// Returns the text of an `xsd:string`.
fn simple(term: &Term) -> Option<&str> {
    plain(term).and_then(|(text, tag)| tag.is_none().then_some(text))
}

fn tagged(text: String, tag: Tag<'_>) -> Term {
    match tag {
        None => Literal::new_simple_literal(text),
        Some((language, None)) => Literal::new_language_tagged_literal_unchecked(text, language),
        Some((language, Some(direction))) => {
            Literal::new_directional_language_tagged_literal_unchecked(text, language, direction)
        }
    }
    .into()
}

/// Returns the expression with our functions in place of the engine's, and values from the `carried`th called for.
pub(super) fn rewritten(expression: Algebra, carried: usize) -> Algebra {
    let call = |name: &str, arguments: Vec<Algebra>| {
        Algebra::FunctionCall(Function::Custom(NamedNode::new_unchecked(name)), arguments)
    };
    let index_of = |variable: &oxigraph::model::Variable| -> Option<i64> {
        let index: usize = variable.as_str().strip_prefix('v')?.parse().ok()?;
        i64::try_from(index.checked_sub(carried)?).ok()
    };
    map(expression, &mut |expression| match expression {
        Algebra::Variable(variable) => match index_of(&variable) {
            Some(index) => call(CALL, vec![Literal::from(index).into()]),
            None => Algebra::Variable(variable),
        },
        Algebra::Bound(variable) => match index_of(&variable) {
            Some(index) => call(CALL_BOUND, vec![Literal::from(index).into()]),
            None => Algebra::Bound(variable),
        },
        Algebra::FunctionCall(Function::BNode, arguments) if !arguments.is_empty() => call(NODE, arguments),
        Algebra::FunctionCall(Function::Concat, arguments) => call(CONCAT, arguments),
        Algebra::FunctionCall(Function::Regex, arguments) => call(REGEX, arguments),
        Algebra::FunctionCall(Function::Replace, arguments) => call(REPLACE, arguments),
        other => other,
    })
}

/// Tells whether the value is the same for the same inputs.
pub(super) fn is_pure(expression: &Algebra) -> bool {
    let mut is_pure = true;
    each_function(expression, &mut |function| {
        is_pure &= !matches!(
            function,
            Function::Rand | Function::Uuid | Function::StrUuid | Function::BNode
        );
    });
    is_pure
}

fn each_function(expression: &Algebra, look: &mut dyn FnMut(&Function)) {
    each(expression, &mut |expression| {
        if let Algebra::FunctionCall(function, _) = expression {
            look(function);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_expand_as_the_whole_does() {
        let regex = Regex::new("(?<a>.)(.)").unwrap();
        for replacement in [
            "",
            "b",
            "é",
            "$",
            "$$",
            "$$$",
            "$$1",
            "$0",
            "$1é$2",
            "$1$2$1",
            "${1}$a${a}x",
            "$b${",
            "${a$1}$1",
            "$$${a}$",
        ] {
            let found = regex.captures("xy").unwrap();
            let (mut whole, mut pieced) = (String::new(), String::new());
            found.expand(replacement, &mut whole);
            for piece in pieces(replacement) {
                assert!(piece.matches('$').count() <= 2, "{piece}");
                found.expand(piece, &mut pieced);
            }
            assert_eq!(pieced, whole, "{replacement}");
        }
    }
}
