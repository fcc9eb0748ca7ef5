//! Which partition an ordering key belongs to.

use serde::{Deserialize, Serialize};

/// How many partitions there are. Fixed for the life of a database: events are stored with their partition.
pub const PARTITIONS: i16 = 64;

/// One of the [`PARTITIONS`] parts into which ordering keys fall; the unit of ownership among dispatchers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartitionId(pub i16);

impl PartitionId {
    /// The partition of an ordering key. The same on every machine and in every version.
    #[must_use]
    pub fn of(ordering_key: &str) -> Self {
        let hash = xxhash_rust::xxh3::xxh3_64(ordering_key.as_bytes());
        Self((hash % PARTITIONS.unsigned_abs() as u64) as i16)
    }

    /// Every partition, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..PARTITIONS).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_of_a_key_never_changes() {
        // Stored rows carry these numbers: a change here would split an object's events over two owners.
        let of = |key: &str| PartitionId::of(key).0;
        assert_eq!([of("client/4107"), of("client/4108"), of("account/880"), of("subscription/5521")], [16, 6, 55, 42]);
    }

    #[test]
    fn keys_spread_evenly() {
        let mut counts = [0_u32; PARTITIONS as usize];
        for n in 0..64_000 {
            counts[PartitionId::of(&format!("client/{n}")).0 as usize] += 1;
        }
        assert!(counts.iter().all(|&c| (800..1200).contains(&c)), "{counts:?}");
    }
}
