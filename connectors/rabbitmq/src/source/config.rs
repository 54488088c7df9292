//! What is asked of the options: are they right, what do they speak of, what is in the way at the broker; and the
//! source itself.

use gantry_sdk::{
    Description, Endpoint, Error, Result,
    config::{Problem, Severity},
    plugin::{Context, Opening, SourceConfig},
    probe::Probing,
};

use super::{Source, SourceOptions, probe};
use crate::declare::DEAD_LETTER_EXCHANGE;

impl SourceConfig for SourceOptions {
    const CAN_REJECT: bool = true;

    fn check(&self) -> Vec<Problem> {
        let mut problems: Vec<_> =
            self.connection.check().into_iter().map(|problem| problem.under("connection")).collect();
        problems.extend(self.check_queues());
        problems.extend(self.check_prefetch());
        problems.extend(self.check_consumer());
        if let Some(declare) = &self.declare {
            problems.extend(declare.check().into_iter().map(|problem| problem.under("declare")));
        }
        problems
    }

    fn check_batch(&self, records: usize) -> Option<String> {
        let most = self.largest_batch();
        (records > most).then(|| {
            format!(
                "is more than a tenth of the source's prefetch ({}): batches will hold at most {most} records; raise prefetch \
                 or lower this",
                self.prefetch
            )
        })
    }

    /// RabbitMQ forgets what is rejected, unless the queue says where to.
    fn check_reject(&self) -> Option<String> {
        (!self.declares_dead_letters()).then(|| {
            format!(
                "RabbitMQ drops a rejected message whose queue has no dead-letter exchange: see that every queue of this \
                 bridge has one, by {DEAD_LETTER_EXCHANGE} or by a policy"
            )
        })
    }

    fn describe(&self, _bridge: &str) -> Description {
        Description {
            broker: self.connection.addresses(),
            endpoints: self.queues().map(|name| Endpoint::exact("queue", name)).collect(),
            routes: self.declare.iter().flat_map(|declare| declare.routes(self.queues())).collect(),
            ..Description::default()
        }
    }

    fn probe(self, context: Context) -> Probing {
        Box::pin(probe::probe(self, context))
    }

    fn build(self, context: Context) -> Result<Opening<dyn gantry_sdk::Source>> {
        let problems = self.check();
        let errors: Vec<_> =
            problems.iter().filter(|problem| problem.severity == Severity::Error).map(ToString::to_string).collect();
        if !errors.is_empty() {
            return Err(Error::config(errors.join("; ")));
        }
        Ok(Box::pin(Source::open(self, context)))
    }
}
