//! Records by the part that refused them.

/// How many records each stage refused. The stages are those that connectors and transforms name in their code, so there
/// are few.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ByStage(Vec<(&'static str, u64)>);

impl ByStage {
    /// So many more at that stage.
    pub fn add(&mut self, stage: &'static str, records: u64) {
        match self.0.iter_mut().find(|(own, _)| *own == stage) {
            Some((_, count)) => *count += records,
            None => self.0.push((stage, records)),
        }
    }

    /// All of those as well.
    pub fn add_all(&mut self, others: &Self) {
        others.iter().for_each(|(stage, records)| self.add(stage, records));
    }

    /// Of all stages.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// Each stage with its count, in the order in which they came first.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().copied()
    }
}

/// `TRANSFORMATION 12, KAFKA_PRODUCE 3`.
impl std::fmt::Display for ByStage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (stage, count)) in self.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{stage} {count}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up() {
        let (mut all, mut more) = (ByStage::default(), ByStage::default());
        all.add("TRANSFORMATION", 2);
        more.add("KAFKA_PRODUCE", 1);
        more.add("TRANSFORMATION", 3);
        all.add_all(&more);
        assert_eq!((all.total(), all.to_string().as_str()), (6, "TRANSFORMATION 5, KAFKA_PRODUCE 1"));
    }
}
