//! Dead letters out of their queue.
//!
//! # The contract
//! - A queue is no log: reading takes its messages in order, unacknowledged, and holds them until the end, for what is given
//!   back comes again first. Closing the channel gives back what is not marked, to where it was.
//! - The end is the number of messages that are ready at opening.
//! - A mark is an acknowledgement: the letter is gone. It is durable as acknowledgements are: if RabbitMQ forgets one in a
//!   crash, the letter is replayed again.
//! - A letter's number is made of its content, because a place in a queue changes with everything that is removed before it.
//!   Letters that are equal to the last bit are told apart by the stream: which of them does not matter.
//! - What lies in the queue and was not written by a Gantry is a letter too.
//!
//! # Parts
//! [`note`] and [`properties`] what a message does not say of the record, there and back · [`letter`] a delivery to a letter ·
//! [`deaths`] what RabbitMQ says of what it dead-lettered itself · [`reader`] reading the queue · [`held`] what is
//! unacknowledged

mod deaths;
mod held;
mod letter;
pub(crate) mod note;
mod properties;
mod reader;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use gantry_sdk::{
    Context, DeadLetter, DeadLetters, Error, ErrorKind, Result,
    dead_letters::{Feed, Giver, Marks},
};
use lapin::{options::BasicAckOptions, types::ShortString};
use tokio::runtime::Handle;

use crate::{
    ConnectionOptions,
    connection::{Channel, Connected, connect},
    convert::Converter,
    error::{During, kind, translate},
};
use held::Held;
use reader::{Reader, State, ask};

/// How long RabbitMQ may take to put back what was held. It tells nobody when it has: a quorum queue notices the end of a
/// channel by itself.
const PATIENCE: Duration = Duration::from_secs(5);
const TURN: Duration = Duration::from_millis(20);

/// Dead letters in a queue.
pub(crate) struct RabbitDeadLetters {
    queue: ShortString,
    connected: Connected,
    channel: Channel,
    feed: Feed,
    total: u64,
    held: Arc<Mutex<Held>>,
}

impl RabbitDeadLetters {
    /// Reads what is ready now. `added` are the names of headers that the sink adds to each record.
    pub(crate) async fn open(
        connection: ConnectionOptions,
        queue: ShortString,
        added: Vec<String>,
        context: Context,
    ) -> Result<Box<dyn DeadLetters>> {
        let default = format!("gantry {} dead letters", context.bridge);
        let name = connection.connection_name.as_deref().unwrap_or(&default);
        let connected = connect(&connection, name, &context.options).await?;
        let doing = format!("reading dead letters from queue \"{queue}\" on {}", connected.place());
        let channel = connected.channel().await?;
        let asked = ask(&channel, &queue).await;
        let State { ready, consumers } = asked.map_err(|error| match kind(&error, During::SettingUp) {
            ErrorKind::Missing => {
                Error::new(ErrorKind::Missing, format!("{doing}: it does not exist: nothing was ever written there"))
            }
            _ => translate(&error, During::SettingUp, doing.as_str()),
        })?;
        if consumers > 0 {
            tracing::warn!(queue = %queue, "the queue has consumers: what they take of the dead letters is not seen here");
        }
        let held = Arc::new(Mutex::new(Held::default()));
        let reader = Reader::new(channel.clone(), queue.clone(), doing, u64::from(ready));
        let reading = Reading { reader, held: Arc::clone(&held), queue: queue.clone(), added };
        let runtime = Handle::current();
        let feed = Feed::start(move |giver| reading.run(&runtime, giver));
        Ok(Box::new(Self { queue, connected, channel, feed, total: u64::from(ready), held }))
    }
}

#[async_trait]
impl DeadLetters for RabbitDeadLetters {
    fn total(&self) -> Option<u64> {
        Some(self.total)
    }

    async fn next(&mut self) -> Result<Option<DeadLetter>> {
        self.feed.next().await
    }

    async fn mark(&mut self, letters: &Marks) -> Result<()> {
        let Self { queue, connected, channel, held, .. } = self;
        let failed = |error: lapin::Error| {
            let doing = format!("removing letters from queue \"{queue}\" on {}", connected.place());
            translate(&error, During::Running, doing)
        };
        let tags = lock(held).take(letters);
        for tag in tags {
            channel.basic_ack(tag, BasicAckOptions::default()).await.map_err(failed)?;
        }
        // Nobody confirms an acknowledgement. The answer to this comes behind them.
        ask(channel, queue).await.map_err(failed).map(drop)
    }

    async fn close(self: Box<Self>) -> Result<()> {
        let Self { queue, connected, channel, feed, held, .. } = *self;
        drop(feed);
        channel.end().await;
        let count = lock(&held).len();
        give_back(&connected, &queue, count).await;
        connected.close().await
    }
}

/// Waits until RabbitMQ has put back what was held, so that whoever reads next finds it.
async fn give_back(connected: &Connected, queue: &ShortString, count: usize) {
    let Ok(channel) = connected.channel().await else { return };
    let began = Instant::now();
    while count > 0
        && began.elapsed() < PATIENCE
        && let Ok(State { ready, .. }) = ask(&channel, queue).await
        && (ready as usize) < count
    {
        tokio::time::sleep(TURN).await;
    }
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What reads, on a thread of its own.
struct Reading {
    reader: Reader,
    held: Arc<Mutex<Held>>,
    queue: ShortString,
    added: Vec<String>,
}

impl Reading {
    fn run(mut self, runtime: &Handle, giver: &mut Giver) -> Result<()> {
        let mut converter = Converter::new(self.queue.as_str());
        let mut is_told = false;
        while let Some(delivery) = runtime.block_on(self.reader.next())? {
            let tag = delivery.delivery_tag;
            let (message, count) = letter::bare(converter.record(delivery));
            if let Some(count) = count.filter(|_| !is_told) {
                self.warn(count);
                is_told = true;
            }
            let id = lock(&self.held).insert(letter::number(&message), tag);
            if !giver.give(letter::read(id, message, &self.added)) {
                break;
            }
        }
        Ok(())
    }

    fn warn(&self, count: i64) {
        tracing::warn!(
            queue = %self.queue,
            "it is a quorum queue, which counts each reading: this is delivery {}. A delivery limit, 20 by default since RabbitMQ \
             4.0, makes it drop letters: set x-delivery-limit to -1, or give it a dead-letter exchange",
            count + 1
        );
    }
}
