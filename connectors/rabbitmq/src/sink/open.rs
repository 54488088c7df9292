//! Connecting, creating what was asked for, and checking that what is always the same is there.

use std::sync::Arc;

use gantry_sdk::{Error, ErrorKind, Result};
use lapin::{
    ExchangeKind,
    options::{ConfirmSelectOptions, ExchangeDeclareOptions, QueueDeclareOptions},
    types::FieldTable,
};

use super::{
    channel_error::CREATE,
    plan::{Piece, Plan},
};
use crate::{
    connection::{Channel, Connected, Lease, Purpose, lease},
    convert::short_string,
    declare::DeclareOptions,
    error::{During, kind, translate},
};

/// A connection with channels in confirm mode.
pub(super) struct Opened {
    pub connected: Arc<Lease>,
    pub channels: Vec<Channel>,
}

/// Beside those that publish: one that is opened while its predecessor still ends.
const OTHER_CHANNELS: usize = 1;

pub(super) async fn open(plan: &Plan) -> Result<Opened> {
    let context = &plan.context;
    let role = if context.dead_letter { " dead letter" } else { "" };
    let name = format!("gantry {}/{}{role}", context.bridge, context.task);
    let channels = usize::from(plan.options.channels) + OTHER_CHANNELS;
    let connection = DeclareOptions::connection(plan.options.declare.as_ref(), &plan.options.connection);
    let connected = lease(&connection, Purpose::Publish, &name, context, channels).await?;
    match connected.unless_blocked(set_up(plan, &connected)).await {
        Ok(channels) => Ok(Opened { connected: Arc::new(connected), channels }),
        Err(error) => {
            // The first error is the one to tell.
            let _ = connected.release().await;
            Err(error)
        }
    }
}

async fn set_up(plan: &Plan, connected: &Lease) -> Result<Vec<Channel>> {
    let place = connected.place();
    if let Some(declare) = &plan.options.declare {
        let channel = connected.channel().await?;
        declare.apply(&channel, &plan.options.fixed_queues(), &place).await?;
    }
    if let Piece::Fixed(exchange) = &plan.exchange
        && !exchange.as_str().is_empty()
    {
        check_exchange(connected, exchange.as_str(), &place).await?;
    }
    for queue in plan.options.fixed_queues() {
        check_queue(connected, queue, &place).await?;
    }
    let mut channels = Vec::new();
    for _ in 0..allowed(plan, connected) {
        channels.push(channel(connected).await?);
    }
    Ok(channels)
}

/// As many channels as were asked for, or as a connection may have.
fn allowed(plan: &Plan, connected: &Lease) -> usize {
    let (wanted, most) = (usize::from(plan.options.channels), connected.channels());
    if wanted > most {
        tracing::warn!(
            wanted,
            allowed = most,
            "publishing on fewer channels: no more are allowed on a connection to {}; raise `channel_max` there or in the URL, \
             or lower `channels`",
            connected.endpoint
        );
    }
    wanted.min(most)
}

/// A new channel in confirm mode.
pub(super) async fn channel(connected: &Connected) -> Result<Channel> {
    let channel = connected.channel().await?;
    let context = || format!("asking {} for publisher confirms", connected.place());
    let selected = channel.confirm_select(ConfirmSelectOptions::default()).await;
    selected.map_err(|error| translate(&error, During::SettingUp, context()))?;
    Ok(channel)
}

/// A channel of its own for each question, because a "no" closes it.
async fn check_exchange(connected: &Connected, name: &str, place: &str) -> Result<()> {
    let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
    let amqp_name = short_string(name).map_err(Error::config)?;
    let asked = connected.channel().await?;
    let asked = asked.exchange_declare(amqp_name, ExchangeKind::Direct, options, FieldTable::default()).await;
    answer(asked, || (format!("publishing to exchange \"{name}\" on {place}"), "there is no such exchange", CREATE))
}

async fn check_queue(connected: &Connected, name: &str, place: &str) -> Result<()> {
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let amqp_name = short_string(name).map_err(Error::config)?;
    let asked = connected.channel().await?;
    let asked = asked.queue_declare(amqp_name, options, FieldTable::default()).await;
    let hint = "Create it, or let the bridge create it with `declare: { queue: {} }`";
    answer(asked, || (format!("publishing to queue \"{name}\" on {place}"), "there is no such queue", hint))
}

/// Who may publish may not always ask, and an exclusive queue may still be published to: only "not there" counts.
fn answer<T>(asked: lapin::Result<T>, said: impl FnOnce() -> (String, &'static str, &'static str)) -> Result<()> {
    let Err(error) = asked else { return Ok(()) };
    match kind(&error, During::SettingUp) {
        ErrorKind::Missing => {
            let (doing, what, hint) = said();
            Err(Error::new(ErrorKind::Missing, format!("{doing}: {what}. {hint}")))
        }
        ErrorKind::Refused => Ok(()),
        _ => Err(translate(&error, During::SettingUp, said().0)),
    }
}
