//! The options made ready for work: constant texts as AMQP writes them, templates compiled, the map taken apart.

use std::collections::HashMap;

use bytes::Bytes;
use gantry_sdk::{Context, Error, Record, Result, Template};
use lapin::{types::ShortString, uri::SASLMechanism};
use regex::Regex;

use super::{SinkOptions, map::expression};
use crate::convert::short_string;

/// Everything that a running sink needs to know.
#[derive(Debug)]
pub(super) struct Plan {
    pub options: SinkOptions,
    pub context: Context,
    pub exchange: Piece,
    /// `None`: by the record itself.
    pub routing_key: Option<Piece>,
    /// Whether there is a way for what the map does not name.
    pub has_way: bool,
    pub map: HashMap<String, ShortString>,
    /// In the order in which they are tried.
    pub expressions: Vec<(Regex, ShortString)>,
    pub headers: Vec<(ShortString, Piece)>,
    /// The names of those headers.
    pub added: Vec<String>,
    pub properties: Pieces,
}

/// A template, or the text that it always yields.
#[derive(Debug)]
pub(super) enum Piece {
    Fixed(ShortString),
    Made(Template),
}

/// The templates of properties, each `None` for the record's own.
#[derive(Debug)]
pub(super) struct Pieces {
    pub content_type: Option<Piece>,
    pub content_encoding: Option<Piece>,
    pub correlation_id: Option<Piece>,
    pub reply_to: Option<Piece>,
    pub expiration: Option<Piece>,
    pub message_id: Option<Piece>,
    pub kind: Option<Piece>,
    pub app_id: Option<Piece>,
    pub user_id: Option<Piece>,
    pub priority: Option<Piece>,
    pub timestamp: Option<Piece>,
    pub delivery_mode: Option<Piece>,
}

// === impl Piece ===

impl Piece {
    /// A literal that AMQP cannot write stays a template: it is refused record by record, like any other.
    fn new(template: &Template) -> Self {
        match template.as_literal().map(short_string) {
            Some(Ok(text)) => Self::Fixed(text),
            _ => Self::Made(template.clone()),
        }
    }

    fn of(template: Option<&Template>) -> Option<Self> {
        template.map(Self::new)
    }

    /// What it yields for this record; the error completes a sentence that begins with its name.
    pub(super) fn render(&self, record: &Record) -> Option<Result<ShortString, String>> {
        match self {
            Self::Fixed(text) => Some(Ok(text.clone())),
            Self::Made(template) => template.render(record).map(|bytes| text(&bytes)),
        }
    }

    /// The same as bytes, whatever they are.
    pub(super) fn bytes(&self, record: &Record) -> Option<Bytes> {
        match self {
            Self::Fixed(text) => Some(Bytes::copy_from_slice(text.as_str().as_bytes())),
            Self::Made(template) => template.render(record),
        }
    }

    /// Whether it is the same for every record.
    pub(super) const fn is_fixed(&self) -> bool {
        matches!(self, Self::Fixed(_))
    }
}

/// Bytes as AMQP's short strings, which are UTF-8 to the client library.
pub(super) fn text(bytes: &[u8]) -> Result<ShortString, String> {
    std::str::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned()).and_then(short_string)
}

// === impl Plan ===

impl Plan {
    /// The options have been checked.
    pub(super) fn new(options: SinkOptions, context: Context) -> Result<Self> {
        let mut map = HashMap::new();
        let mut expressions = Vec::new();
        for (from, queue) in options.map.iter() {
            let queue = short_string(queue).map_err(|reason| Error::config(format!("map.{from}: {reason}")))?;
            match expression(from) {
                Some(Ok(expression)) => expressions.push((expression, queue)),
                Some(Err(error)) => return Err(Error::config(format!("map.{from}: {error}"))),
                None => {
                    map.insert(from.to_owned(), queue);
                }
            }
        }
        let name = |name: &str| short_string(name).map_err(|reason| Error::config(format!("headers.{name}: {reason}")));
        let headers = options.headers.iter().map(|(own, template)| Ok((name(own)?, Piece::new(template))));
        Ok(Self {
            exchange: options.exchange.as_ref().map_or_else(|| Piece::Fixed(ShortString::default()), Piece::new),
            routing_key: Piece::of(options.queue.as_ref().or(options.routing_key.as_ref())),
            has_way: options.queue.is_some() || options.routing_key.is_some() || options.exchange.is_some(),
            map,
            expressions,
            headers: headers.collect::<Result<_>>()?,
            added: options.headers.keys().cloned().collect(),
            properties: Pieces::new(&options),
            options,
            context,
        })
    }

    /// The name that this sink logs in with; `None` if it sends none, or more than one.
    pub(super) fn login(&self) -> Option<String> {
        let uris = self.options.connection.endpoints().ok()?;
        let mut names = uris.iter().map(|uri| match uri.query.auth_mechanism.unwrap_or_default() {
            SASLMechanism::External | SASLMechanism::Anonymous => None,
            _ => Some(uri.authority.userinfo.username.as_str()),
        });
        let first = names.next()??;
        names.all(|name| name == Some(first)).then(|| first.to_owned())
    }

    /// The queue that the map has for what comes from there.
    pub(super) fn mapped(&self, address: &str) -> Option<&ShortString> {
        let matching = || self.expressions.iter().find(|(expression, _)| expression.is_match(address));
        self.map.get(address).or_else(|| matching().map(|(_, queue)| queue))
    }
}

// === impl Pieces ===

impl Pieces {
    fn new(options: &SinkOptions) -> Self {
        let own = &options.properties;
        Self {
            content_type: Piece::of(own.content_type.as_ref()),
            content_encoding: Piece::of(own.content_encoding.as_ref()),
            correlation_id: Piece::of(own.correlation_id.as_ref()),
            reply_to: Piece::of(own.reply_to.as_ref()),
            expiration: Piece::of(own.expiration.as_ref()),
            message_id: Piece::of(own.message_id.as_ref()),
            kind: Piece::of(own.kind.as_ref()),
            app_id: Piece::of(own.app_id.as_ref()),
            user_id: Piece::of(own.user_id.as_ref()),
            priority: Piece::of(own.priority.as_ref()),
            timestamp: Piece::of(own.timestamp.as_ref()),
            delivery_mode: Piece::of(own.delivery_mode.as_ref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use gantry_sdk::{config::deserialize, testkit};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_comes_before_expressions_and_those_as_they_are_written() {
        let options = json!({
            "connection": { "urls": ["amqp://rabbit1"] },
            "map": { "/^z/": "first", "/^zz?$/": "second", "/./": "rest", "zz": "named" },
        });
        let plan = Plan::new(deserialize(&options).expect("it parses"), testkit::context()).expect("it can be made");
        let mapped = |from| plan.mapped(from).map(|queue| queue.as_str().to_owned());
        for (from, queue) in [("zz", "named"), ("z", "first"), ("zzz", "first"), ("a", "rest")] {
            assert_eq!(mapped(from).as_deref(), Some(queue), "{from}");
        }
        assert_eq!(mapped(""), None);
    }
}
