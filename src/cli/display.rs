//! What `gantry status` and the live lines show alike: order, colours, numbers, reasons that fit a terminal.

use std::{
    env,
    io::IsTerminal,
    time::{Duration, SystemTime},
};

use console::Term;

use super::output::printable;

/// Where text goes: how much of it is seen, and whether in colours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Screen {
    /// Columns.
    pub(super) width: usize,
    /// Lines; `None`: as many as there are.
    pub(super) height: Option<usize>,
    pub(super) colours: bool,
}

/// What a text is to be noticed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Warning,
    Bad,
    Plain,
}

impl Screen {
    /// What goes to a file or a pipe is not seen by anyone yet.
    pub(super) const PIPE: Self = Self { width: usize::MAX, height: None, colours: false };

    /// The terminal that this stream is, if it is one.
    pub(super) fn of(stream: &impl IsTerminal, term: &Term) -> Self {
        if !stream.is_terminal() {
            return Self::PIPE;
        }
        // A terminal that does not say its size: what most have.
        let (height, width) = term.size_checked().unwrap_or((24, 80));
        Self { width: usize::from(width).max(20), height: Some(usize::from(height).max(3)), colours: wants_colours() }
    }

    /// The text, in the colour of its tone.
    pub(super) fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => 32,
            Tone::Warning => 33,
            Tone::Bad => 31,
            Tone::Plain => 0,
        };
        if self.colours && code != 0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// <https://no-color.org>
fn wants_colours() -> bool {
    env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Which of the states is looked at first, and how it looks. By their words, as the control port says them.
pub(super) fn urgency(state: &str, complains: bool) -> (usize, Tone) {
    match (state, complains) {
        ("failed", _) => (0, Tone::Bad),
        ("backing_off", _) => (1, Tone::Warning),
        ("running", true) => (2, Tone::Warning),
        ("starting", _) => (3, Tone::Warning),
        ("stopping", _) => (4, Tone::Warning),
        ("running", false) => (5, Tone::Good),
        ("paused", _) => (6, Tone::Plain),
        ("stopped", _) => (7, Tone::Plain),
        _ => (8, Tone::Plain),
    }
}

/// A count in seven columns at most: exact below ten millions.
pub(super) fn count(number: u64) -> String {
    match number {
        0..10_000_000 => number.to_string(),
        10_000_000..10_000_000_000 => format!("{:.1}M", number as f64 / 1e6),
        _ => format!("{:.1}G", number as f64 / 1e9),
    }
}

/// Records a second: with a digit behind the point where it says something.
pub(super) fn rate(a_second: f64) -> String {
    if a_second == 0.0 || a_second >= 10.0 { format!("{a_second:.0}/s") } else { format!("{a_second:.1}/s") }
}

/// `next try in 34 s`, or `trying again` when it is due.
pub(super) fn next_try(now: SystemTime, at: SystemTime) -> String {
    match at.duration_since(now) {
        Ok(wait) if wait >= Duration::from_secs(120) => format!("next try in {} min", wait.as_secs() / 60),
        Ok(wait) => format!("next try in {} s", wait.as_secs_f64().ceil()),
        Err(_) => "trying again".to_owned(),
    }
}

/// The text in lines of that width, broken at words, long ones anywhere; what does not fit into so many lines is cut off.
/// It comes out printable.
pub(super) fn wrap(text: &str, width: usize, lines: usize) -> Vec<String> {
    let width = width.max(1);
    let mut wrapped = vec![String::new()];
    let mut columns = 0;
    for word in printable(text).split_whitespace() {
        let mut rest: Vec<char> = word.chars().collect();
        while !rest.is_empty() {
            let gap = usize::from(columns > 0);
            let room = width.saturating_sub(columns + gap);
            // A path that is longer than a line begins on this one.
            let taken = if rest.len() <= room || rest.len() > width { rest.len().min(room) } else { 0 };
            if taken == 0 {
                if wrapped.len() == lines {
                    return cut_off(wrapped, width);
                }
                wrapped.push(String::new());
                columns = 0;
                continue;
            }
            if let Some(line) = wrapped.last_mut() {
                line.extend(std::iter::repeat_n(' ', gap).chain(rest.drain(..taken)));
            }
            columns += gap + taken;
        }
    }
    wrapped.retain(|line| !line.is_empty());
    wrapped
}

fn cut_off(mut lines: Vec<String>, width: usize) -> Vec<String> {
    if let Some(last) = lines.last_mut() {
        *last = truncate(&format!("{last} …"), width);
    }
    lines
}

/// The text in so many columns, `…` where it is cut off.
pub(super) fn truncate(text: &str, width: usize) -> String {
    console::truncate_str(text, width, "…").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_person_comes_first() {
        let order = ["failed", "backing_off", "starting", "stopping", "running", "paused", "stopped", "finished"];
        assert!(order.map(|state| urgency(state, false).0).is_sorted());
        assert_eq!(urgency("running", true), (2, Tone::Warning));
    }

    #[test]
    fn colours_are_there_only_if_they_are_wanted() {
        assert_eq!(Screen::PIPE.paint(Tone::Bad, "failed"), "failed");
        let coloured = Screen { colours: true, ..Screen::PIPE };
        assert_eq!(coloured.paint(Tone::Bad, "failed"), "\x1b[31mfailed\x1b[0m");
        assert_eq!(coloured.paint(Tone::Plain, "paused"), "paused");
    }

    #[test]
    fn numbers_fit_their_columns() {
        let counts = [9_999_999, 10_000_000, 12_345_678_901].map(count);
        assert_eq!(counts, ["9999999", "10.0M", "12.3G"]);
        assert_eq!([0.0, 0.2, 1.0, 1200.4].map(rate), ["0/s", "0.2/s", "1.0/s", "1200/s"]);
    }

    #[test]
    fn a_long_reason_is_broken_at_words_and_cut_off_at_last() {
        let text = "connecting to rabbit1:5672: connection refused \x1b[2J";
        assert_eq!(wrap(text, 30, 3), ["connecting to rabbit1:5672:", "connection refused \\u{1b}[2J"]);
        assert_eq!(wrap(text, 16, 2), ["connecting to", "rabbit1:5672: …"]);
        assert_eq!(wrap(&"x".repeat(25), 10, 9), ["x".repeat(10), "x".repeat(10), "x".repeat(5)]);
        assert_eq!(
            wrap("opening /a/very/long/path/to: not there", 20, 9),
            ["opening /a/very/long", "/path/to: not there"]
        );
        assert!(wrap("  ", 10, 2).is_empty());
    }

    #[test]
    fn the_next_try_has_one_unit() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let after = |seconds| next_try(now, now + Duration::from_millis(seconds));
        assert_eq!([100, 34_000, 600_000].map(after), ["next try in 1 s", "next try in 34 s", "next try in 10 min"]);
        assert_eq!(next_try(now, now - Duration::from_secs(1)), "trying again");
    }
}
