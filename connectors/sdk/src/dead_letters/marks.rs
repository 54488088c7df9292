//! A set of letters as ranges: small in memory and as text, however many letters there are.
//!
//! As text: `0:5-9,12;1:0`: a stream, `:`, its numbers and ranges with commas between, and `;` between streams.

use std::{collections::BTreeMap, fmt, str::FromStr};

use bytestring::ByteString;

use super::id::DeadLetterId;

/// A set of letters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    streams: BTreeMap<ByteString, Ranges>,
}

/// First and last of each range; they neither overlap nor touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Ranges(BTreeMap<u64, u64>);

// === impl Marks ===

impl Marks {
    /// Adds a letter.
    pub fn insert(&mut self, letter: &DeadLetterId) {
        self.ranges(&letter.stream).insert(letter.number, letter.number);
    }

    /// Adds all letters of another set.
    pub fn extend(&mut self, others: &Self) {
        for (stream, ranges) in &others.streams {
            let own = self.ranges(stream);
            ranges.0.iter().for_each(|(first, last)| own.insert(*first, *last));
        }
    }

    /// Whether that letter is in it.
    pub fn contains(&self, letter: &DeadLetterId) -> bool {
        self.streams.get(&letter.stream).is_some_and(|ranges| ranges.contains(letter.number))
    }

    /// How many of them are not in another set.
    pub fn count_outside(&self, other: &Self) -> u64 {
        let count = |(stream, ranges): (&ByteString, &Ranges)| {
            let overlap = other.streams.get(stream).map_or(0, |other| ranges.overlap(other));
            ranges.0.iter().map(|(first, last)| last - first + 1).sum::<u64>() - overlap
        };
        self.streams.iter().map(count).sum()
    }

    /// All of them, stream by stream.
    pub fn iter(&self) -> impl Iterator<Item = DeadLetterId> {
        self.streams.iter().flat_map(|(stream, ranges)| {
            let numbers = ranges.0.iter().flat_map(|(first, last)| *first..=*last);
            numbers.map(|number| DeadLetterId::new(stream.clone(), number))
        })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// The same in sets of at most so many ranges, at least one: for stores that limit how long a mark may be.
    pub fn in_parts(&self, ranges: usize) -> Vec<Self> {
        let all = self.streams.iter().flat_map(|(stream, own)| own.0.iter().map(move |range| (stream, range)));
        let all: Vec<_> = all.collect();
        let part = |some: &[(&ByteString, (&u64, &u64))]| {
            let mut part = Self::default();
            some.iter().for_each(|(stream, (first, last))| part.ranges(stream).insert(**first, **last));
            part
        };
        all.chunks(ranges.max(1)).map(part).collect()
    }

    fn ranges(&mut self, stream: &ByteString) -> &mut Ranges {
        self.streams.entry(stream.clone()).or_default()
    }
}

impl fmt::Display for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (stream, ranges)) in self.streams.iter().enumerate() {
            let between = if index == 0 { "" } else { ";" };
            write!(f, "{between}{stream}:")?;
            for (index, (first, last)) in ranges.0.iter().enumerate() {
                let between = if index == 0 { "" } else { "," };
                write!(f, "{between}{first}")?;
                if first != last {
                    write!(f, "-{last}")?;
                }
            }
        }
        Ok(())
    }
}

impl FromStr for Marks {
    type Err = String;

    /// Reads foreign bytes: all of it or nothing, in time and memory that its length bounds.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "letters are written like 0:5-9,12;1:0".to_owned();
        let mut marks = Self::default();
        for part in text.split(';').filter(|part| !part.is_empty()) {
            let (stream, numbers) = part.rsplit_once(':').ok_or_else(wrong)?;
            let ranges = marks.ranges(&stream.into());
            for range in numbers.split(',') {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                let (first, last) = (first.parse().map_err(|_| wrong())?, last.parse().map_err(|_| wrong())?);
                if first > last {
                    return Err(wrong());
                }
                ranges.insert(first, last);
            }
        }
        Ok(marks)
    }
}

// === impl Ranges ===

impl Ranges {
    fn contains(&self, number: u64) -> bool {
        self.0.range(..=number).next_back().is_some_and(|(_, last)| number <= *last)
    }

    /// How many numbers are in both.
    fn overlap(&self, other: &Self) -> u64 {
        let common = |(first, last): (&u64, &u64)| {
            let reach = other.0.range(..=*last).rev().take_while(|(_, end)| **end >= *first);
            reach.map(|(start, end)| last.min(end) - first.max(start) + 1).sum::<u64>()
        };
        self.0.iter().map(common).sum()
    }

    fn insert(&mut self, mut first: u64, mut last: u64) {
        let reach = self.0.range(..=last.saturating_add(1)).rev();
        let touched = reach.take_while(|(_, end)| **end >= first.saturating_sub(1));
        let touched: Vec<(u64, u64)> = touched.map(|(start, end)| (*start, *end)).collect();
        for (start, end) in touched {
            self.0.remove(&start);
            (first, last) = (first.min(start), last.max(end));
        }
        self.0.insert(first, last);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_text_is_as_documented() {
        let mut marks = Marks::default();
        for number in [12, 5, 7, 6, 9, 8, 6] {
            marks.insert(&DeadLetterId::new("0", number));
        }
        marks.insert(&DeadLetterId::new("1", 0));
        assert_eq!(marks.to_string(), "0:5-9,12;1:0");
        assert_eq!("".parse(), Ok(Marks::default()));
    }

    #[test]
    fn rubbish_is_refused_and_the_widest_range_is_not() {
        for text in ["0", "0:", "0:a", "0:9-5", "0:1-2-3", ":;x", "0:-1"] {
            assert!(text.parse::<Marks>().is_err(), "{text}");
        }
        let all: Marks = format!("0:0-{}", u64::MAX).parse().expect("a range");
        assert!(all.contains(&DeadLetterId::new("0", u64::MAX)) && !all.contains(&DeadLetterId::new("1", 0)));
    }

    proptest! {
        #[test]
        fn a_set_of_ranges_is_a_set(ids in prop::collection::vec((0..3u8, 0..40u64), 0..60), size in 1..5usize) {
            let ids: BTreeSet<_> = ids.into_iter().collect();
            let mut marks = Marks::default();
            ids.iter().for_each(|(stream, number)| marks.insert(&DeadLetterId::new(stream.to_string(), *number)));
            for stream in 0..3u8 {
                for number in 0..41 {
                    let is_in = marks.contains(&DeadLetterId::new(stream.to_string(), number));
                    prop_assert_eq!(is_in, ids.contains(&(stream, number)));
                }
            }
            prop_assert_eq!(marks.to_string().parse(), Ok(marks.clone()));
            let listed: Vec<_> = marks.iter().collect();
            let expected: Vec<_> = ids.iter().map(|(stream, number)| DeadLetterId::new(stream.to_string(), *number)).collect();
            prop_assert_eq!(listed, expected);
            let mut again = Marks::default();
            marks.in_parts(size).iter().for_each(|part| again.extend(part));
            prop_assert_eq!(again, marks);
        }

        #[test]
        fn counts_what_only_one_of_two_sets_has(
            ids in prop::collection::btree_set(0..40u64, 0..30),
            others in prop::collection::btree_set(0..40u64, 0..30),
        ) {
            let marks = |ids: &BTreeSet<u64>| {
                let mut marks = Marks::default();
                ids.iter().for_each(|number| marks.insert(&DeadLetterId::new("0", *number)));
                marks
            };
            prop_assert_eq!(marks(&ids).count_outside(&marks(&others)), ids.difference(&others).count() as u64);
        }

        #[test]
        fn foreign_text_never_panics(text in "[0-9:;,a-]{0,30}") {
            let _ = text.parse::<Marks>();
        }
    }
}
