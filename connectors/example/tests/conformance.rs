//! The promises of every source and sink, on a real mailbox.

use std::{
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use async_trait::async_trait;
use gantry_example::{
    SINK, SOURCE,
    mailbox::{LONGEST, Mailbox},
};
use gantry_sdk::{
    Context, Opening, Record, Sink, SinkCapabilities, Source, SourceCapabilities,
    testkit::conformance::{SinkWorld, SourceAbilities, SourceWorld},
};
use serde_json::{Value as Json, json};

/// A mailbox of one test.
struct Own {
    mailbox: Arc<Mailbox>,
    options: Json,
}

impl Own {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        Self { mailbox: Mailbox::named(&name), options: json!({ "name": name }) }
    }
}

#[async_trait]
impl SourceWorld for Own {
    fn capabilities(&self) -> SourceCapabilities {
        SOURCE.capabilities
    }

    fn abilities(&self) -> SourceAbilities {
        // In one process nobody falls silent.
        SourceAbilities::default().without_silence()
    }

    async fn put(&mut self, numbers: RangeInclusive<u64>) {
        numbers.for_each(|number| self.mailbox.put(number.to_string()));
    }

    fn open(&mut self, context: Context) -> Opening<dyn Source> {
        (SOURCE.create)(&self.options, context).expect("options")
    }

    async fn cut(&mut self) {
        self.mailbox.cut();
    }
}

#[async_trait]
impl SinkWorld for Own {
    fn capabilities(&self) -> SinkCapabilities {
        SINK.capabilities
    }

    fn open(&mut self, context: Context) -> Opening<dyn Sink> {
        (SINK.create)(&self.options, context).expect("options")
    }

    fn refused(&mut self, _number: u64) -> Record {
        Record { value: Some(vec![b'x'; LONGEST + 1].into()), ..Record::default() }
    }

    async fn arrived(&mut self) -> Vec<u64> {
        let number = |body| String::from_utf8(Vec::from(body)).expect("text").parse().expect("a number");
        self.mailbox.bodies().into_iter().map(number).collect()
    }

    async fn block(&mut self) {
        self.mailbox.block(true);
    }

    async fn unblock(&mut self) {
        self.mailbox.block(false);
    }

    async fn cut(&mut self) {
        self.mailbox.cut();
    }
}

mod source {
    gantry_sdk::source_conformance!(super::Own::new());
}

mod sink {
    gantry_sdk::sink_conformance!(super::Own::new());
}

#[test]
fn a_mailbox_without_a_name_is_found_without_a_connection() {
    let found =
        |options: Json| (SOURCE.check)(&options).iter().map(|problem| problem.path.to_string()).collect::<Vec<_>>();
    assert_eq!(found(json!({ "name": "" })), ["name"]);
    assert_eq!(found(json!({ "name": "orders" })), [""; 0]);
}
