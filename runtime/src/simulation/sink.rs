//! The destination's side: takes records in order, and tells of them later, from outside.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use async_trait::async_trait;
use gantry_sdk::{
    Batch, Checkpoint, Checkpoints, Context, Delivered, Error, Failure, Health, Result, Sink, Transactions, Value,
    health::Condition,
};

use super::{
    made,
    misfortune::Call,
    world::{Delivery, OUTLETS, Random, World, id_of, is_refused_by_sink, piece_of},
};

/// With nothing to tell it looks so often whether the sink is still there.
const IDLE: Duration = Duration::from_secs(1);

pub(super) struct SimulatedSink {
    world: Arc<World>,
    dead_letter: bool,
    /// Which of the bridge's.
    sink: u16,
    taken: Arc<Mutex<TakenBatches>>,
    /// A batch that has not got in yet.
    putting: Option<Putting>,
    /// Which opening this is, of one with transactions.
    transactional: Option<u64>,
}

type Putting = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

#[derive(Default)]
struct TakenBatches {
    in_transaction: bool,
    /// After a retriable failure nothing gets through this instance any more, as the contract says (I5).
    broken: bool,
    /// Those whose outcome is not told yet.
    untold: Vec<Taken>,
    /// Those that are never told of.
    lost: Vec<Taken>,
}

struct Taken {
    batch: Batch,
    sink: u16,
    refused: Vec<u32>,
    failed: Vec<u32>,
    forgotten: bool,
}

impl SimulatedSink {
    pub(super) async fn open(world: Arc<World>, context: Context, sink: u16) -> Result<Box<dyn Sink>> {
        let Context { health, dead_letter, exactly_once, remembered, .. } = context;
        assert_eq!(exactly_once, world.nature.exactly_once && !dead_letter);
        let taken = Arc::default();
        let mut own = Self { world: world.clone(), dead_letter, sink, taken, putting: None, transactional: None };
        let outlet = own.acceptor().outlet();
        made::note(&world, outlet, &remembered);
        world.may_hang(Call::OpenSink).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
        let mut state = world.state();
        if state.is_down(outlet) || state.random.one_in(world.nature.misfortune.refused_sink) {
            return Err(Error::disconnected("the world refuses the sink"));
        }
        state.opened.0 += 1;
        if exactly_once {
            // Whatever the last one had open is aborted.
            state.transactions.1 += u64::from(!state.pending.is_empty());
            state.pending.clear();
            state.fence += 1;
            own.transactional = Some(state.fence);
        }
        let random = Random::new(state.random.below(usize::MAX) as u64);
        tokio::spawn(tell_now_and_then(Arc::downgrade(&own.taken), world.clone(), health, outlet, random));
        Ok(Box::new(own))
    }

    fn acceptor(&self) -> Acceptor {
        Acceptor {
            taken: self.taken.clone(),
            dead_letter: self.dead_letter,
            sink: self.sink,
            transactional: self.transactional,
        }
    }

    fn taken(&self) -> MutexGuard<'_, TakenBatches> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes batches for a sink.
struct Acceptor {
    taken: Arc<Mutex<TakenBatches>>,
    dead_letter: bool,
    sink: u16,
    transactional: Option<u64>,
}

impl Acceptor {
    fn outlet(&self) -> usize {
        if self.dead_letter { OUTLETS - 1 } else { usize::from(self.sink) }
    }

    /// Takes the records in order; what gets through is decided here, what is told of it comes later.
    fn accept(&self, world: &World, batch: Batch) {
        let mut own = Taken { batch, sink: self.sink, refused: vec![], failed: vec![], forgotten: false };
        let misfortune = world.nature.misfortune;
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = world.state();
        for (index, record) in (0..).zip(own.batch.records.iter()) {
            let id = id_of(record);
            taken.broken |= state.random.one_in(misfortune.broken);
            if taken.broken {
                own.failed.push(index);
            } else if self.dead_letter {
                let reason = record.headers.get("__connect.errors.exception.message");
                assert!(matches!(reason, Some(Value::String(text)) if text.starts_with(b"refused")), "{record:?}");
                state.dead.push(id);
            } else if is_refused_by_sink(id) {
                own.refused.push(index);
            } else {
                let delivery = Delivery { sink: self.sink, id, piece: piece_of(record) };
                match self.transactional {
                    Some(fence) => {
                        assert!(taken.in_transaction && fence == state.fence, "written outside of a transaction");
                        state.pending.push(delivery);
                    }
                    None => state.delivered.push(delivery),
                }
            }
        }
        own.forgotten = state.random.one_in(misfortune.forgotten);
        if state.random.one_in(misfortune.lost) || std::mem::take(&mut state.loses_one) {
            taken.lost.push(own);
        } else {
            taken.untold.push(own);
        }
    }
}

/// A batch on its way into the sink: it may have to wait, for ever if need be.
async fn put(world: Arc<World>, acceptor: Acceptor, batch: Batch) -> Result<()> {
    while world.state().is_down(acceptor.outlet()) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let outlet = acceptor.outlet();
    world.may_hang(if acceptor.dead_letter { Call::PutDeadLetter } else { Call::Put }).await;
    acceptor.accept(&world, batch);
    world.changed.notify_waiters();
    let misfortune = world.nature.misfortune;
    let wait = {
        let mut state = world.state();
        if state.random.one_in(misfortune.outage) {
            let time = Duration::from_millis(state.random.below(20_000) as u64);
            state.take_away(outlet, time);
        }
        state.random.below(3) as u64
    };
    tokio::time::sleep(Duration::from_millis(wait)).await;
    if world.state().random.one_in(misfortune.failed_put) {
        return Err(Error::disconnected("the world cut the sink"));
    }
    Ok(())
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
        if receipt.wants_answers() {
            for (index, record) in (0..).zip(own.batch.records.iter()) {
                if !own.refused.contains(&index) && !own.failed.contains(&index) {
                    let (address, offset) = (own.sink.to_string().into(), Some(id_of(record) as i64));
                    receipt.answer(index, Delivered::Placed { address, partition: None, offset });
                }
            }
        }
        let good = own.batch.records.len() - own.refused.len() - own.failed.len();
        if good > 0 {
            receipt.settle(u32::try_from(good).expect("few"));
        }
    }
}

/// Tells outcomes and health from outside, as a client library's own thread does, until the sink is gone.
async fn tell_now_and_then(
    taken: Weak<Mutex<TakenBatches>>,
    world: Arc<World>,
    health: Health,
    outlet: usize,
    mut random: Random,
) {
    while let Some(taken) = taken.upgrade() {
        let down = world.state().is_down(outlet);
        if down {
            health.set(Condition::Down("the world took it away".into()));
        } else {
            health.set(Condition::Up);
            taken.lock().unwrap_or_else(PoisonError::into_inner).tell_one(&mut random);
        }
        let idle = !down && taken.lock().unwrap_or_else(PoisonError::into_inner).untold.is_empty();
        drop(taken);
        let pause = Duration::from_millis(if down { 50 } else { random.below(8) as u64 });
        if idle {
            let _ = tokio::time::timeout(IDLE, world.changed.notified()).await;
        } else {
            tokio::time::sleep(pause).await;
        }
    }
}

#[async_trait]
impl Sink for SimulatedSink {
    fn start(&mut self, batch: Batch) {
        assert!(self.putting.is_none(), "started before it was ready");
        self.putting = Some(Box::pin(put(self.world.clone(), self.acceptor(), batch)));
    }

    async fn ready(&mut self) -> Result<()> {
        let Some(putting) = &mut self.putting else { return Ok(()) };
        let put = putting.await;
        self.putting = None;
        put
    }

    async fn flush(&mut self) -> Result<()> {
        self.ready().await?;
        while !self.taken().untold.is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    async fn close(mut self: Box<Self>) -> Result<()> {
        self.world.may_hang(Call::CloseSink).await;
        self.putting = None;
        let mut taken = self.taken();
        taken.untold.clear();
        taken.lost.clear();
        Ok(())
    }

    fn transactions(&mut self) -> Option<&mut dyn Transactions> {
        self.transactional?;
        Some(self)
    }
}

#[async_trait]
impl Transactions for SimulatedSink {
    fn stored(&self) -> Checkpoints {
        let stored = self.world.state().stored;
        Arc::new(if stored == 0 { HashMap::new() } else { HashMap::from([("world/0".into(), stored.into())]) })
    }

    async fn begin(&mut self) -> Result<()> {
        let begun = std::mem::replace(&mut self.taken().in_transaction, true);
        assert!(!begun, "a transaction in a transaction");
        Ok(())
    }

    async fn commit(&mut self, checkpoints: &[Checkpoint]) -> Result<()> {
        self.world.may_hang(Call::CommitTransaction).await;
        assert!(self.taken().untold.is_empty(), "committed before everything in it was settled");
        let fails = self.world.state().random.one_in(self.world.nature.misfortune.failed_commit);
        let unheard = fails && self.world.state().random.one_in(2);
        if fails && !unheard {
            return Err(Error::disconnected("the world does not commit"));
        }
        {
            let mut state = self.world.state();
            if self.transactional != Some(state.fence) {
                return Err(Error::disconnected("fenced"));
            }
            let [Checkpoint { lane_key, position }] = checkpoints else { panic!("one lane: {checkpoints:?}") };
            let upto = position.as_u64().expect("a number");
            assert!(&**lane_key == "world/0" && upto > state.stored, "I2: {upto} is not behind {}", state.stored);
            let pending = std::mem::take(&mut state.pending);
            state.delivered.extend(pending);
            for id in state.stored..upto {
                assert!(state.is_settled(&self.world.nature, id), "I1: message {id} is stored and not settled");
            }
            state.stored = upto;
            state.transactions.0 += 1;
        }
        self.taken().in_transaction = false;
        if unheard {
            return Err(Error::disconnected("the world committed, and said nothing"));
        }
        Ok(())
    }
}
