//! The checks of a sink.

mod cancelled;
mod delivery;
mod end;
mod transaction;

pub use cancelled::{an_opening_dropped_half_way_leaves_nothing, flush_may_be_dropped, ready_may_be_dropped};
pub use delivery::{
    a_refused_record_holds_up_no_other, answers_come_when_they_are_wanted, each_record_is_spoken_of_once,
    flush_settles_everything, records_arrive_in_order, start_never_waits,
};
pub use end::{
    closing_says_nothing_of_what_is_in_flight, what_is_said_to_be_delivered_is_there_after_a_cut,
    what_was_blocked_arrives_in_order,
};
pub use transaction::{a_transaction_stores_positions_with_its_records, what_is_not_committed_is_not_there};

use super::{SinkWorld, within};

/// Asserts that exactly these numbers have arrived, in order where the sink keeps it.
async fn assert_arrived(world: &mut impl SinkWorld, last: u64) {
    let mut arrived = within("reading what has arrived", world.arrived()).await;
    if !world.capabilities().keeps_order {
        arrived.sort_unstable();
    }
    assert_eq!(arrived, (1..=last).collect::<Vec<_>>(), "what has arrived, and what should have");
}
