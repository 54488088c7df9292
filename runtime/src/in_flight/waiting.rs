//! Somebody waits for what becomes of the records of a batch.

use gantry_sdk::{Answer, Answers, Delivered, Failure};

/// What is known so far of each record of a batch, for whoever waits.
pub(super) struct Waiting {
    answers: Box<dyn Answers>,
    /// By original. What is said of a delivered one, with the sink that said it.
    known: Vec<Known>,
}

#[derive(Debug, Clone)]
enum Known {
    Nothing,
    Delivered(u16, Delivered),
    Filtered,
    Refused(Failure),
}

impl Waiting {
    pub(super) fn new(answers: Box<dyn Answers>, records: u64, filtered: Vec<u32>) -> Self {
        let mut known = vec![Known::Nothing; records as usize];
        for root in filtered {
            if let Some(known) = known.get_mut(root as usize) {
                *known = Known::Filtered;
            }
        }
        Self { answers, known }
    }

    /// What that sink says of originals that it delivered. Of several sinks the first of the bridge counts.
    pub(super) fn delivered(&mut self, sink: u16, answers: Vec<(u32, Delivered)>) {
        for (root, answer) in answers {
            match self.known.get_mut(root as usize) {
                Some(Known::Delivered(other, _)) if *other <= sink => {}
                Some(known @ (Known::Nothing | Known::Delivered(..))) => *known = Known::Delivered(sink, answer),
                _ => {}
            }
        }
    }

    /// These originals can never be delivered: that wins over a delivery.
    pub(super) fn refused(&mut self, failures: impl Iterator<Item = (u32, Failure)>) {
        for (root, failure) in failures {
            if let Some(known) = self.known.get_mut(root as usize) {
                *known = Known::Refused(failure);
            }
        }
    }

    /// Everything is settled.
    pub(super) fn tell(mut self) {
        for (index, known) in (0..).zip(self.known) {
            self.answers.answer(
                index,
                match known {
                    Known::Nothing => Answer::Delivered(None),
                    Known::Delivered(_, delivered) => Answer::Delivered(Some(delivered)),
                    Known::Filtered => Answer::Filtered,
                    Known::Refused(failure) => Answer::Refused(failure),
                },
            );
        }
    }
}
