//! A part of a template.

use bytestring::ByteString;

use super::{found::Found, function::Expression};
use crate::Record;

/// Text as it stands, or a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Literal(ByteString),
    Field { expression: Expression, default: Option<ByteString> },
}

impl Part {
    /// What it yields; `None` when the record lacks a field that has no default.
    pub(super) fn render<'r>(&'r self, record: &'r Record) -> Option<Found<'r>> {
        match self {
            Self::Literal(text) => Some(Found::held(text.as_bytes())),
            Self::Field { expression, default } => {
                expression.get(record).or_else(|| default.as_ref().map(|text| Found::held(text.as_bytes())))
            }
        }
    }
}
