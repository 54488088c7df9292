//! Where a record goes that can never be delivered: as the source gave it, with the reason in its headers.
//!
//! The headers have Kafka Connect's names (KIP-298), so that existing tools read them. Kafka Connect has no dead letter
//! for sources; what has no word there (queue, exchange, routing key) follows the same pattern.

use std::sync::Arc;

use gantry_sdk::{Record, Value, dead_letters::Reason};

use crate::{definition::Definition, in_flight::Condemned};

/// The dead letters of condemned records.
pub(super) fn records(definition: &Definition, task: u32, condemned: Vec<Condemned>) -> Arc<Vec<Record>> {
    Arc::new(condemned.into_iter().map(|condemned| letter(definition, task, condemned)).collect())
}

fn letter(definition: &Definition, task: u32, condemned: Condemned) -> Record {
    let Condemned { mut record, failure, sink, .. } = condemned;
    let origin = record.origin.clone();
    let mut tell =
        |name: &str, text: String| record.headers.push(format!("{}{name}", Reason::PREFIX), Value::text(text));
    // This one first: by it `Reason::split_off` finds where the record's own headers end.
    tell(if origin.kind.is_empty() { "queue" } else { origin.kind }, origin.address.to_string());
    for (name, detail) in origin.details() {
        tell(&Reason::name_of_detail(name), detail.to_string());
    }
    tell("connector.name", definition.name.to_string());
    tell("task.id", task.to_string());
    tell("stage", failure.stage.to_owned());
    tell("class.name", class(definition, sink).to_owned());
    tell("exception.class.name", "rejected".to_owned());
    tell("exception.message", failure.reason.to_string());
    record
}

/// Which part refused it, in the words of the bridge's YAML.
fn class(definition: &Definition, sink: Option<u16>) -> &'static str {
    let branch = sink.and_then(|sink| definition.sinks.get(usize::from(sink)));
    branch.map_or("transform", |branch| branch.sink.plugin.name)
}
