//! A queue at its broker, as error messages tell of it.

use std::sync::Arc;

use gantry_sdk::{Error, ErrorKind};

use crate::{
    connection::Connected,
    error::{During, kind, translate},
};

/// Which queue, and where.
pub(super) struct Queue {
    pub(super) name: Arc<str>,
    /// `host:port, virtual host "…"`.
    place: String,
    vhost: Arc<str>,
}

impl Queue {
    pub(super) fn new(name: &str, connected: &Connected) -> Self {
        Self { name: name.into(), place: connected.place(), vhost: Arc::clone(&connected.vhost) }
    }

    /// What is being done.
    pub(super) fn consuming(&self) -> String {
        format!("consuming queue \"{}\" on {}", self.name, self.place)
    }

    /// What is being done.
    pub(super) fn acknowledging(&self) -> String {
        format!("acknowledging messages of queue \"{}\" on {}", self.name, self.place)
    }

    /// A consumer could not be started, or asked after.
    pub(super) fn not_started(&self, error: &lapin::Error) -> Error {
        match kind(error, During::SettingUp) {
            ErrorKind::Missing => self.missing(),
            _ => translate(error, During::SettingUp, self.consuming()),
        }
    }

    /// There is no such queue: what to do.
    pub(super) fn missing(&self) -> Error {
        let Self { name, vhost, .. } = self;
        Error::new(
            ErrorKind::Missing,
            format!(
                "{}: there is no such queue. Create it, for example with `rabbitmqadmin --vhost={vhost} declare queue \
                 name={name} durable=true`, or let the bridge create it with `declare: {{ queue: {{}} }}`",
                self.consuming()
            ),
        )
    }

    /// It is a stream, and nobody said where to begin. A stream keeps its messages whatever we acknowledge, and its consumer
    /// starts at the end of it each time: every reconnect would skip what came in between. That is for the person to choose,
    /// not for us.
    pub(super) fn would_skip(&self) -> Error {
        Error::config(format!(
            "{}: it is a stream, of which every reconnect would skip messages: use an ordinary queue, or choose where to \
             start with `arguments: {{ x-stream-offset: first }}`",
            self.consuming()
        ))
    }

    /// The channel has ended, and there is no consumer that could say why.
    pub(super) fn gone(&self) -> Error {
        Error::disconnected(format!("{}: the channel was closed", self.consuming()))
    }
}
