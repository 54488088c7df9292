//! Each flaw of a sink is found.

use super::memory_sink::{Flaw, Memory};
use crate::testkit::conformance::sink;

/// The check fails with the flaw; without it, it passes (`right_sink`).
macro_rules! finds {
    ($($name:ident: $flaw:ident by $check:ident;)+) => {$(
        #[tokio::test(start_paused = true)]
        async fn $name() {
            let mut flawed = Memory::right().with(Flaw::$flaw);
            let checked = tokio::spawn(async move { sink::$check(&mut flawed).await }).await;
            assert!(checked.is_err_and(|error| error.is_panic()), "{:?} is not found", Flaw::$flaw);
        }
    )+};
}

finds! {
    records_out_of_order: Reorders by records_arrive_in_order;
    records_that_are_missing: Loses by records_arrive_in_order;
    records_lost_by_a_dropped_ready: LosesOnCancel by ready_may_be_dropped;
    records_doubled_by_a_dropped_ready: DoublesOnCancel by ready_may_be_dropped;
    records_lost_by_a_dropped_flush: LosesOnCancel by flush_may_be_dropped;
    records_doubled_by_a_dropped_flush: DoublesOnCancel by flush_may_be_dropped;
    records_settled_twice: SettlesTwice by each_record_is_spoken_of_once;
    records_settled_before_they_are_there: SettlesAtStart by closing_says_nothing_of_what_is_in_flight;
    records_said_to_be_delivered_before_a_cut: SettlesAtStart by what_is_said_to_be_delivered_is_there_after_a_cut;
    a_flush_that_returns_early: FlushesEarly by flush_settles_everything;
    a_refusal_that_takes_others_along: RefusesNeighbours by a_refused_record_holds_up_no_other;
    a_refusal_for_now: RefusesForNow by a_refused_record_holds_up_no_other;
    answers_that_do_not_come: NeverAnswers by answers_come_when_they_are_wanted;
    answers_that_come_twice: AnswersTwice by answers_come_when_they_are_wanted;
    a_close_that_speaks_of_what_it_drops: SpeaksAtClose by closing_says_nothing_of_what_is_in_flight;
    a_close_that_waits_for_an_answer: HangsAtClose by closing_says_nothing_of_what_is_in_flight;
    records_lost_in_an_outage: SkipsWhatWasBlocked by what_was_blocked_arrives_in_order;
    records_blamed_for_the_wire: BlamesRecords by what_is_said_to_be_delivered_is_there_after_a_cut;
    an_opening_that_leaves_something: LeaksOpening by an_opening_dropped_half_way_leaves_nothing;
    records_shown_before_the_commit: ShowsWhatIsNotCommitted by what_is_not_committed_is_not_there;
    positions_that_are_not_stored: StoresNothing by a_transaction_stores_positions_with_its_records;
}
