//! Headers: an ordered list with duplicates. Cloning shares it, and writing to a shared one copies none of it.
//!
//! The runtime keeps every record as the source gave it while transforms work on a clone. So the list is in two parts: the front
//! is what came, shared by all clones, with a mark at each header that this one lacks; the back is what was added since.

mod header;
mod iter;
mod marked;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use bytestring::ByteString;

use super::Value;
pub use header::Header;
pub use iter::Iter;
use marked::Marked;

/// An ordered list of headers that allows duplicates. Cloning shares the list; no clone sees what is written to another.
#[derive(Clone, Default)]
pub struct Headers {
    front: Marked,
    back: Option<Arc<Vec<Header>>>,
}

impl Headers {
    /// No headers; takes no memory.
    pub const EMPTY: Self = Self { front: Marked::EMPTY, back: None };

    /// All headers in order.
    pub fn iter(&self) -> Iter<'_> {
        self.front.iter(self.added())
    }

    /// All headers in order, copied.
    pub fn to_vec(&self) -> Vec<Header> {
        let mut all = Vec::with_capacity(self.len());
        all.extend(self.iter().cloned());
        all
    }

    /// How many there are, duplicates counted.
    pub fn len(&self) -> usize {
        self.front.len() + self.added().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first header of that name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    /// Adds a header at the end, beside any of the same name.
    pub fn push(&mut self, name: impl Into<ByteString>, value: Value) {
        let header = (name.into(), value);
        match &mut self.back {
            Some(back) => Arc::make_mut(back).push(header),
            None => match self.front.own() {
                Some(front) => front.push(header),
                None => self.back = Some(Arc::new(vec![header])),
            },
        }
    }

    /// Removes every header of that name and adds this one at the end.
    pub fn set(&mut self, name: impl Into<ByteString>, value: Value) {
        let name = name.into();
        self.remove(&name);
        self.push(name, value);
    }

    /// Removes every header of these names and adds these at the end. Shares them, where nothing was added before.
    pub fn set_all(&mut self, headers: &Self) {
        if headers.is_empty() {
            return;
        }
        self.retain(|(own, _)| headers.get(own).is_none());
        match (&self.back, headers.front.whole(), &headers.back) {
            (None, Some(list), None) => self.back = Some(list.clone()),
            _ => headers.iter().for_each(|(name, value)| self.push(name.clone(), value.clone())),
        }
    }

    /// Removes every header of that name; says how many there were.
    pub fn remove(&mut self, name: &str) -> usize {
        self.retain(|(own, _)| own != name)
    }

    /// Keeps the headers for which `keep` holds; says how many went.
    pub fn retain(&mut self, mut keep: impl FnMut(&Header) -> bool) -> usize {
        let before = self.len();
        // As a rule all stay.
        if self.iter().all(&mut keep) {
            return 0;
        }
        self.front.retain(&mut keep);
        if !self.added().iter().all(&mut keep)
            && let Some(back) = &mut self.back
        {
            Arc::make_mut(back).retain(keep);
        }
        let after = self.len();
        if after == 0 {
            *self = Self::EMPTY;
        }
        before - after
    }

    /// The headers in order, to write to. Copies them when another clone shares them.
    pub fn make_mut(&mut self) -> &mut Vec<Header> {
        if !self.front.is_whole() || self.back.is_some() {
            *self = self.to_vec().into();
        }
        self.front.make_mut()
    }

    /// Bytes of names and values, roughly as they are on a wire.
    pub fn size(&self) -> usize {
        self.iter().map(|(name, value)| name.len() + value.size()).sum()
    }

    /// What was added while the front was shared.
    fn added(&self) -> &[Header] {
        self.back.as_deref().map_or(&[], Vec::as_slice)
    }
}

impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other)
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl From<Vec<Header>> for Headers {
    fn from(list: Vec<Header>) -> Self {
        Self { front: Marked::from(list), back: None }
    }
}

impl FromIterator<Header> for Headers {
    fn from_iter<I: IntoIterator<Item = Header>>(headers: I) -> Self {
        headers.into_iter().collect::<Vec<_>>().into()
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = &'a Header;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
