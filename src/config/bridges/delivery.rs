//! Whether a bridge's parts can deliver each record exactly once.

use gantry_sdk::{
    config::KeyPath,
    plugin::{SinkPlugin, SourcePlugin},
};

use crate::config::findings::Findings;

/// What `delivery: exactly_once` needs: one task, one sink with transactions, a source that can be replayed, and nothing that would be
/// done at the source before the transaction is committed, like handing refused records to a dead letter of its own.
pub(super) fn check(
    findings: &mut Findings<'_>,
    at: &KeyPath,
    source: &SourcePlugin,
    sinks: &[&SinkPlugin],
    rejects_at_source: bool,
    tasks: u32,
) {
    let mut wrong = |message: String| findings.error(at.key("delivery"), message);
    if !source.capabilities.replayable {
        let name = source.name;
        wrong(format!(
            "exactly_once needs a source that goes on from a stored position, and {name} cannot: see gantry list"
        ));
    }
    match sinks {
        [one] if one.capabilities.transactional => {}
        [one] => {
            wrong(format!("exactly_once needs a sink with transactions, and {} has none: see gantry list", one.name))
        }
        _ => wrong("exactly_once needs one sink: a transaction cannot span several".to_owned()),
    }
    if tasks > 1 {
        // Fencing goes by the task's number: with another number of tasks, one of before could go on beside those that have taken over.
        wrong(format!("exactly_once needs tasks: 1, and there are {tasks}: split the topics over several bridges"));
    }
    if rejects_at_source {
        wrong("with exactly_once nothing is handed to the source's own dead letter: name a sink".to_owned());
    }
}
