//! The checks of a source.

mod end;
mod opening;
mod order;
mod replay;
mod suspend;

pub use end::{a_cut_ends_a_poll, a_cut_ends_watching, it_closes_though_nobody_answers, watching_takes_nothing};
pub use opening::{
    an_opening_dropped_half_way_leaves_nothing, it_goes_on_behind_what_is_stored, lane_keys_stay_the_same,
};
pub use order::{
    a_dropped_poll_has_taken_nothing, limits_are_kept, positions_of_a_lane_grow, records_of_a_lane_are_in_order,
};
pub use replay::{
    what_does_not_come_again_is_told, what_is_committed_does_not_come_again, what_is_given_back_comes_again_first,
    what_is_held_does_not_come_again, what_is_not_committed_comes_again_in_order,
};
pub use suspend::{a_stop_leaves_nothing_redelivered, resumed_it_goes_on, suspended_it_hands_out_what_is_here};
