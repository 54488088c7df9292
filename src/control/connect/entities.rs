//! Kafka Connect's JSON shapes, made from a bridge's definition and status. Field names and words are the contract.

use std::{borrow::Cow, collections::BTreeMap};

use gantry_runtime::{BridgeStatus, Definition, Target, TaskState, TaskStatus};
use serde::Serialize;

use super::{
    config_map::{self, class_of},
    connector_type::ConnectorType,
};

/// The API level that clients gate their features on. They parse it as numbers, so ours is in a field of its own.
const CONNECT_VERSION: &str = "4.1.0";
const GANTRY_VERSION: &str = env!("CARGO_PKG_VERSION");

/// `GET /`.
#[derive(Debug, Serialize)]
pub(super) struct ServerInfo {
    version: &'static str,
    commit: &'static str,
    kafka_cluster_id: &'static str,
    gantry_version: &'static str,
}

impl ServerInfo {
    pub(super) const fn new() -> Self {
        Self {
            version: CONNECT_VERSION,
            // Kafka's own word for a build that does not know.
            commit: "unknown",
            // One process may serve many clusters or none; clients only show it.
            kafka_cluster_id: "gantry",
            gantry_version: GANTRY_VERSION,
        }
    }
}

/// `GET /connectors/{c}`.
#[derive(Debug, Serialize)]
pub(super) struct ConnectorInfo {
    name: String,
    config: BTreeMap<String, String>,
    tasks: Vec<TaskId>,
    r#type: ConnectorType,
}

#[derive(Debug, Serialize)]
struct TaskId {
    connector: String,
    task: u32,
}

impl ConnectorInfo {
    pub(super) fn of(definition: &Definition, status: &BridgeStatus) -> Self {
        let id = |task: &TaskStatus| TaskId { connector: definition.name.to_string(), task: task.id };
        Self {
            name: definition.name.to_string(),
            config: config_map::of(definition),
            tasks: present(status).map(id).collect(),
            r#type: ConnectorType::of(definition),
        }
    }
}

/// An element of `GET /connectors/{c}/tasks`.
#[derive(Debug, Serialize)]
pub(super) struct TaskInfo {
    id: TaskId,
    config: BTreeMap<String, String>,
}

impl TaskInfo {
    pub(super) fn all(definition: &Definition, status: &BridgeStatus) -> Vec<Self> {
        let mut config = config_map::of(definition);
        config.insert("task.class".to_owned(), class_of(definition).replace("Connector", "Task"));
        let info = |task: &TaskStatus| Self {
            id: TaskId { connector: definition.name.to_string(), task: task.id },
            config: config.clone(),
        };
        present(status).map(info).collect()
    }
}

/// `GET /connectors/{c}/status`.
#[derive(Debug, Serialize)]
pub(super) struct ConnectorStateInfo {
    name: String,
    connector: ConnectorState,
    tasks: Vec<TaskStateInfo>,
    r#type: ConnectorType,
}

/// Only scalars: clients read it as a map of text.
#[derive(Debug, Serialize)]
struct ConnectorState {
    state: &'static str,
    worker_id: String,
    version: &'static str,
}

/// `GET /connectors/{c}/tasks/{n}/status`.
#[derive(Debug, Serialize)]
pub(super) struct TaskStateInfo {
    id: u32,
    state: &'static str,
    worker_id: String,
    /// Left out when there is nothing to tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
    version: &'static str,
}

const RESTARTING: &str = "RESTARTING";

impl ConnectorStateInfo {
    pub(super) fn of(definition: &Definition, status: &BridgeStatus, worker_id: &str) -> Self {
        let state = match status.target {
            Target::Running => "RUNNING",
            Target::Paused => "PAUSED",
            Target::Stopped => "STOPPED",
        };
        Self {
            name: definition.name.to_string(),
            connector: ConnectorState { state, worker_id: worker_id.to_owned(), version: GANTRY_VERSION },
            tasks: present(status).map(|task| TaskStateInfo::of(task, worker_id)).collect(),
            r#type: ConnectorType::of(definition),
        }
    }

    /// The same, in answer to a request that restarts these tasks. They keep their old trace, as in Connect.
    pub(super) fn restarting(mut self, whole: bool, tasks: &[u32]) -> Self {
        if whole && self.connector.state != "STOPPED" {
            self.connector.state = RESTARTING;
        }
        for task in self.tasks.iter_mut().filter(|task| tasks.contains(&task.id)) {
            task.state = RESTARTING;
        }
        self
    }
}

impl TaskStateInfo {
    pub(super) fn of(task: &TaskStatus, worker_id: &str) -> Self {
        Self {
            id: task.id,
            state: task.state.as_connect(),
            worker_id: worker_id.to_owned(),
            trace: task.error.as_deref().filter(|error| !error.is_empty()).map(str::to_owned),
            version: GANTRY_VERSION,
        }
    }
}

/// The tasks that Connect would show: one that has stopped is not there.
pub(super) fn present(status: &BridgeStatus) -> impl Iterator<Item = &TaskStatus> {
    status.tasks.iter().filter(|task| task.state != TaskState::Stopped)
}

/// An element of `GET /connectors?expand=…`: what was asked for.
#[derive(Debug, Default, Serialize)]
pub(super) struct Expanded {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) info: Option<ConnectorInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<ConnectorStateInfo>,
}

/// The value in `GET /connectors/{c}/topics`, by connector.
#[derive(Debug, Serialize)]
pub(super) struct ActiveTopics {
    pub(super) topics: Vec<String>,
}

/// An element of `GET /connector-plugins`.
#[derive(Debug, Serialize)]
pub(super) struct PluginInfo {
    class: Cow<'static, str>,
    r#type: &'static str,
    version: &'static str,
}

impl PluginInfo {
    pub(super) fn new(class: impl Into<Cow<'static, str>>, kind: &'static str) -> Self {
        Self { class: class.into(), r#type: kind, version: GANTRY_VERSION }
    }
}

#[cfg(test)]
mod tests;
