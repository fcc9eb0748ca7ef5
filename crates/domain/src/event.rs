//! Events as they are published, and the body that handlers get.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::catalogue::Catalogue;
use crate::field_error::FieldErrors;
use crate::ids::EventId;
use crate::limits::{EVENT_BYTES_MAX, OBJECT_ID_MAX, ORDERING_KEY_MAX};
use crate::partition::PartitionId;

/// The state of an event as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventStatus {
    /// Not yet through its chain; nothing of it waits for another try.
    Pending,
    /// At least one delivery has failed and will be tried again.
    Retrying,
    /// Every delivery has succeeded (some may have been skipped).
    Delivered,
    /// At least one delivery is dead.
    Failed,
    /// No live handler wanted it, or all that did are gone.
    Unmatched,
}

impl EventStatus {
    /// Every status, with the word that the API and the tables use.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Pending, "pending"),
        (Self::Retrying, "retrying"),
        (Self::Delivered, "delivered"),
        (Self::Failed, "failed"),
        (Self::Unmatched, "unmatched"),
    ];

    /// The word that the API and the tables use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(status, _)| *status == self).map_or("", |(_, word)| word)
    }

    /// The status with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, w)| *w == word).map(|(status, _)| *status)
    }
}

/// A number or a string, kept as the JSON text that was published.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectId(String);

impl ObjectId {
    /// Takes the JSON text of a number or a string.
    ///
    /// # Errors
    /// A sentence, when it is something else, empty, or longer than [`OBJECT_ID_MAX`].
    pub fn from_json(raw: &str) -> Result<Self, String> {
        let id = Self(raw.to_owned());
        let text = match raw.as_bytes().first() {
            Some(b'"') => serde_json::from_str::<String>(raw).map_err(|e| e.to_string())?,
            Some(b'-' | b'0'..=b'9') => raw.to_owned(),
            _ => return Err("must be a number or a string".into()),
        };
        if text.is_empty() || text.chars().count() > OBJECT_ID_MAX || text.chars().any(char::is_control) {
            return Err(format!("must be 1 to {OBJECT_ID_MAX} characters, none of them a control character"));
        }
        Ok(id)
    }

    /// The JSON text as it was published: `4107` or `"4107"`.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// The text within: `4107` for the number and for the string, since both name the same object.
    #[must_use]
    pub fn text(&self) -> String {
        let is_string = self.0.starts_with('"');
        let within = is_string.then(|| serde_json::from_str(&self.0).ok()).flatten();
        within.unwrap_or_else(|| self.0.clone())
    }
}

/// An event that has been checked and can be stored.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Its id, given at receipt.
    pub id: EventId,
    /// The catalogue's id, never an alias.
    pub events_id: String,
    /// What it happened to.
    pub object_id: ObjectId,
    /// What "the same object" means for its order.
    pub ordering_key: String,
    /// When it happened: ISO 8601 with an offset, as published.
    pub dt: String,
    /// The JSON text of an object, as published.
    pub data: String,
    /// What makes a second publication a duplicate, with the publisher's key and the place in a batch.
    pub idempotency_key: Option<String>,
    /// When it was received.
    pub received_at: DateTime<Utc>,
}

impl NewEvent {
    /// The partition that its ordering key falls into.
    #[must_use]
    pub fn partition(&self) -> PartitionId {
        PartitionId::of(&self.ordering_key)
    }
}

/// A publication as it was sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publication {
    /// What happened, to what, when.
    pub event: PublicationHead,
    /// The details; an object.
    pub data: Box<RawValue>,
    /// Takes the place of `<object kind>/<object_id>`.
    pub ordering_key: Option<String>,
}

/// The part `event` of a [`Publication`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicationHead {
    /// An id or alias of the catalogue.
    pub events_id: String,
    /// A number or a string.
    pub object_id: Box<RawValue>,
    /// ISO 8601 with an offset; the time of receipt when absent.
    pub dt: Option<String>,
}

impl Publication {
    /// Checks the publication and makes it an event.
    ///
    /// # Errors
    /// Every field that is refused.
    pub fn check(
        self,
        catalogue: &Catalogue,
        idempotency_key: Option<String>,
        received_at: DateTime<Utc>,
    ) -> Result<NewEvent, FieldErrors> {
        let mut errors = FieldErrors::default();
        let entry = catalogue.resolve(&self.event.events_id).map_err(|e| errors.push("event.events_id", e)).ok();
        let object_id = ObjectId::from_json(self.event.object_id.get()).map_err(|e| errors.push("event.object_id", e)).ok();
        let dt = match self.event.dt {
            None => received_at.to_rfc3339_opts(SecondsFormat::Micros, false),
            Some(dt) => {
                if !is_instant(&dt) {
                    errors.push("event.dt", "must be ISO 8601 with an offset, such as 2026-03-04T09:15:27+00:00");
                }
                dt
            }
        };
        let data = self.data.get();
        if !data.starts_with('{') {
            errors.push("data", "must be an object; {} where there is nothing to say");
        } else if data.len() > EVENT_BYTES_MAX {
            errors.push("data", format!("is {} bytes; an event may have {EVENT_BYTES_MAX}", data.len()));
        }
        if let Some(key) = &self.ordering_key
            && (key.is_empty() || key.chars().count() > ORDERING_KEY_MAX || key.chars().any(char::is_control))
        {
            errors.push("ordering_key", format!("must be 1 to {ORDERING_KEY_MAX} characters, none of them a control character"));
        }
        let (Some(entry), Some(object_id)) = (entry, object_id) else { return Err(errors) };
        let ordering_key = self.ordering_key.unwrap_or_else(|| format!("{}/{}", entry.object_kind, object_id.text()));
        errors.or(NewEvent {
            id: EventId::generate(),
            events_id: entry.id.clone(),
            object_id,
            ordering_key,
            dt,
            data: data.to_owned(),
            idempotency_key,
            received_at,
        })
    }
}

fn is_instant(dt: &str) -> bool {
    // chrono also takes a space or a lower-case t, which ISO 8601 does not.
    dt.len() <= 64 && dt.as_bytes().get(10) == Some(&b'T') && DateTime::parse_from_rfc3339(dt).is_ok()
}

/// The body that a handler gets, in which nothing else ever appears: head and data as they were published.
#[must_use]
pub fn body(events_id: &str, object_id: &ObjectId, dt: &str, data: &str) -> String {
    let quoted = |text: &str| serde_json::to_string(text).unwrap_or_default();
    // Put together at once, since this is done for every event, and a string that grows is copied each time.
    let (dt, events_id) = (quoted(dt), quoted(events_id));
    [
        r#"{"event":{"dt":"#,
        &dt,
        r#","events_id":"#,
        &events_id,
        r#","object_id":"#,
        object_id.as_json(),
        r#"},"data":"#,
        data,
        "}",
    ]
    .concat()
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str) -> Result<NewEvent, FieldErrors> {
        let received = "2026-11-24T10:00:00.123456Z".parse().unwrap();
        serde_json::from_str::<Publication>(json).unwrap().check(&Catalogue::default(), None, received)
    }

    #[test]
    fn what_was_published_reaches_the_handler_to_the_letter() {
        let event = check(
            r#"{"event":{"events_id":"accounts.create","object_id":"4\"1","dt":"2026-03-04T09:15:27.000417+01:00"},
                "data":{"credit":250.0,"n":12345678901234567890123,"s":"\u00e9 – <b>", "e":1E5}}"#,
        )
        .unwrap();
        assert_eq!(
            body(&event.events_id, &event.object_id, &event.dt, &event.data),
            r#"{"event":{"dt":"2026-03-04T09:15:27.000417+01:00","events_id":"clients.accounts.create","object_id":"4\"1"},"data":{"credit":250.0,"n":12345678901234567890123,"s":"\u00e9 – <b>", "e":1E5}}"#
        );
        assert_eq!(event.ordering_key, "account/4\"1");
    }

    #[test]
    fn number_and_string_name_the_same_object() {
        let key = |id: &str| {
            check(&format!(r#"{{"event":{{"events_id":"clients.create","object_id":{id}}},"data":{{}}}}"#)).unwrap().ordering_key
        };
        assert_eq!(key("4108"), "client/4108");
        assert_eq!(key(r#""4108""#), "client/4108");
    }

    #[test]
    fn without_dt_the_time_of_receipt_counts() {
        let event = check(r#"{"event":{"events_id":"clients.create","object_id":1},"data":{}}"#).unwrap();
        assert_eq!(event.dt, "2026-11-24T10:00:00.123456+00:00");
    }

    #[test]
    fn each_wrong_field_is_named() {
        let fields = |json: &str| check(json).unwrap_err().0.into_iter().map(|e| e.field).collect::<Vec<_>>();
        assert_eq!(
            fields(r#"{"event":{"events_id":"no.such","object_id":true,"dt":"yesterday"},"data":[],"ordering_key":""}"#),
            ["event.events_id", "event.object_id", "event.dt", "data", "ordering_key"]
        );
        for object_id in ["null", "[]", "{}", "\"\"", "\"a\\u0000b\""] {
            let json = format!(r#"{{"event":{{"events_id":"clients.create","object_id":{object_id}}},"data":{{}}}}"#);
            assert_eq!(fields(&json), ["event.object_id"], "{object_id}");
        }
        for dt in ["2026-03-04T09:15:27", "2026-03-04 09:15:27+00:00", "2026-02-30T00:00:00Z", "1709543727", ""] {
            let json = format!(r#"{{"event":{{"events_id":"clients.create","object_id":1,"dt":"{dt}"}},"data":{{}}}}"#);
            assert_eq!(fields(&json), ["event.dt"], "{dt}");
        }
    }
}
