//! Topics by an expression, where librdkafka does not look for them itself: for exactly once, and to share out memory.
//!
//! librdkafka's expressions are those of the C library, these are Rust's. What both take means the same in all but rare
//! corners, and what only one takes is refused where it matters.

use regex::{Error, Regex};

/// Which topics are read.
#[derive(Debug)]
pub(super) struct Pattern {
    wanted: Regex,
    excluded: Vec<Regex>,
}

impl Pattern {
    /// Those that match the one, and none of the others: a list with commas, of names, and of expressions that begin with `^`.
    pub(super) fn new(wanted: &str, excluded: &str) -> Result<Self, Error> {
        let excluded = excluded.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let excluded = excluded.map(|entry| match entry.strip_prefix('^') {
            Some(_) => Regex::new(entry),
            None => Regex::new(&format!("^{}$", regex::escape(entry))),
        });
        Ok(Self { wanted: Regex::new(wanted)?, excluded: excluded.collect::<Result<_, _>>()? })
    }

    pub(super) fn matches(&self, topic: &str) -> bool {
        self.wanted.is_match(topic) && !self.excluded.iter().any(|excluded| excluded.is_match(topic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_what_is_wanted_and_not_excluded() {
        let pattern = Pattern::new("^orders", "^__consumer_offsets$, ^orders-old,orders.x").unwrap();
        assert!(pattern.matches("orders") && pattern.matches("orders-new") && pattern.matches("orders-x"));
        assert!(!pattern.matches("an orders") && !pattern.matches("orders-older") && !pattern.matches("orders.x"));
        assert!(Pattern::new("^(", "").is_err());
    }
}
