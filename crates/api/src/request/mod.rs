//! How requests are read: bodies, queries, ids, conditions. What is not known is refused, not ignored.

mod body;
mod condition;
mod json;
mod object;
mod path;
mod query;
mod unique;
mod words;

pub(crate) use self::body::{Body, JSON, NoBody, OptionalBody, Whole, discard, read_json};
pub(crate) use self::condition::{IfMatch, etag};
pub(crate) use self::json::{collect, overlaps, parse, parse_item};
pub(crate) use self::object::{object, objects, optional_object, optional_objects};
pub(crate) use self::path::{EventTypeName, Id, JobId, no_such};
pub(crate) use self::query::{NoParams, Params, QueryString, paging};
