//! What happens to records between source and sinks: the bridge's transforms in a row, then which sinks each record goes to.

use std::{collections::HashSet, sync::Arc};

use gantry_sdk::{Failure, Record, Result, Transform, Working, plugin::TransformPlugin};

use crate::{
    definition::{Definition, Part},
    in_flight::{Condemned, Roots},
};

/// The transforms of one task, in order, and the conditions of its sinks.
pub(super) struct Pipeline {
    transforms: Vec<Box<dyn Transform>>,
    /// One a sink; `None`: every record goes there.
    conditions: Vec<Option<Box<dyn Transform>>>,
}

/// What came out of it.
pub(super) struct Routed {
    /// As the source gave them.
    pub(super) originals: Arc<Vec<Record>>,
    /// What goes to sinks, for those that get any.
    pub(super) parts: Vec<RoutedPart>,
    /// Originals of which nothing goes anywhere, by a rule.
    pub(super) filtered: Vec<u32>,
    pub(super) condemned: Vec<Condemned>,
}

/// The records of a batch for one sink.
pub(super) struct RoutedPart {
    pub(super) sink: u16,
    pub(super) records: Arc<Vec<Record>>,
    pub(super) roots: Roots,
}

impl Pipeline {
    pub(super) fn new(definition: &Definition) -> Result<Self> {
        let make = |part: &Part<TransformPlugin>| part.make(part.plugin.create);
        let conditions = definition.sinks.iter().map(|branch| branch.when.as_ref().map(make).transpose());
        Ok(Self {
            transforms: definition.transforms.iter().map(make).collect::<Result<_>>()?,
            conditions: conditions.collect::<Result<_>>()?,
        })
    }

    pub(super) fn apply(&mut self, records: Vec<Record>) -> Routed {
        if self.transforms.is_empty() && self.conditions.iter().all(Option::is_none) {
            return self.pass(records);
        }
        // Cheap: every part of a record is shared until a transform writes to it.
        let originals = Arc::new(records.clone());
        let mut working = Working::new(records);
        for transform in &mut self.transforms {
            transform.apply(&mut working);
        }
        let (records, _, mut failed) = working.finish();
        let records = Arc::new(records);
        let roots = Roots::of(&records);
        let parts: Vec<_> = (0..)
            .zip(&mut self.conditions)
            .filter_map(|(sink, condition)| {
                let Some(condition) = condition else {
                    let (records, roots) = (records.clone(), roots.clone());
                    return (!records.is_empty()).then_some(RoutedPart { sink, records, roots });
                };
                let mut working = Working::resume(records.to_vec());
                condition.apply(&mut working);
                let (records, _, refused) = working.finish();
                failed.extend(refused);
                let roots = Roots::of(&records);
                (!records.is_empty()).then(|| RoutedPart { sink, records: Arc::new(records), roots })
            })
            .collect();
        let condemned = condemn(&originals, failed);
        let filtered = nowhere(originals.len(), &parts, &condemned);
        Routed { originals, parts, filtered, condemned }
    }

    /// Nothing is done to them, and they go to every sink.
    fn pass(&self, records: Vec<Record>) -> Routed {
        let originals = Arc::new(records);
        let part = |sink| RoutedPart { sink, records: originals.clone(), roots: Roots::Same };
        let parts = (0..).take(self.conditions.len()).map(part).collect();
        Routed { originals, parts, filtered: Vec::new(), condemned: Vec::new() }
    }
}

/// The records that failures speak of, each once, as the source gave them.
fn condemn(originals: &[Record], failed: Vec<(u32, Failure)>) -> Vec<Condemned> {
    let mut known = HashSet::with_capacity(failed.len());
    let condemn = |(root, failure): (u32, Failure)| {
        let record = originals.get(root as usize).filter(|_| known.insert(root))?;
        Some(Condemned { root, sink: None, record: record.clone(), failure })
    };
    failed.into_iter().filter_map(condemn).collect()
}

/// The originals of which nothing is left, and that were not refused either.
fn nowhere(originals: usize, parts: &[RoutedPart], condemned: &[Condemned]) -> Vec<u32> {
    let mut somewhere = vec![false; originals];
    let mut mark = |root: u32| {
        if let Some(marked) = somewhere.get_mut(root as usize) {
            *marked = true;
        }
    };
    for part in parts {
        match &part.roots {
            Roots::Same => return Vec::new(),
            Roots::Listed(roots) => roots.iter().copied().for_each(&mut mark),
        }
    }
    condemned.iter().for_each(|condemned| mark(condemned.root));
    (0..).zip(somewhere).filter_map(|(root, somewhere)| (!somewhere).then_some(root)).collect()
}
