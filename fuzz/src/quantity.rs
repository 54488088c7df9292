//! Durations and sizes.

use std::time::Duration;

use gantry_sdk::config::{DurationText, Size};

const DURATIONS: [(&str, u128); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

const SIZES: [(&str, u128); 7] = [
    ("B", 1),
    ("kB", 1000),
    ("KiB", 1024),
    ("MB", 1_000_000),
    ("MiB", 1024 * 1024),
    ("GB", 1_000_000_000),
    ("GiB", 1024 * 1024 * 1024),
];

pub(super) fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let duration = text.parse::<DurationText>().ok();
    if let Some(DurationText(duration)) = duration {
        let written = DurationText(duration).to_string();
        assert_eq!(written.parse(), Ok(DurationText(duration)), "{text} became {written}");
    }
    let size = text.parse::<Size>().ok();
    if let Some(size) = size {
        let written = size.to_string();
        assert_eq!(written.parse(), Ok(size), "{text} became {written}");
    }
    // What the schema promises to editors is read, and as what it says.
    if let Some(millis) = written(text, &DURATIONS) {
        assert_eq!(duration, Some(DurationText(Duration::from_millis(millis))), "{text}");
    }
    if let Some(bytes) = written(text, &SIZES) {
        assert_eq!(size, Some(Size(bytes)), "{text}");
    }
}

/// Digits, at most one space, a unit; `None` also for what does not fit into 64 bits.
fn written(text: &str, units: &[(&str, u128)]) -> Option<u64> {
    units.iter().find_map(|(unit, factor)| {
        let number = text.strip_suffix(unit)?;
        let number = number.strip_suffix(' ').unwrap_or(number);
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let number: u128 = digits.then(|| number.parse().ok())??;
        number.checked_mul(*factor)?.try_into().ok()
    })
}
