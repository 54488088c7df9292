//! RabbitMQ's management API, for what AMQP cannot do.

use serde_json::{Value as Json, json};
use ureq::Agent;

/// A blocking client; its answers come in milliseconds.
pub(crate) struct Management {
    agent: Agent,
    base: String,
}

impl Management {
    pub(crate) fn new() -> Self {
        let base = std::env::var("GANTRY_TEST_RABBITMQ_MANAGEMENT");
        Self {
            agent: Agent::config_builder().http_status_as_error(false).build().into(),
            base: base.unwrap_or_else(|_| "http://127.0.0.1:21673".to_owned()),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Json {
        let mut response = self.agent.get(self.url(path)).header("authorization", GUEST).call().expect(UP);
        response.body_mut().read_json().expect("the management API speaks JSON")
    }

    pub(crate) fn put(&self, path: &str, body: &Json) {
        let response = self.agent.put(self.url(path)).header("authorization", GUEST).send_json(body).expect(UP);
        assert!(response.status().is_success(), "PUT {path}: {}", response.status());
    }

    /// Also when it is not there.
    pub(crate) fn delete(&self, path: &str) {
        // It runs in destructors too: a broker that is gone has been told of by then.
        let _ = self.agent.delete(self.url(path)).header("authorization", GUEST).call();
    }

    pub(crate) fn delete_queue(&self, name: &str) {
        self.delete(&format!("queues/%2F/{name}"));
    }

    /// The broker's name of the connection that calls itself so.
    pub(crate) fn connection(&self, own_name: &str) -> Option<String> {
        let all = self.get("connections");
        let named = |connection: &&Json| connection["client_properties"]["connection_name"] == own_name;
        let found = all.as_array()?.iter().find(named)?;
        Some(found["name"].as_str()?.to_owned())
    }

    /// A user who may do everything in the default virtual host.
    pub(crate) fn user(&self, name: &str, password: &str) {
        self.put(&format!("users/{name}"), &json!({ "password": password, "tags": "" }));
        self.put(&format!("permissions/%2F/{name}"), &json!({ "configure": ".*", "write": ".*", "read": ".*" }));
    }

    /// Major and minor.
    pub(crate) fn version(&self) -> (u32, u32) {
        let overview = self.get("overview");
        let version = overview["rabbitmq_version"].as_str().expect("RabbitMQ tells its version").to_owned();
        let mut parts = version.split('.').map(|part| part.parse().expect("a version is numbers"));
        (parts.next().expect("a major"), parts.next().expect("a minor"))
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/{path}", self.base)
    }
}

const UP: &str = "RabbitMQ's management API answers; if not, run scripts/brokers up";

/// `guest:guest`.
const GUEST: &str = "Basic Z3Vlc3Q6Z3Vlc3Q=";
