//! Headers: an ordered list with duplicates, copied on write.

use std::sync::Arc;

use bytestring::ByteString;

use super::Value;

/// One header: a name and a typed value.
pub type Header = (ByteString, Value);

/// An ordered list of headers that allows duplicates. Cloning shares the list; writing to a shared one copies it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Headers {
    list: Option<Arc<Vec<Header>>>,
}

impl Headers {
    /// No headers; takes no memory.
    pub const EMPTY: Self = Self { list: None };

    /// All headers in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Header> {
        self.as_slice().iter()
    }

    /// All headers in order.
    pub fn as_slice(&self) -> &[Header] {
        self.list.as_deref().map_or(&[], Vec::as_slice)
    }

    /// How many there are, duplicates counted.
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    /// The first header of that name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    /// Adds a header at the end, beside any of the same name.
    pub fn push(&mut self, name: impl Into<ByteString>, value: Value) {
        let header = (name.into(), value);
        match self.list.as_mut().and_then(Arc::get_mut) {
            Some(list) => list.push(header),
            None => self.list = Some(copied(self.iter(), header)),
        }
    }

    /// Removes every header of that name and adds this one at the end.
    pub fn set(&mut self, name: impl Into<ByteString>, value: Value) {
        let name = name.into();
        match self.list.as_mut().and_then(Arc::get_mut) {
            Some(list) => {
                list.retain(|(other, _)| *other != name);
                list.push((name, value));
            }
            None => {
                let others = self.iter().filter(|(other, _)| *other != name);
                self.list = Some(copied(others, (name.clone(), value)));
            }
        }
    }

    /// Removes every header of that name; says how many there were.
    pub fn remove(&mut self, name: &str) -> usize {
        self.retain(|(own, _)| own != name)
    }

    /// Keeps the headers for which `keep` holds; says how many went. Copies nothing when all stay.
    pub fn retain(&mut self, mut keep: impl FnMut(&Header) -> bool) -> usize {
        let before = self.len();
        if self.iter().all(&mut keep) {
            return 0;
        }
        self.make_mut().retain(keep);
        let after = self.len();
        if after == 0 {
            self.list = None;
        }
        before - after
    }

    /// The list, to write to. Copies it when another clone shares it.
    pub fn make_mut(&mut self) -> &mut Vec<Header> {
        Arc::make_mut(self.list.get_or_insert_default())
    }

    /// Bytes of names and values, roughly as they are on a wire.
    pub fn size(&self) -> usize {
        self.iter().map(|(name, value)| name.len() + value.size()).sum()
    }
}

/// What is copied of a shared list, with `last` behind it: one allocation, where a copy of the whole would grow at once.
fn copied<'a>(headers: impl Iterator<Item = &'a Header>, last: Header) -> Arc<Vec<Header>> {
    let mut list = Vec::with_capacity(headers.size_hint().1.unwrap_or_default() + 1);
    list.extend(headers.cloned());
    list.push(last);
    Arc::new(list)
}

impl From<Vec<Header>> for Headers {
    fn from(list: Vec<Header>) -> Self {
        Self { list: (!list.is_empty()).then(|| Arc::new(list)) }
    }
}

impl FromIterator<Header> for Headers {
    fn from_iter<I: IntoIterator<Item = Header>>(headers: I) -> Self {
        headers.into_iter().collect::<Vec<_>>().into()
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = &'a Header;
    type IntoIter = std::slice::Iter<'a, Header>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
