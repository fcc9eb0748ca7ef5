//! The live generation in memory, and what carries it: Redis between processes, or nothing but this process.
//!
//! The database is the truth about which generation is live. Redis makes a new one known within milliseconds and hands it out without asking
//! the database; when Redis is lost, emptied or behind, a periodic look at the database finds the same thing a little later and puts the
//! generation back into Redis.

mod carrier;
mod error;
mod hints;
mod installation;
mod link;
mod live;

pub use carrier::RedisSettings;
pub use error::CacheError;
pub use hints::{Hint, Hints};
pub use installation::{Installation, InstallationArgs, OpenError, vault, wait_for_store};
pub use live::HandlerCache;
