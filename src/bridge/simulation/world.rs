//! A broker and a destination in memory, that know what was promised and do their worst by seed.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use gantry_sdk::{
    Batch, Context, Error, Failure, Lane, Limits, Polled, Position, Record, Result, Sink, Source, Transform, Value,
    Working,
    plugin::{SinkConfig, SinkPlugin, SourceConfig, SourcePlugin, TransformConfig, TransformPlugin},
    transform::Verdict,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::bridge::BridgeLimits;

pub(super) static SOURCE: SourcePlugin = SourcePlugin::of::<Options>("simulated", "a broker in memory");
pub(super) static SINK: SinkPlugin = SinkPlugin::of::<Options>("simulated", "a destination in memory");
pub(super) static TRANSFORM: TransformPlugin = TransformPlugin::of::<Options>("simulated", "filters and refuses some");

static WORLDS: LazyLock<Mutex<HashMap<u64, Arc<World>>>> = LazyLock::new(Mutex::default);

/// Deterministic numbers: splitmix64.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % limit as u64).expect("below a usize")
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }
}

/// Everything that broker and destination know.
pub(super) struct World {
    messages: u64,
    limits: BridgeLimits,
    state: Mutex<State>,
}

struct State {
    random: Random,
    /// Message ids that are ready, in order.
    ready: VecDeque<u64>,
    /// What the current connection holds, by delivery tag.
    unacked: BTreeMap<u64, u64>,
    connection: u64,
    next_tag: u64,
    committed: u64,
    /// Message ids in the order in which the destination took them, repeats included.
    delivered: Vec<u64>,
    dead: Vec<u64>,
}

/// What becomes of a message by its number: fixed, so that the end can be judged.
fn is_filtered(id: u64) -> bool {
    id % 11 == 3
}

fn is_refused_by_transform(id: u64) -> bool {
    id % 23 == 5 && !is_filtered(id)
}

fn is_refused_by_sink(id: u64) -> bool {
    id % 29 == 7 && !is_filtered(id) && !is_refused_by_transform(id)
}

impl World {
    pub(super) fn register(seed: u64, messages: u64, limits: BridgeLimits) -> Arc<Self> {
        let state = State {
            random: Random::new(seed ^ 0xdead_beef),
            ready: (0..messages).collect(),
            unacked: BTreeMap::new(),
            connection: 0,
            next_tag: 1,
            committed: 0,
            delivered: vec![],
            dead: vec![],
        };
        let world = Arc::new(Self { messages, limits, state: Mutex::new(state) });
        WORLDS.lock().unwrap_or_else(PoisonError::into_inner).insert(seed, world.clone());
        world
    }

    fn of(options: &Options) -> Arc<Self> {
        WORLDS.lock().unwrap_or_else(PoisonError::into_inner)[&options.world].clone()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_done(&self) -> bool {
        let state = self.state();
        state.ready.is_empty() && state.unacked.is_empty()
    }

    pub(super) fn describe(&self) -> String {
        let state = self.state();
        format!("{} ready, {} unacked, {} delivered", state.ready.len(), state.unacked.len(), state.delivered.len())
    }

    /// At the end: every message is where it belongs, first arrivals in order.
    pub(super) fn judge(&self) {
        let state = self.state();
        let mut seen = BTreeSet::new();
        let firsts: Vec<_> = state.delivered.iter().copied().filter(|id| seen.insert(*id)).collect();
        assert!(firsts.is_sorted(), "I5: first arrivals are out of order: {firsts:?}");
        let dead: BTreeSet<_> = state.dead.iter().copied().collect();
        for id in 0..self.messages {
            let refused = is_refused_by_transform(id) || is_refused_by_sink(id);
            assert_eq!(seen.contains(&id), !is_filtered(id) && !refused, "I6: message {id} delivered or not");
            assert_eq!(dead.contains(&id), refused, "I6: message {id} dead-lettered or not");
        }
    }
}

impl State {
    /// The connection is gone: what it held is ready again, in its place.
    fn requeue(&mut self) {
        for (_, id) in std::mem::take(&mut self.unacked).into_iter().rev() {
            self.ready.push_front(id);
        }
    }

    fn is_settled(&self, id: u64) -> bool {
        is_filtered(id) || self.delivered.contains(&id) || self.dead.contains(&id)
    }
}

// === the plugins ===

#[derive(Debug, Clone, Deserialize, JsonSchema)]
struct Options {
    world: u64,
    #[serde(default)]
    dead_letter: bool,
}

impl SourceConfig for Options {
    fn build(self, _: Context) -> Result<Box<dyn Source>> {
        Ok(Box::new(SimulatedSource { world: World::of(&self), connection: 0 }))
    }
}

impl SinkConfig for Options {
    fn build(self, context: Context) -> Result<Box<dyn Sink>> {
        assert_eq!(context.dead_letter, self.dead_letter);
        Ok(Box::new(SimulatedSink::new(World::of(&self), self.dead_letter)))
    }
}

impl TransformConfig for Options {
    fn build(self) -> Result<Box<dyn Transform>> {
        Ok(Box::new(SimulatedTransform))
    }
}

struct SimulatedTransform;

impl Transform for SimulatedTransform {
    fn apply(&mut self, batch: &mut Working) {
        batch.each(|record| match id_of(record) {
            id if is_filtered(id) => Ok(Verdict::Drop),
            id if is_refused_by_transform(id) => Err("refused by the transform".to_owned()),
            _ => Ok(Verdict::Keep),
        });
    }
}

fn id_of(record: &Record) -> u64 {
    let value = record.value.as_deref().expect("every message has a body");
    u64::from_be_bytes(value[..8].try_into().expect("eight bytes"))
}

struct SimulatedSource {
    world: Arc<World>,
    connection: u64,
}

#[async_trait]
impl Source for SimulatedSource {
    async fn open(&mut self) -> Result<()> {
        tokio::time::sleep(Duration::from_millis(3)).await;
        let mut state = self.world.state();
        if state.random.one_in(10) {
            return Err(Error::disconnected("the world refuses the connection"));
        }
        assert!(state.unacked.is_empty(), "the last connection was closed");
        state.connection += 1;
        (state.next_tag, state.committed) = (1, 0);
        self.connection = state.connection;
        Ok(())
    }

    async fn poll(&mut self, limits: Limits) -> Result<Polled> {
        loop {
            if let Some(polled) = self.take(limits)? {
                return Ok(polled);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn commit(&mut self, lane: Lane, upto: &Position) -> Result<()> {
        let upto = upto.as_u64().expect("a tag");
        let mut state = self.world.state();
        assert_eq!(lane, Lane(0));
        assert_eq!(self.connection, state.connection, "I3: a commit on an old connection");
        assert!(upto > state.committed, "I2: a commit went back");
        state.committed = upto;
        let rest = state.unacked.split_off(&(upto + 1));
        let covered = std::mem::replace(&mut state.unacked, rest);
        for id in covered.values() {
            assert!(state.is_settled(*id), "I1: message {id} is committed and not settled");
        }
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        let mut state = self.world.state();
        if self.connection == state.connection {
            state.requeue();
        }
        Ok(())
    }
}

impl SimulatedSource {
    fn take(&self, limits: Limits) -> Result<Option<Polled>> {
        let mut state = self.world.state();
        let most = self.world.limits.in_flight_records;
        assert!(limits.records > 0 && limits.bytes > 0, "I4: polled without credit");
        assert!(state.unacked.len() + limits.records <= most, "I4: more than credit");
        if state.random.one_in(60) {
            state.requeue();
            return Err(Error::disconnected("the world cut the connection"));
        }
        if state.random.one_in(200) {
            state.requeue();
            drop(state);
            panic!("the world makes a connector panic");
        }
        let count = 1 + state.random.below(limits.records);
        let (mut records, mut bytes) = (vec![], 0);
        while records.len() < count && bytes < limits.bytes {
            let Some(id) = state.ready.pop_front() else { break };
            let tag = state.next_tag;
            state.next_tag += 1;
            state.unacked.insert(tag, id);
            let mut body = id.to_be_bytes().to_vec();
            body.resize(8 + state.random.below(40), 0);
            bytes += body.len();
            records.push(Record { value: Some(body.into()), ..Record::default() });
        }
        if records.is_empty() {
            return Ok(None);
        }
        let last = (state.next_tag - 1).into();
        Ok(Some(Polled::Batch { lane: Lane(0), records, last }))
    }
}

struct SimulatedSink {
    world: Arc<World>,
    dead_letter: bool,
    taken: Arc<Mutex<TakenBatches>>,
}

#[derive(Default)]
struct TakenBatches {
    /// After a retriable failure nothing gets through this instance any more, as the contract says (I5).
    broken: bool,
    /// Those whose outcome is not told yet.
    untold: Vec<Taken>,
}

struct Taken {
    batch: Batch,
    refused: Vec<u32>,
    failed: Vec<u32>,
    forgotten: bool,
}

impl SimulatedSink {
    fn new(world: Arc<World>, dead_letter: bool) -> Self {
        Self { world, dead_letter, taken: Arc::default() }
    }

    fn taken(&self) -> std::sync::MutexGuard<'_, TakenBatches> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the records in order; what gets through is decided here, what is told of it comes later.
    fn accept(&self, batch: Batch) {
        let mut own = Taken { batch, refused: vec![], failed: vec![], forgotten: false };
        let mut taken = self.taken();
        let mut state = self.world.state();
        for (index, record) in (0..).zip(own.batch.records.iter()) {
            let id = id_of(record);
            taken.broken |= state.random.one_in(700);
            if taken.broken {
                own.failed.push(index);
            } else if self.dead_letter {
                let reason = record.headers.get("__connect.errors.exception.message");
                assert!(matches!(reason, Some(Value::String(text)) if text.starts_with(b"refused")), "{record:?}");
                state.dead.push(id);
            } else if is_refused_by_sink(id) {
                own.refused.push(index);
            } else {
                state.delivered.push(id);
            }
        }
        own.forgotten = state.random.one_in(150);
        taken.untold.push(own);
    }
}

impl TakenBatches {
    /// Tells the outcome of one batch, whichever.
    fn tell_one(&mut self, random: &mut Random) {
        if self.untold.is_empty() {
            return;
        }
        let own = self.untold.swap_remove(random.below(self.untold.len()));
        let receipt = &own.batch.receipt;
        if own.forgotten {
            return;
        }
        for index in &own.refused {
            receipt.fail(*index, Failure::rejected("TASK_PUT", "refused by the sink"));
        }
        for index in &own.failed {
            receipt.fail(*index, Failure::retriable("TASK_PUT", "broken"));
        }
        let good = own.batch.records.len() - own.refused.len() - own.failed.len();
        if good > 0 {
            receipt.settle(u32::try_from(good).expect("few"));
        }
    }
}

/// Tells outcomes from outside, as a client library's own thread does, until the sink is gone.
async fn tell_now_and_then(taken: std::sync::Weak<Mutex<TakenBatches>>, mut random: Random) {
    while let Some(taken) = taken.upgrade() {
        taken.lock().unwrap_or_else(PoisonError::into_inner).tell_one(&mut random);
        drop(taken);
        tokio::time::sleep(Duration::from_millis(random.below(8) as u64)).await;
    }
}

#[async_trait]
impl Sink for SimulatedSink {
    async fn open(&mut self) -> Result<()> {
        tokio::time::sleep(Duration::from_millis(2)).await;
        let mut state = self.world.state();
        if state.random.one_in(15) {
            return Err(Error::disconnected("the world refuses the sink"));
        }
        let random = Random::new(state.random.below(usize::MAX) as u64);
        tokio::spawn(tell_now_and_then(Arc::downgrade(&self.taken), random));
        Ok(())
    }

    async fn put(&mut self, batch: Batch) -> Result<()> {
        self.accept(batch);
        let wait = self.world.state().random.below(3) as u64;
        tokio::time::sleep(Duration::from_millis(wait)).await;
        if self.world.state().random.one_in(200) {
            return Err(Error::disconnected("the world cut the sink"));
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        while !self.taken().untold.is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        self.taken().untold.clear();
        Ok(())
    }
}
