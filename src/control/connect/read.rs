//! What only reads.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
};
use gantry_runtime::{Bridge, Definition};
use gantry_sdk::endpoint::Name;

use super::{
    super::{
        App,
        error::Refusal,
        wire::{Pairs, is_true, task_number},
    },
    config_map::{self, sink_class, source_class, transform_class},
    entities::{
        ActiveTopics, ConnectorInfo, ConnectorStateInfo, Expanded, PluginInfo, ServerInfo, TaskInfo, TaskStateInfo,
        present,
    },
};
use crate::registry;

pub(super) async fn server() -> Json<ServerInfo> {
    Json(ServerInfo::new())
}

/// Names, or with `expand` a map; an expansion that nobody knows adds nothing.
pub(super) async fn connectors(State(app): State<App>, Query(query): Query<Pairs>) -> Response {
    let bridges = app.bridges.all();
    let expansions: Vec<_> = query.iter().filter(|(key, _)| key == "expand").map(|(_, value)| value.as_str()).collect();
    if expansions.is_empty() {
        let names: Vec<_> = bridges.iter().map(|bridge| &*bridge.definition().name).collect();
        return Json(names).into_response();
    }
    let expand = |bridge: &Arc<Bridge>| {
        let (definition, status) = (bridge.definition(), bridge.status());
        let info = expansions.contains(&"info").then(|| ConnectorInfo::of(definition, &status));
        let status =
            expansions.contains(&"status").then(|| ConnectorStateInfo::of(definition, &status, &app.worker_id));
        (definition.name.to_string(), Expanded { info, status })
    };
    Json(bridges.iter().map(expand).collect::<BTreeMap<_, _>>()).into_response()
}

pub(super) async fn info(State(app): State<App>, Path(name): Path<String>) -> Result<Json<ConnectorInfo>, Refusal> {
    let bridge = find(&app, &name)?;
    Ok(Json(ConnectorInfo::of(bridge.definition(), &bridge.status())))
}

pub(super) async fn config(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<BTreeMap<String, String>>, Refusal> {
    Ok(Json(config_map::of(find(&app, &name)?.definition())))
}

pub(super) async fn tasks(State(app): State<App>, Path(name): Path<String>) -> Result<Json<Vec<TaskInfo>>, Refusal> {
    let bridge = find(&app, &name)?;
    Ok(Json(TaskInfo::all(bridge.definition(), &bridge.status())))
}

pub(super) async fn status(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<ConnectorStateInfo>, Refusal> {
    let unknown = || Refusal::not_found(format!("No status found for connector {name}"));
    let bridge = app.bridges.get(&name).ok_or_else(unknown)?;
    Ok(Json(ConnectorStateInfo::of(bridge.definition(), &bridge.status(), &app.worker_id)))
}

pub(super) async fn task_status(
    State(app): State<App>,
    Path((name, task)): Path<(String, String)>,
) -> Result<Json<TaskStateInfo>, Refusal> {
    let task = task_number(&task)?;
    let state = app.bridges.get(&name).and_then(|bridge| {
        let status = bridge.status();
        present(&status).find(|own| own.id == task).map(|own| TaskStateInfo::of(own, &app.worker_id))
    });
    state.map(Json).ok_or_else(|| Refusal::not_found(format!("No status found for task {name}-{task}")))
}

/// Kafka Connect answers an empty list for a connector that it does not know.
pub(super) async fn topics(State(app): State<App>, Path(name): Path<String>) -> Json<BTreeMap<String, ActiveTopics>> {
    let topics = app.bridges.get(&name).map(|bridge| literal_topics(bridge.definition())).unwrap_or_default();
    Json(BTreeMap::from([(name, ActiveTopics { topics })]))
}

/// The Kafka topics that a bridge names outright, read or written. Those that a template or an expression names are known only
/// record by record.
fn literal_topics(definition: &Definition) -> Vec<String> {
    let source = &definition.source;
    let read = source.plugin.is_kafka.then(|| (source.plugin.describe)(&source.options, &definition.name));
    let sinks = definition.sinks.iter().map(|branch| &branch.sink).chain(definition.errors.dead_letter_sink());
    let written = sinks.filter(|part| part.plugin.is_kafka).map(|part| (part.plugin.describe)(&part.options));
    let mut topics: Vec<String> = read
        .into_iter()
        .chain(written)
        .flat_map(|description| description.endpoints)
        .filter_map(|endpoint| match endpoint.name {
            Name::Exact(topic) => Some(topic),
            Name::Matching(_) | Name::Template(_) => None,
        })
        .collect();
    topics.sort();
    topics.dedup();
    topics
}

pub(super) async fn plugins(Query(query): Query<Pairs>) -> Json<Vec<PluginInfo>> {
    let connectors_only =
        query.iter().rev().find(|(key, _)| key == "connectorsOnly").is_none_or(|(_, value)| is_true(value));
    let sinks = registry::sinks().iter().map(|sink| PluginInfo::new(sink_class(sink.name), "sink"));
    let sources = registry::sources().iter().map(|source| PluginInfo::new(source_class(source.name), "source"));
    let transforms = registry::transforms()
        .iter()
        .filter(|_| !connectors_only)
        .map(|transform| PluginInfo::new(transform_class(transform.name), "transformation"));
    Json(sinks.chain(sources).chain(transforms).collect())
}

fn find(app: &App, name: &str) -> Result<Arc<Bridge>, Refusal> {
    app.bridges.get(name).ok_or_else(|| Refusal::not_found(format!("Connector {name} not found")))
}
