//! The runtime's part for a source under check.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::{DEADLINE, SourceWorld, done, within};
use crate::{
    Checkpoints, Closed, Context, Error, Lane, Limits, Polled, Position, Record, Remembered, Source,
    testkit::{OrderedSource, context},
};

/// As much as there is.
pub(super) const ALL: Limits = Limits { records: usize::MAX, bytes: usize::MAX };
/// Several polls are needed for anything.
pub(super) const FEW: Limits = Limits { records: 7, bytes: usize::MAX };

/// Reads from a source.
pub(super) struct Reader {
    pub(super) source: Box<OrderedSource>,
    /// For the next one of the same task.
    pub(super) remembered: Remembered,
    keys: HashMap<Lane, Arc<str>>,
    keeps_order: bool,
}

/// What is there when a source is closed.
pub(super) struct Left {
    pub(super) closed: Closed,
    /// For the next one of the same task.
    pub(super) remembered: Remembered,
}

/// A batch that came.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) lane: Lane,
    pub(super) key: Arc<str>,
    pub(super) numbers: Vec<u64>,
    pub(super) last: Position,
    pub(super) redelivered: bool,
    keeps_order: bool,
}

/// What a poll came to.
#[derive(Debug)]
pub(super) enum Came {
    Batch(Arrived),
    /// Everything is handed out.
    Suspended,
    /// There is nothing more.
    End,
}

impl Reader {
    /// The first source of a task.
    pub(super) async fn open(world: &mut impl SourceWorld) -> Self {
        Self::open_with(world, context()).await
    }

    /// The next one of a task whose sources have left so much.
    pub(super) async fn open_next(world: &mut impl SourceWorld, remembered: Remembered) -> Self {
        Self::open_with(world, Context { remembered, ..context() }).await
    }

    /// For exactly once, behind these; of a task whose sources have left so much.
    pub(super) async fn open_behind(world: &mut impl SourceWorld, stored: Checkpoints, remembered: Remembered) -> Self {
        Self::open_with(world, Context { exactly_once: true, stored, remembered, ..context() }).await
    }

    async fn open_with(world: &mut impl SourceWorld, context: Context) -> Self {
        let remembered = context.remembered.clone();
        let source = Box::new(OrderedSource::new(done("opening", world.open(context)).await));
        Self { source, remembered, keys: HashMap::new(), keeps_order: world.capabilities().keeps_order }
    }

    /// A source that is open, with these numbers to read.
    pub(super) async fn with(world: &mut impl SourceWorld, last: u64) -> Self {
        // What is not kept would be gone before anybody is there; what is not live would come too late.
        if world.abilities().replays {
            within("putting records", world.put(1..=last)).await;
            Self::open(world).await
        } else {
            let reader = Self::open(world).await;
            within("putting records", world.put(1..=last)).await;
            reader
        }
    }

    /// What a poll came to. Lanes that end are forgotten.
    pub(super) async fn poll(&mut self, limits: Limits) -> Result<Came, Error> {
        loop {
            let polled = self.source.poll(limits).await?;
            if let Some(came) = self.note(polled) {
                return Ok(came);
            }
        }
    }

    /// `None`: a lane has ended.
    fn note(&mut self, polled: Polled) -> Option<Came> {
        match polled {
            Polled::Batch { lane, records, last, .. } => {
                let key = self.keys.entry(lane).or_insert_with(|| self.source.lane_key(lane)).clone();
                let redelivered = records.iter().any(|record| record.origin.redelivered);
                let numbers = records.iter().map(number).collect();
                Some(Came::Batch(Arrived { lane, key, numbers, last, redelivered, keeps_order: self.keeps_order }))
            }
            Polled::LaneEnded(lane) => {
                self.keys.remove(&lane);
                None
            }
            Polled::Suspended => Some(Came::Suspended),
            Polled::End => Some(Came::End),
        }
    }

    /// Exactly so many records.
    pub(super) async fn take(&mut self, count: usize, limits: Limits) -> Vec<Arrived> {
        let (mut taken, mut left) = (Vec::new(), count);
        while left > 0 {
            let limits = Limits { records: left.min(limits.records), ..limits };
            let waited = tokio::time::timeout(DEADLINE, self.poll(limits)).await;
            let Ok(polled) = waited else {
                panic!("{left} of {count} records have not come in {DEADLINE:?}, after {taken:?}")
            };
            match polled.unwrap_or_else(|error| panic!("polling: {}", error.chain())) {
                Came::Batch(batch) => {
                    left -= batch.numbers.len();
                    taken.push(batch);
                }
                other => panic!("{other:?}, and {left} of {count} records have not come, after {taken:?}"),
            }
        }
        taken
    }

    /// Notes that these are settled, and sends it.
    pub(super) async fn commit(&mut self, batches: &[Arrived]) {
        for batch in batches {
            self.source.commit(batch.lane, &batch.last);
        }
        done("sending what was committed", self.source.sync()).await;
    }

    /// After a give-back lanes are asked for their keys again.
    pub(super) async fn give_back(&mut self) -> bool {
        self.keys.clear();
        done("giving back", self.source.give_back()).await
    }

    pub(super) async fn close(self) -> Left {
        Left { closed: done("closing", self.source.close()).await, remembered: self.remembered }
    }
}

fn number(record: &Record) -> u64 {
    let body = record.value.as_deref().unwrap_or_default();
    let text = str::from_utf8(body).ok();
    text.and_then(|text| text.trim().parse().ok())
        .unwrap_or_else(|| panic!("a body is not the number that was put: {body:?}"))
}

/// All numbers of these.
pub(super) fn numbers(batches: &[Arrived]) -> BTreeSet<u64> {
    batches.iter().flat_map(|batch| &batch.numbers).copied().collect()
}

/// Which lane each number came on.
pub(super) fn keys(batches: &[Arrived]) -> BTreeMap<u64, Arc<str>> {
    batches.iter().flat_map(|batch| batch.numbers.iter().map(|number| (*number, batch.key.clone()))).collect()
}

/// Asserts that these are exactly those numbers, once each, and in order on each lane where the source keeps it.
pub(super) fn assert_whole(batches: &[Arrived], expected: impl IntoIterator<Item = u64>) {
    let mut lanes: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for batch in batches {
        if batch.keeps_order {
            lanes.entry(&batch.key).or_default().extend(&batch.numbers);
        }
    }
    for (key, numbers) in &lanes {
        let wrong = numbers.windows(2).find(|pair| pair[0] >= pair[1]);
        assert_eq!(wrong, None, "{key} is not in order: {numbers:?}");
    }
    assert_eq!(numbers(batches), expected.into_iter().collect(), "what came, and what should have");
    let count: usize = batches.iter().map(|batch| batch.numbers.len()).sum();
    assert_eq!(count, numbers(batches).len(), "something came on two lanes");
}
