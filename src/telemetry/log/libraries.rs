//! How much client libraries may log.
//!
//! # The contract
//! What a library logs for its own developers may hold a login or a token: AMQP's handshake, an identity provider's answer.
//! So whatever is not Gantry's own is capped at warnings, unless a person names the library in `GANTRY_LOG`.

use tracing::{Metadata, level_filters::LevelFilter};
use tracing_subscriber::filter::{FilterFn, filter_fn};

/// What Gantry's own modules begin with.
const OWN: &str = "gantry";
/// What a library may log that nobody has named.
const UNNAMED: LevelFilter = LevelFilter::WARN;

/// The libraries that directives in the syntax of `RUST_LOG` name.
pub(super) fn named(directives: &str) -> Vec<String> {
    let target = |directive: &str| {
        let target = directive.split(['=', '[']).next().unwrap_or_default().trim().to_owned();
        // A directive without a target is a level for all.
        let is_level = target.is_empty() || target.parse::<LevelFilter>().is_ok();
        (!is_level && !is_own(&target)).then_some(target)
    };
    directives.split(',').filter_map(target).collect()
}

/// Caps every library but those that are named.
pub(super) fn cap(named: Vec<String>) -> FilterFn<impl Fn(&Metadata<'_>) -> bool> {
    filter_fn(move |line| may_log(line.target(), &LevelFilter::from_level(*line.level()), &named))
}

fn may_log(target: &str, level: &LevelFilter, named: &[String]) -> bool {
    *level <= UNNAMED || is_own(target) || named.iter().any(|name| target.starts_with(name.as_str()))
}

fn is_own(target: &str) -> bool {
    let rest = target.strip_prefix(OWN);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::") || rest.starts_with('_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_capped_unless_they_are_named() {
        let trace = LevelFilter::TRACE;
        for (directives, target, level, expected) in [
            ("trace", "lapin::io_loop", trace, false),
            ("trace", "amq_protocol::frame", LevelFilter::DEBUG, false),
            ("trace", "ureq_proto", LevelFilter::INFO, false),
            ("trace", "rdkafka", LevelFilter::WARN, true),
            ("trace", "gantry_runtime::task", trace, true),
            ("trace", "gantry_kafka::sink", trace, true),
            ("trace", "gantrylike", trace, false),
            ("info,lapin=trace", "lapin::io_loop", trace, true),
            ("info,lapin=trace", "ureq", trace, false),
            ("gantry[span{a=b}]=trace", "lapin", trace, false),
            ("lapin", "lapin", trace, true),
        ] {
            assert_eq!(may_log(target, &level, &named(directives)), expected, "{directives}: {target}");
        }
        assert_eq!(named("warn, lapin=trace,gantry_runtime=debug,[x]=info,hyper"), ["lapin", "hyper"]);
    }
}
