//! Events: the samples as they are published, and what handlers get.

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::value::RawValue;

const SAMPLES: &str = include_str!("events.json");

/// An event, its parts as the JSON has them to the letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) events_id: String,
    /// JSON: `4107` or `"4107"`.
    pub(super) object_id: String,
    pub(super) dt: String,
    /// The JSON text of an object.
    pub(super) data: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    event: Head,
    data: Box<RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    events_id: String,
    object_id: Box<RawValue>,
    dt: String,
}

impl Event {
    /// Reads the body of a publication or of a call; an error when there is anything else in it.
    pub(super) fn parse(body: &str) -> Result<Self> {
        let Body { event: Head { events_id, object_id, dt }, data } =
            serde_json::from_str(body).with_context(|| format!("not the body of an event: {body}"))?;
        Ok(Self { events_id, object_id: object_id.get().to_owned(), dt, data: data.get().to_owned() })
    }

    /// Whether both are about the same happening, whatever they say about it.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (&self.events_id, &self.object_id, &self.dt) == (&other.events_id, &other.object_id, &other.dt)
    }

    /// How a person calls it.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.events_id, self.object_id)
    }
}

/// The bodies of the sample events, one line each, in the order in which they are published.
pub(super) fn samples() -> Result<Vec<String>> {
    let samples: Vec<Box<RawValue>> = serde_json::from_str(SAMPLES).context("the sample events are not a JSON array")?;
    Ok(samples.iter().map(|sample| one_line(sample.get())).collect())
}

/// JSON without its line breaks and the indents after them; neither can be part of a string in it.
fn one_line(json: &str) -> String {
    json.lines().map(str::trim).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn samples_lose_nothing_but_their_line_breaks() {
        let samples = samples().unwrap();
        let read: Vec<Value> = samples.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
        assert_eq!(Value::from(read), serde_json::from_str::<Value>(SAMPLES).unwrap());
        assert!(samples.iter().all(|text| !text.contains('\n')));
        assert!(samples[0].contains(r#""credit": 250.0,"payment_terms_id": 2"#), "{}", samples[0]);
    }

    #[test]
    fn samples_are_events_that_can_be_told_apart() {
        let events: Vec<_> = samples().unwrap().iter().map(|text| Event::parse(text).unwrap()).collect();
        for (place, event) in events.iter().enumerate() {
            assert_eq!(events.iter().position(|other| other.is_same(event)), Some(place), "{}", event.name());
        }
    }

    #[test]
    fn an_event_is_read_to_the_letter_and_nothing_else_is() {
        let body = r#"{"event":{"dt":"2026-03-04T09:15:27+00:00","events_id":"a.b","object_id":"7"},"data":{ "x":1.50 }}"#;
        let event = Event::parse(body).unwrap();
        assert_eq!((event.object_id.as_str(), event.data.as_str()), (r#""7""#, r#"{ "x":1.50 }"#));
        assert_eq!(event.name(), r#"a.b "7""#);
        assert!(Event::parse(&body.replace("\"data\"", "\"extra\":1,\"data\"")).is_err());
        assert!(Event::parse(&body.replace("\"dt\"", "\"id\":1,\"dt\"")).is_err());
        let other = Event::parse(&body.replace("1.50", "1.5")).unwrap();
        assert!(other.is_same(&event) && other != event);
    }
}
