//! Baton.

fn main() {}
