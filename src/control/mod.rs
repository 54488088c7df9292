//! The control port: health, metrics, Kafka Connect's REST API over the bridges, and our own under `/v1`.
//!
//! # Contract
//! - Reads are snapshots: no handler but `reload` waits for a bridge, a broker or a lock that is held across I/O. `/healthz` answers as
//!   long as the process can answer anything: the port has a thread of its own, apart from the data path.
//! - It answers while bridges drain, too: the one who stops them wants to look.
//! - Changes of state (pause, resume, stop, restart) are asked for and happen later; the answer says that they were
//!   taken, as Kafka Connect's does.
//! - Bridges from files belong to the files: changing or deleting one is refused and names the file.
//! - Every error, the router's own too, is `{"error_code": …, "message": …}` as `application/json`.
//! - No secret leaves: what shows options shows them through [`crate::config::redacted`].
//!
//! - Clients take a bounded part of the process (`server`), and web pages of other sites are refused (`site`).
//!
//! In reading order: `server` (connections), `wire` (rules for every request), `site`, `error`, `health`, `native`, `reload`,
//! `connect`.

mod app;
mod connect;
mod error;
mod health;
mod native;
mod reload;
mod server;
mod site;
mod wire;

use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc, thread};

use axum::{Router, http::header, middleware, response::IntoResponse, routing::get};
use gantry_runtime::{Bridges, Definition};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, oneshot},
};

use crate::{config::Control, reload::Reloads, telemetry::metrics};

use self::{app::App, server::Limits, site::Site, wire::Rules};

/// A bridge's options as Kafka Connect shows them. No interface: the fuzz targets in `fuzz/` reach it here.
#[doc(hidden)]
pub fn config_map(definition: &Definition) -> BTreeMap<String, String> {
    connect::config_map(definition)
}

/// Why the control port does not open.
#[derive(Debug, thiserror::Error)]
#[error("opening the control port on {address}: {source}{hint}")]
pub struct BindError {
    address: SocketAddr,
    hint: &'static str,
    source: io::Error,
}

/// The control port, bound and not yet answering.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
    options: Control,
}

/// Binds the control port. Port 0 takes a free one.
pub async fn bind(options: &Control) -> Result<Listener, BindError> {
    let address = options.listen;
    let error = |source: io::Error| {
        let hint = match source.kind() {
            io::ErrorKind::AddrInUse => "; another process has it: set control.listen to a free port",
            io::ErrorKind::PermissionDenied => {
                "; ports below 1024 need a privilege: set control.listen to a higher one"
            }
            io::ErrorKind::AddrNotAvailable => "; this machine has no such address: check control.listen",
            _ => "",
        };
        BindError { address, hint, source }
    };
    let tcp = TcpListener::bind(address).await.map_err(error)?;
    let address = tcp.local_addr().map_err(error)?;
    Ok(Listener { tcp, address, options: options.clone() })
}

impl Listener {
    /// Where it really listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers until it is dropped.
    pub async fn serve(self, bridges: Bridges, reloads: Reloads) -> io::Result<()> {
        let worker_id = self.address.to_string().into();
        let reload_room = Arc::new(Semaphore::new(reload::MOST_WAITING));
        let app = App { bridges, reloads, reload_room, worker_id };
        let limits = limits(&self.options);
        let router = router(app, Rules::new(Site::new(self.options.hosts), limits.patience));
        let tcp = self.tcp.into_std()?;
        let (ended, end) = oneshot::channel();
        // Dropped with this future, which ends the thread.
        let (_until, dropped) = oneshot::channel();
        thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || ended.send(answer(tcp, router, limits, dropped)))?;
        end.await.unwrap_or_else(|_| Err(io::Error::other("the control port's thread panicked")))
    }
}

/// Runs on a thread of its own: however busy the data path is, the operator gets an answer.
fn answer(
    tcp: std::net::TcpListener,
    router: Router,
    limits: Limits,
    dropped: oneshot::Receiver<()>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let tcp = TcpListener::from_std(tcp)?;
        tokio::select! {
            never = server::serve(tcp, router, limits) => match never {},
            _ = dropped => Ok(()),
        }
    })
}

/// Where file descriptors are scarce the bridges need them more.
fn limits(options: &Control) -> Limits {
    let descriptors = rlimit::Resource::NOFILE.get_soft().unwrap_or(u64::MAX);
    let fair = usize::try_from(descriptors / 4).unwrap_or(usize::MAX).max(1);
    Limits { connections: (options.max_connections as usize).min(fair), patience: options.client_timeout.0 }
}

fn router(app: App, rules: Rules) -> Router {
    let paths = Router::new()
        .route("/metrics", get(scrape))
        .merge(health::routes())
        .merge(native::routes())
        .merge(reload::routes())
        .merge(connect::routes())
        .with_state(app);
    // As the fallback of a router without routes, so that it sees each request before any path is matched.
    Router::new().fallback_service(paths).layer(middleware::from_fn_with_state(rules, wire::apply))
}

async fn scrape(axum::extract::State(app): axum::extract::State<App>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics::render(&app.bridges))
}
