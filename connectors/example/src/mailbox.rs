//! The system: mailboxes in this process, and a client for them. It stands for a broker and the crate that speaks to it.
//!
//! A letter that was received is out until it is acknowledged; what a client leaves unacknowledged goes back to its place. A
//! letter that was sent is confirmed with its number.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};

/// The longest letter.
pub const LONGEST: usize = 1 << 20;

/// A letter with its number, which grows.
#[derive(Debug, Clone)]
pub struct Letter {
    /// Its place in the mailbox.
    pub number: u64,
    /// What it says.
    pub body: Bytes,
    /// Somebody had it before and gave it back.
    pub again: bool,
}

/// The connection has ended.
#[derive(Debug)]
pub struct Gone;

/// The letter is too long.
#[derive(Debug)]
pub struct TooLong;

/// What becomes of a letter that was sent: its number, or why the mailbox does not take it. Gone with the connection.
pub type Confirm = oneshot::Receiver<Result<u64, TooLong>>;

/// A mailbox of this process, as its operator sees it.
#[derive(Debug, Default)]
pub struct Mailbox {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    ready: BTreeMap<u64, Letter>,
    /// Who has it.
    out: BTreeMap<u64, (u64, Letter)>,
    letters: u64,
    clients: u64,
    /// Clients up to this one were cut off.
    cut: u64,
    is_blocked: bool,
    waiting: Vec<Waiting>,
}

/// A letter that waits for the end of a block: its number, its text, and who is to hear of it.
type Waiting = (u64, Bytes, oneshot::Sender<Result<u64, TooLong>>);

impl Mailbox {
    /// The mailbox of that name, which is there from the first question on.
    pub fn named(name: &str) -> Arc<Self> {
        static ALL: LazyLock<Mutex<HashMap<String, Arc<Mailbox>>>> = LazyLock::new(Mutex::default);
        ALL.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_owned()).or_default().clone()
    }

    /// Puts a letter in.
    pub fn put(&self, body: impl Into<Bytes>) {
        self.state().put(body.into());
        self.changed.notify_waiters();
    }

    /// What lies ready in it, in order.
    pub fn bodies(&self) -> Vec<Bytes> {
        self.state().ready.values().map(|letter| letter.body.clone()).collect()
    }

    /// Takes letters, and confirms none, until this is over.
    pub fn block(&self, is_blocked: bool) {
        let mut state = self.state();
        state.is_blocked = is_blocked;
        state.confirm();
        drop(state);
        self.changed.notify_waiters();
    }

    /// Ends all connections.
    pub fn cut(&self) {
        let mut state = self.state();
        state.cut = state.clients;
        (1..=state.cut).for_each(|client| state.forget(client));
        drop(state);
        self.changed.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn put(&mut self, body: Bytes) -> u64 {
        self.letters += 1;
        self.ready.insert(self.letters, Letter { number: self.letters, body, again: false });
        self.letters
    }

    fn confirm(&mut self) {
        while !self.is_blocked && !self.waiting.is_empty() {
            let (_, body, confirm) = self.waiting.remove(0);
            let put = if body.len() > LONGEST { Err(TooLong) } else { Ok(self.put(body)) };
            // Whoever sent it may be gone.
            let _ = confirm.send(put);
        }
    }

    /// What that client has goes back to its place, and what it sent and is not taken yet is dropped.
    fn forget(&mut self, client: u64) {
        let out = std::mem::take(&mut self.out);
        for (number, (owner, letter)) in out {
            if owner == client {
                self.ready.insert(number, Letter { again: true, ..letter });
            } else {
                self.out.insert(number, (owner, letter));
            }
        }
        self.waiting.retain(|(owner, ..)| *owner != client);
    }
}

/// A connection to a mailbox. Dropped, it gives back what is not acknowledged.
#[derive(Debug)]
pub struct Client {
    mailbox: Arc<Mailbox>,
    id: u64,
}

impl Client {
    /// Connects.
    pub async fn connect(name: &str) -> Result<Self, Gone> {
        // Others have their turn: a real one takes a while.
        tokio::task::yield_now().await;
        let mailbox = Mailbox::named(name);
        let mut state = mailbox.state();
        state.clients += 1;
        let id = state.clients;
        drop(state);
        Ok(Self { mailbox, id })
    }

    /// The next letter; waits for one. Dropped, it has taken none.
    pub async fn receive(&self) -> Result<Letter, Gone> {
        self.wait_for(Self::try_receive).await
    }

    /// The next letter that is there.
    pub fn try_receive(&self) -> Result<Option<Letter>, Gone> {
        let mut state = self.state()?;
        let letter = state.ready.pop_first().map(|(_, letter)| letter);
        state.out.extend(letter.iter().map(|letter| (letter.number, (self.id, letter.clone()))));
        Ok(letter)
    }

    /// All letters that it has, up to that number, are done with.
    pub async fn acknowledge(&self, upto: u64) -> Result<(), Gone> {
        self.state()?.out.retain(|number, (owner, _)| *owner != self.id || *number > upto);
        Ok(())
    }

    /// Sends a letter; what becomes of it comes later, in the order of sending.
    pub fn send(&self, body: Bytes) -> Result<Confirm, Gone> {
        let (sender, confirm) = oneshot::channel();
        let mut state = self.state()?;
        state.waiting.push((self.id, body, sender));
        state.confirm();
        drop(state);
        self.mailbox.changed.notify_waiters();
        Ok(confirm)
    }

    /// Returns when the connection has ended.
    pub async fn ended(&self) -> Gone {
        match self.wait_for(|client| client.state().map(|_| None::<Gone>)).await {
            Ok(gone) | Err(gone) => gone,
        }
    }

    async fn wait_for<T>(&self, mut look: impl FnMut(&Self) -> Result<Option<T>, Gone>) -> Result<T, Gone> {
        loop {
            let mut changed = std::pin::pin!(self.mailbox.changed.notified());
            changed.as_mut().enable();
            if let Some(found) = look(self)? {
                return Ok(found);
            }
            changed.await;
        }
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, Gone> {
        let state = self.mailbox.state();
        if self.id <= state.cut { Err(Gone) } else { Ok(state) }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.mailbox.state().forget(self.id);
        self.mailbox.changed.notify_waiters();
    }
}

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection has ended")
    }
}

impl std::error::Error for Gone {}
