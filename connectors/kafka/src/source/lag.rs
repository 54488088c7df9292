//! How far behind the source is, out of librdkafka's own statistics: it knows without asking a broker.

use std::collections::HashMap;

use serde::Deserialize;

use super::place::Place;

/// Where librdkafka is in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    pub place: Place,
    /// Messages that it holds.
    held: u64,
    /// The offset that it reads next.
    next: i64,
    /// The end of what the source may read: of the partition, and of what is committed.
    pub high: i64,
    stable: i64,
}

#[derive(Deserialize)]
struct Statistics {
    #[serde(default)]
    topics: HashMap<String, Topic>,
}

#[derive(Deserialize)]
struct Topic {
    #[serde(default)]
    partitions: HashMap<String, Partition>,
}

#[derive(Deserialize)]
struct Partition {
    partition: i32,
    #[serde(default)]
    fetchq_cnt: u64,
    next_offset: i64,
    hi_offset: i64,
    ls_offset: i64,
}

/// What librdkafka's statistics say; `None` when they cannot be read.
pub(super) fn standings(statistics: &[u8]) -> Option<Vec<Standing>> {
    let Statistics { topics } = serde_json::from_slice(statistics).ok()?;
    let mut standings = Vec::new();
    for (topic, Topic { partitions }) in topics {
        for Partition { partition, fetchq_cnt, next_offset, hi_offset, ls_offset } in partitions.into_values() {
            let place = Place { topic: topic.clone(), partition };
            standings.push(Standing { place, held: fetchq_cnt, next: next_offset, high: hi_offset, stable: ls_offset });
        }
    }
    Some(standings)
}

impl Standing {
    /// How many records wait, if `next` is the offset that is handed out next; `None` while the end is not known. The end
    /// may be a transaction's marker or an aborted record, which never comes: when librdkafka has read up to there and
    /// holds nothing, nothing waits.
    pub(super) fn lag(&self, next: Option<i64>, committed_only: bool) -> Option<u64> {
        let end = if committed_only { self.stable } else { self.high };
        if end < 0 {
            return None;
        }
        Some(if self.held == 0 && self.next >= end {
            0
        } else {
            let begin = next.unwrap_or(self.next);
            u64::try_from(end.saturating_sub(begin)).unwrap_or(0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"name":"x","topics":{"orders":{"partitions":{
        "0":{"partition":0,"fetchq_cnt":3,"next_offset":10,"hi_offset":20,"ls_offset":15,"eof_offset":-1001},
        "1":{"partition":1,"fetchq_cnt":0,"next_offset":15,"hi_offset":20,"ls_offset":15},
        "2":{"partition":2,"fetchq_cnt":0,"next_offset":-1001,"hi_offset":-1001,"ls_offset":-1001}}}}}"#;

    fn lag(partition: i32, committed_only: bool) -> Option<u64> {
        let found = standings(TEXT.as_bytes()).unwrap();
        let standing = found.iter().find(|standing| standing.place.partition == partition).unwrap();
        standing.lag(None, committed_only)
    }

    #[test]
    fn what_waits_is_up_to_the_end_that_may_be_read() {
        assert_eq!(lag(0, true), Some(5));
        assert_eq!(lag(0, false), Some(10));
        assert_eq!(lag(1, true), Some(0), "all of it is read, whatever the last record handed out was");
        assert_eq!(lag(2, true), None);
        assert_eq!(standings(b"rubbish"), None);
    }
}
