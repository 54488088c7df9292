//! Errors with a kind that the runtime can act on without reading the text.

use std::error::Error as StdError;

/// The result of connector calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, where, and of what kind. The text never holds a secret.
#[derive(Debug, thiserror::Error)]
#[error("{context}")]
pub struct Error {
    kind: ErrorKind,
    context: String,
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What the runtime should do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The configuration cannot work as it is. Failed; tried again slowly, in case a secret or file changes.
    Config,
    /// The other side refused for good: credentials, access, inequivalent arguments. Failed; tried again slowly.
    Refused,
    /// A queue, exchange or topic is not there. Failed; tried again soon and ever more slowly, because someone may be
    /// creating it.
    Missing,
    /// The connection or channel ended, or nobody answered. Back off and try again.
    Disconnected,
    /// A bug or a broken promise of ours or of a library. Back off and try again, loudly.
    Internal,
}

impl ErrorKind {
    /// Whether only a person can mend it, so that it shows as failed and is tried again slowly.
    pub const fn needs_a_person(self) -> bool {
        matches!(self, Self::Config | Self::Refused | Self::Missing)
    }

    /// A word for logs, metrics and dead-letter headers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Refused => "refused",
            Self::Missing => "missing",
            Self::Disconnected => "disconnected",
            Self::Internal => "internal",
        }
    }
}

impl Error {
    /// An error of that kind; `context` says what was being done and to what.
    pub fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        Self { kind, context: context.into(), source: None }
    }

    /// The same with what caused it, which must not hold a secret either.
    pub fn with_source(
        kind: ErrorKind,
        context: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { kind, context: context.into(), source: Some(source.into()) }
    }

    /// [`ErrorKind::Config`].
    pub fn config(context: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, context)
    }

    /// [`ErrorKind::Disconnected`].
    pub fn disconnected(context: impl Into<String>) -> Self {
        Self::new(ErrorKind::Disconnected, context)
    }

    /// [`ErrorKind::Internal`].
    pub fn internal(context: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, context)
    }

    /// What to do about it.
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The text with all its causes, `: ` between.
    pub fn chain(&self) -> String {
        let mut text = self.context.clone();
        let mut cause = self.source.as_deref().map(|source| source as &dyn StdError);
        while let Some(error) = cause {
            let own = error.to_string();
            if !text.ends_with(&own) {
                text.push_str(": ");
                text.push_str(&own);
            }
            cause = error.source();
        }
        text
    }
}
