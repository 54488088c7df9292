//! What the records look like, and how a batch of them is made cheaply.
//!
//! All texts of a batch are written into one buffer, which the records then share: two allocations a batch, none a
//! record, unless records have ids or headers of their own.

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use gantry_sdk::{Headers, Limits, Origin, Properties, Record, Value};

use super::options::{DEFAULT_SIZE, Options};
use crate::{pattern::Pattern, payload};

#[derive(Debug)]
pub(super) struct Shape {
    body: Body,
    key: Option<Pattern>,
    message_id: Option<Pattern>,
    headers: HeaderShape,
    properties: Option<Arc<Properties>>,
    /// Where each text of the batch ends in its buffer; kept for its memory.
    ends: Vec<usize>,
    /// Bytes of the last batch's buffer: a guess at the next one's.
    usual: usize,
}

#[derive(Debug)]
enum Body {
    Payload { size: usize },
    Text(Pattern),
}

#[derive(Debug)]
enum HeaderShape {
    /// The same for every record, so all share one list.
    Same(Headers),
    Own(Vec<(ByteString, Pattern)>),
}

impl Shape {
    pub(super) fn new(options: Options) -> Self {
        let json = options.body.is_none();
        let body = match options.body {
            Some(pattern) => Body::Text(pattern),
            None => Body::Payload { size: options.size.unwrap_or(DEFAULT_SIZE).to_usize() },
        };
        let properties = json.then(|| Properties {
            content_type: Some(ByteString::from_static("application/json")),
            ..Properties::EMPTY
        });
        Self {
            body,
            key: options.key,
            message_id: options.message_id,
            headers: HeaderShape::new(options.headers.into_iter().map(|(name, text)| (name.into(), text)).collect()),
            properties: properties.map(Arc::new),
            ends: Vec::new(),
            usual: 0,
        }
    }

    /// Records from number `first` on: as many as the limits allow, at least one.
    pub(super) fn batch(&mut self, first: u64, limits: Limits, now: i64) -> Vec<Record> {
        let mut buffer = Vec::with_capacity(self.usual);
        let mut ends = std::mem::take(&mut self.ends);
        ends.clear();
        let mut count = 0;
        while count == 0 || (count < limits.records && buffer.len() < limits.bytes) {
            self.write(first + count as u64, now, &mut buffer, &mut ends);
            count += 1;
        }
        self.usual = buffer.len();

        let mut texts = Texts { buffer: buffer.into(), ends: ends.iter(), from: 0 };
        let records = (0..count).map(|_| self.record(&mut texts, now)).collect();
        self.ends = ends;
        records
    }

    /// Writes the texts of one record in the order in which [`Self::record`] takes them.
    fn write(&self, n: u64, now: i64, buffer: &mut Vec<u8>, ends: &mut Vec<usize>) {
        let own_headers = match &self.headers {
            HeaderShape::Same(_) => &[][..],
            HeaderShape::Own(headers) => headers,
        };
        let texts = self.key.iter().chain(&self.message_id).chain(own_headers.iter().map(|(_, text)| text));
        for text in texts {
            text.write(n, now, buffer);
            ends.push(buffer.len());
        }
        match &self.body {
            Body::Payload { size } => payload::write(n, *size, buffer),
            Body::Text(text) => text.write(n, now, buffer),
        }
        ends.push(buffer.len());
    }

    fn record(&self, texts: &mut Texts<'_>, now: i64) -> Record {
        let key = self.key.as_ref().map(|_| texts.take());
        let properties = match self.message_id {
            None => self.properties.clone(),
            Some(_) => Some(Arc::new(Properties {
                // A pattern writes UTF-8 only.
                message_id: ByteString::try_from(texts.take()).ok(),
                ..self.properties.as_deref().unwrap_or(&Properties::EMPTY).clone()
            })),
        };
        let headers = match &self.headers {
            HeaderShape::Same(headers) => headers.clone(),
            HeaderShape::Own(own) => own.iter().map(|(name, _)| (name.clone(), Value::String(texts.take()))).collect(),
        };
        Record {
            key,
            value: Some(texts.take()),
            headers,
            timestamp: Some(now),
            origin: Origin::new("generate", ByteString::from_static("generate")),
            properties,
            ..Record::default()
        }
    }
}

// === impl HeaderShape ===

impl HeaderShape {
    fn new(headers: Vec<(ByteString, Pattern)>) -> Self {
        if !headers.iter().all(|(_, text)| text.is_literal()) {
            return Self::Own(headers);
        }
        let value = |pattern: &Pattern| {
            let mut text = Vec::new();
            pattern.write(0, 0, &mut text);
            Value::String(text.into())
        };
        Self::Same(headers.iter().map(|(name, text)| (name.clone(), value(text))).collect())
    }
}

/// Cuts a batch's buffer into its texts, in order.
struct Texts<'a> {
    buffer: Bytes,
    ends: std::slice::Iter<'a, usize>,
    from: usize,
}

impl Texts<'_> {
    fn take(&mut self) -> Bytes {
        let end = self.ends.next().copied().unwrap_or(self.from);
        let text = self.buffer.slice(self.from..end);
        self.from = end;
        text
    }
}
