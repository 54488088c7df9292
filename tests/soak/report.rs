//! What a person reads at the end.

use std::{collections::BTreeMap, time::Duration};

use comfy_table::{CellAlignment, Table, presets};

use crate::{fault::Fault, usage::Usage};

/// One bridge, judged.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) bridge: &'static str,
    pub(crate) published: u64,
    pub(crate) arrived: u64,
    pub(crate) filtered: u64,
    /// Delivered too often for a quorum queue, and put aside by RabbitMQ, as it was told to.
    pub(crate) set_aside: u64,
    pub(crate) lost: Vec<u64>,
    pub(crate) duplicates: u64,
    /// Published more than once by the soak itself.
    pub(crate) published_again: u64,
    pub(crate) reordered: u64,
    pub(crate) is_ordered: bool,
    pub(crate) wrong: u64,
}

/// How often something happened, and the longest that it took to flow again.
pub(crate) type Recoveries = BTreeMap<Fault, (u64, Duration)>;

impl Judged {
    /// What must not be.
    pub(crate) fn failure(&self) -> Option<String> {
        let bridge = self.bridge;
        if !self.lost.is_empty() {
            let first = &self.lost[..self.lost.len().min(10)];
            return Some(format!("{bridge}: {} lost, the first {first:?}", self.lost.len()));
        }
        if self.is_ordered && self.reordered > 0 {
            return Some(format!("{bridge}: {} out of order", self.reordered));
        }
        (self.wrong > 0).then(|| format!("{bridge}: {} changed, or where they should not be", self.wrong))
    }
}

/// Prints all tables.
pub(crate) fn print(judged: &[Judged], recoveries: &Recoveries, usage: &Usage) {
    let mut table = table(&[
        "bridge",
        "published",
        "arrived",
        "filtered",
        "set aside",
        "lost",
        "duplicates",
        "published again",
        "reordered",
        "wrong",
    ]);
    for one in judged {
        let reordered = if one.is_ordered { one.reordered.to_string() } else { format!("({})", one.reordered) };
        let numbers = [one.published, one.arrived, one.filtered, one.set_aside, one.lost.len() as u64, one.duplicates];
        let mut row = vec![one.bridge.to_owned()];
        row.extend(numbers.map(|number| number.to_string()));
        row.extend([one.published_again.to_string(), reordered, one.wrong.to_string()]);
        table.add_row(row);
    }
    println!("{}\n", right(table, 1));

    let mut table = self::table(&["fault", "times", "longest until it flowed again"]);
    for (fault, (times, longest)) in recoveries {
        table.add_row([fault.to_string(), times.to_string(), format!("{:.1} s", longest.as_secs_f64())]);
    }
    println!("{}\n", right(table, 1));

    let mut table = self::table(&["gantry", "most", "at the end"]);
    let megabytes = |bytes: u64| format!("{} MB", bytes / 1_000_000);
    table.add_row(["memory".to_owned(), megabytes(usage.memory.most()), megabytes(usage.memory.now())]);
    for (name, peak) in [("open files", &usage.files), ("threads", &usage.threads)] {
        table.add_row([name.to_owned(), peak.most().to_string(), peak.now().to_string()]);
    }
    println!("{}\n", right(table, 1));
}

fn table(header: &[&'static str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_header(header.to_vec());
    table
}

/// Numbers from this column on.
fn right(mut table: Table, from: usize) -> Table {
    for column in table.column_iter_mut().skip(from) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
