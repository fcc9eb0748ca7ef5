//! Ports for programs that cannot be asked which one they got.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Mutex;

use rand::RngExt;

// Below the range from which Linux takes the ports of outgoing connections (32768 and up): such a connection could otherwise take
// the port between this look and the program's bind.
const FIRST: u16 = 20_000;
const LAST: u16 = 31_999;
const TRIES: usize = 1_000;

static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A port of 127.0.0.1 on which nothing listens; never the same twice in one process.
///
/// # Panics
/// When a thousand ports in a row are taken.
pub fn free_port() -> u16 {
    let mut given = GIVEN.lock().unwrap();
    for _ in 0..TRIES {
        let port = rand::rng().random_range(FIRST..=LAST);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() && given.insert(port) {
            return port;
        }
    }
    panic!("no free port between {FIRST} and {LAST} after {TRIES} tries");
}
