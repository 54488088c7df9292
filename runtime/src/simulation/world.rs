//! A broker and a destination in memory, that know what was promised and do their worst by seed.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{Arc, LazyLock, Mutex, MutexGuard, Once, PoisonError},
    time::Duration,
};

use gantry_sdk::{ErrorKind, Record, Value};
use tokio::{sync::Notify, time::Instant};

use super::misfortune::{Call, Misfortune};

thread_local! {
    /// What was found wrong in a call from the runtime, which takes a panic there for a connector's fault and goes on.
    static WRONG: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A panic that the world itself makes says so.
pub(super) const MADE_TO_PANIC: &str = "the world makes a connector panic";

static WORLDS: LazyLock<Mutex<HashMap<u64, Arc<World>>>> = LazyLock::new(Mutex::default);

/// Deterministic numbers: splitmix64.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % limit as u64).expect("below a usize")
    }

    /// With one chance in so many; never with none.
    pub(super) fn one_in(&mut self, chances: usize) -> bool {
        chances > 0 && self.below(chances) == 0
    }
}

/// An outlet's connector says within that time that it is out of reach.
const NOTICED: Duration = Duration::from_secs(2);

/// Sinks at most, and a dead letter, which is the last.
pub(super) const OUTLETS: usize = 4;

/// The source among the parts of the bridge: behind the outlets.
pub(super) const INLET: usize = OUTLETS;

/// How a world is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Nature {
    pub(super) messages: u64,
    /// Most records that may be polled and not committed (I4).
    pub(super) in_flight: usize,
    /// Most messages that the broker sends ahead.
    pub(super) prefetch: usize,
    /// Sinks of the bridge: the first gets every message, the others those that [`goes_to`] says.
    pub(super) sinks: u16,
    /// Some messages become several records.
    pub(super) splits: bool,
    /// The first sink has transactions, and messages are read from what they stored.
    pub(super) exactly_once: bool,
    /// Somebody waits for what becomes of some messages.
    pub(super) asks: bool,
    pub(super) misfortune: Misfortune,
}

/// Everything that broker and destination know.
pub(super) struct World {
    pub(super) nature: Nature,
    state: Mutex<State>,
    /// Something changed that a poll may wait for.
    pub(super) changed: Notify,
}

pub(super) struct State {
    pub(super) random: Random,
    /// Message ids that are ready, in order.
    pub(super) ready: VecDeque<u64>,
    /// What the current connection holds, by delivery tag.
    pub(super) unacked: BTreeMap<u64, u64>,
    /// The number of the current connection, and whether it is cut.
    pub(super) connection: u64,
    pub(super) cut: bool,
    pub(super) next_tag: u64,
    /// The tag up to which records were polled.
    pub(super) polled: u64,
    pub(super) committed: u64,
    /// In the order in which the sinks took them, repeats included.
    pub(super) delivered: Vec<Delivery>,
    /// What the open transaction would deliver.
    pub(super) pending: Vec<Delivery>,
    /// What the last transaction stored: the number behind the last message.
    pub(super) stored: u64,
    /// Transactions that were committed, and those that ended without it.
    pub(super) transactions: (u64, u64),
    /// The last opening of the transactional sink: older ones are fenced.
    pub(super) fence: u64,
    /// Messages that were published.
    pub(super) published: u64,
    /// When what is out was last held, or the first of it was polled.
    pub(super) held_at: Option<Instant>,
    /// Times that a source held.
    pub(super) holds: u64,
    /// Records that somebody was told of.
    pub(super) answered: u64,
    pub(super) dead: Vec<u64>,
    /// The broker refuses every connection, for that reason.
    pub(super) refuses: Option<ErrorKind>,
    /// Until when each outlet is out of reach.
    pub(super) down_until: [Instant; OUTLETS],
    /// Since when it is, if it is.
    down_since: [Instant; OUTLETS],
    /// The destination never tells of the next batch.
    pub(super) loses_one: bool,
    /// Calls of this kind do not return from now on.
    pub(super) hanging: BTreeSet<Call>,
    /// They take so long.
    pub(super) slow: BTreeMap<Call, Duration>,
    /// Those that did not return so far.
    pub(super) hung: BTreeSet<Call>,
    /// Messages that went back to the queue.
    pub(super) returned: u64,
    /// Times that a sink, dead letters' ones included, and a source were opened.
    pub(super) opened: (u64, u64),
    /// Instances of each part that were made, open or not.
    pub(super) made: [u64; OUTLETS + 1],
    /// Times that a source gave back and stayed open.
    pub(super) rested: u64,
    /// How long a source that is connected takes to say so.
    pub(super) opening: Duration,
    /// Sources that were dropped with their connection.
    pub(super) dropped: u64,
}

/// One record that a sink took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Delivery {
    pub(super) sink: u16,
    pub(super) id: u64,
    /// Which of the records that the message became.
    pub(super) piece: u8,
}

/// What becomes of a message by its number: fixed, so that the end can be judged.
pub(super) const fn is_filtered(id: u64) -> bool {
    id % 11 == 3
}

pub(super) const fn is_refused_by_transform(id: u64) -> bool {
    id % 23 == 5 && !is_filtered(id)
}

pub(super) const fn is_refused_by_sink(id: u64) -> bool {
    id % 29 == 7 && !is_filtered(id) && !is_refused_by_transform(id)
}

/// How many records a message becomes, where messages are split.
pub(super) const fn pieces_of(id: u64) -> u8 {
    if id % 5 == 1 { 2 + (id % 3) as u8 } else { 1 }
}

pub(super) const fn goes_to(id: u64, sink: u16) -> bool {
    sink == 0 || id % 3 != sink as u64
}

pub(super) const fn is_refused(id: u64) -> bool {
    is_refused_by_transform(id) || is_refused_by_sink(id)
}

pub(super) fn body_of(id: u64, padding: usize) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    body.resize(8 + padding, 0);
    body
}

/// Of a record that a message was split into; 0 of a message.
pub(super) fn piece_of(record: &Record) -> u8 {
    match record.headers.get("piece") {
        Some(Value::I32(piece)) => u8::try_from(*piece).expect("few"),
        _ => 0,
    }
}

pub(super) fn id_of(record: &Record) -> u64 {
    let value = record.value.as_deref().expect("every message has a body");
    u64::from_be_bytes(value[..8].try_into().expect("eight bytes"))
}

impl Nature {
    /// What sinks get of a message that nobody filters or refuses.
    pub(super) fn deliveries_of(&self, id: u64) -> impl Iterator<Item = Delivery> {
        let pieces = if self.splits { pieces_of(id) } else { 1 };
        let sinks = (0..self.sinks).filter(move |sink| goes_to(id, *sink));
        sinks.flat_map(move |sink| (0..pieces).map(move |piece| Delivery { sink, id, piece }))
    }
}

/// From now on remembers what was found wrong on the thread on which it was.
fn notice_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload_as_str() != Some(MADE_TO_PANIC) {
                WRONG.with(|wrong| wrong.borrow_mut().get_or_insert_with(|| info.to_string()).clone());
            }
            previous(info);
        }));
    });
}

/// Nothing was found wrong in any call from the runtime.
pub(super) fn assert_nothing_wrong() {
    let wrong = WRONG.with(|wrong| wrong.borrow().clone());
    assert!(wrong.is_none(), "{}", wrong.unwrap_or_default());
}

impl World {
    pub(super) fn register(seed: u64, nature: Nature) -> Arc<Self> {
        notice_panics();
        let state = State {
            random: Random::new(seed ^ 0xdead_beef),
            ready: (0..nature.messages).collect(),
            unacked: BTreeMap::new(),
            connection: 0,
            cut: false,
            next_tag: 1,
            polled: 0,
            committed: 0,
            delivered: vec![],
            pending: vec![],
            stored: 0,
            transactions: (0, 0),
            fence: 0,
            published: nature.messages,
            held_at: None,
            holds: 0,
            answered: 0,
            dead: vec![],
            refuses: None,
            down_until: [Instant::now(); OUTLETS],
            down_since: [Instant::now(); OUTLETS],
            loses_one: false,
            hanging: BTreeSet::new(),
            slow: BTreeMap::new(),
            hung: BTreeSet::new(),
            returned: 0,
            opened: (0, 0),
            made: [0; OUTLETS + 1],
            rested: 0,
            opening: Duration::ZERO,
            dropped: 0,
        };
        let world = Arc::new(Self { nature, state: Mutex::new(state), changed: Notify::new() });
        WORLDS.lock().unwrap_or_else(PoisonError::into_inner).insert(seed, world.clone());
        world
    }

    pub(super) fn of(seed: u64) -> Arc<Self> {
        WORLDS.lock().unwrap_or_else(PoisonError::into_inner)[&seed].clone()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_done(&self) -> bool {
        let state = self.state();
        state.ready.is_empty()
            && state.unacked.is_empty()
            && (!self.nature.exactly_once || state.stored == state.published)
    }

    pub(super) fn describe(&self) -> String {
        let state = self.state();
        format!("{} ready, {} unacked, {} delivered", state.ready.len(), state.unacked.len(), state.delivered.len())
    }

    /// Does not return, if that is what happens to this call.
    pub(super) async fn may_hang(&self, call: Call) {
        let slow = self.state().slow.get(&call).copied();
        if let Some(time) = slow {
            tokio::time::sleep(time).await;
        }
        let hangs = {
            let mut state = self.state();
            let hangs = state.random.one_in(self.nature.misfortune.hang(call)) || state.hanging.contains(&call);
            if hangs {
                state.hung.insert(call);
            }
            hangs
        };
        if hangs {
            std::future::pending::<()>().await;
        }
    }

    // === what a test does to it ===

    /// From now on calls of this kind do not return; those under way do.
    pub(super) fn hang(&self, call: Call) {
        self.state().hanging.insert(call);
    }

    /// Such a call takes so long from now on.
    pub(super) fn slow_down(&self, call: Call, time: Duration) {
        self.state().slow.insert(call, time);
    }

    /// They return again and at once, from the next call on.
    pub(super) fn mend(&self) {
        self.state().hanging.clear();
        self.state().slow.clear();
    }

    pub(super) fn take_the_sink_away(&self, time: Duration) {
        (0..OUTLETS).for_each(|outlet| self.state().take_away(outlet, time));
        self.changed.notify_waiters();
    }

    /// The broker refuses every connection from now on, for that reason; or none.
    pub(super) fn refuse(&self, kind: Option<ErrorKind>) {
        self.state().refuses = kind;
    }

    pub(super) fn cut_the_connection(&self) {
        self.state().cut();
        self.changed.notify_waiters();
    }

    pub(super) fn publish(&self, ids: std::ops::Range<u64>) {
        let mut state = self.state();
        state.published = state.published.max(ids.end);
        state.ready.extend(ids);
        drop(state);
        self.changed.notify_waiters();
    }

    /// At the end: every message is where it belongs, first arrivals in order.
    pub(super) fn judge(&self) {
        assert_nothing_wrong();
        let state = self.state();
        let mut seen = BTreeSet::new();
        for sink in 0..self.nature.sinks {
            let own = state.delivered.iter().copied().filter(|delivery| delivery.sink == sink);
            let firsts: Vec<_> = own.filter(|delivery| seen.insert(*delivery)).collect();
            assert!(firsts.is_sorted(), "I5: first arrivals are out of order: {firsts:?}");
        }
        assert!(
            !self.nature.exactly_once || seen.len() == state.delivered.len(),
            "delivered twice in committed transactions"
        );
        let mut dead = BTreeSet::new();
        let letters: Vec<_> = state.dead.iter().copied().filter(|id| dead.insert(*id)).collect();
        assert!(letters.is_sorted(), "I5: first dead letters are out of order: {letters:?}");
        for id in 0..self.nature.messages {
            let wanted: BTreeSet<_> = self.nature.deliveries_of(id).collect();
            let got = |delivery: &Delivery| seen.contains(delivery);
            if is_refused_by_sink(id) {
                // What others took of it before it was refused, they have.
            } else if is_filtered(id) || is_refused(id) {
                assert!(!seen.iter().any(|delivery| delivery.id == id), "I6: message {id} is delivered");
            } else {
                assert!(wanted.iter().all(got), "I6: message {id} is not delivered");
            }
            assert_eq!(dead.contains(&id), is_refused(id), "I6: message {id} dead-lettered or not");
        }
        assert!(seen.iter().all(|delivery| self.nature.deliveries_of(delivery.id).any(|wanted| wanted == *delivery)));
    }
}

impl State {
    /// The connection is gone: what it held is ready again.
    pub(super) fn cut(&mut self) {
        self.cut = true;
        self.take_back();
    }

    /// What the connection holds is ready again, in its place.
    pub(super) fn take_back(&mut self) {
        let held = std::mem::take(&mut self.unacked);
        self.returned += held.len() as u64;
        for (_, id) in held.into_iter().rev() {
            self.ready.push_front(id);
        }
    }

    /// From now on the outlet is out of reach for so long.
    pub(super) fn take_away(&mut self, outlet: usize, time: Duration) {
        if !self.is_down(outlet) {
            self.down_since[outlet] = Instant::now();
        }
        self.down_until[outlet] = Instant::now() + time;
    }

    /// Whether a sink has been out of reach for so long that everybody knows. A dead letter may not be in use just now.
    pub(super) fn is_known_to_be_down(&self) -> bool {
        (0..OUTLETS - 1).any(|outlet| self.is_down(outlet) && self.down_since[outlet].elapsed() > NOTICED)
    }

    pub(super) fn is_down(&self, outlet: usize) -> bool {
        Instant::now() < self.down_until[outlet]
    }

    pub(super) fn is_settled(&self, nature: &Nature, id: u64) -> bool {
        is_filtered(id)
            || self.dead.contains(&id)
            || nature.deliveries_of(id).all(|delivery| self.delivered.contains(&delivery))
    }
}
