//! Each flaw of a source is found.

use super::memory_source::{Flaw, Memory};
use crate::testkit::conformance::source;

/// The check passes the world without its flaw, and fails with it.
macro_rules! finds {
    ($($name:ident: $flaw:ident by $check:ident $(on $world:ident)?;)+) => {$(
        #[tokio::test(start_paused = true)]
        async fn $name() {
            let world = [$(Memory::$world(),)? Memory::right()].into_iter().next().expect("there is one");
            let mut flawed = world.with(Flaw::$flaw);
            let checked = tokio::spawn(async move { source::$check(&mut flawed).await }).await;
            assert!(checked.is_err_and(|error| error.is_panic()), "{:?} is not found", Flaw::$flaw);
        }
    )+};
}

finds! {
    a_poll_that_loses_records_when_it_is_dropped: LosesOnCancel by a_dropped_poll_has_taken_nothing;
    records_out_of_order: Reorders by records_of_a_lane_are_in_order;
    records_that_come_twice: Doubles by records_of_a_lane_are_in_order;
    a_record_more_than_allowed: IgnoresRecordLimit by limits_are_kept;
    more_bytes_than_allowed: IgnoresByteLimit by limits_are_kept;
    a_position_that_comes_twice: RepeatsPositions by positions_of_a_lane_grow;
    commits_that_nobody_made: CommitsEarly by what_is_not_committed_comes_again_in_order;
    commits_that_are_not_sent: ForgetsCommits by what_is_committed_does_not_come_again;
    records_lost_at_a_close: LosesWhatIsOpen by what_is_committed_does_not_come_again;
    losses_that_are_not_told: HidesLosses by what_does_not_come_again_is_told on forgetful;
    nothing_given_back: GivesNothingBack by what_is_given_back_comes_again_first;
    given_back_out_of_order: GivesBackReversed by what_is_given_back_comes_again_first;
    taking_while_suspended: TakesWhileSuspended by suspended_it_hands_out_what_is_here;
    dropping_what_is_here: DropsWhatIsHere by resumed_it_goes_on;
    a_stop_that_gives_back: MarksRedelivered by a_stop_leaves_nothing_redelivered;
    what_was_held_comes_again: LosesHold by what_is_held_does_not_come_again;
    lanes_that_change_their_names: RenamesLanes by lane_keys_stay_the_same;
    stored_positions_that_are_ignored: IgnoresStored by it_goes_on_behind_what_is_stored;
    an_opening_that_leaves_something: LeaksOpening by an_opening_dropped_half_way_leaves_nothing;
    watching_that_takes_records: TakesWhileWatching by watching_takes_nothing;
    watching_that_ends_by_itself: StopsWatching by watching_takes_nothing;
    a_cut_that_nobody_notices: IgnoresCut by a_cut_ends_a_poll;
    a_cut_that_looks_like_the_end: EndsWhenCut by a_cut_ends_a_poll;
    a_cut_that_watching_does_not_notice: WatchesBlindly by a_cut_ends_watching;
    a_close_that_waits_for_an_answer: HangsAtClose by it_closes_though_nobody_answers;
}
