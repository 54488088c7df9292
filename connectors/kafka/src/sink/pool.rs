//! Producers that sinks share: those with the same options write by one.
//!
//! # The contract
//! - A producer is made by the first sink that needs it, and ends with the last that leaves it. While one is made, others wait for it.
//! - It takes as many sinks as a record's opaque can tell apart; beyond that there is another.
//! - One that breaks up takes nobody in. Its sinks come here for another.
//! - A sink that has a producer of its own gets it here as well, and nobody else does.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use gantry_sdk::{Error, Result};

use super::{
    members::Member, poll_thread, producer::ProducerState, producer_spec::ProducerSpec,
    transaction_state::TransactionState,
};

/// All producers of the process that are shared.
#[derive(Default)]
pub(super) struct Pool {
    open: Mutex<Vec<Weak<ProducerState>>>,
    /// Held by the opening that joins now. Joining takes a thread for a moment: hundreds that wait for one producer would take as many.
    pub joining: tokio::sync::Mutex<()>,
}

/// A sink's place on a producer.
#[derive(Clone)]
pub(super) struct Seat {
    pub producer: Arc<ProducerState>,
    pub number: u8,
}

impl Pool {
    /// A place on a producer for the sink that `make` makes for it; `is_successor`: it had another that broke up. Blocks while a producer
    /// is made.
    pub(super) fn join<M: Member + 'static>(
        &self,
        spec: &ProducerSpec,
        transaction: Option<&Arc<TransactionState>>,
        is_successor: bool,
        make: &mut dyn FnMut(Seat) -> Arc<M>,
    ) -> Result<Arc<M>> {
        if !spec.shared {
            return create(spec, transaction, is_successor, make).map(|(_, member)| member);
        }
        // Held while a producer is made, which reaches for no broker: others are to get this one.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|producer| producer.upgrade().is_some_and(|producer| producer.is_open()));
        for producer in open.iter().filter_map(Weak::upgrade).filter(|producer| producer.spec.is_same(spec)) {
            if let Some(member) = sit(&producer, make) {
                if is_successor {
                    // The sink may come from a producer that was without the cluster.
                    producer.client_state.suspect();
                    producer.wake();
                }
                return Ok(member);
            }
        }
        let (producer, member) = create(spec, transaction, is_successor, make)?;
        open.push(Arc::downgrade(&producer));
        Ok(member)
    }
}

fn sit<M: Member + 'static>(producer: &Arc<ProducerState>, make: &mut dyn FnMut(Seat) -> Arc<M>) -> Option<Arc<M>> {
    producer.members.join(&mut |number| make(Seat { producer: Arc::clone(producer), number }))
}

fn create<M: Member + 'static>(
    spec: &ProducerSpec,
    transaction: Option<&Arc<TransactionState>>,
    is_successor: bool,
    make: &mut dyn FnMut(Seat) -> Arc<M>,
) -> Result<(Arc<ProducerState>, Arc<M>)> {
    let producer = Arc::new(ProducerState::new(spec.clone(), transaction.cloned(), is_successor)?);
    let member = sit(&producer, make).ok_or_else(|| Error::internal("a new producer has room"))?;
    if let Err(error) = poll_thread::start(Arc::clone(&producer)) {
        // Its first place; the member and the producer have each other.
        producer.members.leave(0);
        return Err(error);
    }
    Ok((producer, member))
}

impl Seat {
    /// Gives it back. The last one's thread ends.
    pub(super) fn leave(&self) {
        self.producer.members.leave(self.number);
        if self.producer.members.is_empty() {
            self.producer.wake();
        }
    }
}
