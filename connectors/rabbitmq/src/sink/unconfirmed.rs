//! What a channel has published and RabbitMQ has not confirmed, in the order of delivery tags.
//!
//! Decided in that order, and only when every confirm that is there has been looked at: a return may hang on any of them
//! ([`returns`](super::returns)).

use std::{
    collections::VecDeque,
    task::{Context, Poll, Waker},
};

use futures_util::future::BoxFuture;
use gantry_sdk::{Error, Result};
use lapin::{Confirmation, message::BasicReturnMessage};

use super::{item::Item, limits::Limits, plan::Plan, returns};

/// What became of a message.
#[derive(Debug)]
pub(super) enum Decision {
    Confirmed(Item),
    Returned(Item, String),
    Nacked(Item),
}

/// Waits for one confirm.
pub(super) type Confirming = BoxFuture<'static, lapin::Result<Confirmation>>;

struct Sent {
    item: Item,
    confirming: Confirming,
    /// Whether it was an ack, once it is there.
    outcome: Option<lapin::Result<bool>>,
    returned: Option<String>,
}

#[derive(Default)]
pub(super) struct Unconfirmed {
    sent: VecDeque<Sent>,
    /// Came with some confirm, and not yet matched.
    returns: Vec<BasicReturnMessage>,
    /// Messages so far.
    published: u64,
}

/// What a look at the confirms brought.
pub(super) struct Looked {
    /// In the order of publishing.
    pub decisions: Vec<Decision>,
    /// Why nothing more will come of this channel.
    pub end: Option<lapin::Error>,
}

// === impl Sent ===

impl Sent {
    /// Whether its outcome is there. What hangs on it goes to `returns`.
    fn look(&mut self, context: &mut Context<'_>, returns: &mut Vec<BasicReturnMessage>) -> bool {
        if self.outcome.is_none()
            && let Poll::Ready(confirmed) = self.confirming.as_mut().poll(context)
        {
            self.outcome = Some(confirmed.map(|confirmation| {
                let is_ack = confirmation.is_ack();
                returns.extend(confirmation.take_message());
                is_ack
            }));
        }
        self.outcome.is_some()
    }
}

// === impl Unconfirmed ===

impl Unconfirmed {
    pub(super) fn len(&self) -> usize {
        self.sent.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// How many messages were published so far.
    pub(super) const fn published(&self) -> u64 {
        self.published
    }

    /// How many of them are decided: they are decided in order.
    pub(super) fn decided(&self) -> u64 {
        self.published - self.sent.len() as u64
    }

    /// Publishes: the first poll puts it in order behind everything published before.
    pub(super) fn publish(&mut self, item: Item, confirming: Confirming) {
        let mut sent = Sent { item, confirming, outcome: None, returned: None };
        sent.look(&mut Context::from_waker(Waker::noop()), &mut self.returns);
        self.sent.push_back(sent);
        self.published += 1;
    }

    /// Takes what is decided off the front. Wakes the caller when the front of what is left is.
    pub(super) fn poll(&mut self, context: &mut Context<'_>, plan: &Plan, limits: &Limits) -> Result<Looked> {
        let mut decided = 0;
        let mut end = None;
        while let Some(sent) = self.sent.get_mut(decided) {
            if !sent.look(context, &mut self.returns) {
                break;
            }
            if let Some(Err(error)) = &sent.outcome {
                end = Some(error.clone());
                break;
            }
            decided += 1;
        }
        if decided > 0 {
            let mut unheard = Context::from_waker(Waker::noop());
            for sent in self.sent.iter_mut().skip(decided + 1) {
                sent.look(&mut unheard, &mut self.returns);
            }
            self.match_returns(plan, limits)?;
        }
        let decisions = self.sent.drain(..decided).map(Sent::decision).collect();
        Ok(Looked { decisions, end })
    }

    fn match_returns(&mut self, plan: &Plan, limits: &Limits) -> Result<()> {
        for returned in self.returns.drain(..) {
            let mut find = |exactly| {
                let is_of = |sent: &&mut Sent| {
                    sent.returned.is_none() && returns::is_of(&returned, &sent.item, plan, limits, exactly)
                };
                self.sent.iter_mut().find(is_of).map(|sent| sent.returned = Some(returns::reason(&returned)))
            };
            if find(true).or_else(|| find(false)).is_none() {
                // Whose it is cannot be told, so nothing that is not decided may count as delivered.
                let reason = returns::reason(&returned);
                return Err(Error::internal(format!(
                    "RabbitMQ returned a message that was not published here: {reason}"
                )));
            }
        }
        Ok(())
    }

    /// Everything that is not decided, in order; the channel is gone.
    pub(super) fn take(&mut self) -> Vec<Item> {
        self.returns.clear();
        self.sent.drain(..).map(|sent| sent.item).collect()
    }
}

impl Sent {
    fn decision(self) -> Decision {
        match (self.returned, self.outcome) {
            (Some(reason), _) => Decision::Returned(self.item, reason),
            (None, Some(Ok(true))) => Decision::Confirmed(self.item),
            (None, _) => Decision::Nacked(self.item),
        }
    }
}
