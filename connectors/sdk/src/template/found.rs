//! What is found for a field: bytes that are borrowed until somebody keeps them.

use std::{borrow::Cow, ops::Deref};

use bytes::Bytes;

/// What a record has in a field. Looking at it takes no memory; keeping what the record holds shares the record's memory.
#[derive(Debug, Clone)]
pub struct Found<'r>(Kind<'r>);

#[derive(Debug, Clone)]
enum Kind<'r> {
    /// `text` stands in `within`.
    Held {
        text: &'r [u8],
        within: &'r Bytes,
    },
    Made(Bytes),
}

impl<'r> Found<'r> {
    /// Bytes that are held already.
    pub(super) fn held(bytes: &'r Bytes) -> Self {
        Self(Kind::Held { text: bytes, within: bytes })
    }

    /// What was read in these bytes: a piece of them, or something else.
    pub(super) fn read(text: Cow<'r, [u8]>, within: &'r Bytes) -> Self {
        match text {
            Cow::Borrowed(text) => Self(Kind::Held { text, within }),
            Cow::Owned(text) => Self(Kind::Made(text.into())),
        }
    }

    /// The bytes, to keep.
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            // Cannot panic: it is a piece of them, by construction.
            Kind::Held { text, within } => within.slice_ref(text),
            Kind::Made(bytes) => bytes,
        }
    }
}

impl Deref for Found<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Kind::Held { text, .. } => text,
            Kind::Made(bytes) => bytes,
        }
    }
}

impl<T: Into<Bytes>> From<T> for Found<'_> {
    /// Bytes that were made.
    fn from(bytes: T) -> Self {
        Self(Kind::Made(bytes.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_not_copied() {
        let body = Bytes::from("{\"a\":\"text\"}".to_owned());
        let piece = Found::read(Cow::Borrowed(&body[6..10]), &body);
        assert_eq!(&*piece, b"text");
        let kept = piece.into_bytes();
        assert_eq!((&*kept, kept.as_ptr()), (&b"text"[..], body[6..].as_ptr()));
        assert_eq!(Found::held(&body).into_bytes().as_ptr(), body.as_ptr());
        assert_eq!(Found::read(Cow::Owned(b"other".to_vec()), &body).into_bytes(), "other");
        assert_eq!(Found::read(Cow::Borrowed(&[]), &body).into_bytes(), "", "nothing stands anywhere");
    }
}
