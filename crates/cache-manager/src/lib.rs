//! Builds generations on an explicit restart.
