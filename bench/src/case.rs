//! What both programs are compared on: the cases, as data.
//!
//! A case that measures something else than small messages is the plain one with 1 KiB and no headers but for that one thing, so
//! the two can be compared.

use std::fmt;

use serde::Serialize;

use crate::{direction::Direction, message::Message, part::Part};

/// One thing to compare the programs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Case {
    /// For the command line.
    pub(crate) name: &'static str,
    /// What it belongs to.
    pub(crate) part: Part,
    pub(crate) message: Message,
    /// The program's connections to both brokers are encrypted.
    pub(crate) encrypted: bool,
    pub(crate) queue: QueueKind,
    /// How many bridges the one process has, with the same work each.
    pub(crate) bridges: u64,
    /// How many queues each reads.
    pub(crate) sources: u64,
    /// A run has so many times fewer messages than others: they are larger.
    pub(crate) fewer: u64,
    #[serde(skip)]
    pub(crate) directions: &'static [Direction],
}

/// What kind of queue RabbitMQ is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum QueueKind {
    Classic,
    Quorum,
}

impl Case {
    /// The plainest: small, one bridge, one queue.
    pub(crate) const PLAIN: Self = Self {
        name: "200",
        part: Part::Rate,
        message: Message { size: 200, headers: false },
        encrypted: false,
        queue: QueueKind::Classic,
        bridges: 1,
        sources: 1,
        fewer: 1,
        directions: &Direction::BOTH,
    };

    /// The one that those beyond small messages differ from.
    pub(crate) const BASE: Self = Self { message: Message { size: 1024, headers: false }, ..Self::PLAIN };

    pub(crate) const ALL: [Self; 9] = [
        Self::PLAIN,
        Self { name: "200-headers", message: Message { size: 200, headers: true }, ..Self::PLAIN },
        Self { name: "1024", ..Self::BASE },
        Self { name: "1024-headers", message: Message { size: 1024, headers: true }, ..Self::PLAIN },
        Self { name: "tls", part: Part::Tls, encrypted: true, ..Self::BASE },
        Self { name: "quorum", part: Part::Quorum, queue: QueueKind::Quorum, ..Self::BASE },
        Self {
            name: "large",
            part: Part::Large,
            message: Message { size: 16 * 1024, headers: false },
            fewer: 8,
            ..Self::BASE
        },
        Self {
            name: "four-queues",
            part: Part::FourQueues,
            sources: 4,
            directions: &[Direction::ToKafka],
            ..Self::BASE
        },
        Self { name: "four-bridges", part: Part::FourBridges, bridges: 4, ..Self::BASE },
    ];

    pub(crate) fn goes(&self, direction: Direction) -> bool {
        self.directions.contains(&direction)
    }

    /// How many messages each source gets, when runs have so many; at least one.
    pub(crate) fn messages_each(&self, messages: u64) -> u64 {
        (messages / (self.fewer * self.bridges * self.sources)).max(1)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message.fmt(f)?;
        if self.encrypted {
            f.write_str(", TLS")?;
        }
        if self.queue == QueueKind::Quorum {
            f.write_str(", quorum queue")?;
        }
        if self.sources > 1 {
            write!(f, ", {} queues", self.sources)?;
        }
        if self.bridges > 1 {
            write!(f, ", {} bridges", self.bridges)?;
        }
        if self.fewer > 1 {
            write!(f, ", 1/{} of the messages", self.fewer)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn cases_can_be_told_apart() {
        let names: BTreeSet<_> = Case::ALL.iter().map(|case| case.name).collect();
        let texts: BTreeSet<_> = Case::ALL.iter().map(ToString::to_string).collect();
        assert_eq!((names.len(), texts.len()), (Case::ALL.len(), Case::ALL.len()));
    }

    #[test]
    fn messages_are_shared_out_evenly() {
        let case = Case { bridges: 4, sources: 2, fewer: 5, ..Case::BASE };
        assert_eq!(case.messages_each(4_000), 100);
        assert_eq!(case.messages_each(1), 1, "a run is never empty");
    }
}
