//! What contradicts itself in what a person wrote about headers.

use gantry_sdk::config::Problem;

use super::{Encoding, HeaderMapping, Include, confluent};

impl HeaderMapping {
    /// What contradicts itself.
    pub(crate) fn check(&self) -> Vec<Problem> {
        if self.encoding == Some(Encoding::Confluent) { confluent::check(self) } else { Vec::new() }
    }

    /// The same for a sink, which writes them.
    pub(crate) fn check_sink(&self) -> Vec<Problem> {
        let mut problems = self.check();
        if self.encoding == Some(Encoding::Confluent) && !self.include.contains(&Include::Properties) {
            let message = "encoding: confluent always writes the properties: leave it out, or write [properties]";
            problems.push(Problem::error("include", message));
        }
        problems
    }

    /// The same for a sink of dead letters.
    pub(crate) fn check_dead_letter(&self) -> Option<Problem> {
        let message =
            "a dead letter in encoding confluent could not be replayed as it was: leave it out, or write typed";
        (self.encoding == Some(Encoding::Confluent)).then(|| Problem::error("encoding", message))
    }
}
