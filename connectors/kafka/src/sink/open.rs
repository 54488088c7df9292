//! From a plan to a running sink.
//!
//! The producer is made first and asks for the topic, because only a producer's events say why a login failed. Then the
//! topic's own rules are read. If they ask for smaller batches, which cannot change later, the producer is made once more.

use std::{
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use gantry_sdk::{Error, ErrorKind, Result};
use rdkafka::producer::{Producer as _, PurgeConfig};

use super::{
    cluster::{self, TopicRules, TopicState},
    delivery::{Delivery, Reach},
    events::{Events, Producer},
    limit,
    plan::Plan,
    poll_thread::PollThread,
    sink_state::SinkState,
    topics::{self, Found},
    transaction_state::TransactionState,
    transactions::{self, SinkTransactions},
    writer::Writer,
};
use crate::{
    client::{ANY_TOPIC, ClientState},
    connection::Mechanism,
    error,
};

/// How long one question may take while opening: between two, the reason of a refused login is looked for.
const SLICE: Duration = Duration::from_millis(500);
/// How long reading the topic's rules may take. A cluster that does not know the question may not answer at all.
const RULES: Duration = Duration::from_secs(3);
/// How long the end of a client may take before it is left to itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// A producer with its poll_thread.
pub(super) struct Client {
    pub shared: Arc<SinkState>,
    poll_thread: Option<PollThread>,
}

/// Connects, checks the topic, and returns what can produce to it.
pub(super) async fn open(plan: &Arc<Plan>) -> Result<(Client, Option<SinkTransactions>)> {
    let deadline = Instant::now() + plan.connect_timeout();
    let wanted = plan.options.batch_size.0;
    let first = limit::of_batch(wanted, None);
    let mut client = Client::start(plan, first).await?;
    let rules = match probe(plan, &client.shared, deadline).await {
        Ok(rules) => rules,
        Err(error) => return Err(client.give_up(error).await),
    };
    let topic = rules.max_message_bytes.map(limit::of_topic);
    let batch = limit::of_batch(wanted, topic);
    if batch != first {
        client.stop().await;
        client = Client::start(plan, batch).await?;
        if let Err(error) = reach(plan, &client.shared, deadline.max(Instant::now() + SLICE)).await {
            return Err(client.give_up(error).await);
        }
    }
    let most = topic.unwrap_or(usize::MAX).min(limit::of_producer(plan.configured_limit()));
    if plan.context.dead_letter && limit::is_small_for_letters(most) {
        tracing::warn!(
            bridge = &*plan.context.bridge,
            "the dead letter takes records of at most {most} bytes: what is too large for the sink is too large for it too, and \
             will hold the bridge; raise max.message.bytes of its topic"
        );
    }
    client.shared.writer.agree(&rules, batch);
    let transactions = match transactions::open(&client.shared).await {
        Ok(transactions) => transactions,
        Err(error) => return Err(client.give_up(error).await),
    };
    client.shared.watching.store(true, Ordering::Relaxed);
    Ok((client, transactions))
}

/// Reaches the cluster, checks the topic if it is always the same, and reads its rules.
async fn probe(plan: &Plan, shared: &Arc<SinkState>, deadline: Instant) -> Result<TopicRules> {
    reach(plan, shared, deadline).await?;
    let Some(topic) = &plan.topic else { return Ok(TopicRules::default()) };
    match topics::look_up(shared, topic).await? {
        Found::Ready => Ok(rules(plan, topic, deadline).await),
        Found::Missing(reason) => Err(Error::new(ErrorKind::Missing, reason)),
        Found::Denied(reason) => Err(Error::new(ErrorKind::Refused, reason)),
    }
}

/// Waits until a broker answers, or one refuses the login, or the time is over.
async fn reach(plan: &Plan, shared: &Arc<SinkState>, deadline: Instant) -> Result<()> {
    let doing = format!("connecting to Kafka at {}", plan.options.connection.address());
    loop {
        let slice = SLICE.min(deadline.saturating_duration_since(Instant::now())).max(Duration::from_millis(1));
        let asked = Arc::clone(shared);
        let topic = plan.topic.clone().unwrap_or_else(|| ANY_TOPIC.into());
        let answer = tokio::task::spawn_blocking(move || cluster::topic_state(asked.producer(), &topic, slice)).await;
        let error = match answer {
            Ok(Ok(TopicState::Unsure(code))) => format!("{doing}: {}", error::words(code)),
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) if !cluster::is_silence(&error) => return Err(error::client_error(doing, &error)),
            Ok(Err(error)) => format!("{doing}: {}", shared.silence(&error)),
            Err(panic) => return Err(Error::internal(format!("{doing}: {panic}"))),
        };
        if let Some(refusal) = shared.client_state.errors().refusal {
            return Err(Error::new(ErrorKind::Refused, format!("{doing}{}: {refusal}", as_whom(plan))));
        }
        if Instant::now() >= deadline {
            return Err(Error::disconnected(error));
        }
    }
}

fn as_whom(plan: &Plan) -> String {
    match &plan.options.connection.sasl {
        Some(sasl) => {
            let user = sasl.username.as_deref().map(|user| format!(" as \"{user}\"")).unwrap_or_default();
            format!("{user} by {}", sasl.mechanism.as_str())
        }
        None => String::new(),
    }
}

/// The topic's rules as far as the cluster tells. They only make refusals earlier and clearer, so nothing fails for want
/// of them.
pub(super) async fn rules(plan: &Plan, topic: &str, deadline: Instant) -> TopicRules {
    let sasl = plan.options.connection.sasl.as_ref();
    if sasl.is_some_and(|sasl| sasl.mechanism == Mechanism::OauthBearer) {
        // An administrative client of rdkafka's never asks for its token.
        return TopicRules::default();
    }
    let timeout = deadline.saturating_duration_since(Instant::now()).clamp(SLICE, RULES);
    cluster::rules(plan, topic, timeout).await.unwrap_or_else(|error| {
        tracing::debug!(topic, reason = error::plain(&error), "the topic's settings are not known");
        TopicRules::default()
    })
}

// === impl Client ===

impl Client {
    async fn start(plan: &Arc<Plan>, batch: usize) -> Result<Self> {
        let plan = Arc::clone(plan);
        let started = tokio::task::spawn_blocking(move || Self::start_blocking(plan, batch)).await;
        started.unwrap_or_else(|panic| Err(Error::internal(format!("creating the producer: {panic}"))))
    }

    fn start_blocking(plan: Arc<Plan>, batch: usize) -> Result<Self> {
        let transaction = plan.identity.as_ref().map(|identity| Arc::new(TransactionState::new(identity)));
        let delivery = Delivery::new(plan.context.health.clone(), plan.topic.clone(), plan.partition.is_some());
        let delivery = Arc::new(delivery.within(transaction));
        let client_state = Arc::new(ClientState::new(plan.who()));
        let base_context = plan.options.connection.base_context(Arc::clone(&client_state));
        let events = Events { delivery: Arc::clone(&delivery), base_context };
        let producer: Producer = plan
            .producer_config(batch)
            .create_with_context(events)
            .map_err(|error| error::client_error("creating the producer", &error))?;
        let producer = Arc::new(producer);
        // Weak: the producer owns its callbacks, and they own the delivery.
        let purged = Arc::downgrade(&producer);
        delivery.attach(move |reach| purge(&purged, reach));
        let writer = Writer::new(plan, producer);
        let shared = Arc::new(SinkState {
            writer,
            delivery,
            client_state,
            watching: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            claim: Mutex::default(),
        });
        let poll_thread = PollThread::start(Arc::clone(&shared))?;
        Ok(Self { shared, poll_thread: Some(poll_thread) })
    }

    /// Lets go of everything and ends the client's threads, or leaves them to end by themselves when that takes long.
    pub(super) async fn stop(mut self) {
        self.halt();
        let (shared, poll_thread) = (Arc::clone(&self.shared), self.poll_thread.take());
        drop(self);
        let ended = tokio::task::spawn_blocking(move || {
            if let Some(poll_thread) = poll_thread {
                poll_thread.join();
            }
            // The last hold on the producer: this waits for librdkafka's own threads.
            drop(shared);
        });
        if tokio::time::timeout(PATIENCE, ended).await.is_err() {
            tracing::warn!("librdkafka takes more than {} s to end; it is left to itself", PATIENCE.as_secs());
        }
    }

    async fn give_up(self, error: Error) -> Error {
        self.stop().await;
        error
    }

    fn halt(&self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.shared.delivery.close();
        self.wake();
    }

    /// Something is on its way, or the end is wanted: the poll thread rests no longer.
    pub(super) fn wake(&self) {
        if let Some(poll_thread) = &self.poll_thread {
            poll_thread.wake();
        }
    }
}

impl Drop for Client {
    /// Without [`Client::stop`] the poll thread still ends, within one of its turns, and takes the producer with it.
    fn drop(&mut self) {
        self.halt();
    }
}

fn purge(producer: &Weak<Producer>, reach: Reach) {
    let Some(producer) = producer.upgrade() else { return };
    producer.purge(match reach {
        Reach::Queued => PurgeConfig::default().queue(),
        Reach::Everything => PurgeConfig::default().queue().inflight().non_blocking(),
    });
}
