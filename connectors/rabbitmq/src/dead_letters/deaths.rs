//! What RabbitMQ itself says of a message that it dead-lettered: the header `x-death` (RabbitMQ's dead letter exchanges
//! guide), a table for each queue and reason, the latest first.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytestring::ByteString;
use gantry_sdk::{
    Origin, Record, Value,
    dead_letters::{Fidelity, Reason},
};

/// What stands for the part of a bridge that refused a record.
const STAGE: &str = "RABBITMQ_DEAD_LETTER";
/// What RabbitMQ adds to a message.
const ADDED: [&str; 7] = [
    "x-death",
    "x-first-death-reason",
    "x-first-death-queue",
    "x-first-death-exchange",
    "x-last-death-reason",
    "x-last-death-queue",
    "x-last-death-exchange",
];

/// Why a message is where it is.
pub(super) struct Death {
    pub reason: Reason,
    pub time: Option<SystemTime>,
    pub fidelity: Fidelity,
}

/// Takes what RabbitMQ added off the message, if it dead-lettered it once. `None`: it never did.
pub(super) fn explain(record: &mut Record) -> Option<Death> {
    let (death, deaths) = match record.headers.get("x-death")? {
        Value::List(deaths) => match deaths.first()? {
            Value::Table(latest) => (Fields(latest.clone()), deaths.len()),
            _ => return None,
        },
        _ => return None,
    };
    let count = death.number("count").unwrap_or(1).max(1);
    let origin = Origin::new("queue", death.text("queue")?)
        .with("exchange", death.text("exchange").unwrap_or_default())
        .with("routing_key", death.first_of("routing-keys").unwrap_or_default());
    let reason = reason(&death.text("reason").unwrap_or_default(), count, &origin);
    record.origin = origin;
    let fidelity = if deaths == 1 && count == 1 {
        record.headers.retain(|(name, _)| !ADDED.contains(&&**name));
        // RabbitMQ took it off, so that the message does not expire again.
        if let Some(expiration) = death.text("original-expiration") {
            record.properties_mut().expiration = Some(expiration);
        }
        Fidelity::Exact
    } else {
        Fidelity::Lossy("RabbitMQ dead-lettered it several times: what it added to the headers stays there".to_owned())
    };
    Some(Death { reason, time: death.time("time"), fidelity })
}

fn reason(word: &str, count: i64, origin: &Origin) -> Reason {
    let meaning = match word {
        "rejected" => "a consumer rejected it",
        "expired" => "its time to live was over",
        "maxlen" => "its queue was full",
        "delivery_limit" => "it came back more often than its queue allows",
        _ => "RabbitMQ does not say why",
    };
    let times = if count > 1 { format!(", {count} times") } else { String::new() };
    let details = origin.details().map(|(name, detail)| (Reason::name_of_detail(name), detail.to_string()));
    let whence = std::iter::once((origin.kind.to_owned(), origin.address.to_string())).chain(details);
    let why = [
        ("stage", STAGE.to_owned()),
        ("exception.class.name", word.to_owned()),
        ("exception.message", format!("RabbitMQ dead-lettered it{times}: {meaning}")),
    ];
    Reason { fields: whence.chain(why.map(|(name, value)| (name.to_owned(), value))).collect() }
}

/// One entry of `x-death`.
struct Fields(Vec<(ByteString, Value)>);

impl Fields {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    fn text(&self, name: &str) -> Option<ByteString> {
        text(self.get(name)?)
    }

    fn first_of(&self, name: &str) -> Option<ByteString> {
        match self.get(name)? {
            Value::List(all) => text(all.first()?),
            _ => None,
        }
    }

    fn number(&self, name: &str) -> Option<i64> {
        match self.get(name)? {
            Value::I64(number) => Some(*number),
            _ => None,
        }
    }

    fn time(&self, name: &str) -> Option<SystemTime> {
        match self.get(name)? {
            Value::Timestamp(time) => UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(time.seconds).ok()?)),
            _ => None,
        }
    }
}

fn text(value: &Value) -> Option<ByteString> {
    match value {
        Value::String(text) => ByteString::try_from(text.clone()).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use gantry_sdk::{Timestamp, testkit::any_value};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_is_said_of_a_death_is_read(values in prop::collection::vec(any_value(), 7)) {
            let names = ["count", "exchange", "original-expiration", "queue", "reason", "routing-keys", "time"];
            let fields = names.iter().zip(values).map(|(name, value)| ((*name).into(), value)).collect();
            let deaths = Value::List(vec![Value::Table(fields)]);
            let mut record = Record { headers: [("x-death".into(), deaths)].into_iter().collect(), ..Record::default() };
            let _ = explain(&mut record);
        }
    }

    fn dead(count: i64) -> Record {
        let text = |text: &'static str| Value::text(text);
        let death = Value::Table(vec![
            ("count".into(), Value::I64(count)),
            ("exchange".into(), text("shop")),
            ("original-expiration".into(), text("60000")),
            ("queue".into(), text("orders")),
            ("reason".into(), text("rejected")),
            ("routing-keys".into(), Value::List(vec![text("new"), text("copy")])),
            ("time".into(), Value::Timestamp(Timestamp::from_seconds(7))),
        ]);
        let headers =
            [("tenant", text("acme")), ("x-death", Value::List(vec![death])), ("x-first-death-queue", text("orders"))];
        Record { headers: headers.map(|(name, value)| (name.into(), value)).into_iter().collect(), ..Record::default() }
    }

    #[test]
    fn one_death_is_taken_off() {
        let mut record = dead(1);
        let death = explain(&mut record).expect("it is dead");
        assert_eq!((death.fidelity, death.time), (Fidelity::Exact, Some(UNIX_EPOCH + Duration::from_secs(7))));
        assert_eq!(death.reason.get("exception.message"), Some("RabbitMQ dead-lettered it: a consumer rejected it"));
        assert_eq!((record.headers.len(), record.properties().expiration.as_deref()), (1, Some("60000")));
        let origin = Origin::new("queue", "orders".into()).with("exchange", "shop").with("routing_key", "new");
        assert_eq!(record.origin, origin);
    }

    #[test]
    fn several_deaths_stay_and_rubbish_is_none() {
        let mut record = dead(3);
        let death = explain(&mut record).expect("it is dead");
        assert!(matches!(death.fidelity, Fidelity::Lossy(_)) && record.headers.len() == 3);
        assert!(death.reason.get("exception.message").is_some_and(|why| why.contains("3 times")));
        for odd in [
            Value::Null,
            Value::List(Vec::new()),
            Value::List(vec![Value::I8(1)]),
            Value::List(vec![Value::Table(Vec::new())]),
        ] {
            let mut record = Record { headers: [("x-death".into(), odd)].into_iter().collect(), ..Record::default() };
            assert!(explain(&mut record).is_none());
        }
    }
}
