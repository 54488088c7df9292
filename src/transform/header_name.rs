//! Names of headers that options give.

use gantry_sdk::config::Problem;

/// AMQP's limit, which other protocols can say too.
const LONGEST: usize = 255;

/// What is wrong with the name that stands at that option.
pub(super) fn check(option: &'static str, name: &str) -> Option<Problem> {
    if name.is_empty() {
        return Some(Problem::error(option, "is empty; a header has a name"));
    }
    let message = format!("is longer than {LONGEST} bytes, which AMQP has no room for");
    (name.len() > LONGEST).then(|| Problem::error(option, message))
}
