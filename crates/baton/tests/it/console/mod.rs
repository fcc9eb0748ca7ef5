//! The web console: by requests alone, and in a real browser.

mod form;
mod going_live;
mod guards;
mod pages;
mod provisioning;
mod sign_in;
mod without_scripts;
