//! What a position of the source holds: the offset of a record, and which topic it is of, as far as that is known.
//!
//! The id goes with it where positions are stored, so that one is never taken for one of another topic of that name.

use gantry_sdk::Position;

/// How long Kafka's ids of topics are as text.
const ID: usize = 22;

/// The position of the record at that offset, in the topic of that id.
pub(super) fn position(offset: i64, topic_id: Option<&str>) -> Position {
    let offset = offset.to_be_bytes();
    match topic_id.filter(|id| id.len() == ID) {
        None => Position::new(&offset),
        Some(id) => Position::new(&[&offset, id.as_bytes()].concat()),
    }
}

/// The offset, and the id of its topic; `None` when it is not of this source.
pub(super) fn read(position: &Position) -> Option<(i64, Option<&str>)> {
    let (offset, id) = position.as_bytes().split_first_chunk()?;
    let offset = Some(i64::from_be_bytes(*offset)).filter(|offset| *offset >= 0)?;
    match id.len() {
        0 => Some((offset, None)),
        ID => Some((offset, Some(std::str::from_utf8(id).ok()?))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for id in [None, Some("q83vASNFZ4mrze8BI0Vniw")] {
            assert_eq!(read(&position(7, id)), Some((7, id)));
        }
        assert_eq!(read(&Position::new(b"short")), None);
        assert_eq!(read(&Position::new(b"another's")), None);
        assert_eq!(read(&position(-1, None)), None);
    }
}
