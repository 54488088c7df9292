//! What is said of a broken rule.

use std::{fmt, sync::Arc, time::Duration};

use gantry_sdk::Error;

use crate::log_limiter::span;

/// A rule that is broken, and for how long nothing moved.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    OutOfReach { part: Arc<str>, reason: Arc<str>, held: usize, still: Duration },
    Settling { held: usize, still: Duration },
    Holding { held: usize, still: Duration },
    Giving { waiting: u64, still: Duration },
    Unanswered { still: Duration },
    Silent { doing: &'static str, still: Duration },
}

impl Broken {
    /// Whether nothing moved although it could: else a broker is away.
    pub(crate) const fn is_stall(&self) -> bool {
        !matches!(self, Self::OutOfReach { .. } | Self::Unanswered { .. })
    }

    pub(crate) fn error(&self) -> Error {
        if self.is_stall() {
            Error::internal(format!("stalled: {self}"))
        } else {
            Error::disconnected(self.to_string())
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfReach { part, reason, held, still } => write!(
                f,
                "the {part} has been out of reach for {}: {held} records go back to the source until it is back: {reason}",
                span(*still)
            ),
            Self::Settling { held, still } => write!(
                f,
                "{held} records are in flight, nothing is out of reach, and none was settled for {}",
                span(*still)
            ),
            Self::Holding { held, still } => write!(
                f,
                "nothing is out of reach and other records are settled, but not one that has been in flight for {}; \
                 {held} records wait for it or with it",
                span(*still)
            ),
            Self::Giving { waiting, still } => write!(
                f,
                "{waiting} records wait at the source, there is room for them, and none came for {}",
                span(*still)
            ),
            Self::Unanswered { still } => write!(f, "the source has not answered for {}", span(*still)),
            Self::Silent { doing, still } => write!(f, "{doing} has not come to an end for {}", span(*still)),
        }
    }
}
