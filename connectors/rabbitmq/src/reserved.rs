//! Headers that belong to RabbitMQ: it reads them and does something because of them, or writes them itself.
//!
//! A record that brings such a header along from elsewhere must not make RabbitMQ act: `CC` would copy the message, `x-death` makes
//! the detection of dead-letter cycles drop it, `x-received-from` makes a federated exchange drop it. So the sink writes it
//! under a [kept](kept) name, where people and a further bridge can read it.

use std::borrow::Cow;

/// What RabbitMQ reads as more routing keys, one list each (rabbitmq.com/docs/sender-selected); it closes the channel over
/// anything else there (`rabbit_basic:header_routes/1`).
pub(crate) const ROUTES: [&str; 2] = ["CC", "BCC"];

/// What stands before the name of a header that is kept.
pub(crate) const KEPT: &str = "gantry.kept.";

/// The header that keeps a `user_id` which is not the connection's.
pub(crate) const KEPT_USER: &str = "gantry.kept.user_id";

/// Whole names: federation, dead lettering, quorum queues, the plugins for delayed messages, recent history, MQTT and AMQP 1.0,
/// what RabbitMQ 4 adds for AMQP 1.0, and what it says of headers that it could not read.
const NAMES: [&str; 12] = [
    "x-acquired-count",
    "x-death",
    "x-delay",
    "x-delivery-count",
    "x-exchange",
    "x-invalid-headers",
    "x-mqtt-dup",
    "x-mqtt-publish-qos",
    "x-received-from",
    "x-recent-history-no-store",
    "x-routed-by",
    "x-routing-key",
];

/// Beginnings: what dead lettering adds, annotations of AMQP 1.0, streams (`x-stream-filter-value`), shovels.
const BEGINNINGS: [&str; 6] = ["x-amqp-1.0-", "x-first-death-", "x-last-death-", "x-opt-", "x-shovelled", "x-stream-"];

/// Whether a header of that name is RabbitMQ's own.
pub(crate) fn is_reserved(name: &str) -> bool {
    // Most names are neither.
    match name.as_bytes() {
        [b'x', b'-', ..] => NAMES.contains(&name) || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning)),
        [b'C' | b'B', ..] => ROUTES.contains(&name),
        _ => false,
    }
}

/// The name under which RabbitMQ does nothing with a header. A kept name stays as it is, so that trips do not add up.
pub(crate) fn kept(name: &str) -> Cow<'_, str> {
    if is_reserved(name) { format!("{KEPT}{name}").into() } else { name.into() }
}

/// The name that a kept header had, if it is one.
pub(crate) fn restored(name: &str) -> Option<&str> {
    name.strip_prefix(KEPT).filter(|own| is_reserved(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_kept_once_and_leads_back() {
        for name in
            ["CC", "BCC", "x-death", "x-first-death-queue", "x-received-from", "x-delay", "x-opt-a", "x-stream-offset"]
        {
            let kept_name = kept(name).into_owned();
            assert_eq!(kept_name, format!("gantry.kept.{name}"));
            assert_eq!((kept(&kept_name).as_ref(), restored(&kept_name)), (kept_name.as_str(), Some(name)));
        }
        for name in ["cc", "CCs", "x-", "x-gantry-hops", "x-tenant", "x-deaths", "X-Death", ""] {
            assert_eq!((kept(name).as_ref(), restored(&format!("{KEPT}{name}"))), (name, None));
        }
    }
}
