//! Each sentence of the rules as a small story.

mod chain;
mod lane;
mod pause;
mod plan;
mod status;
mod story;
