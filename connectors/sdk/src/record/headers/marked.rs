//! A list that clones share, some headers of which are marked as gone.

use std::sync::Arc;

use super::{header::Header, iter::Iter};

/// A list that clones share. Removing a header of a shared one sets a mark; of one that is its own, it takes the header out.
#[derive(Debug, Clone, Default)]
pub(super) struct Marked {
    list: Option<Arc<Vec<Header>>>,
    /// A bit for each of the first headers: set when it is gone.
    gone: u64,
}

impl Marked {
    pub(super) const EMPTY: Self = Self { list: None, gone: 0 };

    /// With those that are gone.
    fn all(&self) -> &[Header] {
        self.list.as_deref().map_or(&[], Vec::as_slice)
    }

    /// Those that are there, and these behind them.
    pub(super) fn iter<'a>(&'a self, behind: &'a [Header]) -> Iter<'a> {
        Iter::new(self.all(), self.gone, behind)
    }

    pub(super) fn len(&self) -> usize {
        self.all().len() - self.gone.count_ones() as usize
    }

    /// Whether no header is gone.
    pub(super) const fn is_whole(&self) -> bool {
        self.gone == 0
    }

    /// The list, when no header of it is gone and it has any.
    pub(super) fn whole(&self) -> Option<&Arc<Vec<Header>>> {
        self.list.as_ref().filter(|_| self.is_whole())
    }

    /// The list, to write to, when nobody shares it.
    pub(super) fn own(&mut self) -> Option<&mut Vec<Header>> {
        if !self.is_whole() {
            return None;
        }
        Arc::get_mut(self.list.get_or_insert_default())
    }

    /// The list, to write to. Copied when it is shared.
    pub(super) fn make_mut(&mut self) -> &mut Vec<Header> {
        if !self.is_whole() {
            *self = Self::from(self.kept(|_| true));
        }
        Arc::make_mut(self.list.get_or_insert_default())
    }

    /// Keeps the headers for which `keep` holds.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Header) -> bool) {
        if let Some(own) = self.own() {
            own.retain(keep);
        } else if self.all().len() <= u64::BITS as usize {
            let marks = self.all().iter().enumerate().map(|(place, header)| {
                let mark = 1 << place;
                if self.gone & mark == 0 && keep(header) { 0 } else { mark }
            });
            self.gone = marks.fold(0, |gone, mark| gone | mark);
        } else {
            // More than there are marks for.
            *self = Self::from(self.kept(keep));
        }
    }

    /// Copies of those that are there and for which `keep` holds.
    fn kept(&self, mut keep: impl FnMut(&Header) -> bool) -> Vec<Header> {
        self.iter(&[]).filter(|header| keep(header)).cloned().collect()
    }
}

impl From<Vec<Header>> for Marked {
    fn from(list: Vec<Header>) -> Self {
        Self { list: (!list.is_empty()).then(|| Arc::new(list)), gone: 0 }
    }
}
