//! `PUT /v1/reload`: reads the configuration again. The one request whose answer waits, until the bridges that ended have
//! drained; others are answered meanwhile.

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::put,
};
use serde::Serialize;

use super::{App, error::Refusal};
use crate::{config::Diagnostic, reload::Refused};

/// How many may wait at once; each holds a connection.
pub(super) const MOST_WAITING: usize = 8;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/v1/reload", put(reload))
}

async fn reload(State(app): State<App>) -> Response {
    let Ok(_room) = app.reload_room.try_acquire() else {
        let message = "too many wait for a reload already; it takes up what is in the files when their turn comes";
        return Refusal::new(StatusCode::SERVICE_UNAVAILABLE, message).into_response();
    };
    match app.reloads.ask().await {
        Ok(reloaded) => Json(reloaded).into_response(),
        Err(refused) => refusal(&refused),
    }
}

fn refusal(refused: &Refused) -> Response {
    let message = refused.to_string();
    match refused {
        Refused::Wrong(diagnostics) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            (status, Json(Wrong { error_code: status.as_u16(), message, diagnostics })).into_response()
        }
        Refused::Panicked => Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, message).into_response(),
        Refused::Stopping => Refusal::new(StatusCode::SERVICE_UNAVAILABLE, message).into_response(),
    }
}

/// An error like any other, and what is wrong where.
#[derive(Serialize)]
struct Wrong<'a> {
    error_code: u16,
    message: String,
    diagnostics: &'a [Diagnostic],
}
