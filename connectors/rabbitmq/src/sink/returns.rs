//! Whose message came back.
//!
//! RabbitMQ returns a message that no queue takes before it confirms it, and says no delivery tag with it. The client
//! library hands a return to whichever confirm it processes next, which need not be its own. So this sink looks at what came
//! back: it belongs to the first message that is not decided yet and is equal to it. Between equal messages it does not
//! matter.
//!
//! # Why there is no better key
//! - The protocol has none: `basic.return` carries the message and no number, and confirms come later, several at once.
//! - RabbitMQ returns in the order of publishing, but one confirm for several hands the client library's returns out in any.
//! - A number in the message would be found by whoever consumes it. A message id is the record's own, and few have one.
//! - A copy or a checksum of what was published would cost something for each record. Writing one anew costs something only for
//!   one that came back, and is needed: body and destination can be those of another that differs in what a headers exchange
//!   looks at.
//!
//! # Why a record is never settled while its return is on its way
//! The client library queues returns in the order of arrival and gives one to each confirm, as long as there are any. When all messages up
//! to a tag are confirmed, no return of theirs is left in that queue: of the returns in it each has a confirm of its own
//! still to come, because the return comes first, and there are never more returns than those. So it hangs on a confirm that
//! is there already. [`Unconfirmed`](super::unconfirmed::Unconfirmed) decides in the order of tags and looks at all confirms before.

use lapin::message::BasicReturnMessage;

use super::{item::Item, limits::Limits, message::Fate, plan::Plan};

/// Whether this is what was published of that record.
pub(super) fn is_of(returned: &BasicReturnMessage, item: &Item, plan: &Plan, limits: &Limits, exactly: bool) -> bool {
    let record = item.record();
    let body = record.value.as_deref().unwrap_or_default();
    // From the cheapest to the dearest.
    if returned.delivery.data != body {
        return false;
    }
    let Ok(way) = plan.way(record) else { return false };
    if way.exchange != returned.delivery.exchange || way.routing_key != returned.delivery.routing_key {
        return false;
    }
    // A broker may add headers of its own (message interceptors), and no NaN equals another: then the rest decides.
    !exactly
        || matches!(plan.fate(record, item.written, limits), Fate::Publish(message) if message.properties == returned.delivery.properties)
}

/// What to say of it.
pub(super) fn reason(returned: &BasicReturnMessage) -> String {
    let delivery = &returned.delivery;
    format!(
        "no queue takes it: exchange \"{}\", routing key \"{}\" (RabbitMQ returned it: {} {})",
        delivery.exchange, delivery.routing_key, returned.reply_code, returned.reply_text
    )
}
