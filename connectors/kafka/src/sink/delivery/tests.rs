use gantry_sdk::testkit::{Courier, Summary};
use proptest::prelude::*;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::*;

const TOPIC: &str = "orders";

struct Bench {
    delivery: Arc<Delivery>,
    courier: Courier,
    health: Health,
    purges: Arc<Mutex<Vec<Reach>>>,
}

impl Bench {
    fn new() -> Self {
        let health = Health::new();
        let delivery = Arc::new(Delivery::new(health.clone(), Some(TOPIC.into()), false));
        let purges = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&purges);
        delivery.attach(move |reach| log.lock().unwrap().push(reach));
        Self { delivery, courier: Courier::new(), health, purges }
    }

    /// Enters a batch as if all of it were with librdkafka.
    fn sent(&mut self, count: usize) -> Vec<Token> {
        let slot = self.delivery.open(&self.courier.batch(vec![Record::default(); count]));
        (0..count as u32)
            .map(|index| {
                self.delivery.sending();
                Token::new(slot, index)
            })
            .collect()
    }

    fn delivered(&self, token: Token, partition: i32) {
        self.delivery.delivered(token, || (TOPIC, partition, i64::from(token.index())));
    }

    fn failed(&self, token: Token, code: Code) {
        self.delivery.failed(token, code, (TOPIC, 0));
    }

    fn summary(&mut self) -> Summary {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(self.courier.outcomes(std::time::Duration::from_secs(10)))
    }
}

fn counts(summary: &Summary) -> (usize, usize, usize) {
    (summary.delivered, summary.failed.len(), summary.abandoned)
}

#[test]
fn a_token_survives_the_trip_through_a_pointer() {
    for (slot, index) in [(0, 0), (1, u32::MAX), ((1 << 24) - 1, 0), (7, 499)] {
        for member in [0, 1, 255] {
            let token = Token::new(slot, index);
            assert_eq!(Token::from_opaque(token.to_opaque(member)), (member, token));
        }
    }
}

#[test]
fn slots_are_used_again() {
    let mut bench = Bench::new();
    for _ in 0..100 {
        let (first, second) = (bench.sent(2), bench.sent(1));
        for token in second.into_iter().chain(first) {
            bench.delivered(token, 0);
        }
        assert!(bench.delivery.is_empty());
    }
    assert_eq!(bench.delivery.lock().places(), 2);
    assert_eq!(counts(&bench.summary()), (300, 0, 0));
}

#[test]
fn a_record_given_up_stops_the_rest() {
    let mut bench = Bench::new();
    let tokens = bench.sent(4);
    bench.delivered(tokens[0], 0);
    bench.failed(tokens[1], Code::MessageTimedOut);
    assert!(bench.delivery.is_halted());
    assert!(matches!(bench.health.get(), Condition::Failed(..)));
    assert_eq!(*bench.purges.lock().unwrap(), [Reach::Everything]);
    bench.failed(tokens[2], Code::PurgeQueue);
    bench.failed(tokens[3], Code::PurgeInflight);
    bench.delivery.resume();
    assert!(bench.delivery.is_halted(), "it never works again");
    let summary = bench.summary();
    assert_eq!(counts(&summary), (1, 3, 0));
    assert!(summary.failed.iter().all(|failure| failure.kind == FailureKind::Retriable));
    assert!(summary.failed.iter().all(|failure| failure.reason == summary.failed[0].reason), "one reason for all");
}

/// librdkafka speaks of a broker when nobody led the partition any more as its topic went.
#[test]
fn a_topic_that_is_gone_is_told_in_the_same_words_however_librdkafka_says_it() {
    for code in [Code::UnknownPartition, Code::BrokerDestroy] {
        let mut bench = Bench::new();
        let tokens = bench.sent(1);
        bench.failed(tokens[0], code);
        let Condition::Failed(_, reason) = bench.health.get() else { panic!("{:?}", bench.health.get()) };
        assert!(reason.contains(TOPIC) && reason.contains("gone") && reason.contains("create it"), "{reason}");
        assert_eq!(bench.summary().failed[0].kind, FailureKind::Retriable);
    }
}

#[test]
fn a_refused_batch_is_held_and_what_overtook_it_too() {
    let mut bench = Bench::new();
    let (first, second) = (bench.sent(3), bench.sent(2));
    bench.failed(first[0], Code::InvalidDifferentRecord);
    bench.failed(first[1], Code::InvalidRecord);
    assert!(bench.delivery.is_recovering() && bench.delivery.was_refused());
    assert_eq!(*bench.purges.lock().unwrap(), [Reach::Queued], "once a refused batch");
    bench.delivered(second[1], 0);
    bench.delivered(second[0], 7);
    bench.failed(first[2], Code::PurgeQueue);
    let held = bench.delivery.take_held();
    let tokens: Vec<_> = held.iter().map(|held| (held.token, held.refusal.is_some())).collect();
    assert_eq!(tokens, [(first[0], true), (first[1], true), (first[2], false), (second[1], false)]);
    assert!(bench.delivery.is_halted(), "until it is sent again");
    bench.delivery.refuse(first[1], Failure::rejected(STAGE, "poison"));
    for token in [first[0], first[2], second[1]] {
        bench.delivered(token, 0);
    }
    bench.delivery.resume();
    assert!(!bench.delivery.is_halted());
    assert_eq!(counts(&bench.summary()), (4, 1, 0));
}

/// A purge reports what is queued before what is on its way, which was given to librdkafka before.
#[test]
fn what_was_given_before_what_came_back_is_delivered() {
    let mut bench = Bench::new();
    let (first, second) = (bench.sent(2), bench.sent(2));
    bench.delivery.halt();
    bench.failed(second[0], Code::PurgeQueue);
    bench.delivered(first[0], 0);
    bench.delivered(second[1], 0);
    bench.delivered(first[1], 0);
    let held: Vec<_> = bench.delivery.take_held().iter().map(|held| held.token).collect();
    assert_eq!(held, second, "and what overtook it came back, too");
    assert_eq!(bench.delivery.in_flight(), 0);
    bench.delivered(second[0], 0);
    bench.delivered(second[1], 0);
    assert_eq!(counts(&bench.summary()), (4, 0, 0));
}

#[test]
fn one_that_came_back_before_it_had_a_partition_may_have_been_overtaken_in_any() {
    let mut bench = Bench::new();
    let tokens = bench.sent(3);
    bench.delivery.halt();
    bench.delivery.failed(tokens[1], Code::PurgeQueue, (TOPIC, -1));
    bench.delivered(tokens[2], 7);
    bench.delivered(tokens[0], 7);
    let held: Vec<_> = bench.delivery.take_held().iter().map(|held| held.token).collect();
    assert_eq!(held, tokens[1..]);
    bench.delivery.close();
    assert_eq!(counts(&bench.summary()), (1, 0, 2));
}

#[test]
fn what_overtook_a_record_that_was_given_up_fails_too() {
    let mut bench = Bench::new();
    let tokens = bench.sent(4);
    bench.failed(tokens[1], Code::MessageTimedOut);
    bench.delivered(tokens[2], 0);
    bench.delivered(tokens[3], 1);
    bench.delivered(tokens[0], 0);
    assert_eq!(counts(&bench.summary()), (2, 2, 0), "it comes again behind the other");
}

#[test]
fn a_producer_that_breaks_up_is_not_resumed_on() {
    let mut bench = Bench::new();
    let tokens = bench.sent(1);
    bench.delivery.halt();
    bench.failed(tokens[0], Code::PurgeQueue);
    let held: Vec<_> = bench.delivery.take_held().into_iter().map(|held| held.token).collect();
    bench.delivery.hold_again(held);
    bench.delivery.resume_if(|| false);
    assert!(bench.delivery.is_halted() && bench.delivery.is_recovering());
    assert_eq!(bench.delivery.take_held().len(), 1);
    bench.delivery.resume_if(|| true);
    assert!(!bench.delivery.is_halted());
    bench.delivered(tokens[0], 0);
    assert_eq!(counts(&bench.summary()), (1, 0, 0));
}

/// librdkafka counts anew when a record is given to it again.
#[test]
fn what_is_sent_again_keeps_its_age() {
    let mut bench = Bench::new();
    let delivery = Delivery::new(bench.health.clone(), Some(TOPIC.into()), false);
    bench.delivery = Arc::new(delivery.retried_for(Some(Duration::ZERO)));
    let tokens = bench.sent(1);
    assert!(bench.delivery.overdue().is_none(), "librdkafka counts itself");
    bench.delivery.halt();
    bench.failed(tokens[0], Code::PurgeQueue);
    assert!(bench.delivery.overdue().is_some_and(|failure| failure.reason.contains("did not confirm")));
    bench.delivered(tokens[0], 0);
    assert!(bench.delivery.overdue().is_none());
}

#[test]
fn a_sink_that_has_nothing_with_librdkafka_takes_nothing_back() {
    let mut bench = Bench::new();
    let tokens = bench.sent(1);
    bench.failed(tokens[0], Code::MessageTimedOut);
    bench.delivery.close();
    assert_eq!(*bench.purges.lock().unwrap(), []);
}

#[test]
fn giving_up_in_the_middle_of_recovery_fails_what_is_held() {
    let mut bench = Bench::new();
    let tokens = bench.sent(3);
    bench.failed(tokens[0], Code::MessageSizeTooLarge);
    bench.failed(tokens[1], Code::PurgeQueue);
    bench.failed(tokens[2], Code::TopicAuthorizationFailed);
    let summary = bench.summary();
    assert_eq!(counts(&summary), (0, 3, 0));
    assert!(summary.failed.iter().all(|failure| failure.kind == FailureKind::Retriable));
    assert!(!bench.delivery.is_recovering());
}

#[test]
fn a_topic_that_was_not_fixed_costs_only_its_own_records() {
    let mut bench = Bench::new();
    let tokens = bench.sent(2);
    bench.delivery.failed(tokens[0], Code::UnknownTopicOrPartition, ("elsewhere", 0));
    bench.delivered(tokens[1], 0);
    assert_eq!(bench.delivery.take_vanished(), ["elsewhere"]);
    let summary = bench.summary();
    assert_eq!(counts(&summary), (1, 1, 0));
    assert_eq!(summary.failed[0].kind, FailureKind::Rejected);
    assert_eq!(bench.health.get(), Condition::Up);
}

#[test]
fn after_the_close_nothing_counts() {
    let mut bench = Bench::new();
    let tokens = bench.sent(3);
    bench.delivered(tokens[0], 0);
    bench.delivery.close();
    bench.delivered(tokens[1], 0);
    bench.failed(tokens[2], Code::PurgeQueue);
    assert_eq!(counts(&bench.summary()), (1, 0, 2));
}

#[test]
fn what_is_let_go_of_is_abandoned() {
    let mut bench = Bench::new();
    let tokens = bench.sent(5);
    bench.delivered(tokens[0], 0);
    bench.delivery.abandon(0, 4);
    assert!(bench.delivery.is_empty());
    assert_eq!(counts(&bench.summary()), (1, 0, 4));
}

proptest! {
    /// Whatever reports come in whatever order, every record has one outcome, and none is delivered that was not.
    #[test]
    fn every_record_has_one_outcome(
        batches in prop::collection::vec(1..6usize, 1..6),
        reports in prop::collection::vec((any::<prop::sample::Index>(), 0..8u8), 0..40),
    ) {
        let mut bench = Bench::new();
        let given: usize = batches.iter().sum();
        let mut open: Vec<Token> = batches.into_iter().flat_map(|count| bench.sent(count)).collect();
        let mut confirmed = 0;
        for (place, kind) in reports {
            if open.is_empty() {
                break;
            }
            let token = open.swap_remove(place.index(open.len()));
            match kind {
                0..4 => { bench.delivered(token, 0); confirmed += 1; }
                4 => bench.failed(token, Code::InvalidRecord),
                5 => bench.failed(token, Code::InvalidTopic),
                6 => bench.failed(token, Code::PurgeQueue),
                _ => bench.failed(token, Code::MessageTimedOut),
            }
            // Recovery, in one step: everything that came back is with librdkafka again.
            for held in bench.delivery.take_held() {
                bench.delivery.sending();
                open.push(held.token);
            }
            bench.delivery.resume();
        }
        bench.delivery.close();
        let summary = bench.summary();
        prop_assert_eq!(summary.delivered + summary.failed.len() + summary.abandoned, given);
        prop_assert!(summary.delivered <= confirmed);
    }
}
