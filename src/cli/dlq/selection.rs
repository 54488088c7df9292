//! Which letters of a store are meant.

use clap::Args;
use gantry_sdk::{
    DeadLetter, DeadLetterId,
    config::DurationText,
    dead_letters::{Fidelity, Reason},
};
use regex::Regex;

/// Which letters; without any of these all of the bridge.
#[derive(Debug, Args)]
pub(super) struct Selection {
    /// Only this letter, as `list` and `show` name it; may be given several times.
    #[arg(long = "id", value_name = "ID")]
    ids: Vec<DeadLetterId>,

    /// Only letters whose reason matches this regular expression.
    #[arg(long, value_name = "REGEX")]
    reason: Option<Regex>,

    /// Only letters that this stage refused, like TRANSFORMATION or KAFKA_PRODUCE.
    #[arg(long, value_name = "STAGE")]
    stage: Option<String>,

    /// Only letters written since then: a time like 2026-01-02T03:04:05Z, or a duration like 2h.
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<jiff::Timestamp>,

    /// The name that the bridge had when it wrote them, if it was renamed.
    #[arg(long, value_name = "NAME")]
    from: Option<String>,
}

/// What a letter is to a selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// It is meant.
    Yes,
    /// It is one of the bridge's, and not meant.
    No,
    /// It is another bridge's, which writes to the same store.
    Others,
}

impl Selection {
    /// Whether a letter is meant by it, for the bridge of that name.
    pub(super) fn fit(&self, bridge: &str, letter: &DeadLetter) -> Fit {
        let writer = letter.reason.get("connector.name");
        if writer.is_some_and(|writer| writer != self.from.as_deref().unwrap_or(bridge)) {
            return Fit::Others;
        }
        let written = letter.written.and_then(|time| jiff::Timestamp::try_from(time).ok());
        let fits = (self.ids.is_empty() || self.ids.contains(&letter.id))
            && self.reason.as_ref().is_none_or(|reason| reason.is_match(why(letter)))
            && self.stage.as_deref().is_none_or(|stage| letter.reason.get("stage") == Some(stage))
            && self.since.is_none_or(|since| written.is_some_and(|written| written >= since));
        if fits { Fit::Yes } else { Fit::No }
    }

    /// The ids that it asks for by name.
    pub(super) fn ids(&self) -> &[DeadLetterId] {
        &self.ids
    }
}

/// Why it is a dead letter, for people.
pub(super) fn why(letter: &DeadLetter) -> &str {
    match &letter.fidelity {
        Fidelity::Unreadable(why) => why,
        Fidelity::Exact | Fidelity::Lossy(_) => letter.reason.get("exception.message").unwrap_or(UNKNOWN),
    }
}

/// What stands for a reason that a letter does not have.
pub(super) const UNKNOWN: &str = "it says no reason";

/// Where the record came from, for people.
pub(super) fn origin(reason: &Reason) -> &str {
    reason.get("queue").or_else(|| reason.get("topic")).unwrap_or("?")
}

fn time(text: &str) -> Result<jiff::Timestamp, String> {
    if let Ok(DurationText(ago)) = text.parse() {
        return jiff::Timestamp::now().checked_sub(ago).map_err(|error| error.to_string());
    }
    text.parse().map_err(|_| "write a time like 2026-01-02T03:04:05Z, or a duration like 2h".to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use clap::Parser;
    use gantry_sdk::Record;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        selection: Selection,
    }

    fn fit(arguments: &[&str]) -> Fit {
        let fields = [("connector.name", "b"), ("stage", "TRANSFORMATION"), ("exception.message", "not JSON: line 7")];
        let letter = DeadLetter {
            id: DeadLetterId::new("0", 7),
            record: Record::default(),
            reason: Reason { fields: fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into() },
            written: Some(SystemTime::now()),
            fidelity: Fidelity::Exact,
        };
        let line = Line::try_parse_from([&["dlq"], arguments].concat()).expect("arguments");
        line.selection.fit("b", &letter)
    }

    #[test]
    fn each_option_narrows() {
        let yes: [&[&str]; 6] = [
            &[],
            &["--id", "0:6", "--id", "0:7"],
            &["--reason", "JSON.*[0-9]$"],
            &["--stage", "TRANSFORMATION"],
            &["--since", "1h"],
            &["--since", "2020-01-01T00:00:00Z", "--stage", "TRANSFORMATION"],
        ];
        yes.iter().for_each(|arguments| assert_eq!(fit(arguments), Fit::Yes, "{arguments:?}"));
        let no: [&[&str]; 4] = [
            &["--id", "1:7"],
            &["--reason", "large"],
            &["--stage", "KAFKA_PRODUCE"],
            &["--since", "2999-01-01T00:00:00Z"],
        ];
        no.iter().for_each(|arguments| assert_eq!(fit(arguments), Fit::No, "{arguments:?}"));
        assert_eq!(fit(&["--from", "old"]), Fit::Others);
    }

    #[test]
    fn what_does_not_read_is_refused() {
        for arguments in [["--id", "7"], ["--reason", "("], ["--since", "yesterday"]] {
            assert!(Line::try_parse_from([&["dlq"], arguments.as_slice()].concat()).is_err(), "{arguments:?}");
        }
    }
}
