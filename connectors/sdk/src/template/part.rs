//! A part of a template.

use bytes::Bytes;

use super::function::Expression;
use crate::Record;

/// Text as it stands, or a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Literal(String),
    Field { expression: Expression, default: Option<String> },
}

impl Part {
    /// What it yields; `None` when the record lacks a field that has no default.
    pub(super) fn render(&self, record: &Record) -> Option<Bytes> {
        match self {
            Self::Literal(text) => Some(Bytes::copy_from_slice(text.as_bytes())),
            Self::Field { expression, default } => {
                expression.get(record).or_else(|| default.as_ref().map(|text| Bytes::copy_from_slice(text.as_bytes())))
            }
        }
    }
}
