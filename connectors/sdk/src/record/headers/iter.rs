//! Going over headers in order.

use std::{iter::FusedIterator, slice};

use super::header::Header;

/// Headers in order.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    front: slice::Iter<'a, Header>,
    /// A bit for each header of the front from the next one on: set for those that are gone.
    gone: u64,
    back: slice::Iter<'a, Header>,
}

impl<'a> Iter<'a> {
    /// All of `front` but those whose bit is set in `gone`, then `back`.
    pub(super) fn new(front: &'a [Header], gone: u64, back: &'a [Header]) -> Self {
        Self { front: front.iter(), gone, back: back.iter() }
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a Header;

    fn next(&mut self) -> Option<&'a Header> {
        for header in self.front.by_ref() {
            let is_gone = self.gone & 1 != 0;
            self.gone >>= 1;
            if !is_gone {
                return Some(header);
            }
        }
        self.back.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.len();
        (left, Some(left))
    }
}

impl ExactSizeIterator for Iter<'_> {
    fn len(&self) -> usize {
        self.front.len() - self.gone.count_ones() as usize + self.back.len()
    }
}

impl FusedIterator for Iter<'_> {}
