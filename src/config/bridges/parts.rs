//! The sections of a bridge, and what becomes of them for those who run and draw it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use gantry_runtime::definition::{self, Definition, ErrorPolicy, Part, Tolerance};
use gantry_sdk::{
    Description,
    config::DurationText,
    plugin::{RetryPolicy, SinkPlugin, SourcePlugin, TransformPlugin},
};
use serde_json::Value as Json;

use super::sinks::Branch;
use crate::{
    config::{sections::Section, settings},
    graph::{self, Flow, FlowEnd, FlowSink},
    transform::hops::{self, Hops},
};

/// What plugins read of a bridge, with what the references bring now: for checks and warnings, which compare it. It goes when
/// loading ends; what runs keeps the references ([`Definition`]).
#[derive(Debug)]
pub(in crate::config) struct Parts {
    pub source: Section<SourcePlugin>,
    pub transforms: Vec<Section<TransformPlugin>>,
    /// At least one.
    pub sinks: Vec<Branch>,
    pub dead_letter: Option<DeadLetterTarget>,
}

/// Where records go that can never be delivered.
#[derive(Debug)]
pub(in crate::config) enum DeadLetterTarget {
    Sink(Box<Section<SinkPlugin>>),
    /// The source's own dead letter.
    Reject,
}

impl Parts {
    /// Whether the source hands what can never be delivered to a dead letter of its own.
    pub(super) const fn rejects_at_source(&self) -> bool {
        matches!(self.dead_letter, Some(DeadLetterTarget::Reject))
    }

    /// Where its records come from and go to. It is drawn and told of, so a reference stands in it as it is written; only
    /// where a broker is, by what a reference brings: two that lead to the same one are the same.
    pub(super) fn to_flow(&self, name: &str, counts_hops: bool) -> Flow {
        let describe = |section: &Section<SinkPlugin>| {
            let broker = (section.plugin.describe)(&section.options.resolved).broker;
            Description { broker, ..(section.plugin.describe)(&section.stand_in()) }
        };
        let sink =
            |section: &Section<SinkPlugin>| FlowEnd { connector: section.plugin.name, description: describe(section) };
        let branch = |branch: &Branch| FlowSink { end: sink(&branch.sink), conditional: branch.when.is_some() };
        let source = &self.source;
        let broker = (source.plugin.describe)(&source.options.resolved, name).broker;
        let description = Description { broker, ..(source.plugin.describe)(&source.stand_in(), name) };
        let flow = Flow {
            bridge: name.to_owned(),
            source: FlowEnd { connector: source.plugin.name, description },
            transforms: self.transforms.iter().map(|transform| transform.plugin.name).collect(),
            sinks: self.sinks.iter().map(branch).collect(),
            dead_letter: self.dead_letter.as_ref().map(|letter| match letter {
                DeadLetterTarget::Sink(section) => graph::DeadLetterTarget::Sink(sink(section)),
                DeadLetterTarget::Reject => graph::DeadLetterTarget::Broker,
            }),
            counts_hops,
        };
        flow.routed()
    }

    /// What happens to its records, in order.
    fn steps(&self, name: &str, hops: Option<&Hops>) -> Vec<Part<TransformPlugin>> {
        let hops = hops.map(|hops| Part { plugin: &hops::PLUGIN, options: hops.step(name), resolver: Arc::new(()) });
        hops.into_iter().chain(self.transforms.iter().map(Section::to_part)).collect()
    }

    /// What the data path runs: the parts as they were written, and the bridge's own options, which stand nowhere else from
    /// here on.
    pub(super) fn to_definition(
        &self,
        name: &str,
        options: &settings::Bridge,
        file: PathBuf,
        written: &Json,
    ) -> Definition {
        let settings::Errors { retry, backoff, give_back_after, .. } = &options.errors;
        Definition {
            name: Arc::from(name),
            tasks: options.tasks,
            source: self.source.to_part(),
            transforms: self.steps(name, options.hops.as_ref()),
            sinks: self.sinks.iter().map(Branch::to_definition).collect(),
            errors: ErrorPolicy {
                tolerance: self.tolerance(options),
                dead_letter: self.dead_letter.as_ref().map(|letter| match letter {
                    DeadLetterTarget::Sink(sink) => definition::DeadLetterTarget::Sink(sink.to_part()),
                    DeadLetterTarget::Reject => definition::DeadLetterTarget::Reject,
                }),
                retry: RetryPolicy::from(retry),
                backoff: (backoff.initial.0, backoff.max.0),
                give_back_after: unless_zero(*give_back_after),
            },
            delivery: match options.delivery {
                settings::Delivery::AtLeastOnce => definition::Delivery::AtLeastOnce,
                settings::Delivery::ExactlyOnce => definition::Delivery::ExactlyOnce,
            },
            stall_timeout: unless_zero(options.stall_timeout),
            limits: (&options.limits).into(),
            file,
            raw: written.clone(),
        }
    }

    /// Whether it goes on after a record that can never be delivered.
    fn tolerance(&self, options: &settings::Bridge) -> Tolerance {
        match (options.errors.tolerance, &self.dead_letter) {
            (Some(settings::Tolerance::All), _) | (None, Some(_)) => Tolerance::All,
            (Some(settings::Tolerance::None), _) | (None, None) => Tolerance::None,
        }
    }
}

/// A duration of which 0 means never.
fn unless_zero(duration: DurationText) -> Option<Duration> {
    (!duration.0.is_zero()).then_some(duration.0)
}
