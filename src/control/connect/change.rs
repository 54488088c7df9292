//! Creating, changing and deleting: refused, because bridges belong to files. The refusal says what to do instead.

use axum::{
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::super::{App, error::Refusal};

/// The body of `POST /connectors`; further fields are let pass.
#[derive(Deserialize)]
struct Creation {
    name: Option<String>,
    #[serde(default)]
    config: Map<String, Json>,
}

pub(super) async fn create(State(app): State<App>, body: Bytes) -> Refusal {
    match name_of(&body) {
        Err(refusal) => refusal,
        Ok(name) => match app.bridges.get(&name) {
            None => not_from_rest(&name),
            Some(bridge) => Refusal::conflict(format!(
                "Connector {name} already exists; it belongs to {}",
                bridge.definition().file.display()
            )),
        },
    }
}

fn name_of(body: &[u8]) -> Result<String, Refusal> {
    let bad = |message: String| Refusal::new(StatusCode::BAD_REQUEST, message);
    let Creation { name, config } =
        serde_json::from_slice(body).map_err(|error| bad(format!("reading the request: {error}")))?;
    let name = name.unwrap_or_default().trim().to_owned();
    match config.get("name").and_then(Json::as_str) {
        Some(own) if own != name => {
            Err(bad(format!("Connector name configuration ({own}) doesn't match connector name in the URL ({name})")))
        }
        _ if name.is_empty() => Err(bad("a connector needs a name".to_owned())),
        _ => Ok(name),
    }
}

pub(super) async fn replace(State(app): State<App>, Path(name): Path<String>) -> Refusal {
    owned_by_file(&app, &name, "change it there").unwrap_or_else(|| not_from_rest(&name))
}

pub(super) async fn patch(State(app): State<App>, Path(name): Path<String>) -> Refusal {
    owned_by_file(&app, &name, "change it there").unwrap_or_else(|| not_found(&name))
}

pub(super) async fn delete(State(app): State<App>, Path(name): Path<String>) -> Refusal {
    owned_by_file(&app, &name, "delete it there, or stop it").unwrap_or_else(|| not_found(&name))
}

fn owned_by_file(app: &App, name: &str, advice: &str) -> Option<Refusal> {
    let bridge = app.bridges.get(name)?;
    let file = bridge.definition().file.display().to_string();
    Some(Refusal::conflict(format!("Connector {name} belongs to {file}: {advice}")))
}

fn not_from_rest(name: &str) -> Refusal {
    let message = format!(
        "Connector {name} cannot be created by REST: bridges come from configuration files; write it into one and \
         reload"
    );
    Refusal::new(StatusCode::NOT_IMPLEMENTED, message)
}

fn not_found(name: &str) -> Refusal {
    Refusal::not_found(format!("Connector {name} not found"))
}
