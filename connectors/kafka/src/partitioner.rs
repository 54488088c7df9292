//! Which partition a record goes to when nobody says: librdkafka's own partitioners by their names.

use schemars::JsonSchema;
use serde::Deserialize;

/// How a key becomes a partition. Only `murmur2` and `murmur2_random` agree with Java clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Partitioner {
    /// CRC32 of the key; records without a key, or with an empty one, go anywhere.
    ConsistentRandom,
    /// CRC32 of the key; records without a key all go to one partition.
    Consistent,
    /// Anywhere, whatever the key.
    Random,
    /// Java's murmur2 of the key; records without a key all go to one partition.
    Murmur2,
    /// Java's murmur2 of the key; records without a key go anywhere.
    #[default]
    Murmur2Random,
    /// FNV-1a of the key; records without a key all go to one partition.
    Fnv1a,
    /// FNV-1a of the key; records without a key go anywhere.
    Fnv1aRandom,
}

impl Partitioner {
    /// librdkafka's name for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConsistentRandom => "consistent_random",
            Self::Consistent => "consistent",
            Self::Random => "random",
            Self::Murmur2 => "murmur2",
            Self::Murmur2Random => "murmur2_random",
            Self::Fnv1a => "fnv1a",
            Self::Fnv1aRandom => "fnv1a_random",
        }
    }
}
