//! Rules for every request, before and after its handler: what real clients send, and what they can read.
//!
//! - A trailing slash is ignored (`GET /connectors/`).
//! - Names with `/`, `\` or `%` in them are refused in paths, as Kafka Connect 4 does.
//! - A body is read whole before anything happens, so that a client may send one where none is needed: `null`, `""`, an
//!   empty chunked one. One that is there and not JSON is refused.
//! - Whatever refuses, the body is JSON. `OPTIONS` lists the methods.

use axum::{
    body::{self, Body},
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, uri::PathAndQuery},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::error::Refusal;

/// Configurations are a few kilobytes; nothing else has a body.
const MAX_BODY_BYTES: usize = 1 << 20;

/// Applies the rules around the handler.
pub(super) async fn rules(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let response = match admit(request).await {
        Ok(request) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    readable(&method, response)
}

async fn admit(request: Request) -> Result<Request, Refusal> {
    let (mut parts, body) = request.into_parts();
    if let Some(uri) = normal_path(&parts.uri)? {
        parts.uri = uri;
    }
    let body = body::to_bytes(body, MAX_BODY_BYTES).await.map_err(|_| Refusal::plain(StatusCode::PAYLOAD_TOO_LARGE))?;
    if !body.is_empty() && !may_be_json(&parts.headers) {
        return Err(Refusal::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    Ok(Request::from_parts(parts, Body::from(body)))
}

/// The path without trailing slashes; `None` when it has none.
fn normal_path(uri: &Uri) -> Result<Option<Uri>, Refusal> {
    let path = uri.path();
    let lower = path.to_ascii_lowercase();
    if ["%2f", "%5c", "%25"].iter().any(|escape| lower.contains(escape)) {
        let message = "names with '/', '\\' or '%' cannot be used in a path";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, message));
    }
    let trimmed = path.trim_end_matches('/');
    if trimmed.len() == path.len() || path == "/" {
        return Ok(None);
    }
    let path = if trimmed.is_empty() { "/" } else { trimmed };
    let text = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let bad = |_| Refusal::plain(StatusCode::BAD_REQUEST);
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(text.parse::<PathAndQuery>().map_err(bad)?);
    Uri::from_parts(parts).map(Some).map_err(|_| Refusal::plain(StatusCode::BAD_REQUEST))
}

/// Whether the body is JSON as far as its type says; a missing type is taken as JSON.
fn may_be_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE) else { return true };
    let essence = kind.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

/// Makes the router's refusals JSON, and its answer to `OPTIONS` a success.
fn readable(method: &Method, response: Response) -> Response {
    let status = response.status();
    if method == Method::OPTIONS && status == StatusCode::METHOD_NOT_ALLOWED {
        return options(response.headers());
    }
    let is_error = status.is_client_error() || status.is_server_error();
    let kind = response.headers().get(header::CONTENT_TYPE);
    if !is_error || kind.is_some_and(|kind| kind == "application/json") {
        return response;
    }
    let mut refusal = Refusal::plain(status).into_response();
    if let Some(allow) = response.headers().get(header::ALLOW) {
        refusal.headers_mut().insert(header::ALLOW, allow.clone());
    }
    refusal
}

fn options(headers: &HeaderMap) -> Response {
    let allow = headers.get(header::ALLOW).and_then(|allow| allow.to_str().ok()).unwrap_or_default();
    let mut response = StatusCode::OK.into_response();
    if let Ok(allow) = HeaderValue::from_str(format!("{allow},OPTIONS").trim_start_matches(',')) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

// === what handlers extract ===

/// A query as it was written: keys may repeat.
pub(super) type Pairs = Vec<(String, String)>;

/// Java's `Boolean.valueOf`: clients send `True` too, and everything else is false.
pub(super) fn is_true(value: &str) -> bool {
    value.eq_ignore_ascii_case("true")
}

/// A task's number in a path. What is no number is no route, as in Kafka Connect.
pub(super) fn task_number(text: &str) -> Result<u32, Refusal> {
    text.parse().map_err(|_| Refusal::plain(StatusCode::NOT_FOUND))
}
