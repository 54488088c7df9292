//! What sources and sinks can do, as data: what `gantry list` shows, and what the README's tables are checked against.
//!
//! A connector says it by constants of [`SourceConfig`](crate::plugin::SourceConfig) and [`SinkConfig`](crate::plugin::SinkConfig), where each
//! is explained.

/// What a source can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceCapabilities {
    /// Records of a lane come in the order that they have at the broker.
    pub keeps_order: bool,
    /// It hands single records to its broker's own dead letter.
    pub can_reject: bool,
    /// It can be opened at a position that was stored elsewhere.
    pub replayable: bool,
    /// It wants to hear what a sink answers to its records.
    pub wants_answers: bool,
}

/// What a sink can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SinkCapabilities {
    /// Records of a lane leave in the order in which they came.
    pub keeps_order: bool,
    /// It writes records and their source's positions together, or none of them.
    pub transactional: bool,
    /// It says of each record where it is, or what was answered.
    pub gives_answers: bool,
    /// What it has written already it does not write again.
    pub deduplicates: bool,
    /// It counts how often a record was refused for now.
    pub counts_attempts: bool,
}

impl SourceCapabilities {
    /// Each by its name.
    pub const fn each(self) -> [(&'static str, bool); 4] {
        // Taken apart, so that a new one cannot be forgotten here.
        let Self { keeps_order, can_reject, replayable, wants_answers } = self;
        [
            ("keeps_order", keeps_order),
            ("can_reject", can_reject),
            ("replayable", replayable),
            ("wants_answers", wants_answers),
        ]
    }
}

impl SinkCapabilities {
    /// Each by its name.
    pub const fn each(self) -> [(&'static str, bool); 5] {
        let Self { keeps_order, transactional, gives_answers, deduplicates, counts_attempts } = self;
        [
            ("keeps_order", keeps_order),
            ("transactional", transactional),
            ("gives_answers", gives_answers),
            ("deduplicates", deduplicates),
            ("counts_attempts", counts_attempts),
        ]
    }
}
