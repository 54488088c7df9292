//! Medians and ratios.

use crate::{compare::CaseResults, contender::Contender, drain::Rate, neighbours::Neighbours};

/// The middle one; between two, their mean. `None` of none.
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len().is_multiple_of(2) { f64::midpoint(values[middle - 1], upper) } else { upper })
}

/// The median over a program's rounds.
pub(super) fn median_of(results: &CaseResults, contender: Contender, of: impl Fn(&Rate) -> Option<f64>) -> Option<f64> {
    median(results.rates.iter().filter_map(|round| of(&round[place(contender)])))
}

/// gantry's median against the floor's.
pub(super) fn ratio_of_medians(results: &CaseResults, of: fn(&Rate) -> f64) -> Option<f64> {
    let of = |contender| median_of(results, contender, |rate| Some(of(rate)));
    Some(of(Contender::Gantry)? / of(Contender::Floor)?)
}

/// The median of gantry against the floor in the same round: what slows a whole round down drops out.
pub(super) fn median_ratio(results: &CaseResults, of: fn(&Rate) -> f64) -> Option<f64> {
    median(results.rates.iter().map(|[floor, gantry]| of(gantry) / of(floor)))
}

/// The median of one company against the first one, alone, in the same round.
pub(super) fn against_first(one: &Neighbours, all: &[Neighbours], of: fn(&Rate) -> f64) -> Option<f64> {
    let alone = all.first()?;
    median(one.runs.iter().zip(&alone.runs).map(|(run, alone)| of(run) / of(alone)))
}

pub(super) const fn rate(run: &Rate) -> f64 {
    run.messages_per_second
}

pub(super) const fn cpu(run: &Rate) -> f64 {
    run.cpu_us_per_message
}

/// The place of a program in a round.
pub(super) const fn place(contender: Contender) -> usize {
    match contender {
        Contender::Floor => 0,
        Contender::Gantry => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{case::Case, direction::Direction, neighbours::COMPANIES};

    fn run(messages_per_second: f64) -> Rate {
        Rate {
            messages_per_second,
            first_bridge_messages_per_second: messages_per_second,
            cpu_us_per_message: 1.0,
            rabbitmq_cpu_us_per_message: None,
            kafka_cpu_us_per_message: None,
            peak_memory_bytes: None,
            seconds: 1.0,
            cores_used_by_others: 0.0,
            headers: Vec::new(),
        }
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([]), None);
        assert_eq!(median([7.0]), Some(7.0));
        assert_eq!(median([9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, 3.0, 2.0]), Some(2.5));
    }

    #[test]
    fn company_is_compared_with_being_alone_in_the_same_round() {
        let of = |company, rates: [f64; 3]| Neighbours { company, runs: rates.map(run).to_vec() };
        let [alone, idle, _] = COMPANIES;
        let all = [of(alone, [100.0, 10.0, 200.0]), of(idle, [90.0, 10.0, 190.0])];
        assert_eq!(against_first(&all[0], &all, rate), Some(1.0));
        assert_eq!(against_first(&all[1], &all, rate), Some(0.95));
    }

    #[test]
    fn pairs_are_compared_within_their_round() {
        // The machine was slow in the second round and fast in the third, for both.
        let rounds = [(100.0, 90.0), (10.0, 10.0), (200.0, 190.0)];
        let rates = rounds.map(|(floor, gantry)| [run(floor), run(gantry)]).to_vec();
        let results = CaseResults { direction: Direction::ToKafka, case: Case::PLAIN, rates, latencies: None };
        assert_eq!(ratio_of_medians(&results, rate), Some(0.9));
        assert_eq!(median_ratio(&results, rate), Some(0.95));
    }
}
