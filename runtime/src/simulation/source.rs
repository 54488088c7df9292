//! The broker's side: a queue with a prefetch, delivery tags, and bulk acknowledgements.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use async_trait::async_trait;
use gantry_sdk::{
    Answer, Answers, Closed, Context, Delivered, Error, ErrorKind, Lane, Limits, Polled, Position, Record, Result,
    Source,
};
use tokio::time::Instant;

use super::{
    made,
    misfortune::Call,
    world::{INLET, MADE_TO_PANIC, World, body_of, id_of, is_filtered, is_refused},
};

pub(super) struct SimulatedSource {
    world: Arc<World>,
    connection: u64,
    /// It ends now and then, and the next one goes on.
    lane: Lane,
    /// What the broker has sent and nobody has polled, in order: tag and message id.
    here: VecDeque<(u64, u64)>,
    suspended: bool,
    /// It has said that everything is handed out.
    handed_out: bool,
    /// Up to where it was told to commit, and has not yet.
    noted: Option<u64>,
}

/// The lane's name.
const LANE: &str = "world/0";
/// How often the broker wants to hear of what is out.
const HOLD: Duration = Duration::from_secs(7);

/// Waits for what becomes of a batch. It may never hear.
struct Asking {
    world: Arc<World>,
    /// Those that nothing was heard of.
    ids: Vec<Option<u64>>,
}

impl std::fmt::Debug for Asking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asking").field("ids", &self.ids).finish_non_exhaustive()
    }
}

impl Answers for Asking {
    fn answer(&mut self, index: u32, answer: Answer) {
        let id = self.ids[index as usize].take().expect("one answer a record");
        let mut state = self.world.state();
        state.answered += 1;
        let nature = &self.world.nature;
        match answer {
            Answer::Filtered => assert!(is_filtered(id), "message {id} was not filtered"),
            Answer::Refused(failure) => {
                assert!(is_refused(id) && state.dead.contains(&id), "message {id} is no dead letter: {failure:?}");
            }
            Answer::Delivered(said) => {
                let whole = nature.deliveries_of(id).all(|delivery| state.delivered.contains(&delivery));
                assert!(whole && !is_refused(id) && !is_filtered(id), "I1: message {id} is not delivered");
                let placed = Delivered::Placed { address: "0".into(), partition: None, offset: Some(id as i64) };
                assert_eq!(said, Some(placed));
            }
        }
    }
}

impl SimulatedSource {
    pub(super) async fn open(world: Arc<World>, context: Context) -> Result<Box<dyn Source>> {
        let mut source = Self {
            world,
            connection: 0,
            lane: Lane(0),
            here: VecDeque::new(),
            suspended: false,
            handed_out: false,
            noted: None,
        };
        made::note(&source.world, INLET, &context.remembered);
        source.world.may_hang(Call::OpenSource).await;
        tokio::time::sleep(Duration::from_millis(3)).await;
        let stored = context.stored.get(LANE).and_then(Position::as_u64);
        assert!(context.exactly_once == source.world.nature.exactly_once && (context.exactly_once || stored.is_none()));
        let opening = source.connect(stored)?;
        tokio::time::sleep(opening).await;
        Ok(Box::new(source))
    }

    /// Whether this connection is still the broker's, and was not cut.
    fn check(&self) -> Result<()> {
        let state = self.world.state();
        if state.cut || state.connection != self.connection {
            return Err(Error::disconnected("the world cut the connection"));
        }
        Ok(())
    }

    /// What the broker sends ahead.
    fn fetch(&mut self) {
        let mut state = self.world.state();
        while !self.suspended && state.unacked.len() < self.world.nature.prefetch {
            let Some(id) = state.ready.pop_front() else { break };
            let tag = state.next_tag;
            state.next_tag += 1;
            state.unacked.insert(tag, id);
            self.here.push_back((tag, id));
        }
    }

    /// Returns how long it takes to say that it is connected.
    fn connect(&mut self, stored: Option<u64>) -> Result<Duration> {
        let mut state = self.world.state();
        if state.random.one_in(self.world.nature.misfortune.refused_source) {
            return Err(Error::disconnected("the world refuses the connection"));
        }
        let kinds = [ErrorKind::Missing, ErrorKind::Refused, ErrorKind::Config];
        let not_there = state.random.one_in(self.world.nature.misfortune.not_there);
        let kind = not_there.then(|| kinds[state.random.below(kinds.len())]);
        if let Some(kind) = kind.or(state.refuses) {
            return Err(Error::new(kind, "the world has no such queue for you"));
        }
        assert!(!state.is_known_to_be_down(), "nothing is taken while the sink is out of reach");
        assert!(state.unacked.is_empty(), "the last connection was closed");
        state.opened.1 += 1;
        state.connection += 1;
        (state.next_tag, state.polled, state.committed, state.cut) = (1, 0, 0, false);
        state.held_at = None;
        if self.world.nature.exactly_once {
            // A message's tag is the number behind it, on every connection.
            let stored = stored.unwrap_or(0);
            assert_eq!(stored, state.stored, "it goes on where the last transaction ended");
            (state.next_tag, state.polled, state.committed) = (stored + 1, stored, stored);
            state.ready = (stored..state.published).collect();
        }
        self.connection = state.connection;
        Ok(state.opening)
    }

    fn strike(&self) -> Result<()> {
        let mut state = self.world.state();
        let misfortune = self.world.nature.misfortune;
        if state.random.one_in(misfortune.cut) {
            state.cut();
            return Err(Error::disconnected("the world cut the connection"));
        }
        if state.random.one_in(misfortune.panic) {
            state.cut();
            drop(state);
            panic!("{MADE_TO_PANIC}");
        }
        Ok(())
    }

    /// Now and then, when everything that it gave is committed.
    fn end_lane(&mut self) -> Option<Lane> {
        let mut state = self.world.state();
        let is_settled = state.polled > 0 && state.polled == state.committed;
        let ended = (is_settled && state.random.one_in(10)).then_some(self.lane)?;
        self.lane = Lane(ended.0 + 1);
        Some(ended)
    }

    fn take(&mut self, limits: Limits) -> Option<Polled> {
        self.fetch();
        let mut state = self.world.state();
        let in_flight = state.unacked.range(..=state.polled).count();
        assert!(limits.records > 0 && limits.bytes > 0, "I4: polled without credit");
        assert!(in_flight + limits.records <= self.world.nature.in_flight, "I4: more than credit");
        let count = 1 + state.random.below(limits.records);
        let (mut records, mut bytes) = (vec![], 0);
        while records.len() < count && bytes < limits.bytes {
            let Some((tag, id)) = self.here.pop_front() else { break };
            state.polled = tag;
            let body = body_of(id, state.random.below(40));
            bytes += body.len();
            records.push(Record { value: Some(body.into()), ..Record::default() });
        }
        if records.is_empty() {
            return None;
        }
        state.held_at.get_or_insert_with(Instant::now);
        let asks = self.world.nature.asks && state.random.one_in(3);
        let ids = records.iter().map(id_of).map(Some).collect();
        let answers = asks.then(|| Box::new(Asking { world: self.world.clone(), ids }) as Box<dyn Answers>);
        Some(Polled::Batch { lane: self.lane, records, last: state.polled.into(), answers })
    }
}

#[async_trait]
impl Source for SimulatedSource {
    async fn poll(&mut self, limits: Limits) -> Result<Polled> {
        assert!(!self.handed_out, "polled after everything was handed out");
        self.world.may_hang(Call::Poll).await;
        let world = self.world.clone();
        loop {
            let changed = world.changed.notified();
            self.check()?;
            self.strike()?;
            if let Some(ended) = self.end_lane() {
                return Ok(Polled::LaneEnded(ended));
            }
            if let Some(polled) = self.take(limits) {
                return Ok(polled);
            }
            if self.suspended {
                self.handed_out = true;
                return Ok(Polled::Suspended);
            }
            changed.await;
        }
    }

    fn lane_key(&self, lane: Lane) -> Arc<str> {
        assert_eq!(lane, self.lane);
        LANE.into()
    }

    fn commit(&mut self, lane: Lane, upto: &Position) {
        assert_eq!(lane, self.lane);
        let upto = upto.as_u64().expect("a tag");
        assert!(self.noted.is_none_or(|noted| upto > noted), "I2: a commit went back");
        self.noted = Some(upto);
    }

    async fn sync(&mut self) -> Result<()> {
        self.world.may_hang(Call::Commit).await;
        let Some(upto) = self.noted.take() else { return Ok(()) };
        self.check()?;
        let mut state = self.world.state();
        assert_eq!(self.connection, state.connection, "I3: a commit on an old connection");
        assert!(upto > state.committed, "I2: a commit went back");
        assert!(upto <= state.polled, "I1: a commit of what was never polled");
        state.committed = upto;
        let rest = state.unacked.split_off(&(upto + 1));
        let covered = std::mem::replace(&mut state.unacked, rest);
        if state.polled == upto {
            state.held_at = None;
        }
        for id in covered.values() {
            assert!(state.is_settled(&self.world.nature, *id), "I1: message {id} is committed and not settled");
        }
        drop(state);
        self.world.changed.notify_waiters();
        Ok(())
    }

    fn hold_period(&self) -> Option<Duration> {
        Some(HOLD)
    }

    async fn hold(&mut self) -> Result<()> {
        self.world.may_hang(Call::Hold).await;
        self.check()?;
        let mut state = self.world.state();
        assert!(state.polled > state.committed, "nothing is out that could be held");
        state.held_at = Some(Instant::now());
        state.holds += 1;
        Ok(())
    }

    async fn close(self: Box<Self>) -> Result<Closed> {
        self.world.may_hang(Call::CloseSource).await;
        let mut state = self.world.state();
        if self.connection == state.connection {
            state.cut();
        }
        Ok(Closed::default())
    }

    async fn suspend(&mut self) -> Result<bool> {
        assert!(!self.suspended, "suspended twice");
        self.world.may_hang(Call::Suspend).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.check()?;
        // What was on its way arrives before the broker's answer.
        self.fetch();
        self.suspended = true;
        let says_so = self.world.state().random.one_in(2);
        self.handed_out = self.here.is_empty() && !says_so;
        Ok(!self.handed_out)
    }

    async fn resume(&mut self) -> Result<()> {
        assert!(self.suspended, "resumed without a suspend");
        self.world.may_hang(Call::Resume).await;
        self.check()?;
        (self.suspended, self.handed_out) = (false, false);
        Ok(())
    }

    async fn give_back(&mut self) -> Result<bool> {
        assert!(!self.suspended, "gives back while it is suspended");
        self.world.may_hang(Call::GiveBack).await;
        self.check()?;
        let mut state = self.world.state();
        if state.random.one_in(self.world.nature.misfortune.one_way) {
            return Ok(false);
        }
        state.take_back();
        state.rested += 1;
        drop(state);
        self.here.clear();
        self.noted = None;
        Ok(true)
    }

    async fn watch_connection(&mut self) -> Error {
        let world = self.world.clone();
        loop {
            let changed = world.changed.notified();
            if let Err(error) = self.check() {
                return error;
            }
            let wait = Duration::from_millis(1 + world.state().random.below(300) as u64);
            if tokio::time::timeout(wait, changed).await.is_err() {
                let mut state = world.state();
                if state.random.one_in(world.nature.misfortune.cut_unpolled) {
                    state.cut();
                }
            }
        }
    }

    async fn backlog(&mut self) -> Result<Option<u64>> {
        self.check()?;
        Ok(Some(self.world.state().ready.len() as u64))
    }

    async fn reject(&mut self, lane: Lane, last: &Position, back: u32) -> Result<()> {
        self.world.may_hang(Call::Reject).await;
        self.check()?;
        assert_eq!(lane, self.lane);
        let tag = last.as_u64().expect("a tag") - u64::from(back);
        let mut state = self.world.state();
        let id = state.unacked.remove(&tag).expect("what is rejected is held");
        let whole = self.world.nature.deliveries_of(id).all(|delivery| state.delivered.contains(&delivery));
        assert!(!is_filtered(id) && !whole, "I6: message {id} is rejected and was delivered");
        state.dead.push(id);
        Ok(())
    }
}

impl Drop for SimulatedSource {
    /// The broker notices.
    fn drop(&mut self) {
        let mut state = self.world.state();
        if self.connection == state.connection {
            state.dropped += u64::from(!state.cut);
            state.cut();
        }
    }
}
