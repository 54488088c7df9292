//! Functions of templates: `{lower(header.tenant)}`.
//!
//! A call makes bytes of bytes, and nothing of nothing: when what it is called on is not there, neither is its result, so
//! `{lower(header.tenant)|none}` is `none` then. `default` alone looks further.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::{Field, found::Found};
use crate::Record;

/// A function by its name, how it is called, and what it does.
#[derive(Debug, Clone, Copy)]
pub struct FunctionInfo {
    /// Its name.
    pub name: &'static str,
    /// How it is called.
    pub usage: &'static str,
    /// What it yields.
    pub summary: &'static str,
}

const fn info(name: &'static str, usage: &'static str, summary: &'static str) -> FunctionInfo {
    FunctionInfo { name, usage, summary }
}

/// Every function of templates.
pub const FUNCTIONS: &[FunctionInfo] = &[
    info("lower", "lower(FIELD)", "The text in lower case."),
    info("upper", "upper(FIELD)", "The text in upper case."),
    info("replace", "replace(FIELD, \"FROM\", \"TO\")", "The text with every FROM replaced by TO."),
    info("default", "default(FIELD, FIELD, …)", "The first that is there; the last may be \"TEXT\"."),
    info("hash", "hash(FIELD) or hash(FIELD, N)", "SHA-256 in hexadecimal, or a number from 0 to N - 1 out of it."),
];

/// What stands between braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expression {
    Field(Field),
    Text(Bytes),
    Call(Box<Call>),
}

/// A function with what it is called on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Call {
    Lower(Expression),
    Upper(Expression),
    Replace { text: Expression, from: Vec<u8>, to: Vec<u8> },
    Default(Vec<Expression>),
    Hash { text: Expression, below: Option<u64> },
}

impl Expression {
    pub(super) fn get<'r>(&'r self, record: &'r Record) -> Option<Found<'r>> {
        match self {
            Self::Field(field) => field.get(record),
            Self::Text(text) => Some(Found::held(text)),
            Self::Call(call) => call.get(record),
        }
    }

    /// The fields that it asks for.
    pub(super) fn fields(&self) -> Vec<&Field> {
        match self {
            Self::Field(field) => vec![field],
            Self::Text(_) => Vec::new(),
            Self::Call(call) => call.arguments().iter().flat_map(Self::fields).collect(),
        }
    }
}

impl Call {
    /// The call of that function; the error says how it is called.
    pub(super) fn new(name: &str, arguments: Vec<Expression>) -> Result<Self, String> {
        let usage = || {
            let usage = FUNCTIONS.iter().find(|function| function.name == name).map_or("", |function| function.usage);
            format!("\"{name}\" is called like {usage}")
        };
        let text = |expression: &Expression| match expression {
            Expression::Text(text) => Ok(text.to_vec()),
            Expression::Field(_) | Expression::Call(_) => Err(usage()),
        };
        let mut arguments = arguments;
        Ok(match (name, arguments.as_mut_slice()) {
            ("lower", [_]) => Self::Lower(arguments.remove(0)),
            ("upper", [_]) => Self::Upper(arguments.remove(0)),
            ("replace", [_, from, to]) => {
                let (from, to) = (text(from)?, text(to)?);
                if from.is_empty() {
                    return Err(format!("{}; FROM must not be empty", usage()));
                }
                Self::Replace { text: arguments.remove(0), from, to }
            }
            ("default", [_, _, ..]) => Self::Default(arguments),
            ("hash", [_]) => Self::Hash { text: arguments.remove(0), below: None },
            ("hash", [_, below]) => {
                let digits = String::from_utf8(text(below)?).unwrap_or_default();
                let below = digits.parse().ok().filter(|below| *below > 0);
                let below = below.ok_or_else(|| format!("{}; N is a number from 1", usage()))?;
                Self::Hash { text: arguments.remove(0), below: Some(below) }
            }
            _ => return Err(usage()),
        })
    }

    fn arguments(&self) -> &[Expression] {
        match self {
            Self::Lower(text) | Self::Upper(text) | Self::Replace { text, .. } | Self::Hash { text, .. } => {
                std::slice::from_ref(text)
            }
            Self::Default(choices) => choices,
        }
    }

    fn get<'r>(&'r self, record: &'r Record) -> Option<Found<'r>> {
        Some(match self {
            Self::Lower(text) => cased(&text.get(record)?, str::to_lowercase, <[u8]>::to_ascii_lowercase).into(),
            Self::Upper(text) => cased(&text.get(record)?, str::to_uppercase, <[u8]>::to_ascii_uppercase).into(),
            Self::Replace { text, from, to } => replaced(text.get(record)?, from, to),
            Self::Default(choices) => choices.iter().find_map(|choice| choice.get(record))?,
            Self::Hash { text, below } => {
                let digest: [u8; 32] = Sha256::digest(&*text.get(record)?).into();
                match below {
                    None => digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into(),
                    Some(below) => (first_number(digest) % below).to_string().into(),
                }
            }
        })
    }
}

/// The first eight bytes, most significant first: whoever wants to do the same elsewhere can.
fn first_number(digest: [u8; 32]) -> u64 {
    digest.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// Of bytes that are not UTF-8 only the ASCII letters change.
fn cased(text: &[u8], of_text: fn(&str) -> String, of_bytes: fn(&[u8]) -> Vec<u8>) -> Bytes {
    match str::from_utf8(text) {
        Ok(text) => of_text(text).into(),
        Err(_) => of_bytes(text).into(),
    }
}

fn replaced<'r>(text: Found<'r>, from: &[u8], to: &[u8]) -> Found<'r> {
    let mut out = Vec::new();
    let (mut rest, mut changed) = (&*text, false);
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
        changed = true;
    }
    if !changed {
        return text;
    }
    out.extend_from_slice(rest);
    out.into()
}
