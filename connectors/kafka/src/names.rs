//! What Kafka takes as the name of a topic, and as the number of a partition.

/// Kafka's own limit: names are file names on the broker, and it adds to them.
const LONGEST: usize = 249;

/// Whether a topic may bear this name; the reason if not.
pub(crate) fn check(name: &str) -> Result<(), String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let problem = match name {
        "" => "it is empty".to_owned(),
        "." | ".." => "it is \".\" or \"..\"".to_owned(),
        long if long.len() > LONGEST => format!("it is {} characters long, of at most {LONGEST}", long.chars().count()),
        other => match other.chars().find(|c| !legal(*c)) {
            Some(c) => format!("{c:?} is not one of a–z, A–Z, 0–9, \".\", \"_\" and \"-\""),
            None => return Ok(()),
        },
    };
    let shown: String = name.chars().take(64).collect();
    let more = if shown.len() < name.len() { "…" } else { "" };
    Err(format!("\"{}{more}\" is not a legal topic name: {problem}", shown.escape_debug()))
}

/// The number of a partition.
pub(crate) fn partition(text: &[u8]) -> Option<i32> {
    std::str::from_utf8(text).ok()?.parse().ok().filter(|number| *number >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafkas_own_rules() {
        for name in ["a", "orders-from-amqp", "a.b_c-D9", "...", &"x".repeat(249)] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        for name in ["", ".", "..", "a b", "a/b", "заказы", "a\0", "a\n", &"x".repeat(250)] {
            assert!(check(name).is_err(), "{name:?}");
        }
        assert!(check("a/b").unwrap_err().contains("'/'"));
        assert!(check(&"x".repeat(300)).unwrap_err().len() < 200);
    }

    #[test]
    fn partitions_are_numbers_from_0() {
        assert_eq!(partition(b"0"), Some(0));
        assert_eq!(partition(b"2147483647"), Some(i32::MAX));
        for text in ["-1", "", "1.0", "2147483648", "one"] {
            assert_eq!(partition(text.as_bytes()), None, "{text}");
        }
    }
}
