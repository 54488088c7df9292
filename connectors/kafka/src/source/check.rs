//! What is wrong with the options, or will hurt; all of it at once, without I/O.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use gantry_sdk::config::{KeyPath, Problem};

use super::{IsolationLevel, OffsetReset, SourceOptions, Start, StartTime};
use crate::{
    connection::{CONNECTION_RULES, Rule, check_properties},
    names,
};

const MEMORY: &str = "how much is read ahead is said by the bridge's limits.in_flight_bytes";

/// librdkafka properties that would break a promise of the source, or that have an option of their own.
const RULES: &[Rule] = &[
    Rule::only("enable.auto.commit", &["false"], "it commits records that are not delivered yet: they would be lost"),
    Rule::only("auto.commit.enable", &["false"], "it commits records that are not delivered yet: they would be lost"),
    Rule::only("enable.auto.offset.store", &["false"], "an offset counts only when its record is delivered"),
    Rule::only(
        "partition.assignment.strategy",
        &["cooperative-sticky"],
        "with any other a rebalance takes away all partitions, in the middle of what is in flight",
    ),
    Rule::only("group.protocol", &["classic"], "the source does not speak the other one"),
    Rule::only("enable.partition.eof", &["false"], "the source has no use for it"),
    Rule::refused("auto.commit.interval.ms", "set commit_interval instead"),
    Rule::refused("queued.max.messages.kbytes", MEMORY),
    Rule::refused("queued.min.messages", MEMORY),
    Rule::refused("fetch.message.max.bytes", MEMORY),
    Rule::refused("max.partition.fetch.bytes", MEMORY),
    Rule::refused("fetch.max.bytes", MEMORY),
    Rule::own("group.id", "group"),
    Rule::own("group.instance.id", "group_instance_id"),
    Rule::own("auto.offset.reset", "offset_reset"),
    Rule::own("isolation.level", "isolation_level"),
];

/// The shortest interval between commits: each is a record in Kafka's own topic of offsets.
const SHORTEST_COMMIT: Duration = Duration::from_millis(100);
/// After this much may come again, it is worth a warning.
const LONG_COMMIT: Duration = Duration::from_secs(300);

pub(super) fn check(options: &SourceOptions) -> Vec<Problem> {
    let mut problems: Vec<_> =
        options.connection.check(RULES).into_iter().map(|problem| problem.under("connection")).collect();
    problems.extend(check_properties(&options.properties, &[RULES, CONNECTION_RULES]));
    problems.extend(options.header_mapping.check().into_iter().map(|problem| problem.under("header_mapping")));
    topics(options, &mut problems);
    group(options, &mut problems);
    let commit = options.commit_interval.0;
    if commit < SHORTEST_COMMIT {
        problems.push(Problem::error(
            "commit_interval",
            "at least 100ms: each commit is a record in the broker's own topic",
        ));
    } else if commit > LONG_COMMIT {
        problems.push(Problem::warning("commit_interval", "after a crash so much is read and delivered again"));
    }
    problems
}

/// What does not go with exactly once: there nothing but what is delivered is remembered, so every opening before has to begin at the
/// same record.
pub(super) fn check_exactly_once(options: &SourceOptions) -> Option<Problem> {
    if options.offset_reset == OffsetReset::Latest {
        return Some(Problem::error(
            "offset_reset",
            "with exactly_once it cannot be latest: until something is delivered, each opening would begin at the end that there is \
             by then, and skip what a transaction before it failed to deliver; use earliest or error, and \
             start: { offset: … } or start: { timestamp: … } to leave out what is old",
        ));
    }
    if let Some(Start::Timestamp(time)) = options.start
        && is_future(time)
    {
        return Some(Problem::error(
            "start.timestamp",
            "with exactly_once it cannot be in the future: each opening would begin at the end that there is by then, and skip what \
             a transaction before it failed to deliver; use a time that is over, or an offset",
        ));
    }
    if options.isolation_level == IsolationLevel::ReadUncommitted {
        return Some(Problem::error(
            "isolation_level",
            "with exactly_once it cannot be read_uncommitted: records of aborted transactions would be delivered; use read_committed",
        ));
    }
    None
}

fn is_future(time: StartTime) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u128::try_from(time.0).is_ok_and(|time| time > now.as_millis())
}

fn topics(options: &SourceOptions, problems: &mut Vec<Problem>) {
    let ways = [options.topic.is_some(), !options.topics.is_empty(), options.topics_regex.is_some()];
    match ways.iter().filter(|way| **way).count() {
        0 => problems.push(Problem::error(
            "",
            "names no topic: write topic: NAME, or topics: [NAME, …], or topics_regex: \"^…\"",
        )),
        1 => {}
        _ => problems.push(Problem::error("", "only one of topic, topics and topics_regex says what to read")),
    }
    if let Some(regex) = &options.topics_regex
        && !regex.starts_with('^')
    {
        problems
            .push(Problem::error("topics_regex", "begins with ^: that is how the client library knows an expression"));
    }
    let mut seen = BTreeSet::new();
    for (index, name) in options.named().enumerate() {
        let path = if options.topic.is_some() { "topic".into() } else { KeyPath::from("topics").index(index) };
        if let Err(reason) = names::check(name) {
            problems.push(Problem::error(path, reason));
        } else if !seen.insert(name) {
            problems.push(Problem::error(path, "is there twice"));
        }
    }
}

fn group(options: &SourceOptions, problems: &mut Vec<Problem>) {
    if options.group.as_deref().is_some_and(str::is_empty) {
        problems.push(Problem::error("group", "is empty; a consumer group has a name"));
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if let Some(id) = &options.group_instance_id
        && (id.is_empty() || id.len() > 240 || !id.chars().all(legal))
    {
        // The broker's own rule is 249 of them; the number of a task stands behind it.
        problems.push(Problem::error("group_instance_id", "1 to 240 letters, digits, \".\", \"_\" and \"-\""));
    }
}

#[cfg(test)]
mod tests;
