//! What stands in a source's way.

use gantry_sdk::{Context, Result, probe::Obstacle};

use super::SourceOptions;
use crate::probe::{Broker, Found};

/// Everything that stands in a source's way.
pub(super) async fn probe(options: SourceOptions, context: Context) -> Result<Vec<Obstacle>> {
    let broker = Broker::reach(&options.connection, &context).await?;
    let mut found = broker.bound_exchanges(options.declare.as_ref()).await?;
    let declared = options.declare.as_ref().is_some_and(|declare| declare.queue.is_some());
    for queue in options.queues() {
        match broker.queue(queue).await? {
            Found::Missing if declared => {}
            Found::Missing => found.push(broker.missing_queue(queue)),
            Found::There => found.extend(broker.consuming(queue).await?),
        }
    }
    broker.leave(found).await
}
