//! The web console: by requests alone, and in a real browser.

mod cancel;
mod connection;
mod failing;
mod form;
mod going_live;
mod guards;
mod logs;
mod overview;
mod pages;
mod provisioning;
mod scheduler;
mod screens;
mod session_ends;
mod sign_in;
mod without_scripts;
