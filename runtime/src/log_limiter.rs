//! What goes wrong again and again is told once, counted, and summed up: a log is for people.
//!
//! # Contract
//! - A reason that is new in this stretch of trouble is told. Numbers in it do not make it new, and after a few reasons
//!   nothing is: reasons that alternate, or that are never the same, do not defeat it.
//! - Repeats are counted, and summed up every ten minutes.
//! - The first time that it works again is told, and so is the next failure, so that the last line is never wrong for
//!   long. From then on only what lasts is told: a stretch is over when nothing failed for a minute.

use std::{fmt::Write as _, time::Duration};

use tokio::time::Instant;

/// Repeats are summed up so often.
const SUMMARY: Duration = Duration::from_secs(600);
/// LogLimiter is over when nothing failed for so long.
const STEADY: Duration = Duration::from_secs(60);
/// So many different reasons are told in one stretch.
const REASONS: usize = 8;

/// One stretch of trouble, or none.
#[derive(Debug, Default)]
pub(super) struct LogLimiter {
    /// When it began.
    since: Option<Instant>,
    /// Those that were told, without their numbers.
    reasons: Vec<String>,
    attempts: u64,
    /// When repeats were last told.
    summed_up: Option<Instant>,
    /// Since when it has worked, if it does.
    works_since: Option<Instant>,
    /// How often it was told that it works again.
    recoveries: u32,
    /// The last line said that it works.
    said_that_it_works: bool,
}

impl LogLimiter {
    /// It failed, for that reason. Returns the line to write, if there is one.
    pub(super) fn failed(&mut self, reason: &str) -> Option<String> {
        let now = Instant::now();
        if self.is_over(now) {
            *self = Self::default();
        }
        self.works_since = None;
        let since = *self.since.get_or_insert(now);
        let summed_up = *self.summed_up.get_or_insert(now);
        self.attempts += 1;
        if self.is_new(reason) || std::mem::take(&mut self.said_that_it_works) {
            return Some(reason.to_owned());
        }
        if now - summed_up < SUMMARY {
            return None;
        }
        self.summed_up = Some(now);
        Some(format!("{reason}; this has happened {} times in {}", self.attempts, span(now - since)))
    }

    /// It works now. To be called from time to time while it does. Returns the line to write, if there is one.
    pub(super) fn works(&mut self) -> Option<Recovered> {
        let now = Instant::now();
        let since = self.since?;
        let recovered = Recovered { attempts: self.attempts, time: now - since };
        if self.is_over(now) {
            let told = self.said_that_it_works;
            *self = Self::default();
            return (!told).then_some(recovered);
        }
        let begins = self.works_since.is_none();
        self.works_since.get_or_insert(now);
        if begins && self.recoveries == 0 {
            self.recoveries += 1;
            self.said_that_it_works = true;
            return Some(recovered);
        }
        None
    }

    /// Whether anything went wrong lately.
    pub(super) const fn is_on(&self) -> bool {
        self.since.is_some()
    }

    fn is_over(&self, now: Instant) -> bool {
        self.works_since.is_some_and(|works_since| now - works_since >= STEADY)
    }

    fn is_new(&mut self, reason: &str) -> bool {
        let reason = without_numbers(reason);
        let new = self.reasons.len() < REASONS && !self.reasons.contains(&reason);
        if new {
            self.reasons.push(reason);
        }
        new
    }
}

/// What there was before it worked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Recovered {
    pub(super) attempts: u64,
    pub(super) time: Duration,
}

impl Recovered {
    /// `after 37 failed attempts in 10 min`, with that noun.
    pub(super) fn after(self, noun: &str) -> String {
        let plural = if self.attempts == 1 { "" } else { "s" };
        format!("after {} {noun}{plural} in {}", self.attempts, span(self.time))
    }
}

/// A length of time for people: `45 s`, `10 min`, `3 h`.
pub(super) fn span(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{} ms", time.as_millis()),
        seconds @ 1..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}

/// Ports, times and counts differ from one try to the next, and the trouble is the same.
fn without_numbers(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for part in text.split(|letter: char| letter.is_ascii_digit()).filter(|part| !part.is_empty()) {
        let _ = write!(plain, "{part}#");
    }
    plain
}

#[cfg(test)]
mod tests;
