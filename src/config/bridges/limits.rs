//! Whether a bridge's own options go together.

use gantry_sdk::config::Problem;

use crate::{config::settings, transform::hops::Hops};

/// What of them does not.
pub(super) fn check(options: &settings::Bridge) -> Vec<Problem> {
    let settings::Errors { retry, backoff, .. } = &options.errors;
    let limits = &options.limits;
    let mut problems = Vec::new();
    problems.extend(options.hops.as_ref().and_then(Hops::check).map(|problem| problem.under("hops")));
    let mut error = |path: &'static str, message: String| problems.push(Problem::error(path, message));
    if backoff.initial > backoff.max {
        error("errors.backoff.initial", format!("is longer than errors.backoff.max ({})", backoff.max));
    }
    if retry.timeout.is_some_and(|timeout| timeout.0.is_zero()) {
        let message = "0s would give up every record before it is sent: leave it out to retry for ever";
        error("errors.retry.timeout", message.to_owned());
    }
    if retry.max_attempts == Some(0) {
        let message = "0 would refuse every record before it is sent: leave it out to retry for ever";
        error("errors.retry.max_attempts", message.to_owned());
    }
    if retry.delay > retry.max_delay {
        error("errors.retry.delay", format!("is longer than errors.retry.max_delay ({})", retry.max_delay));
    }
    if limits.batch > limits.in_flight {
        let most = limits.in_flight;
        error(
            "limits.batch",
            format!("is more than limits.in_flight ({most}): a batch must fit in what may be in flight"),
        );
    }
    if limits.batch_bytes > limits.in_flight_bytes {
        let most = limits.in_flight_bytes;
        error(
            "limits.batch_bytes",
            format!("is more than limits.in_flight_bytes ({most}): a batch must fit in what may be in flight"),
        );
    }
    let sizes = [("limits.batch_bytes", limits.batch_bytes), ("limits.in_flight_bytes", limits.in_flight_bytes)];
    for (path, size) in sizes {
        if size.0 == 0 {
            error(path, "must be at least 1B: nothing would ever move".to_owned());
        }
    }
    problems
}
