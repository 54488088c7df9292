//! What a source reads and a sink writes, as far as its options say it: for `gantry graph`, and for `gantry check`, which
//! looks for loops and for bridges that share an input.
//!
//! It is made without I/O and holds no secret. What only the records themselves decide (a template, a regular expression)
//! is said to be so, and nobody guesses.

/// What the options of a source or a sink say about the world outside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// The broker: each address that it may be reached at, like `rabbit1:5672/orders`, with whatever sets its names apart from
    /// the same names elsewhere (RabbitMQ's virtual host). Never a user or a password. Two descriptions that have an address
    /// in common mean the same broker. Empty for what needs none.
    pub broker: Vec<String>,
    /// What is read or written there.
    pub endpoints: Vec<Endpoint>,
    /// The kind of endpoint that a record's destination names: a record that a transform gave one goes there instead of to an
    /// endpoint of this kind above. `None`: a destination is no name of an endpoint. Means nothing for a source.
    pub destination: Option<&'static str>,
    /// How records go on inside the broker by themselves, as far as the options create it: from an exchange to a queue.
    pub routes: Vec<Route>,
    /// Sources of one group share what they read: each record goes to only one of them. `None`: all that read it are one
    /// group. Means nothing for a sink.
    pub group: Option<String>,
    /// Several tasks divide it among them without losing an order that it has, as the partitions of a topic. Means nothing
    /// for a sink.
    pub partitioned: bool,
}

/// Something in a broker that holds records or takes them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// What it is, in its system's own word: `queue`, `exchange`, `topic`, `file`.
    pub kind: &'static str,
    /// Which.
    pub name: Name,
}

/// Which ones are meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// The one of this name.
    Exact(String),
    /// All whose names match this regular expression.
    Matching(String),
    /// What the template makes of each record: not known before.
    Template(String),
}

/// Records that reach `from` may go on to `to` without a bridge.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route {
    /// Where they are.
    pub from: Endpoint,
    /// Where the broker takes them.
    pub to: Endpoint,
}

// === impl Endpoint ===

impl Endpoint {
    /// The one of this name.
    pub fn exact(kind: &'static str, name: impl Into<String>) -> Self {
        Self { kind, name: Name::Exact(name.into()) }
    }

    /// What a template names: exact when it has no fields.
    pub fn templated(kind: &'static str, template: &crate::Template) -> Self {
        let name = match template.as_literal() {
            Some(name) => Name::Exact(name.to_owned()),
            None => Name::Template(template.as_str().to_owned()),
        };
        Self { kind, name }
    }

    /// All whose names match.
    pub fn matching(kind: &'static str, regex: impl Into<String>) -> Self {
        Self { kind, name: Name::Matching(regex.into()) }
    }
}

// === impl Name ===

impl Name {
    /// The name, the expression or the template, as it was written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Exact(text) | Self::Matching(text) | Self::Template(text) => text,
        }
    }
}
