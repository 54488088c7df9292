//! What works, and will hurt.

mod inputs;

use gantry_runtime::Tolerance;
use gantry_sdk::{config::KeyPath, plugin::SinkPlugin};
use serde_json::Value as Json;

use super::{
    bridges::{Bridge, DeadLetterTarget},
    findings::Findings,
    redact,
    schema::{self, Slot},
    sections::{self, Connections, Section},
    settings::{REJECT, Settings},
};
use crate::graph::Flow;

/// A task that may hold less than this has no room for a batch of small messages.
const SMALLEST_SHARE: usize = 256 << 10;

/// Warns about a configuration without errors of its own; `written` is the whole of it.
pub(super) fn find(
    findings: &mut Findings<'_>,
    written: &Json,
    settings: Option<&Settings>,
    connections: &Connections,
    bridges: &[Bridge],
    flows: &[Flow],
) {
    if let Some(settings) = settings
        && !settings.control.listen.ip().is_loopback()
        // Whoever made that default knows.
        && !findings.tree().listens_by_default()
    {
        findings.warning(
            "control.listen",
            "reachable from other machines and without authentication: anyone there can pause and stop bridges",
        );
    }
    for (bridge, flow) in bridges.iter().zip(flows) {
        order(findings, bridge, flow);
        dead_letter(findings, bridge);
        nowhere(findings, bridge);
        batch(findings, bridge);
    }
    budget(findings, settings, bridges);
    inputs::competing(findings, bridges, flows);
    inputs::circles(findings, bridges, flows);
    // What is left over may belong to what is wrong.
    let count = written.get("bridges").and_then(Json::as_object).map_or(0, serde_json::Map::len);
    if findings.is_sound(&KeyPath::root()) && bridges.len() == count {
        if bridges.is_empty() {
            findings.warning("", "there are no bridges: nothing will move");
        }
        for name in sections::unused(connections) {
            findings.warning(KeyPath::from("connections").key(name), "no bridge uses this connection");
        }
    }
    plain_secrets(findings, written);
}

fn order(findings: &mut Findings<'_>, bridge: &Bridge, flow: &Flow) {
    if bridge.definition.tasks > 1 && !flow.source.description.partitioned {
        let message =
            "with more than one task records overtake each other: order is kept only within what one task reads";
        findings.warning(bridge.at.key("tasks"), message);
    }
}

fn dead_letter(findings: &mut Findings<'_>, bridge: &Bridge) {
    let at = bridge.at.join("errors.tolerance");
    let sinks = || bridge.parts.sinks.iter().map(|branch| &branch.sink);
    match (&bridge.parts.dead_letter, bridge.definition.errors.tolerance) {
        (None, Tolerance::All) => findings.warning(
            at,
            "all, and there is no errors.dead_letter: records that can never be delivered will be dropped and lost; \
             gantry_records_dropped_total counts them",
        ),
        (None, Tolerance::None) if sinks().all(|sink| !sink.plugin.can_refuse) => {}
        (None, Tolerance::None) => findings.warning(
            &bridge.at,
            "no errors.dead_letter: a poison message will stop this bridge, and stay at its source until someone acts",
        ),
        (Some(_), Tolerance::None) => findings.warning(
            at,
            "none: the first record that can never be delivered stops this bridge; errors.dead_letter is never used",
        ),
        (Some(DeadLetterTarget::Reject), Tolerance::All) => rejects(findings, bridge),
        (Some(DeadLetterTarget::Sink(letters)), Tolerance::All) => own_place(findings, bridge, letters),
    }
}

/// What no condition keeps is gone, and nobody asked for that.
fn nowhere(findings: &mut Findings<'_>, bridge: &Bridge) {
    if bridge.parts.sinks.iter().all(|branch| branch.when.is_some()) {
        findings.warning(
            bridge.at.key("sinks"),
            "every sink has a condition: a record for which none holds is dropped and counts as filtered; a sink without \
             when takes every record",
        );
    }
}

/// What the source's broker does with what is rejected.
fn rejects(findings: &mut Findings<'_>, bridge: &Bridge) {
    let at = bridge.at.join("errors.dead_letter").key(REJECT);
    asked_of_source(findings, bridge, &at, bridge.parts.source.plugin.check_reject);
}

/// Warns at `at`, an option of the bridge, of what the source finds in its own options.
fn asked_of_source(findings: &mut Findings<'_>, bridge: &Bridge, at: &KeyPath, find: impl Fn(&Json) -> Option<String>) {
    let Some(text) = find(&bridge.parts.source.options.resolved) else { return };
    // It may quote what a reference brought; what it says of the stand-ins as well does not.
    let is_public = find(&bridge.parts.source.stand_in()).is_some_and(|public| public == text);
    let message =
        if is_public { text } else { "will hurt together with what references bring to the source".to_owned() };
    findings.warning(at, message);
}

/// There, dead letters cannot be told from good records: a replay would send those again, and each time more of them.
fn own_place(findings: &mut Findings<'_>, bridge: &Bridge, letters: &Section<SinkPlugin>) {
    let Some(key) = letters.plugin.place_option else { return };
    let place = |options: &Json| ["connection", key].map(|key| options.get(key).cloned());
    let own = place(&letters.options.resolved);
    let is_here =
        |sink: &Section<SinkPlugin>| letters.plugin.name == sink.plugin.name && own == place(&sink.options.resolved);
    if own[1].is_some() && bridge.parts.sinks.iter().any(|branch| is_here(&branch.sink)) {
        let message = "the same as the sink's: nobody could tell the dead letters from the good records, and a replay would \
                       send those again; give the dead letters a place of their own";
        findings.error(letters.at.key(key), message);
    }
}

/// What a source makes of large batches.
fn batch(findings: &mut Findings<'_>, bridge: &Bridge) {
    let at = bridge.at.join("limits.batch");
    // The default batch is for all sources; what a person wrote is meant.
    if findings.tree().holds(&at) {
        let records = bridge.definition.limits.batch_records;
        asked_of_source(findings, bridge, &at, |options| (bridge.parts.source.plugin.check_batch)(options, records));
    }
}

/// Whether a reference says how many tasks it has.
fn tasks_are_by_reference(bridge: &Bridge) -> bool {
    bridge.definition.raw["tasks"].is_string()
}

/// What is promised to each task, and to all of them together.
fn budget(findings: &mut Findings<'_>, settings: Option<&Settings>, bridges: &[Bridge]) {
    let tasks: usize = bridges.iter().map(|bridge| bridge.definition.tasks as usize).sum();
    let Some(limit) = settings.map(|settings| settings.in_flight_bytes).filter(|_| tasks > 0) else { return };
    let least = SMALLEST_SHARE.saturating_mul(tasks).saturating_mul(2);
    if (1..least).contains(&limit) {
        let share = SMALLEST_SHARE >> 10;
        let message = if bridges.iter().any(tasks_are_by_reference) {
            format!(
                "one half of it is divided among all tasks: less than {share} KiB for each, and large messages will go one \
                 by one; raise it, or give Gantry fewer tasks"
            )
        } else {
            format!(
                "one half of it is divided among {tasks} task(s): less than {share} KiB for each, and large messages will \
                 go one by one; raise it to {} MiB, or give Gantry fewer tasks",
                least.div_ceil(1 << 20)
            )
        };
        findings.warning("limits.in_flight_bytes", message);
    }
}

fn plain_secrets(findings: &mut Findings<'_>, written: &Json) {
    let mut found = Vec::new();
    redact::each_plain_secret(&Slot::root(schema::whole()), &mut written.clone(), |at, _, _| {
        found.push(at.clone());
    });
    for at in found {
        // A reference that is written wrongly looks like one.
        if findings.is_sound(&at) {
            let message = "a secret in plain text: write it as ${env:NAME}, ${file:/path} or ${dir:/path:key}";
            findings.warning(at, message);
        }
    }
}
