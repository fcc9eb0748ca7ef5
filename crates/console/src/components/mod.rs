//! The parts that pages are made of. Each is a function that gives markup; how it looks stands in `assets/parts.css`.

pub(crate) mod changes;
pub(crate) mod confirm;
pub(crate) mod cut;
pub(crate) mod empty;
pub(crate) mod event_types;
pub(crate) mod field;
pub(crate) mod handler_call;
pub(crate) mod handler_name;
pub(crate) mod handler_names;
pub(crate) mod icon;
pub(crate) mod id;
pub(crate) mod instant;
pub(crate) mod json;
pub(crate) mod log_search;
pub(crate) mod pager;
pub(crate) mod query;
pub(crate) mod refusal;
pub(crate) mod restart;
pub(crate) mod sample;
pub(crate) mod search;
pub(crate) mod status;
pub(crate) mod time;
pub(crate) mod uuid_id;
