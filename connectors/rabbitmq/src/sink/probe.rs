//! What stands in a sink's way.

use gantry_sdk::{Context, Result, probe::Obstacle};

use super::SinkOptions;
use crate::probe::{Broker, Found};

/// Everything that stands in a sink's way.
pub(super) async fn probe(options: SinkOptions, context: Context) -> Result<Vec<Obstacle>> {
    let broker = Broker::reach(&options.connection, &context).await?;
    let declare = options.declare.as_ref();
    let mut found = broker.bound_exchanges(declare).await?;
    let queues = options.fixed_queues();
    for queue in &queues {
        let declared = declare.is_some_and(|declare| declare.queue.is_some());
        if broker.queue(queue).await? == Found::Missing && !declared {
            found.push(broker.missing_queue(queue));
        }
    }
    let exchange = options.exchange.as_ref().map_or(Some(""), |exchange| exchange.as_literal());
    if let Some(name) = exchange {
        let declared = declare.and_then(|declare| declare.exchange.as_ref()).is_some_and(|own| own.name == name);
        match broker.exchange(name).await? {
            Found::Missing if declared => {}
            Found::Missing => found.push(broker.missing_exchange(name)),
            Found::There => {
                let key = options.routing_key.as_ref().and_then(|key| key.as_literal());
                found.extend(broker.publishing(name, key).await?);
            }
        }
    }
    broker.leave(found).await
}
