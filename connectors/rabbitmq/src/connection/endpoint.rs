//! How a broker is named.

use lapin::uri::AMQPUri;

/// `host:port`.
pub(super) fn endpoint(uri: &AMQPUri) -> String {
    let host = &uri.authority.host;
    if host.contains(':') {
        format!("[{host}]:{}", uri.authority.port)
    } else {
        format!("{host}:{}", uri.authority.port)
    }
}
