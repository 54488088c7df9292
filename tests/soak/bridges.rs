//! The bridges of the soak: what each reads, what it does to messages, and what must become of every one of them.

use lapin::types::{AMQPValue, FieldTable};

use crate::support::{
    kafka,
    rabbit::{self, Rabbit},
    unique,
};

/// One bridge, its queue and its topics.
#[derive(Debug, Clone)]
pub(crate) struct Bridge {
    pub(crate) name: &'static str,
    pub(crate) queue: String,
    pub(crate) topic: String,
    /// Where the messages of [`Fate::DeadLetter`] go.
    pub(crate) dead_topic: Option<String>,
    /// Where RabbitMQ puts what a quorum queue has delivered too often.
    pub(crate) set_aside: Option<String>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Classic,
    Quorum,
    /// A quorum queue with a delivery limit and a dead-letter exchange.
    Limited,
    /// Transforms that change headers and bodies, drop some messages and fail for others.
    Shaped,
    /// Two tasks share the queue.
    Shared,
}

/// What must become of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Arrives,
    Filtered,
    DeadLetter,
}

/// RabbitMQ's own default since 4.0.
const DELIVERY_LIMIT: i32 = 20;

impl Bridge {
    /// All bridges of a run.
    pub(crate) fn all() -> Vec<Self> {
        let bridge = |name, kind| {
            let queue = unique(&format!("soak-{name}"));
            let dead_topic = (kind == Kind::Shaped).then(|| format!("{queue}-dead"));
            let set_aside = (kind == Kind::Limited).then(|| format!("{queue}-set-aside"));
            Self { name, topic: queue.clone(), queue, dead_topic, set_aside, kind }
        };
        vec![
            bridge("classic", Kind::Classic),
            bridge("quorum", Kind::Quorum),
            bridge("limited", Kind::Limited),
            bridge("shaped", Kind::Shaped),
            bridge("shared", Kind::Shared),
        ]
    }

    /// Whether order is promised, over torn connections too: only on a classic queue with a single active consumer.
    ///
    /// RabbitMQ may notice later than Gantry that a connection is gone, and without that argument gives later messages to
    /// the new consumer while the old one still counts. A quorum queue puts what a consumer took and returned behind what
    /// others returned before. Two tasks have no order between them.
    pub(crate) fn is_ordered(&self) -> bool {
        self.kind == Kind::Classic
    }

    /// What must become of this message.
    pub(crate) fn fate(&self, sequence: u64) -> Fate {
        match (self.kind, sequence % 100) {
            (Kind::Shaped, 3 | 53) => Fate::Filtered,
            (Kind::Shaped, 7) => Fate::DeadLetter,
            _ => Fate::Arrives,
        }
    }

    /// Makes its queues and topics. Topics forget what the oracle has read long ago: an hour's worth need not fit.
    pub(crate) async fn create(&self, rabbit: &Rabbit) {
        let mut arguments = FieldTable::default();
        if matches!(self.kind, Kind::Quorum | Kind::Limited) {
            arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        }
        // No argument is no limit before RabbitMQ 4.0, -1 since.
        if self.kind == Kind::Quorum && rabbit::major_version() >= 4 {
            arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(-1));
        }
        if self.is_ordered() {
            arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
        }
        if let Some(set_aside) = &self.set_aside {
            rabbit.queue(set_aside).await;
            arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(DELIVERY_LIMIT));
            arguments.insert("x-dead-letter-exchange".into(), AMQPValue::LongString("".into()));
            arguments.insert("x-dead-letter-routing-key".into(), AMQPValue::LongString(set_aside.as_str().into()));
        }
        rabbit.queue_with(&self.queue, arguments).await;
        let settings = [("retention.bytes", "500000000"), ("segment.bytes", "50000000")];
        kafka::create_topic_with(&self.topic, 3, &settings).await;
        if let Some(dead_topic) = &self.dead_topic {
            kafka::create_topic_with(dead_topic, 1, &settings).await;
        }
    }

    /// Its section of the configuration.
    pub(crate) fn yaml(&self) -> String {
        let Self { name, queue, topic, .. } = self;
        let mut text = format!(
            r#"  {name}:
    source: {{ rabbitmq: {{ connection: rabbit, queue: {queue} }} }}
    sink: {{ kafka: {{ connection: events, topic: {topic}, key: "{{message_id}}" }} }}
"#
        );
        if self.kind == Kind::Shared {
            text += "    tasks: 2\n";
        }
        if self.kind == Kind::Shaped {
            text += TRANSFORMS;
        }
        let dead = self.dead_topic.as_ref().map(|dead| {
            format!("dead_letter: {{ kafka: {{ connection: events, topic: {dead}, key: \"{{message_id}}\" }} }}, ")
        });
        text += &format!("    errors: {{ {}backoff: {{ initial: 200ms, max: 3s }} }}\n", dead.unwrap_or_default());
        text
    }
}

const TRANSFORMS: &str = r#"    transforms:
      - filter: { drop: { field: header.noise, exists: true } }
      - headers: { set: { shaped: "{header.seq}" } }
      - json: { insert: { from: "{queue}" } }
"#;
