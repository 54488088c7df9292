//! What stands in a sink's way.

use gantry_sdk::{Context, Result, probe::Obstacle};

use super::{SinkOptions, transaction_identity::Identity, transactions::creation_arguments};
use crate::{
    connection::Mechanism,
    probe::{Cluster, Topic, on_a_thread},
};

/// Everything that stands in a sink's way.
pub(super) async fn probe(options: SinkOptions, context: Context) -> Result<Vec<Obstacle>> {
    on_a_thread(move || {
        let cluster = Cluster::reach(&options.connection, &context, "gantry-check")?;
        let mut obstacles = Vec::new();
        if let Some(topic) = options.topic.as_literal() {
            obstacles.extend(match cluster.topic(topic)? {
                Topic::There => cluster.writing(topic)?,
                Topic::Missing if options.declare.is_some() => None,
                Topic::Missing => Some(cluster.missing(topic)),
                Topic::Denied => Some(cluster.denied(topic, "write", "Write")),
            });
        }
        if let Some(identity) = Identity::of(&options, &context) {
            positions(&cluster, &options, &identity.topic, &mut obstacles)?;
        }
        Ok(obstacles)
    })
    .await
}

/// The topic of positions is created when it is missing, where the client library can. Whether the transactional id may be used
/// cannot be asked without fencing whoever uses it now.
fn positions(cluster: &Cluster, options: &SinkOptions, topic: &str, obstacles: &mut Vec<Obstacle>) -> Result<()> {
    let sasl = options.connection.sasl.as_ref();
    let created_by_hand = sasl.is_some_and(|sasl| sasl.mechanism == Mechanism::OauthBearer);
    match cluster.topic(topic)? {
        Topic::There => {
            obstacles.extend(cluster.writing(topic)?);
            obstacles.extend(cluster.reading(topic)?);
        }
        Topic::Missing if created_by_hand => obstacles.push(cluster.missing_with(topic, &creation_arguments())),
        Topic::Missing => {}
        Topic::Denied => {
            obstacles.push(cluster.denied(topic, "write", "Write"));
            obstacles.push(cluster.denied(topic, "read", "Read"));
        }
    }
    Ok(())
}
