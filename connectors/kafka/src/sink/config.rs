//! What is asked of the options: are they right, what do they speak of, what is in the way at the broker; and the
//! opening of the sink.

use gantry_sdk::{
    Context, Description, Endpoint, Opening, Result, Sink, config::Problem, plugin::SinkConfig, probe::Probing,
};

use super::{KafkaSink, SinkOptions, check, plan::Plan, probe};

impl SinkConfig for SinkOptions {
    const IS_KAFKA: bool = true;
    const TRANSACTIONAL: bool = true;
    const GIVES_ANSWERS: bool = true;
    const PLACE_OPTION: Option<&'static str> = Some("topic");

    fn check(&self) -> Vec<Problem> {
        check::check(self)
    }

    fn check_dead_letter(&self) -> Vec<Problem> {
        self.header_mapping.check_dead_letter().map(|problem| problem.under("header_mapping")).into_iter().collect()
    }

    fn describe(&self) -> Description {
        Description {
            broker: self.connection.bootstrap_servers.0.clone(),
            endpoints: vec![Endpoint::templated("topic", &self.topic)],
            destination: Some("topic"),
            ..Description::default()
        }
    }

    fn probe(self, context: Context) -> Probing {
        Box::pin(probe::probe(self, context))
    }

    fn build(self, context: Context) -> Result<Opening<dyn Sink>> {
        let plan = Plan::new(self, context)?;
        Ok(Box::pin(KafkaSink::open(plan)))
    }
}
