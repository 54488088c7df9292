//! How many messages wait in the queues.

use std::time::Duration;

use gantry_sdk::{Error, ErrorKind, Result};
use lapin::{options::QueueDeclareOptions, types::FieldTable};

use super::queue::Queue;
use crate::{
    connection::Connected,
    error::{During, kind, translate},
    names,
};

/// A broker that does not tell in this time is not asked any longer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Messages that are ready in these queues, together; those that a consumer holds do not count.
///
/// Asked by a passive declare on a channel of its own: it is closed if a queue is missing (AMQP 0-9-1, `queue.declare`).
pub(super) async fn ready(connected: &Connected, queues: impl Iterator<Item = &str>) -> Result<u64> {
    match tokio::time::timeout(TIMEOUT, count(connected, queues)).await {
        Ok(counted) => counted,
        Err(_) => Err(Error::disconnected(format!(
            "counting the messages that wait on {}: no answer in {TIMEOUT:?}",
            connected.place()
        ))),
    }
}

async fn count(connected: &Connected, queues: impl Iterator<Item = &str>) -> Result<u64> {
    let channel = connected.channel().await?;
    let mut sum = 0;
    for queue in queues {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let declared = channel.queue_declare(names::checked(queue)?, options, FieldTable::default()).await;
        let declared = declared.map_err(|error| match kind(&error, During::SettingUp) {
            ErrorKind::Missing => Queue::new(queue, connected).missing(),
            _ => {
                let counting = format!("counting the messages of queue \"{queue}\" on {}", connected.place());
                translate(&error, During::SettingUp, counting)
            }
        })?;
        sum += u64::from(declared.message_count());
    }
    Ok(sum)
}
