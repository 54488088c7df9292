//! What failures of this sink say of where they happened.

/// Which part refused a record, in Kafka Connect's word.
pub(super) const STAGE: &str = "KAFKA_PRODUCE";
