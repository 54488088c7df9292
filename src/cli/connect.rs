//! What `gantry check --connect` adds: every broker is asked whether the bridges could work on it.
//!
//! All bridges at once, each part by its own connector ([`gantry_sdk::probe`]), and everything that is missing is told, not
//! only the first. A broker that does not answer costs its own time-out and no other's.

use std::{future::Future, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use gantry_runtime::definition::{Branch, Definition, Delivery};
use gantry_sdk::{
    Context, Error, Result,
    config::{KeyPath, Severity},
    probe::{Obstacle, Probing},
};
use serde_json::Value as Json;

use crate::config::Diagnostic;

/// How many connections are tried at once.
const AT_ONCE: usize = 16;
/// How long one part may take in all.
const PATIENCE: Duration = Duration::from_secs(60);

/// What stands in the way of the bridges.
pub(super) struct Answers {
    /// In the order of the bridges.
    pub(super) diagnostics: Vec<Diagnostic>,
    /// What mends it, each command once.
    pub(super) commands: Vec<String>,
}

/// Asks about every source, sink and dead letter.
pub(super) async fn ask(bridges: &[Arc<Definition>]) -> Answers {
    let questions: Vec<_> = bridges.iter().flat_map(questions).collect();
    let answered: Vec<_> = stream::iter(questions).buffered(AT_ONCE).collect().await;
    let mut answers = Answers { diagnostics: Vec::new(), commands: Vec::new() };
    for (path, obstacles) in answered {
        for Obstacle { problem: message, remedy } in obstacles {
            answers.diagnostics.push(Diagnostic {
                severity: Severity::Error,
                place: None,
                path: path.clone(),
                message,
            });
            answers.commands.extend(remedy.filter(|command| !answers.commands.contains(command)));
        }
    }
    answers
}

/// One a part of the bridge: where it stands, and what is in its way.
fn questions(bridge: &Arc<Definition>) -> Vec<impl Future<Output = (KeyPath, Vec<Obstacle>)> + use<>> {
    let question = |part: KeyPath, options: Result<Json>, probe: fn(&Json, Context) -> Probing, dead_letter: bool| {
        let (name, bytes) = (bridge.name.clone(), bridge.limits.in_flight_bytes);
        let exactly_once = bridge.delivery == Delivery::ExactlyOnce;
        let path = KeyPath::from("bridges").key(&*name).join(part);
        let probing = options.map(|options| {
            probe(
                &options,
                Context { dead_letter, exactly_once: exactly_once && !dead_letter, ..Context::new(name, bytes) },
            )
        });
        async move { (path, answer(probing).await) }
    };
    let source = &bridge.source;
    let mut all = vec![question("source".into(), source.checked(), source.plugin.probe, false)];
    let is_listed = bridge.raw.get("sinks").is_some();
    all.extend(bridge.sinks.iter().enumerate().map(|(index, Branch { sink, .. })| {
        let part = if is_listed { KeyPath::from("sinks").index(index) } else { "sink".into() };
        question(part, sink.checked(), sink.plugin.probe, false)
    }));
    let dead_letter = bridge.errors.dead_letter_sink();
    all.extend(dead_letter.map(|sink| {
        let options = sink.checked();
        question("errors.dead_letter".into(), options, sink.plugin.probe, true)
    }));
    all
}

async fn answer(probing: Result<Probing>) -> Vec<Obstacle> {
    let answered = match probing {
        Ok(probing) => tokio::time::timeout(PATIENCE, probing).await.unwrap_or_else(|_| {
            Err(Error::disconnected(format!("it has not answered everything in {} s", PATIENCE.as_secs())))
        }),
        Err(error) => Err(error),
    };
    answered.unwrap_or_else(|error| vec![Obstacle::without_remedy(error.chain())])
}
