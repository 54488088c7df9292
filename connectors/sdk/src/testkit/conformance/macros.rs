//! The lists of checks, each a test of its own.

/// A test for each check of a source. `$world` makes a [`SourceWorld`](crate::testkit::conformance::SourceWorld) in an async
/// function. To be called in a module of its own.
#[macro_export]
macro_rules! source_conformance {
    ($world:expr) => {
        $crate::conformance_tests!(
            source,
            $world,
            [
                records_of_a_lane_are_in_order,
                limits_are_kept,
                a_dropped_poll_has_taken_nothing,
                positions_of_a_lane_grow,
                what_is_committed_does_not_come_again,
                what_is_not_committed_comes_again_in_order,
                what_does_not_come_again_is_told,
                what_is_given_back_comes_again_first,
                suspended_it_hands_out_what_is_here,
                resumed_it_goes_on,
                a_stop_leaves_nothing_redelivered,
                what_is_held_does_not_come_again,
                lane_keys_stay_the_same,
                it_goes_on_behind_what_is_stored,
                an_opening_dropped_half_way_leaves_nothing,
                watching_takes_nothing,
                a_cut_ends_a_poll,
                a_cut_ends_watching,
                it_closes_though_nobody_answers,
            ]
        );
    };
}

/// A test for each check of a sink. `$world` makes a [`SinkWorld`](crate::testkit::conformance::SinkWorld) in an async function.
/// To be called in a module of its own.
#[macro_export]
macro_rules! sink_conformance {
    ($world:expr) => {
        $crate::conformance_tests!(
            sink,
            $world,
            [
                records_arrive_in_order,
                flush_settles_everything,
                each_record_is_spoken_of_once,
                start_never_waits,
                ready_may_be_dropped,
                flush_may_be_dropped,
                a_refused_record_holds_up_no_other,
                answers_come_when_they_are_wanted,
                closing_says_nothing_of_what_is_in_flight,
                what_was_blocked_arrives_in_order,
                what_is_said_to_be_delivered_is_there_after_a_cut,
                an_opening_dropped_half_way_leaves_nothing,
                a_transaction_stores_positions_with_its_records,
                what_is_not_committed_is_not_there,
            ]
        );
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! conformance_tests {
    ($kind:ident, $world:expr, [$($check:ident),+ $(,)?]) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                let mut world = $world;
                $crate::testkit::conformance::$kind::$check(&mut world).await;
            }
        )+
    };
}
