//! The answer of `/v1/bridges` for people: as much of it as the terminal shows.

use jiff::Timestamp;

use super::{
    super::{
        display::{Screen, Tone, count, next_try, truncate, urgency, wrap},
        output::printable,
    },
    overview::{Bridge, Loss, Overview, Task},
};

/// Between two columns.
const GAP: &str = "  ";
/// Names are cut off at so many columns.
const NAME: usize = 30;
/// The second and further lines of a reason begin so far in.
const INDENT: usize = 2;

/// What one row is of.
struct Row<'o> {
    bridge: &'o Bridge,
    task: Option<&'o Task>,
    state: &'o str,
    urgency: usize,
    tone: Tone,
}

struct Column {
    /// The header, then a cell a row.
    cells: Vec<String>,
    right: bool,
    /// The cells have the colours of their rows.
    toned: bool,
}

/// A table, those first that need a person, and below it the reasons.
pub(super) fn lines(overview: &Overview, screen: Screen) -> Vec<String> {
    if overview.bridges.is_empty() {
        return vec!["no bridges".to_owned()];
    }
    let mut rows: Vec<_> = overview.bridges.iter().flat_map(rows_of).collect();
    rows.sort_by_key(|row| (row.urgency, &row.bridge.name, row.task.map(|task| task.task)));
    let reasons: Vec<_> = rows.iter().flat_map(|row| reasons(overview.at, row, screen)).collect();

    // The header and the prompt take a line each; at least half of the rest is the table's.
    let room = screen.height.map_or(usize::MAX, |height| height.saturating_sub(2));
    let wanted: usize = reasons.iter().map(|reason| reason.len() + 1).sum();
    let shown = room.saturating_sub(wanted).max(room / 2).max(1);
    let mut lines = table(overview.at, &rows, screen);
    if rows.len() > shown {
        lines.truncate(shown);
        lines.push(format!("… {} more", rows.len() + 1 - shown));
    }
    let mut left = room.saturating_sub(lines.len() - 1);
    for (index, reason) in reasons.iter().enumerate() {
        let more = reasons.len() - index;
        if index > 0 && reason.len() + 1 + usize::from(more > 1) > left {
            lines.push(format!("… {more} more reasons: gantry status --json"));
            break;
        }
        left = left.saturating_sub(reason.len() + 1);
        lines.push(String::new());
        lines.extend_from_slice(reason);
    }
    lines
}

fn rows_of(bridge: &Bridge) -> Vec<Row<'_>> {
    if bridge.tasks.is_empty() {
        return vec![Row::of(bridge, None, &bridge.target, false)];
    }
    bridge.tasks.iter().map(|task| Row::of(bridge, Some(task), &task.state, task.error.is_some())).collect()
}

impl<'o> Row<'o> {
    fn of(bridge: &'o Bridge, task: Option<&'o Task>, state: &'o str, complains: bool) -> Self {
        let (urgency, tone) = urgency(state, complains);
        Self { bridge, task, state, urgency, tone }
    }
}

fn table(now: Timestamp, rows: &[Row<'_>], screen: Screen) -> Vec<String> {
    let number = |name, of: fn(&Task) -> Option<u64>| Column::numbers(name, rows, of);
    let mut columns = vec![
        Column::texts("BRIDGE", rows, |row| truncate(&printable(&row.bridge.name), NAME)),
        Column::texts("TASK", rows, |row| row.task.map_or_else(|| "-".to_owned(), |task| task.task.to_string())),
        Column {
            toned: true,
            ..Column::texts("STATE", rows, |row| printable(&row.state.replace('_', " ")).into_owned())
        },
        number("IN", |task| Some(task.counts.records_in)),
        number("OUT", |task| Some(task.counts.records_out)),
        number("IN FLIGHT", |task| Some(task.counts.in_flight)),
        number("FILTERED", |task| Some(task.counts.filtered)).unless_nothing(),
        number("DEAD", |task| Some(task.counts.dead_lettered)).unless_nothing(),
        number("LAG", |task| task.lag).unless_nothing(),
        number("DEPTH", |task| task.queue_depth).unless_nothing(),
        number("STALLS", |task| Some(task.counts.stalls)).unless_nothing(),
        Column::texts("SETTLED", rows, |row| match row.task {
            Some(task) => task.last_progress.map_or_else(|| "never".to_owned(), |time| age(now, time)),
            None => String::new(),
        }),
    ];
    columns.retain(|column| !column.cells.is_empty());
    let line = |index: usize| {
        let cells = columns.iter().map(|column| match index.checked_sub(1).filter(|_| column.toned) {
            Some(row) => screen.paint(rows[row].tone, &column.padded(index)),
            None => column.padded(index),
        });
        truncate(cells.collect::<Vec<_>>().join(GAP).trim_end(), screen.width)
    };
    (0..=rows.len()).map(line).collect()
}

impl Column {
    fn texts(name: &str, rows: &[Row<'_>], of: impl Fn(&Row<'_>) -> String) -> Self {
        let cells = std::iter::once(name.to_owned()).chain(rows.iter().map(of)).collect();
        Self { cells, right: false, toned: false }
    }

    fn numbers(name: &str, rows: &[Row<'_>], of: fn(&Task) -> Option<u64>) -> Self {
        let column = Self::texts(name, rows, |row| row.task.and_then(of).map(count).unwrap_or_default());
        Self { right: true, ..column }
    }

    /// Without cells when none has anything to say.
    fn unless_nothing(mut self) -> Self {
        if self.cells.iter().skip(1).all(|cell| cell.is_empty() || cell == "0") {
            self.cells.clear();
        }
        self
    }

    fn padded(&self, index: usize) -> String {
        let width = self.cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0);
        let cell = &self.cells[index];
        if self.right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
    }
}

/// Why a task is not well and when it tries again, and what was lost before it came, in lines that fit.
fn reasons(now: Timestamp, row: &Row<'_>, screen: Screen) -> Vec<Vec<String>> {
    let Some(task) = row.task else { return Vec::new() };
    let (bridge, number) = (&row.bridge.name, task.task);
    let next = task.next_try.map(|at| format!(" ({})", next_try(now.into(), at.into()))).unwrap_or_default();
    let error = task.error.iter().map(|error| format!("{bridge} task {number}{next}: {error}"));
    let lost = task.lost.iter().map(|Loss { records, what }| {
        format!("{bridge} task {number}: {records} records lost before they were read; the last: {what}")
    });
    error.chain(lost).map(|text| paragraph(&text, screen)).collect()
}

fn paragraph(text: &str, screen: Screen) -> Vec<String> {
    let lines = wrap(text, screen.width - INDENT, usize::MAX).into_iter().enumerate();
    lines.map(|(index, line)| if index == 0 { line } else { format!("{:INDENT$}{line}", "") }).collect()
}

/// `3s ago`: one unit, the largest that fits.
pub(super) fn age(now: Timestamp, then: Timestamp) -> String {
    match now.duration_since(then).as_secs() {
        seconds @ ..60 => format!("{}s ago", seconds.max(0)),
        seconds @ ..3_600 => format!("{}m ago", seconds / 60),
        seconds @ ..86_400 => format!("{}h ago", seconds / 3_600),
        seconds => format!("{}d ago", seconds / 86_400),
    }
}
