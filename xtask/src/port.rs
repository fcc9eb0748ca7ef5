//! Ports for the services.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result};

// Below the range from which Linux takes the ports of outgoing connections, so that none of them takes one before its service does.
const FIRST: u16 = 20_000;
const COUNT: u64 = 12_000;
const TRIES: u32 = 1_000;

/// A port of 127.0.0.1 on which nothing listens.
pub(crate) fn free() -> Result<u16> {
    let random = RandomState::new();
    let candidates = (0..TRIES).filter_map(|n| u16::try_from(random.hash_one(n) % COUNT).ok()).map(|n| FIRST + n);
    candidates.into_iter().find(|port| is_free(*port)).context("no free port on 127.0.0.1")
}

/// Whether nothing listens on a port of 127.0.0.1.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_not_free() {
        let port = free().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert!(!is_free(port));
        drop(listener);
        assert!(is_free(port));
    }
}
