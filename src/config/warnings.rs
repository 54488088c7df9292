//! What works, and will hurt.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::{
    bridges::Bridge,
    findings::Findings,
    path, redact,
    schema::{self, Slot},
    sections::{self, Connections},
    settings::Settings,
};

/// Warns about a configuration without errors of its own; `written` is the whole of it.
pub(super) fn find(
    findings: &mut Findings<'_>,
    written: &Json,
    settings: Option<&Settings>,
    connections: &Connections,
    bridges: &[Bridge],
) {
    if let Some(settings) = settings
        && !settings.control.listen.ip().is_loopback()
    {
        findings.warning(
            "control.listen",
            "reachable from other machines and without authentication: anyone there can pause and stop bridges",
        );
    }
    for bridge in bridges {
        order(findings, bridge);
        dead_letter(findings, bridge);
        batch(findings, bridge);
    }
    competing(findings, bridges);
    // What is left over may belong to what is wrong.
    let count = written.get("bridges").and_then(Json::as_object).map_or(0, serde_json::Map::len);
    if findings.is_sound("") && bridges.len() == count {
        if bridges.is_empty() {
            findings.warning("", "there are no bridges: nothing will move");
        }
        for name in sections::unused(connections) {
            findings.warning(path::key("connections", name), "no bridge uses this connection");
        }
    }
    plain_secrets(findings, written);
}

fn order(findings: &mut Findings<'_>, bridge: &Bridge) {
    if bridge.options.tasks > 1 {
        let message =
            "with more than one task records overtake each other: order is kept only within what one task reads";
        findings.warning(path::key(&bridge.at, "tasks"), message);
    }
}

fn dead_letter(findings: &mut Findings<'_>, bridge: &Bridge) {
    match &bridge.dead_letter {
        // A sink without a connection (console, null) takes everything.
        None if bridge.sink.resolved.get("connection").is_none() => {}
        None => findings.warning(
            &bridge.at,
            "no errors.dead_letter: a poison message will stop this bridge, and stay at its source until someone acts",
        ),
        Some(letters) => {
            let topic = |options: &Json| options.get("topic").filter(|topic| topic.is_string()).cloned();
            let same = letters.plugin.name == bridge.sink.plugin.name
                && letters.resolved.get("connection") == bridge.sink.resolved.get("connection")
                && topic(&letters.resolved).is_some()
                && topic(&letters.resolved) == topic(&bridge.sink.resolved);
            if same {
                let message = "the sink's own topic: its readers will get the dead letters among the good records";
                findings.warning(path::key(&letters.at, "topic"), message);
            }
        }
    }
}

/// A source holds no more than its prefetch, and commits in steps of a tenth of it.
fn batch(findings: &mut Findings<'_>, bridge: &Bridge) {
    let at = path::key(&bridge.at, "limits.batch");
    let default = || {
        let schema = bridge.source.plugin.schema;
        schema().to_value().pointer("/properties/prefetch/default").and_then(Json::as_u64)
    };
    let prefetch = bridge.source.resolved.get("prefetch").and_then(Json::as_u64).or_else(default);
    let Some(prefetch) = prefetch else { return };
    let asked = u64::from(bridge.options.limits.batch);
    // The default batch is for all sources; what a person wrote is meant.
    if findings.tree().holds(&at) && asked > prefetch / 10 {
        let message = format!(
            "is more than a tenth of the source's prefetch ({prefetch}): batches will hold at most {} records; raise \
             prefetch or lower this",
            (prefetch / 10).max(1)
        );
        findings.warning(at, message);
    }
}

/// Two bridges that read the same queue share its messages instead of each getting all.
fn competing(findings: &mut Findings<'_>, bridges: &[Bridge]) {
    let mut readers: BTreeMap<String, &Bridge> = BTreeMap::new();
    for bridge in bridges {
        let options = &bridge.source.resolved;
        let Some(connection) = options.get("connection") else { continue };
        let one = options.get("queue").into_iter();
        let several = options.get("queues").and_then(Json::as_array).into_iter().flatten();
        for queue in one.chain(several).filter_map(Json::as_str) {
            let key = format!("{} {connection} {queue}", bridge.source.plugin.name);
            match readers.get(&key) {
                Some(first) if first.name != bridge.name => {
                    let message = format!(
                        "the bridge \"{}\" reads the queue \"{queue}\" too: each message goes to only one of them",
                        first.name
                    );
                    findings.warning(&bridge.source.at, message);
                }
                Some(_) => {}
                None => _ = readers.insert(key, bridge),
            }
        }
    }
}

fn plain_secrets(findings: &mut Findings<'_>, written: &Json) {
    let mut found = Vec::new();
    redact::each_plain_secret(Some(&Slot::root(schema::whole())), &mut written.clone(), &mut |at, _, _| {
        found.push(at.to_owned());
    });
    for at in found {
        // A reference that is written wrongly looks like one.
        if findings.is_sound(&at) {
            let message = "a secret in plain text: write it as ${env:NAME}, ${file:/path} or ${dir:/path:key}";
            findings.warning(at, message);
        }
    }
}
