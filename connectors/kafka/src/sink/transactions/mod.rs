//! Transactions: records and the positions that they bring their lanes to, together or not at all.
//!
//! # What it promises
//! - Opening fences every older sink of the same transactional id and aborts what it left open. Only then the stored positions are
//!   read, up to the end that the topic had then: no older sink can add to them.
//! - Within a process openings of one transactional id follow each other; one that nobody waits for any more ends soon, and asks Kafka
//!   for nothing more.
//! - Positions are records of the same producer in the same transaction, in a compacted topic: one key a lane.
//! - Within a transaction nothing is sent again by the sink: what the broker refuses makes librdkafka give the whole transaction up, so
//!   the sink ends and says why. What can be refused before it is produced is refused alone, as ever.
//! - A commit that gets no answer is asked for again, until the transaction would be over at the broker. Then the sink ends, and the
//!   next one reads what is stored.
//! - Closing aborts an open transaction. One that is left open by a dead process is aborted by the next opening, or by the broker.
//!
//! # Parts
//! [`calls`] librdkafka's blocking calls ·
//! [`position`] positions as records · [`topic`] where they lie · [`stored`] reading them back. Beside this folder, because others need
//! them too: `transaction_identity` under which names, `transaction_claim` one opening at a time, `transaction_state` the open transaction and why it was given up

mod calls;
mod position;
mod stored;
mod topic;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use gantry_sdk::{Checkpoint, Checkpoints, Error, Result, Transactions};

use super::{sink_state::SinkState, transaction_claim::Claim, transaction_state::TransactionState};

pub(super) use topic::creation_arguments;

/// How long closing waits for the end of the transaction.
const PATIENCE: Duration = Duration::from_secs(4);

/// The transactions of an open sink.
pub(super) struct SinkTransactions {
    shared: Arc<SinkState>,
    state: Arc<TransactionState>,
    stored: Checkpoints,
    /// librdkafka takes one call at a time. One that nobody waits for any more still runs to its end.
    calls: Arc<Mutex<()>>,
}

/// Makes the topic of positions ready, fences older sinks, and reads what is stored. `None`: this sink has no transactions.
pub(super) async fn open(shared: &Arc<SinkState>) -> Result<Option<SinkTransactions>> {
    let plan = &shared.writer.plan;
    let (Some(identity), Some(state)) = (&plan.identity, shared.delivery.transaction()) else { return Ok(None) };
    topic::prepare(shared, identity).await?;
    let id = identity.transactional_id.clone();
    let stored = on_a_thread(shared, "beginning with transactions", move |shared| begin_alone(shared, &id)).await?;
    let (shared, state) = (Arc::clone(shared), Arc::clone(state));
    Ok(Some(SinkTransactions { shared, state, stored, calls: Arc::default() }))
}

/// Fences older sinks and reads what is stored, beside no other opening of this process. The claim goes to the state of the sink: if this
/// fails, or nobody waits for it any more, it lasts as long as the producer does.
fn begin_alone(shared: &SinkState, id: &str) -> Result<Checkpoints> {
    let claim = Claim::take(id, calls::opening_deadline(shared), || shared.wanted())?;
    shared.producer().hold(claim);
    calls::init(shared)?;
    let stored = stored::read(shared)?;
    shared.wanted()?;
    shared.producer().release();
    Ok(stored)
}

#[async_trait]
impl Transactions for SinkTransactions {
    fn stored(&self) -> Checkpoints {
        Arc::clone(&self.stored)
    }

    async fn begin(&mut self) -> Result<()> {
        self.call("beginning a transaction", calls::begin).await?;
        self.state.has_begun();
        Ok(())
    }

    async fn commit(&mut self, checkpoints: &[Checkpoint]) -> Result<()> {
        let records = position::records(&self.shared.writer.plan, checkpoints);
        self.call("committing a transaction", move |shared, state| calls::commit(shared, state, &records)).await?;
        self.state.has_ended();
        Ok(())
    }
}

// === impl SinkTransactions ===

impl SinkTransactions {
    /// Aborts the transaction that is open, if one is. What cannot be aborted in time is left to the broker and to the next opening.
    pub(super) async fn close(self) {
        self.state.is_closing();
        if !self.state.is_open() {
            return;
        }
        let aborted = self.call("aborting a transaction", calls::abort);
        let why = match tokio::time::timeout(PATIENCE, aborted).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.chain(),
            Err(_) => format!("Kafka did not answer within {} s", PATIENCE.as_secs()),
        };
        let bridge = &*self.shared.writer.plan.context.bridge;
        tracing::info!(bridge, "an open transaction is left to Kafka, which aborts it: {why}");
    }

    async fn call(
        &self,
        doing: &'static str,
        call: impl FnOnce(&SinkState, &TransactionState) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let calls = Arc::clone(&self.calls);
        on_a_thread(&self.shared, doing, move |shared| {
            let _one = calls.lock().unwrap_or_else(PoisonError::into_inner);
            let state = shared.delivery.transaction().ok_or_else(|| Error::internal("the sink has no transactions"))?;
            call(shared, state)
        })
        .await
    }
}

/// librdkafka's calls wait for the broker: none of them runs on an async thread.
async fn on_a_thread<T: Send + 'static>(
    shared: &Arc<SinkState>,
    doing: &'static str,
    call: impl FnOnce(&SinkState) -> Result<T> + Send + 'static,
) -> Result<T> {
    let shared = Arc::clone(shared);
    let done = tokio::task::spawn_blocking(move || call(&shared)).await;
    done.unwrap_or_else(|panic| Err(Error::internal(format!("{doing}: {panic}"))))
}
