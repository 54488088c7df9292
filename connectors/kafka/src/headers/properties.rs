//! The message properties as a list: one place for their names, their order and their types.

use std::io::Write as _;

use bytestring::ByteString;
use gantry_sdk::{Properties, Timestamp};

/// How many there are.
pub(super) const COUNT: usize = 13;

/// Their names, in the order of [`parts`]. The order is part of the `typed` encoding: only ever add at the end.
pub(super) const NAMES: [&str; COUNT] = [
    "message_id",
    "correlation_id",
    "reply_to",
    "content_type",
    "content_encoding",
    "type",
    "user_id",
    "app_id",
    "expiration",
    "cluster_id",
    "priority",
    "delivery_mode",
    "timestamp",
];

/// One property that is set.
#[derive(Debug)]
pub(super) enum Part<'a> {
    Text(&'a ByteString),
    Number(u8),
    Time(Timestamp),
}

fn text(text: &Option<ByteString>) -> Option<Part<'_>> {
    text.as_ref().map(Part::Text)
}

/// All properties in the order of [`NAMES`].
pub(super) fn parts(properties: &Properties) -> [Option<Part<'_>>; COUNT] {
    [
        text(&properties.message_id),
        text(&properties.correlation_id),
        text(&properties.reply_to),
        text(&properties.content_type),
        text(&properties.content_encoding),
        text(&properties.message_type),
        text(&properties.user_id),
        text(&properties.app_id),
        text(&properties.expiration),
        text(&properties.cluster_id),
        properties.priority.map(Part::Number),
        properties.delivery_mode.map(Part::Number),
        properties.timestamp.map(Part::Time),
    ]
}

/// The text property at that place of [`NAMES`].
pub(super) fn text_mut(properties: &mut Properties, index: usize) -> Option<&mut Option<ByteString>> {
    Some(match index {
        0 => &mut properties.message_id,
        1 => &mut properties.correlation_id,
        2 => &mut properties.reply_to,
        3 => &mut properties.content_type,
        4 => &mut properties.content_encoding,
        5 => &mut properties.message_type,
        6 => &mut properties.user_id,
        7 => &mut properties.app_id,
        8 => &mut properties.expiration,
        9 => &mut properties.cluster_id,
        _ => return None,
    })
}

/// The number property at that place of [`NAMES`].
pub(super) fn number_mut(properties: &mut Properties, index: usize) -> Option<&mut Option<u8>> {
    match index {
        10 => Some(&mut properties.priority),
        11 => Some(&mut properties.delivery_mode),
        _ => None,
    }
}

impl Part<'_> {
    /// The property as text.
    pub(super) fn text<'a>(&'a self, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        scratch.clear();
        // Writing into a Vec cannot fail.
        let _ = match self {
            Self::Text(text) => return text.as_bytes(),
            Self::Number(number) => write!(scratch, "{number}"),
            Self::Time(time) => write!(scratch, "{time}"),
        };
        scratch
    }
}
