//! From a plan to a running sink.
//!
//! The producer comes first, made or shared with others, and asks for the topic, because only a producer's events say why a login failed.
//! Then the topic's own rules are read. If they ask for smaller batches, which cannot change later, another producer is needed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use gantry_sdk::{Error, ErrorKind, Result};

use super::{
    cluster::{self, TopicRules, TopicState},
    delivery::Delivery,
    limit,
    plan::Plan,
    pool::Pool,
    producer::{Failed, ProducerState, Stage},
    sink_state::SinkState,
    topics::{self, Found},
    transaction_state::TransactionState,
    transactions::{self, SinkTransactions},
    writer::Writer,
};
use crate::{client::ANY_TOPIC, connection::Mechanism, error};

/// How long one question may take while opening: between two, the reason of a refused login is looked for.
const SLICE: Duration = Duration::from_millis(500);
/// How long reading the topic's rules may take. A cluster that does not know the question may not answer at all.
const RULES: Duration = Duration::from_secs(3);
/// How long the end of a client may take before it is left to itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long it is good for that a shared producer has reached the cluster.
const REACHED: Duration = Duration::from_secs(1);

/// A sink on a producer. Dropped, it leaves the producer.
pub(super) struct Client {
    pub shared: Arc<SinkState>,
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
    client.shared.delivery.watch();
    Ok((client, transactions))
}

/// Reaches the cluster, checks the topic if it is always the same, and reads its rules.
async fn probe(plan: &Plan, shared: &Arc<SinkState>, deadline: Instant) -> Result<TopicRules> {
    reach(plan, shared, deadline).await?;
    let Some(topic) = &plan.topic else { return Ok(TopicRules::default()) };
    match topics::look_up(shared, topic).await? {
        Found::Ready => Ok(rules(shared, topic, deadline).await),
        Found::Missing(reason) => Err(Error::new(ErrorKind::Missing, reason)),
        Found::Denied(reason) => Err(Error::new(ErrorKind::Refused, reason)),
    }
}

/// Waits until a broker answers, or one refuses the login, or the time is over. Who shares a producer waits for who reaches for the
/// cluster by it already, and fails with it.
async fn reach(plan: &Plan, shared: &Arc<SinkState>, deadline: Instant) -> Result<()> {
    let asked = Instant::now();
    let producer = shared.producer();
    // Held while somebody reaches for the cluster: that is what it is for.
    let mut reached = producer.reached.lock().await;
    if reached.at.is_some_and(|at| producer.is_shared() && at.elapsed() < REACHED) {
        return Ok(());
    }
    if let Some(Failed { kind, reason, .. }) = reached.failed.as_ref().filter(|failed| failed.at >= asked) {
        return Err(Error::new(*kind, reason.as_str()));
    }
    let answer = reach_alone(plan, shared, deadline).await;
    match &answer {
        Ok(()) => reached.at = Some(Instant::now()),
        Err(error) => {
            reached.failed = Some(Failed { at: Instant::now(), kind: error.kind(), reason: error.chain() });
        }
    }
    answer
}

async fn reach_alone(plan: &Plan, shared: &Arc<SinkState>, deadline: Instant) -> Result<()> {
    let doing = format!("connecting to Kafka at {}", plan.options.connection.address());
    loop {
        // It may have moved to another meanwhile.
        let producer = shared.producer();
        let slice = SLICE.min(deadline.saturating_duration_since(Instant::now())).max(Duration::from_millis(1));
        let asked = Arc::clone(&producer);
        let topic = plan.topic.clone().unwrap_or_else(|| ANY_TOPIC.into());
        let answer = tokio::task::spawn_blocking(move || cluster::topic_state(&asked, &topic, slice)).await;
        let error = match answer {
            Ok(Ok(TopicState::Unsure(code))) => format!("{doing}: {}", error::words(code)),
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) if !cluster::is_silence(&error) => return Err(error::client_error(doing, &error)),
            Ok(Err(error)) => format!("{doing}: {}", producer.silence(&error)),
            Err(panic) => return Err(Error::internal(format!("{doing}: {panic}"))),
        };
        if let Some(refusal) = producer.client_state.errors().refusal {
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
pub(super) async fn rules(shared: &SinkState, topic: &str, deadline: Instant) -> TopicRules {
    let plan = &*shared.writer.plan;
    let sasl = plan.options.connection.sasl.as_ref();
    if sasl.is_some_and(|sasl| sasl.mechanism == Mechanism::OauthBearer) {
        // An administrative client of rdkafka's never asks for its token.
        return TopicRules::default();
    }
    let producer = shared.producer();
    // Never closed. It is held because each question takes a client, with threads of its own.
    let _permit = producer.questions.acquire().await;
    let timeout = deadline.saturating_duration_since(Instant::now()).clamp(SLICE, RULES);
    cluster::rules(plan, topic, timeout).await.unwrap_or_else(|error| {
        tracing::debug!(topic, reason = error::plain(&error), "the topic's settings are not known");
        TopicRules::default()
    })
}

// === impl Client ===

impl Client {
    async fn start(plan: &Arc<Plan>, batch: usize) -> Result<Self> {
        let pool = plan.context.shared.get_or_default::<Pool>();
        let _one = if plan.shared { Some(pool.joining.lock().await) } else { None };
        let plan = Arc::clone(plan);
        let started = tokio::task::spawn_blocking(move || Self::start_blocking(&plan, batch)).await;
        started.unwrap_or_else(|panic| Err(Error::internal(format!("creating the producer: {panic}"))))
    }

    fn start_blocking(plan: &Arc<Plan>, batch: usize) -> Result<Self> {
        let transaction = plan.identity.as_ref().map(|identity| Arc::new(TransactionState::new(identity)));
        let delivery = Delivery::new(plan.context.health.clone(), plan.topic.clone(), plan.partition.is_some());
        let delivery = Arc::new(delivery.retried_for(plan.context.retry.timeout).within(transaction.clone()));
        let spec = plan.producer_spec(batch, plan.shared);
        let pool = plan.context.shared.get_or_default::<Pool>();
        let shared = pool.join(&spec, transaction.as_ref(), false, &mut |seat| {
            Arc::new(SinkState::new(Writer::new(Arc::clone(plan)), Arc::clone(&delivery), batch, seat))
        })?;
        // Weak: the sink has the delivery.
        let taken_back = Arc::downgrade(&shared);
        delivery.attach(move |reach| {
            if let Some(shared) = taken_back.upgrade() {
                shared.take_back(reach);
            }
        });
        Ok(Self { shared })
    }

    /// Lets go of everything, and leaves the producer. Waits until it has nothing of the sink any more, and the last of its sinks until its
    /// threads have ended; or leaves it to itself when that takes long.
    pub(super) async fn stop(self) {
        let producer = self.halt();
        drop(self);
        // Closed by that, it takes nobody in who would keep it from its end.
        let wanted = if producer.members.close_if_empty() { Stage::Ended } else { Stage::Drained };
        if wanted == Stage::Drained && producer.is_open() {
            return;
        }
        let mut stage = producer.stage();
        drop(producer);
        let ended = stage.wait_for(|stage| *stage >= wanted);
        if tokio::time::timeout(PATIENCE, ended).await.is_err() {
            tracing::warn!("librdkafka takes more than {} s to end; it is left to itself", PATIENCE.as_secs());
        }
    }

    async fn give_up(self, error: Error) -> Error {
        self.stop().await;
        error
    }

    /// Whether somebody waits for it or not: nothing of the sink goes on.
    fn halt(&self) -> Arc<ProducerState> {
        self.shared.stop();
        self.shared.delivery.close();
        let producer = self.shared.leave();
        producer.wake();
        producer
    }

    /// Something is on its way: the poll thread rests no longer.
    pub(super) fn wake(&self) {
        self.shared.producer().wake();
    }
}

impl Drop for Client {
    /// Without [`Client::stop`] the sink still leaves its producer, and the last one's ends soon.
    fn drop(&mut self) {
        self.halt();
    }
}
