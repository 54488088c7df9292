//! Rules for every request, before and after its handler: what real clients send, and what they can read.
//!
//! - Who asks is looked at first (`site`).
//! - A trailing slash is ignored (`GET /connectors/`).
//! - Names with `/`, `\` or `%` in them are refused in paths, as Kafka Connect 4 does.
//! - A client may send a body where none is needed: `null`, `""`, an empty chunked one. It is taken off the wire, so that the
//!   answer arrives, and not kept. Only [`BODY`] is kept. One that is there and not JSON is refused.
//! - A body has a size, a time to arrive in, and a share of what all bodies together may take.
//! - Whatever refuses, the body is JSON. `OPTIONS` lists the methods.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, uri::PathAndQuery},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::TryStreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{error::Refusal, server::Client, site::Site};

/// Configurations are a few kilobytes; nothing else has a body.
const MAX_BODY_BYTES: usize = 1 << 20;

/// What all bodies that are kept may take together.
const ALL_BODY_BYTES: usize = 4 << 20;

/// The one request whose body says anything.
const BODY: (Method, &str) = (Method::POST, "/connectors");

/// What the rules need to know.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    site: Arc<Site>,
    patience: Duration,
    /// Bytes of bodies that may still be kept.
    room: Arc<Semaphore>,
}

impl Rules {
    /// `patience` is how long a body may take to arrive.
    pub(super) fn new(site: Site, patience: Duration) -> Self {
        Self { site: Arc::new(site), patience, room: Arc::new(Semaphore::new(ALL_BODY_BYTES)) }
    }
}

/// Applies the rules around the handler.
pub(super) async fn apply(
    State(rules): State<Rules>,
    Extension(client): Extension<Client>,
    request: Request,
    next: Next,
) -> Response {
    let method = request.method().clone();
    let response = match rules.admit(request, &client).await {
        Ok((request, _room)) => {
            let _answering = client.answering();
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(),
    };
    readable(&method, response)
}

impl Rules {
    /// The request as handlers want it, and what its body takes of the room for all.
    async fn admit(
        &self,
        request: Request,
        client: &Client,
    ) -> Result<(Request, Option<OwnedSemaphorePermit>), Refusal> {
        self.site.admit(&request, client.local.ip())?;
        let (mut parts, body) = request.into_parts();
        if let Some(uri) = normal_path(&parts.uri)? {
            parts.uri = uri;
        }
        // Nobody sends one with these.
        if matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS) {
            return Ok((Request::from_parts(parts, Body::empty()), None));
        }
        let keep = (&parts.method, parts.uri.path()) == (&BODY.0, BODY.1);
        let arrived = tokio::time::timeout(self.patience, self.receive(body, keep)).await;
        let body = arrived.map_err(|_| Refusal::plain(StatusCode::REQUEST_TIMEOUT))??;
        if body.length > 0 && !may_be_json(&parts.headers) {
            return Err(Refusal::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        Ok((Request::from_parts(parts, Body::from(body.kept)), body.room))
    }

    async fn receive(&self, body: Body, keep: bool) -> Result<Received, Refusal> {
        let mut received = Received::default();
        let mut pieces = body.into_data_stream();
        while let Some(piece) = pieces.try_next().await.map_err(|_| Refusal::plain(StatusCode::BAD_REQUEST))? {
            received.length += piece.len();
            if received.length > MAX_BODY_BYTES {
                return Err(Refusal::plain(StatusCode::PAYLOAD_TOO_LARGE));
            }
            if keep {
                received.add(self.take_room(piece.len())?);
                received.kept.extend_from_slice(&piece);
            }
        }
        Ok(received)
    }

    fn take_room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Refusal> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.room.clone().try_acquire_many_owned(bytes).map_err(|_| {
            let message = "too many bodies are being sent at once; try again later";
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, message)
        })
    }
}

/// A body that has arrived whole.
#[derive(Default)]
struct Received {
    length: usize,
    kept: Vec<u8>,
    room: Option<OwnedSemaphorePermit>,
}

impl Received {
    fn add(&mut self, more: OwnedSemaphorePermit) {
        match &mut self.room {
            Some(room) => room.merge(more),
            room => *room = Some(more),
        }
    }
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
