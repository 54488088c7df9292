//! Whether a bridge's parts can deliver each record exactly once.

use super::{Bridge, DeadLetterTarget};
use crate::config::{findings::Findings, path, settings};

/// What `delivery: exactly_once` needs: one sink with transactions, a source that can be replayed, and nothing that would be
/// done at the source before the transaction is committed.
pub(super) fn check(findings: &mut Findings<'_>, bridge: &Bridge) {
    if bridge.options.delivery != settings::Delivery::ExactlyOnce {
        return;
    }
    let mut wrong = |message: String| findings.error(path::key(&bridge.at, "delivery"), message);
    if !bridge.source.plugin.capabilities.replayable {
        let name = bridge.source.plugin.name;
        wrong(format!(
            "exactly_once needs a source that can go on from a stored position, and {name} cannot: see gantry list"
        ));
    }
    match bridge.sinks.as_slice() {
        [one] if one.sink.plugin.capabilities.transactional => {}
        [one] => {
            let name = one.sink.plugin.name;
            wrong(format!("exactly_once needs a sink with transactions, and {name} has none: see gantry list"));
        }
        _ => wrong("exactly_once needs one sink: a transaction cannot span several".to_owned()),
    }
    if matches!(bridge.dead_letter, Some(DeadLetterTarget::Reject)) {
        wrong("with exactly_once nothing is handed to the source's own dead letter: name a sink".to_owned());
    }
}
