//! What failures of this sink say of where they happened.

/// Which part refused a record, in the manner of Kafka Connect's words.
pub(super) const STAGE: &str = "RABBITMQ_PUBLISH";
