//! A broker in memory with two lanes, and a source that reads it, right or with one flaw.

use std::{
    collections::VecDeque,
    future::pending,
    ops::RangeInclusive,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::{
    Closed, Context, Error, Lane, Limits, Opening, Origin, Polled, Position, Record, Result, Source,
    SourceCapabilities,
    testkit::conformance::{SourceAbilities, SourceWorld},
};

/// What a source does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    LosesOnCancel,
    Reorders,
    Doubles,
    IgnoresRecordLimit,
    IgnoresByteLimit,
    RepeatsPositions,
    CommitsEarly,
    ForgetsCommits,
    LosesWhatIsOpen,
    HidesLosses,
    GivesNothingBack,
    GivesBackReversed,
    TakesWhileSuspended,
    DropsWhatIsHere,
    MarksRedelivered,
    LosesHold,
    RenamesLanes,
    IgnoresStored,
    LeaksOpening,
    TakesWhileWatching,
    StopsWatching,
    IgnoresCut,
    EndsWhenCut,
    WatchesBlindly,
    HangsAtClose,
}

const LANES: usize = 2;

#[derive(Debug, Default)]
struct Broker {
    /// What lies on each lane, from the first.
    lanes: [Vec<u64>; LANES],
    committed: [usize; LANES],
    connection: u64,
    is_cut: bool,
    is_silent: bool,
    /// Records that half an opening has in its hands.
    leaked: usize,
}

#[derive(Debug, Clone)]
pub(super) struct Memory {
    broker: Arc<Mutex<Broker>>,
    changed: Arc<Notify>,
    flaw: Option<Flaw>,
    keeps: bool,
}

impl Memory {
    pub(super) fn right() -> Self {
        Self { broker: Arc::default(), changed: Arc::default(), flaw: None, keeps: true }
    }

    pub(super) fn forgetful() -> Self {
        Self { keeps: false, ..Self::right() }
    }

    pub(super) fn with(self, flaw: Flaw) -> Self {
        Self { flaw: Some(flaw), ..self }
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn broker(&self) -> MutexGuard<'_, Broker> {
        self.broker.lock().expect("nobody panics with it")
    }

    async fn connect(self, context: Context) -> Result<Box<dyn Source>> {
        let leaked = self.broker().leaked;
        if self.has(Flaw::LeaksOpening) {
            self.broker().leaked = 5;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
        let mut broker = self.broker();
        broker.leaked = 0;
        broker.connection += 1;
        broker.is_cut = false;
        let stored = |lane: usize| {
            let position = context.stored.get(format!("lane/{lane}").as_str())?;
            Some(position.as_u64().expect("a number") as usize)
        };
        let begin = |lane: usize| match (context.exactly_once, self.keeps) {
            (true, _) if !self.has(Flaw::IgnoresStored) => stored(lane).unwrap_or_default(),
            (_, true) => broker.committed[lane] + leaked,
            (_, false) => broker.lanes[lane].len(),
        };
        let begin = std::array::from_fn(begin);
        let connection = broker.connection;
        drop(broker);
        let exactly_once = context.exactly_once;
        let source = MemorySource {
            world: self,
            connection,
            exactly_once,
            next: begin,
            noted: begin,
            sent: begin,
            polls: 0,
            here: None,
            back: [const { VecDeque::new() }; LANES],
        };
        Ok(Box::new(source))
    }
}

#[async_trait]
impl SourceWorld for Memory {
    fn capabilities(&self) -> SourceCapabilities {
        SourceCapabilities { keeps_order: true, can_reject: false, replayable: self.keeps, wants_answers: false }
    }

    fn abilities(&self) -> SourceAbilities {
        if self.keeps { SourceAbilities::default() } else { SourceAbilities::default().without_replay() }
    }

    async fn put(&mut self, numbers: RangeInclusive<u64>) {
        for number in numbers {
            // Something comes in between.
            tokio::task::yield_now().await;
            self.broker().lanes[number as usize % LANES].push(number);
            self.changed.notify_waiters();
        }
    }

    fn open(&mut self, context: Context) -> Opening<dyn Source> {
        Box::pin(self.clone().connect(context))
    }

    async fn cut(&mut self) {
        self.broker().is_cut = true;
        self.changed.notify_waiters();
    }

    async fn fall_silent(&mut self) {
        self.broker().is_silent = true;
    }
}

struct MemorySource {
    world: Memory,
    connection: u64,
    exactly_once: bool,
    /// The place of the next record of each lane.
    next: [usize; LANES],
    noted: [usize; LANES],
    sent: [usize; LANES],
    polls: usize,
    /// Suspended: up to where each lane is handed out.
    here: Option<[usize; LANES]>,
    /// Places that come before all others, for the source that gives back in the wrong order.
    back: [VecDeque<usize>; LANES],
}

impl MemorySource {
    fn check(&self) -> Result<()> {
        if self.world.broker().is_cut && !self.world.has(Flaw::IgnoresCut) {
            return Err(Error::disconnected("the wire was cut"));
        }
        Ok(())
    }

    fn take(&mut self, limits: Limits) -> Option<Polled> {
        let broker = self.world.broker();
        let all = std::array::from_fn(|lane| broker.lanes[lane].len());
        let ends = self.here.filter(|_| !self.world.has(Flaw::TakesWhileSuspended)).unwrap_or(all);
        // Each lane has its turn.
        self.polls += 1;
        let turn = |offset: usize| (self.polls + offset) % LANES;
        let lane = (0..LANES).map(turn).find(|lane| self.next[*lane] < ends[*lane] || !self.back[*lane].is_empty())?;
        let most = limits.records.saturating_add(usize::from(self.world.has(Flaw::IgnoresRecordLimit)));
        let (mut numbers, mut bytes) = (Vec::new(), 0);
        while numbers.len() < most && (bytes < limits.bytes || self.world.has(Flaw::IgnoresByteLimit)) {
            let place = match self.back[lane].pop_front() {
                Some(place) => place,
                None if self.next[lane] < ends[lane] => {
                    self.next[lane] += 1;
                    self.next[lane] - 1
                }
                None => break,
            };
            numbers.push(broker.lanes[lane][place]);
            bytes += broker.lanes[lane][place].to_string().len();
        }
        drop(broker);
        if self.polls.is_multiple_of(5) && self.world.has(Flaw::Reorders) {
            numbers.reverse();
        }
        if self.polls.is_multiple_of(5) && self.world.has(Flaw::Doubles) {
            self.next[lane] -= 1;
        }
        if self.world.has(Flaw::CommitsEarly) {
            self.noted[lane] = self.next[lane];
        }
        let mut origin = Origin::new("queue", format!("lane/{lane}").into());
        origin.redelivered = self.world.has(Flaw::MarksRedelivered);
        let record = |number: u64| Record {
            value: Some(number.to_string().into()),
            origin: origin.clone(),
            ..Record::default()
        };
        let last = if self.world.has(Flaw::RepeatsPositions) { 7 } else { self.next[lane] as u64 };
        let records = numbers.into_iter().map(record).collect();
        Some(Polled::Batch { lane: Lane(lane as u32), records, last: last.into(), answers: None })
    }

    fn send(&mut self) {
        let mut broker = self.world.broker();
        if self.exactly_once || broker.is_cut || self.world.has(Flaw::ForgetsCommits) {
            return;
        }
        self.sent = self.noted;
        broker.committed = self.noted;
    }
}

#[async_trait]
impl Source for MemorySource {
    async fn poll(&mut self, limits: Limits) -> Result<Polled> {
        let changed = self.world.changed.clone();
        loop {
            let mut change = std::pin::pin!(changed.notified());
            change.as_mut().enable();
            if self.world.has(Flaw::EndsWhenCut) && self.world.broker().is_cut {
                return Ok(Polled::End);
            }
            self.check()?;
            if let Some(polled) = self.take(limits) {
                if self.world.has(Flaw::LosesOnCancel) {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                return Ok(polled);
            }
            if self.here.is_some() {
                return Ok(Polled::Suspended);
            }
            change.await;
        }
    }

    fn lane_key(&self, lane: Lane) -> Arc<str> {
        match self.world.has(Flaw::RenamesLanes) {
            true => format!("lane/{}/{}", self.connection, lane.0).into(),
            false => format!("lane/{}", lane.0).into(),
        }
    }

    fn commit(&mut self, lane: Lane, upto: &Position) {
        self.noted[lane.0 as usize] = upto.as_u64().expect("a number") as usize;
    }

    async fn sync(&mut self) -> Result<()> {
        self.check()?;
        self.send();
        Ok(())
    }

    fn hold_period(&self) -> Option<Duration> {
        Some(Duration::from_millis(2))
    }

    async fn hold(&mut self) -> Result<()> {
        if self.world.has(Flaw::LosesHold) {
            self.next = self.sent;
        }
        self.check()
    }

    async fn close(mut self: Box<Self>) -> Result<Closed> {
        if self.world.broker().is_silent && self.world.has(Flaw::HangsAtClose) {
            return pending().await;
        }
        if self.world.has(Flaw::CommitsEarly) {
            self.send();
        }
        if self.world.has(Flaw::LosesWhatIsOpen) {
            self.world.broker().committed = self.next;
        }
        if self.world.keeps || self.world.has(Flaw::HidesLosses) {
            return Ok(Closed::default());
        }
        let lost: usize = self.next.iter().zip(self.noted).map(|(next, noted)| next - noted).sum();
        Ok(Closed { lost: lost as u64, reason: "not_kept" })
    }

    async fn suspend(&mut self) -> Result<bool> {
        self.check()?;
        let broker = self.world.broker();
        // A little of what lies there is here already.
        let here = |lane: usize| broker.lanes[lane].len().min(self.next[lane] + 10);
        let here = std::array::from_fn(here);
        drop(broker);
        if self.world.has(Flaw::DropsWhatIsHere) {
            self.next = here;
        }
        self.here = Some(here);
        Ok(true)
    }

    async fn resume(&mut self) -> Result<()> {
        self.check()?;
        self.here = None;
        Ok(())
    }

    async fn give_back(&mut self) -> Result<bool> {
        self.check()?;
        if !self.world.keeps {
            return Ok(false);
        }
        if self.world.has(Flaw::GivesBackReversed) {
            self.back = std::array::from_fn(|lane| (self.noted[lane]..self.next[lane]).rev().collect());
        } else if !self.world.has(Flaw::GivesNothingBack) {
            self.next = self.noted;
        }
        Ok(true)
    }

    async fn watch_connection(&mut self) -> Error {
        let changed = self.world.changed.clone();
        if self.world.has(Flaw::TakesWhileWatching) {
            self.take(Limits { records: 1, bytes: 1 });
        }
        if self.world.has(Flaw::StopsWatching) {
            return Error::disconnected("it has watched for long enough");
        }
        loop {
            let mut change = std::pin::pin!(changed.notified());
            change.as_mut().enable();
            if let Err(error) = self.check()
                && !self.world.has(Flaw::WatchesBlindly)
            {
                return error;
            }
            change.await;
        }
    }
}
