//! Letters counted by reason, stage and origin. Reasons that differ in numbers only are one.

use std::collections::HashMap;

use comfy_table::{CellAlignment, Table, presets};
use gantry_sdk::{DeadLetter, DeadLetterId, dead_letters::Fidelity};
use serde_json::{Value as Json, json};

use super::{
    selection::{origin, why},
    text,
};

/// Reasons that are told apart; what is beyond them counts as one.
const MOST: usize = 1_000;

/// How many letters of which kind.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: HashMap<Kind, Group>,
    pub(super) count: u64,
    /// Of them, those whose body is whole and something else is not.
    pub(super) lossy: u64,
    /// Of them, those that cannot be replayed.
    pub(super) unreadable: u64,
}

/// Reason, stage, origin.
type Kind = (String, String, String);

#[derive(Debug)]
struct Group {
    count: u64,
    first: Option<jiff::Timestamp>,
    last: Option<jiff::Timestamp>,
    example: DeadLetterId,
}

impl Groups {
    pub(super) fn add(&mut self, letter: &DeadLetter) {
        self.count += 1;
        match letter.fidelity {
            Fidelity::Exact => {}
            Fidelity::Lossy(_) => self.lossy += 1,
            Fidelity::Unreadable(_) => self.unreadable += 1,
        }
        let stage = letter.reason.get("stage").unwrap_or("?").to_owned();
        let mut kind = (without_numbers(why(letter)), stage, origin(&letter.reason).to_owned());
        if self.groups.len() >= MOST && !self.groups.contains_key(&kind) {
            kind = ("other reasons".to_owned(), "?".to_owned(), "?".to_owned());
        }
        let written = letter.written.and_then(|time| jiff::Timestamp::try_from(time).ok());
        let group = self.groups.entry(kind).or_insert_with(|| Group {
            count: 0,
            first: written,
            last: written,
            example: letter.id.clone(),
        });
        group.count += 1;
        group.first = group.first.into_iter().chain(written).min();
        group.last = group.last.into_iter().chain(written).max();
    }

    /// The largest first.
    fn sorted(&self) -> Vec<(&Kind, &Group)> {
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by_key(|(kind, group)| (std::cmp::Reverse(group.count), *kind));
        groups
    }

    /// A table, one row a group.
    pub(super) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(["COUNT", "STAGE", "FROM", "FIRST", "LAST", "E.G.", "REASON"]);
        for ((reason, stage, origin), group) in self.sorted() {
            table.add_row([
                group.count.to_string(),
                text::escaped(stage),
                text::escaped(origin),
                shown(group.first),
                shown(group.last),
                group.example.to_string(),
                text::escaped(reason),
            ]);
        }
        for (index, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, 2));
            if index == 0 {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.trim_fmt()
    }

    /// The same for scripts.
    pub(super) fn json(&self) -> Json {
        let group = |((reason, stage, origin), group): (&Kind, &Group)| {
            json!({
                "count": group.count, "reason": reason, "stage": stage, "from": origin,
                "first": group.first.map(|time| time.to_string()), "last": group.last.map(|time| time.to_string()),
                "example": group.example.to_string(),
            })
        };
        self.sorted().into_iter().map(group).collect()
    }

    /// What must be known before they are replayed; empty when there is nothing.
    pub(super) fn notes(&self) -> String {
        let mut notes = String::new();
        if self.lossy > 0 {
            notes += &format!(
                "{} of them cannot be rebuilt exactly (`show` says why): their bodies are whole, something else is not\n",
                self.lossy
            );
        }
        if self.unreadable > 0 {
            notes += &format!("{} of them cannot be read and will not be replayed\n", self.unreadable);
        }
        notes
    }
}

fn shown(time: Option<jiff::Timestamp>) -> String {
    time.map_or_else(|| "?".to_owned(), |time| format!("{time:.0}"))
}

/// Each number as `#`.
fn without_numbers(reason: &str) -> String {
    let mut shown = String::with_capacity(reason.len());
    for c in reason.chars() {
        match c.is_ascii_digit() {
            true if shown.ends_with('#') => {}
            true => shown.push('#'),
            false => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use gantry_sdk::{Record, dead_letters::Reason};

    use super::*;

    fn letter(number: u64, reason: &str) -> DeadLetter {
        let fields = [("queue", "orders"), ("stage", "KAFKA_PRODUCE"), ("exception.message", reason)];
        DeadLetter {
            id: DeadLetterId::new("0", number),
            record: Record::default(),
            reason: Reason { fields: fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into() },
            written: Some(UNIX_EPOCH + Duration::from_secs(number)),
            fidelity: Fidelity::Exact,
        }
    }

    #[test]
    fn reasons_that_differ_in_numbers_are_one() {
        let mut groups = Groups::default();
        for (number, reason) in [(9, "record of 1048600 bytes"), (3, "record of 7 bytes"), (5, "no JSON\u{1b}[2J")] {
            groups.add(&letter(number, reason));
        }
        let json = groups.json();
        assert_eq!(json[0]["reason"], "record of # bytes");
        assert_eq!((&json[0]["count"], &json[0]["example"]), (&json!(2), &json!("0:9")));
        assert_eq!(
            (&json[0]["first"], &json[0]["last"]),
            (&json!("1970-01-01T00:00:03Z"), &json!("1970-01-01T00:00:09Z"))
        );
        let table = groups.table();
        assert!(!table.contains('\u{1b}') && table.contains("no JSON\\u{1b}[#J"), "{table}");
    }

    #[test]
    fn there_is_an_end_to_reasons() {
        let mut groups = Groups::default();
        let word =
            |number: u64| number.to_string().replace(|c: char| c.is_ascii_digit(), "x") + &"y".repeat(number as usize);
        (0..MOST as u64 + 50).for_each(|number| groups.add(&letter(number, &word(number))));
        assert_eq!(groups.groups.len(), MOST + 1);
        assert_eq!(groups.groups.values().map(|group| group.count).sum::<u64>(), groups.count);
    }
}
