//! One conformance suite on both databases, and what differs between them.

mod append;
mod balance;
mod connections;
mod feed;
mod fixture;
mod generations;
mod handlers;
mod instants;
mod ownership;
mod plans;
mod record;
mod replay;
mod schema;
mod searches;
mod service_runs;
