//! What is wrong with the options, or will hurt; all of it at once, without I/O.

use std::time::Duration;

use gantry_sdk::config::Problem;

use super::SinkOptions;
use crate::{
    connection::{CONNECTION_RULES, Mechanism, Rule, check_properties},
    headers::typed::TYPES,
    names,
    partitioner::Partitioner,
};

const RETRY: &str = "how long and how often a record is retried is said by the bridge's errors.retry";

/// librdkafka properties that would break a promise of the sink, or that have an option of their own.
const RULES: &[Rule] = &[
    Rule::only("acks", &["all", "-1"], "anything less loses records that were reported as delivered"),
    Rule::only("request.required.acks", &["all", "-1"], "anything less loses records that were reported as delivered"),
    Rule::only("enable.idempotence", &["true"], "without it a retry writes records twice and out of order"),
    Rule::only("max.in.flight", &["1", "2", "3", "4", "5"], "brokers keep the order of at most 5 requests in flight"),
    Rule::only(
        "max.in.flight.requests.per.connection",
        &["1", "2", "3", "4", "5"],
        "brokers keep the order of at most 5 requests in flight",
    ),
    Rule::only("enable.gapless.guarantee", &["false"], "one record that Kafka refuses would stop the bridge for ever"),
    Rule::only("queuing.strategy", &["fifo"], "anything else reorders records"),
    Rule::only("delivery.report.only.error", &["false"], "no record would ever count as delivered"),
    Rule::only("enable.auto.commit", &["false"], "an offset is committed only when its record is settled"),
    Rule::only("enable.auto.offset.store", &["false"], "an offset is stored only when its record is settled"),
    Rule::own("transactional.id", "transactional_id"),
    Rule::refused("retries", RETRY),
    Rule::refused("message.send.max.retries", RETRY),
    Rule::refused("message.timeout.ms", RETRY),
    Rule::refused("delivery.timeout.ms", RETRY),
    Rule::refused("retry.backoff.ms", RETRY),
    Rule::refused("retry.backoff.max.ms", RETRY),
    Rule::own("linger.ms", "linger"),
    Rule::own("queue.buffering.max.ms", "linger"),
    Rule::own("batch.size", "batch_size"),
    Rule::own("batch.num.messages", "batch_records"),
    Rule::own("compression.codec", "compression"),
    Rule::own("compression.type", "compression"),
    Rule::own("partitioner", "partitioner"),
];

/// The longest linger that librdkafka takes.
const LONGEST_LINGER: Duration = Duration::from_secs(900);

pub(super) fn check(options: &SinkOptions) -> Vec<Problem> {
    let mut problems: Vec<_> =
        options.connection.check(RULES).into_iter().map(|problem| problem.under("connection")).collect();
    problems.extend(check_properties(&options.properties, &[RULES, CONNECTION_RULES]));
    problems.extend(options.header_mapping.check_sink().into_iter().map(|problem| problem.under("header_mapping")));
    topic(options, &mut problems);
    placement(options, &mut problems);
    batches(options, &mut problems);
    transactions(options, &mut problems);
    if options.headers.contains_key(TYPES) {
        problems.push(Problem::error("headers", format!("\"{TYPES}\" is the name of the header that keeps the types")));
    }
    problems
}

fn topic(options: &SinkOptions, problems: &mut Vec<Problem>) {
    if let Some(Err(reason)) = options.topic.as_literal().map(names::check) {
        problems.push(Problem::error("topic", reason));
    }
    let Some(declare) = &options.declare else { return };
    if declare.partitions.is_some_and(|count| count < 1) {
        problems.push(Problem::error("declare.partitions", "a topic has at least one partition"));
    }
    if declare.replication.is_some_and(|count| count < 1) {
        problems.push(Problem::error("declare.replication", "a partition is on at least one broker"));
    }
    let sasl = options.connection.sasl.as_ref();
    if sasl.is_some_and(|sasl| sasl.mechanism == Mechanism::OauthBearer) {
        problems.push(Problem::error(
            "declare",
            "the client library cannot create topics over OAUTHBEARER: create the topic by hand",
        ));
    }
}

fn placement(options: &SinkOptions, problems: &mut Vec<Problem>) {
    let partition = options.partition.as_ref().and_then(|template| template.as_literal());
    if partition.is_some_and(|text| names::partition(text.as_bytes()).is_none()) {
        problems.push(Problem::error("partition", "a partition is a number from 0"));
    }
    let timestamp = options.timestamp.as_ref().and_then(|template| template.as_literal());
    if timestamp.is_some_and(|text| text.parse::<i64>().is_err()) {
        problems.push(Problem::error("timestamp", "a timestamp is a number of milliseconds since 1970"));
    }
    if options.key.is_some() && options.partition.is_none() && options.partitioner == Partitioner::Random {
        problems.push(Problem::warning(
            "partitioner",
            "random scatters the records of one key over all partitions: their order is lost",
        ));
    }
}

fn transactions(options: &SinkOptions, problems: &mut Vec<Problem>) {
    if options.transactional_id.as_ref().is_some_and(String::is_empty) {
        problems.push(Problem::error("transactional_id", "a name has at least one character"));
    }
    let Some(topic) = &options.checkpoints_topic else { return };
    if let Err(reason) = names::check(topic) {
        problems.push(Problem::error("checkpoints_topic", reason));
    } else if options.topic.as_literal() == Some(topic) {
        problems.push(Problem::error("checkpoints_topic", "it is the topic of the records: name another"));
    }
}

fn batches(options: &SinkOptions, problems: &mut Vec<Problem>) {
    let linger = options.linger.0;
    if linger > LONGEST_LINGER {
        problems.push(Problem::error("linger", "at most 15m"));
    } else if linger > Duration::from_secs(1) {
        problems.push(Problem::warning(
            "linger",
            "a record may wait that long before it is sent, and its acknowledgement with it",
        ));
    } else if linger.is_zero() {
        problems.push(Problem::warning(
            "linger",
            "0ms sends almost every record in a request of its own: many times the work for the broker. 1ms is enough",
        ));
    }
    if !(1..=1_000_000).contains(&options.batch_records) {
        problems.push(Problem::error("batch_records", "from 1 to 1000000"));
    }
    if !(1..=i32::MAX as u64).contains(&options.batch_size.0) {
        problems.push(Problem::error("batch_size", "from 1B to 2GiB"));
    }
}

#[cfg(test)]
mod tests;
