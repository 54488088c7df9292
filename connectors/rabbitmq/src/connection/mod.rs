//! Where the broker is and how to get in.
//!
//! [`options`] and [`url`] do no I/O: everything that can be known without a broker is found by their checks.
//! [`identity`] reads certificates and keys, [`handshake`] says why a broker did not let us in. [`mod@connect`] tries the URLs and their
//! addresses in turn, [`failures`] says which to try first, [`socket`] opens one and can cut it. [`escape`] makes readable what
//! the client library cannot read, [`runtime`] puts it between, [`renewal`] renews a token that expires. [`pool`] has those that bridges
//! share, [`notices`] tells all of them what RabbitMQ says of one. [`channel`] and [`consumer_channel`] end channels while their connection stays.
//!
//! No error and no log line holds a password: they name host, port and virtual host.

mod channel;
mod connect;
mod consumer_channel;
mod endpoint;
mod escape;
mod failures;
mod handshake;
mod identity;
mod notices;
mod options;
mod pool;
mod renewal;
mod runtime;
mod socket;
mod url;

pub(crate) use channel::{Before, Channel};
pub(crate) use connect::{Connected, connect};
pub(crate) use consumer_channel::ConsumerChannel;
pub(crate) use notices::Notices;
pub use options::{AuthMechanism, ConnectionOptions, TlsOptions};
pub(crate) use pool::{Lease, Purpose, lease};
