//! Bridges that read the same, and bridges whose records come back to them.

use gantry_sdk::Endpoint;

use crate::{
    config::{bridges::Bridge, findings::Findings},
    graph::{self, Circle, Flow, FlowEnd},
};

/// Two bridges that read the same share its records instead of each getting all.
pub(super) fn competing(findings: &mut Findings<'_>, bridges: &[Bridge], flows: &[Flow]) {
    for (index, (bridge, flow)) in bridges.iter().zip(flows).enumerate() {
        for before in &flows[..index] {
            if let Some((kind, name)) = shared_input(&before.source, &flow.source) {
                let group = flow.source.description.group.as_ref();
                let group = group.map_or_else(String::new, |group| format!(" in the group \"{group}\""));
                let message = format!(
                    "the bridge \"{}\" reads the {kind} \"{name}\" too{group}: each message goes to only one of them",
                    before.bridge
                );
                findings.warning(&bridge.parts.source.at, message);
            }
        }
    }
}

/// What both read as members of one group.
fn shared_input<'f>(one: &'f FlowEnd, other: &'f FlowEnd) -> Option<(&'static str, &'f str)> {
    if !graph::same_broker(one, other) || one.description.group != other.description.group {
        return None;
    }
    let (own, others) = (&one.description.endpoints, &other.description.endpoints);
    own.iter().find_map(|input| Some((input.kind, others.iter().find_map(|other| graph::overlap(input, other))?)))
}

/// Records that come back to where they were read, again and again.
pub(super) fn circles(findings: &mut Findings<'_>, bridges: &[Bridge], flows: &[Flow]) {
    for Circle { steps } in graph::circles(flows) {
        let Some(first) = bridges
            .iter()
            .find(|bridge| steps.first().is_some_and(|step| *step.flow.bridge == *bridge.definition.name))
        else {
            continue;
        };
        let thing = |endpoint: &Endpoint| format!("the {} \"{}\"", endpoint.kind, endpoint.name.as_str());
        let poison = steps.iter().any(|step| step.dead_letters);
        let around = steps.iter().enumerate().map(|(index, step)| {
            let what = if step.dead_letters { "the dead letters of " } else { "" };
            let verb = if step.dead_letters { "go to" } else { "writes" };
            let reader = &steps[(index + 1) % steps.len()].flow.bridge;
            format!("{what}\"{}\" {verb} {}, which \"{reader}\" reads", step.flow.bridge, thing(step.through))
        });
        let around = around.collect::<Vec<_>>().join("; ");
        if poison {
            let message = format!(
                "a record that can never be delivered goes round for ever: {around}. Give the dead letters a place that \
                 none of these bridges reads"
            );
            findings.warning(first.at.join("errors.dead_letter"), message);
        } else {
            let hops = if steps.len() == 1 { "it" } else { "each of them" };
            let message = format!(
                "records go round for ever: {around}. Give {hops} hops: {{}}, which ends a record's way after one bridge"
            );
            findings.warning(&first.at, message);
        }
    }
}
