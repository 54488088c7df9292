//! Why a record is a dead letter: the headers that the runtime adds behind the record's own.

use crate::{Headers, Origin, Value, record::Header};

/// What the bridge said of a record when it gave it up: the `__connect.errors.` headers, without that prefix.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reason {
    /// Names and values in the order in which they were written.
    pub fields: Vec<(String, String)>,
}

impl Reason {
    /// What all names of these headers begin with (KIP-298).
    pub const PREFIX: &str = "__connect.errors.";

    /// Details of an origin that are numbers.
    const NUMBERS: [&str; 4] = ["partition", "offset", "sequence", "qos"];

    /// The field of that name, like `exception.message`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Takes the reason off the end of a dead letter's headers. What the record itself had stays, even if it has been a dead
    /// letter before.
    pub fn split_off(headers: &mut Headers) -> Self {
        let mut list = headers.to_vec();
        let block = list.iter().rev().take_while(|(name, _)| name.starts_with(Self::PREFIX)).count();
        let block = list.len() - block;
        // Each reason begins with the kind of the record's origin, and has it once.
        let is_first = |name: &str| name.strip_prefix(Self::PREFIX).is_some_and(|name| Origin::KINDS.contains(&name));
        let first = list[block..].iter().rposition(|(name, _)| is_first(name));
        let at = block + first.unwrap_or_default();
        let reason = Self::of(&list[at..]);
        if at < list.len() {
            list.truncate(at);
            *headers = list.into();
        }
        reason
    }

    /// What those of these headers say that belong to a reason.
    pub fn of<'a>(headers: impl IntoIterator<Item = &'a Header>) -> Self {
        let name_of = |name: &str| name.strip_prefix(Self::PREFIX).map(str::to_owned);
        let text = |value: &Value| String::from_utf8_lossy(&value.to_text().unwrap_or_default()).into_owned();
        let field = |(name, value): &Header| Some((name_of(name)?, text(value)));
        Self { fields: headers.into_iter().filter_map(field).collect() }
    }

    /// What the header of that detail of an origin is called, without the prefix: `routing.key`.
    pub fn name_of_detail(detail: &str) -> String {
        detail.replace('_', ".")
    }

    /// Where the record came from.
    pub fn origin(&self) -> Origin {
        let kind = Origin::KINDS.iter().find(|kind| self.get(kind).is_some()).copied().unwrap_or_default();
        let origin = Origin::new(kind, self.get(kind).unwrap_or_default().into());
        Origin::DETAILS.iter().fold(origin, |origin, name| match self.get(&Self::name_of_detail(name)) {
            Some(text) => match text.parse::<i64>() {
                Ok(integer) if Self::NUMBERS.contains(name) => origin.with(name, integer),
                _ => origin.with(name, text),
            },
            None => origin,
        })
    }
}

#[cfg(test)]
mod tests {
    use bytestring::ByteString;

    use super::*;

    fn headers(names: &[&str]) -> Headers {
        let header = |name: &&str| (ByteString::from(*name), Value::text(name.rsplit('.').next().unwrap_or_default()));
        names.iter().map(header).collect()
    }

    const REASON: [&str; 3] =
        ["__connect.errors.queue", "__connect.errors.stage", "__connect.errors.exception.message"];

    #[test]
    fn only_the_last_reason_is_taken_off() {
        let own = ["a", "__connect.errors.queue", "b", "__connect.errors.topic", "__connect.errors.stage"];
        let mut list = headers(&[own.as_slice(), REASON.as_slice()].concat());
        let reason = Reason::split_off(&mut list);
        assert_eq!(list, headers(&own));
        assert_eq!(reason.get("exception.message"), Some("message"));
        assert_eq!((reason.fields.len(), reason.origin().address.as_ref()), (3, "queue"));
    }

    #[test]
    fn what_has_no_reason_is_left_alone() {
        let mut list = headers(&["a", "__connect.errors.queue", "b"]);
        assert_eq!(Reason::split_off(&mut list), Reason::default());
        assert_eq!(list.len(), 3);
        let mut none = Headers::EMPTY;
        assert_eq!(Reason::split_off(&mut none), Reason::default());
    }

    #[test]
    fn a_letter_of_another_tool_is_a_reason_from_its_first_header() {
        let mut list = headers(&["a", "__connect.errors.stage", "__connect.errors.exception.message"]);
        assert_eq!(Reason::split_off(&mut list).fields.len(), 2);
        assert_eq!(list.len(), 1);
    }
}
