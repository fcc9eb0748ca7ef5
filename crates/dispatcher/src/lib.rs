//! Owns partitions, feeds events, runs chains, calls handlers, records what happened.
