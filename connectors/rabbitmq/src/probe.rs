//! What `gantry check --connect` asks of RabbitMQ: are queues and exchanges there, may we use them.
//!
//! Nothing is moved or made. A right is asked for by a request that RabbitMQ refuses after it has looked at the right: it
//! checks rights first, then the request's own values. Which code comes back tells the two apart: 403 for the right, 406
//! for the value. The right to *configure*, which `declare` needs, cannot be asked for like that.

use gantry_sdk::{
    Context, Error, ErrorKind, Result,
    probe::{Obstacle, shell_word},
};
use lapin::{
    BasicProperties, ExchangeKind,
    options::{
        BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
        QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable, LongString, ShortString},
};

use crate::{
    ConnectionOptions, DeclareOptions,
    connection::{Connected, connect},
    convert::short_string,
    error::{During, kind, translate},
};

/// A value that neither an expiration nor a consumer's priority can have.
const IMPOSSIBLE: &str = "gantry check";

/// Whether a thing is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    There,
    Missing,
}

/// A broker that let us in.
pub(crate) struct Broker {
    connected: Connected,
    user: String,
}

impl Broker {
    pub(crate) async fn reach(options: &ConnectionOptions, context: &Context) -> Result<Self> {
        let connected = connect(options, &format!("gantry check {}", context.bridge), &context.options).await?;
        let uri = options.endpoints().ok().and_then(|uris| uris.into_iter().next());
        let user = uri.map_or_else(|| "USER".to_owned(), |uri| uri.authority.userinfo.username);
        Ok(Self { connected, user })
    }

    pub(crate) async fn leave(self, found: Vec<Obstacle>) -> Result<Vec<Obstacle>> {
        // What was found counts; how the goodbye went does not.
        let _ = self.connected.close().await;
        Ok(found)
    }

    /// A channel of its own for each question, because a "no" closes it.
    pub(crate) async fn queue(&self, name: &str) -> Result<Found> {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let channel = self.connected.channel().await?;
        there(channel.queue_declare(amqp(name)?, options, FieldTable::default()).await)
    }

    pub(crate) async fn exchange(&self, name: &str) -> Result<Found> {
        if name.is_empty() {
            return Ok(Found::There);
        }
        let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
        let channel = self.connected.channel().await?;
        there(channel.exchange_declare(amqp(name)?, ExchangeKind::Direct, options, FieldTable::default()).await)
    }

    /// Exchanges that something is to be bound to and that nobody creates.
    pub(crate) async fn bound_exchanges(&self, declare: Option<&DeclareOptions>) -> Result<Vec<Obstacle>> {
        let Some(declare) = declare else { return Ok(Vec::new()) };
        let own = declare.exchange.as_ref().map(|exchange| exchange.name.as_str());
        let mut names: Vec<_> = declare.bindings.iter().filter_map(|binding| binding.exchange.as_deref()).collect();
        names.retain(|name| Some(*name) != own);
        names.sort_unstable();
        names.dedup();
        let mut found = Vec::new();
        for name in names {
            if self.exchange(name).await? == Found::Missing {
                found.push(self.missing_exchange(name));
            }
        }
        Ok(found)
    }

    /// Whether we may consume. A consumer's priority is a number (RabbitMQ's consumer priorities guide): with a text there
    /// is no consumer, and nothing is delivered.
    pub(crate) async fn consuming(&self, queue: &str) -> Result<Option<Obstacle>> {
        let channel = self.connected.channel().await?;
        let mut arguments = FieldTable::default();
        arguments.insert("x-priority".into(), AMQPValue::LongString(LongString::from(IMPOSSIBLE)));
        let asked = async {
            // Streams want one; and should a broker let us in all the same, one message at most would come and go back.
            channel.basic_qos(1, BasicQosOptions::default()).await?;
            channel
                .basic_consume(amqp_text(queue), "".into(), BasicConsumeOptions::default(), arguments)
                .await
                .map(drop)
        };
        let refused = is_refused(asked.await)?;
        Ok(refused.map(|_| {
            self.denied(
                "consume from",
                "queue",
                queue,
                "read (the last of the three expressions, or its management page)",
            )
        }))
    }

    /// Whether we may publish. An expiration is a number (RabbitMQ's TTL guide): with a text the message goes nowhere.
    /// Without a routing key that is always the same, the rights to single topics are nobody's matter here.
    pub(crate) async fn publishing(&self, exchange: &str, routing_key: Option<&str>) -> Result<Option<Obstacle>> {
        let channel = self.connected.channel().await?;
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let properties = BasicProperties::default().with_expiration(IMPOSSIBLE.into());
        let asked = async {
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            let (exchange, key) = (amqp_text(exchange), amqp_text(routing_key.unwrap_or(IMPOSSIBLE)));
            channel.basic_publish(exchange, key, options, b"", properties).await?.await.map(drop)
        };
        let refused =
            is_refused(asked.await)?.filter(|text| routing_key.is_some() || !text.contains("access to topic"));
        let name = if exchange.is_empty() { "amq.default" } else { exchange };
        Ok(refused.map(|_| self.denied("publish to", "exchange", name, "write (the second of the three expressions)")))
    }

    pub(crate) fn missing_queue(&self, name: &str) -> Obstacle {
        let problem = format!("queue \"{name}\" on {}: there is no such queue", self.connected.place());
        Obstacle::new(problem, format!("{} queue name={} durable=true", self.declare(), shell_word(name)))
    }

    pub(crate) fn missing_exchange(&self, name: &str) -> Obstacle {
        let problem = format!("exchange \"{name}\" on {}: there is no such exchange", self.connected.place());
        Obstacle::new(problem, format!("{} exchange name={} type=topic durable=true", self.declare(), shell_word(name)))
    }

    fn declare(&self) -> String {
        format!("rabbitmqadmin --vhost={} declare", shell_word(&self.connected.vhost))
    }

    fn denied(&self, doing: &str, kind: &str, name: &str, right: &str) -> Obstacle {
        let (place, user) = (self.connected.place(), &self.user);
        let problem =
            format!("{kind} \"{name}\" on {place}: user \"{user}\" may not {doing} it: it lacks the right to {right}");
        // `set_permissions` replaces what is there, so first show it.
        let vhost = shell_word(&self.connected.vhost);
        let remedy = format!(
            "rabbitmqctl list_user_permissions {user}; rabbitmqctl set_permissions -p {vhost} {user} CONFIGURE WRITE READ",
            user = shell_word(user)
        );
        Obstacle::new(problem, remedy)
    }
}

fn amqp(name: &str) -> Result<ShortString> {
    short_string(name).map_err(Error::config)
}

/// A name that RabbitMQ has answered to already, or one of ours.
fn amqp_text(name: &str) -> ShortString {
    short_string(name).unwrap_or_default()
}

/// Who may use a thing may not always ask for it: only "not there" counts.
fn there<T>(asked: lapin::Result<T>) -> Result<Found> {
    match asked {
        Err(error) if kind(&error, During::SettingUp) == ErrorKind::Missing => Ok(Found::Missing),
        Err(error) if is_passing(&error) => Err(translate(&error, During::SettingUp, "asking RabbitMQ")),
        _ => Ok(Found::There),
    }
}

/// RabbitMQ's words if it was the right that was missing. Any other answer came from behind the look at the right.
fn is_refused(asked: lapin::Result<()>) -> Result<Option<String>> {
    let Err(error) = asked else { return Ok(None) };
    match error.kind() {
        lapin::ErrorKind::ProtocolError(reply) if reply.get_id() == 403 => Ok(Some(reply.get_message().to_string())),
        _ if is_passing(&error) => Err(translate(&error, During::SettingUp, "asking RabbitMQ")),
        _ => Ok(None),
    }
}

fn is_passing(error: &lapin::Error) -> bool {
    kind(error, During::SettingUp) == ErrorKind::Disconnected
}
