//! What is asked of the options: are they right, what do they speak of, what is in the way at the broker; and the
//! opening of the source.

use gantry_sdk::{
    Context, Description, Endpoint, Opening, Result, Source, config::Problem, plugin::SourceConfig, probe::Probing,
};

use super::{KafkaSource, SourceOptions, check, plan::Plan, probe};

impl SourceConfig for SourceOptions {
    const IS_KAFKA: bool = true;
    const REPLAYABLE: bool = true;

    fn check(&self) -> Vec<Problem> {
        check::check(self)
    }

    fn describe(&self, bridge: &str) -> Description {
        let named = self.named().map(|topic| Endpoint::exact("topic", topic));
        let matching = self.topics_regex.iter().map(|regex| Endpoint::matching("topic", regex));
        Description {
            broker: self.connection.bootstrap_servers.0.clone(),
            endpoints: named.chain(matching).collect(),
            group: Some(self.group.clone().unwrap_or_else(|| format!("gantry-{bridge}"))),
            partitioned: true,
            ..Description::default()
        }
    }

    fn probe(self, context: Context) -> Probing {
        Box::pin(probe::probe(self, context))
    }

    fn build(self, context: Context) -> Result<Opening<dyn Source>> {
        let plan = Plan::new(self, context)?;
        Ok(Box::pin(KafkaSource::open(plan)))
    }
}
