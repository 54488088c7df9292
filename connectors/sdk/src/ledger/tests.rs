//! Random schedules of outcomes against what a person would say by hand (I1, I2, I3).

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{Failure, receipt};

const LANE: Lane = Lane(0);

/// What a step of a schedule does.
#[derive(Debug, Clone)]
enum Step {
    /// A batch of that many records comes from the source.
    Open(u32),
    /// One record of an open batch, by rough index, is delivered.
    Settle(usize),
    /// One record of an open batch is refused for good, and its dead letter confirmed at once.
    Reject(usize),
    /// A sink forgets a batch.
    Forget(usize),
    /// No more parts come of the oldest batch of which some could.
    Outlet,
    /// The lane is reopened: a new epoch.
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0u32..5).prop_map(Step::Open),
        8 => any::<usize>().prop_map(Step::Settle),
        2 => any::<usize>().prop_map(Step::Reject),
        1 => any::<usize>().prop_map(Step::Forget),
        4 => Just(Step::Outlet),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 0..200)
}

/// An open batch as the test sees it.
struct Open {
    receipt: Receipt,
    left: u32,
    tag: u64,
}

struct World {
    ledger: Ledger<u64>,
    sender: receipt::OutcomeSender,
    receiver: receipt::OutcomeReceiver,
    open: Vec<Open>,
    /// Batches of this epoch, by their last tag: whether everything of it is settled, by the test's own count.
    settled: BTreeMap<u64, bool>,
    /// Batches of this epoch, by their last tag, of which more parts may come.
    unrouted: BTreeMap<u64, Sequence>,
    tag: u64,
    committed: u64,
}

impl World {
    fn new() -> Self {
        let (sender, receiver) = receipt::outcomes();
        let ledger = Ledger::new(LANE, Epoch(1), sender.clone());
        Self {
            ledger,
            sender,
            receiver,
            open: vec![],
            settled: BTreeMap::new(),
            unrouted: BTreeMap::new(),
            tag: 0,
            committed: 0,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Open(records) => self.open_batch(records),
            Step::Settle(pick) => self.outcome(pick, |batch| batch.receipt.settle(1)),
            Step::Reject(pick) => self.outcome(pick, |batch| {
                batch.receipt.fail(0, Failure::rejected("TASK_PUT", "too large"));
            }),
            Step::Forget(pick) if !self.open.is_empty() => {
                let index = pick % self.open.len();
                self.open.swap_remove(index);
            }
            Step::Forget(_) => {}
            Step::Outlet => {
                if let Some((_, sequence)) = self.unrouted.pop_first() {
                    self.ledger.routed(sequence);
                }
            }
            Step::Reopen => {
                let epoch = Epoch(self.ledger.epoch().0 + 1);
                self.ledger = Ledger::new(LANE, epoch, self.sender.clone());
                self.settled.clear();
                self.unrouted.clear();
                self.tag = 0; // as AMQP does: tags start again on a new channel
                self.committed = 0;
            }
        }
        self.drain();
    }

    fn open_batch(&mut self, records: u32) {
        self.tag += u64::from(records.max(1));
        let tag = self.tag;
        let sequence = self.ledger.open(tag.into(), tag);
        self.settled.insert(tag, records == 0);
        self.unrouted.insert(tag, sequence);
        if records > 0 {
            let receipt = self.ledger.part(sequence, Outlet::Sink(0), records, false).expect("just opened");
            self.open.push(Open { receipt, left: records, tag });
        }
    }

    fn outcome(&mut self, pick: usize, tell: impl Fn(&Open)) {
        if self.open.is_empty() {
            return;
        }
        let index = pick % self.open.len();
        tell(&self.open[index]);
        self.open[index].left -= 1;
        if self.open[index].left == 0 {
            let batch = self.open.swap_remove(index);
            // A batch of an older epoch may carry a tag that this epoch uses as well: only the ledger's epoch counts.
            if self.ledger.find(&probe(&batch)).is_some() {
                self.settled.insert(batch.tag, true);
            }
        }
    }

    /// What the task does with outcomes.
    fn drain(&mut self) {
        while let Ok(outcome) = self.receiver.try_recv() {
            let Some((sequence, _)) = self.ledger.find(&outcome) else { continue };
            if outcome.abandoned == 0 {
                self.ledger.settle(sequence);
            }
        }
        let Some(upto) = self.ledger.advance(|_| {}) else { return };
        let upto = upto.as_u64().expect("a number");
        assert!(upto > self.committed, "I2: a commit went back from {} to {upto}", self.committed);
        assert!(
            self.settled.range(..=upto).all(|(_, settled)| *settled),
            "I1: committed {upto} over something unsettled"
        );
        assert!(self.unrouted.range(..=upto).next().is_none(), "I1: committed {upto} before all of it had its part");
        self.committed = upto;
    }
}

/// An outcome that speaks of the same entry as the batch's receipt, to ask the ledger whose it is.
fn probe(batch: &Open) -> Outcome {
    batch.receipt.probe()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]
    #[test]
    fn i1_i2_i3_hold_over_random_schedules(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        // Whatever is still open and gets settled now must be committed to the last batch, unless one was forgotten.
        while !world.open.is_empty() {
            world.step(Step::Settle(0));
        }
        while !world.unrouted.is_empty() {
            world.step(Step::Outlet);
        }
        if world.settled.values().all(|settled| *settled) {
            prop_assert!(world.ledger.is_empty());
        }
    }
}

/// `GANTRY_SCHEDULES=100000 cargo test -p gantry-sdk` runs more of them.
fn cases() -> u32 {
    std::env::var("GANTRY_SCHEDULES").ok().and_then(|text| text.parse().ok()).unwrap_or(3000)
}

#[test]
fn i1_a_failed_batch_holds_back_everything_behind_it() {
    let (sender, mut receiver) = receipt::outcomes();
    let mut ledger = Ledger::new(LANE, Epoch(1), sender);
    let first = ledger.open(10.into(), ());
    let second = ledger.open(20.into(), ());
    let (first_part, second_part) = (
        ledger.part(first, Outlet::Sink(0), 1, false).expect("open"),
        ledger.part(second, Outlet::Sink(0), 1, false).expect("open"),
    );
    for sequence in [first, second] {
        assert!(!ledger.routed(sequence));
    }
    second_part.settle(1);
    let outcome = receiver.try_recv().expect("the second is settled");
    let (sequence, ()) = ledger.find(&outcome).expect("same epoch");
    assert!(ledger.settle(sequence));
    assert_eq!(ledger.advance(|()| ()), None);

    first_part.fail(0, Failure::retriable("TASK_PUT", "timed out"));
    let outcome = receiver.try_recv().expect("the first has an outcome");
    assert_eq!(outcome.failures.len(), 1);
    assert_eq!(ledger.advance(|()| ()), None, "a failure settles nothing");
}

#[test]
fn i1_a_forgotten_receipt_is_abandoned_not_settled() {
    let (sender, mut receiver) = receipt::outcomes();
    let mut ledger = Ledger::new(LANE, Epoch(1), sender);
    let sequence = ledger.open(10.into(), ());
    let receipt = ledger.part(sequence, Outlet::Sink(0), 3, false).expect("open");
    ledger.routed(sequence);
    receipt.settle(1);
    drop(receipt);
    let outcome = receiver.try_recv().expect("dropped");
    assert_eq!(outcome.abandoned, 2);
    assert_eq!(ledger.advance(|()| ()), None);
}

#[test]
fn a_batch_with_a_dead_letter_waits_for_both_parts() {
    let (sender, mut receiver) = receipt::outcomes();
    let mut ledger = Ledger::new(LANE, Epoch(1), sender);
    let sequence = ledger.open(10.into(), ());
    let (sink, dead_letter) = (
        ledger.part(sequence, Outlet::Sink(0), 2, false).expect("open"),
        ledger.part(sequence, Outlet::DeadLetter, 1, false).expect("open"),
    );
    ledger.routed(sequence);
    for (receipt, records, whole) in [(sink, 2, false), (dead_letter, 1, true)] {
        receipt.settle(records);
        let outcome = receiver.try_recv().expect("settled");
        let (sequence, ()) = ledger.find(&outcome).expect("same epoch");
        assert_eq!(ledger.settle(sequence), whole);
    }
    assert_eq!(ledger.advance(|()| ()), Some(10.into()));
}

#[test]
fn i1_what_is_held_open_is_not_settled_until_it_is_dealt_with() {
    let (sender, _receiver) = receipt::outcomes();
    let mut ledger = Ledger::new(LANE, Epoch(1), sender);
    let sequence = ledger.open(10.into(), ());
    ledger.hold_open(sequence);
    assert!(!ledger.routed(sequence));
    assert_eq!(ledger.advance(|()| ()), None);
    assert!(ledger.settle(sequence));
    assert_eq!(ledger.advance(|()| ()), Some(10.into()));
}

#[test]
fn entries_are_visited_oldest_first_under_the_names_they_have() {
    let (sender, _receiver) = receipt::outcomes();
    let mut ledger = Ledger::new(LANE, Epoch(1), sender);
    let gone = ledger.open(10.into(), 'a');
    let (second, third) = (ledger.open(20.into(), 'b'), ledger.open(30.into(), 'c'));
    ledger.routed(gone);
    ledger.advance(|_| ());
    let visited: Vec<_> = ledger.oldest_first().map(|(sequence, held)| (sequence, *held)).collect();
    assert_eq!(visited, [(second, 'b'), (third, 'c')]);
}

#[test]
fn i1_a_batch_without_a_part_is_not_settled_until_that_is_meant() {
    let (sender, _receiver) = receipt::outcomes();
    let mut ledger = Ledger::new(LANE, Epoch(1), sender);
    let sequence = ledger.open(10.into(), ());
    assert_eq!(ledger.advance(|()| ()), None);
    assert!(ledger.routed(sequence));
    assert_eq!(ledger.advance(|()| ()), Some(10.into()));
}
