//! The bridge's transforms in a row.

use std::sync::Arc;

use gantry_sdk::{Record, Result, Transform, Working, plugin::TransformPlugin};

use crate::{
    definition::{Definition, Part},
    in_flight::Condemned,
};

/// The transforms of one task, in order.
pub(super) struct Chain {
    transforms: Vec<Box<dyn Transform>>,
}

/// What came out of them.
pub(super) struct Passed {
    /// For the sink. The same as `originals` when there are no transforms.
    pub(super) records: Arc<Vec<Record>>,
    /// As the source gave them.
    pub(super) originals: Arc<Vec<Record>>,
    /// Which original each record came from; `None` when there are no transforms.
    pub(super) roots: Option<Box<[u32]>>,
    pub(super) filtered: u32,
    pub(super) condemned: Vec<Condemned>,
}

impl Chain {
    pub(super) fn new(definition: &Definition) -> Result<Self> {
        let make = |part: &Part<TransformPlugin>| part.make(part.plugin.create);
        Ok(Self { transforms: definition.transforms.iter().map(make).collect::<Result<_>>()? })
    }

    pub(super) fn apply(&mut self, records: Vec<Record>) -> Passed {
        if self.transforms.is_empty() {
            let records = Arc::new(records);
            let originals = records.clone();
            return Passed { records, originals, roots: None, filtered: 0, condemned: Vec::new() };
        }
        // Cheap: every part of a record is shared until a transform writes to it.
        let originals = Arc::new(records.clone());
        let mut working = Working::new(records);
        for transform in &mut self.transforms {
            transform.apply(&mut working);
        }
        let (records, filtered, failed) = working.finish();
        let condemn = |(root, failure): (u32, _)| {
            Some(Condemned { root, record: originals.get(root as usize)?.clone(), failure })
        };
        let condemned = failed.into_iter().filter_map(condemn).collect();
        let roots = Some(records.iter().map(|record| record.root).collect());
        Passed { records: Arc::new(records), originals, roots, filtered, condemned }
    }
}
