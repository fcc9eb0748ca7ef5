//! What is published.

use std::fmt::Write as _;
use std::ops::Range;

/// The type of all events.
pub(crate) const EVENT: &str = "clients.update";
/// What stands before an event's number in a body, also in the one that a handler gets.
pub(crate) const NUMBER: &str = r#""n":"#;

/// Which object an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Objects {
    /// One after the other of so many.
    Spread(usize),
    /// Every other event is about object 0, the rest about so many others in turn.
    Hot(usize),
}

impl Objects {
    fn of(self, number: usize) -> usize {
        match self {
            Self::Spread(objects) => number % objects,
            Self::Hot(_) if self.is_hot(number) => 0,
            Self::Hot(others) => 1 + number / 2 % others,
        }
    }

    /// Whether the event with this number is one of the hot object.
    pub(crate) fn is_hot(self, number: usize) -> bool {
        matches!(self, Self::Hot(_)) && number.is_multiple_of(2)
    }
}

/// One event with its number: about 290 bytes, as events of a billing platform are.
pub(crate) fn event(number: usize, objects: Objects) -> String {
    let mut text = String::with_capacity(320);
    write_event(&mut text, number, objects);
    text
}

/// Several in one envelope.
pub(crate) fn batch(numbers: Range<usize>, objects: Objects) -> String {
    let mut text = String::with_capacity(16 + 320 * numbers.len());
    text.push_str(r#"{"events":["#);
    for number in numbers.clone() {
        if number > numbers.start {
            text.push(',');
        }
        write_event(&mut text, number, objects);
    }
    text.push_str("]}");
    text
}

fn write_event(text: &mut String, number: usize, objects: Objects) {
    let object = objects.of(number);
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        r#"{{"event":{{"events_id":"{EVENT}","object_id":{object},"dt":"2026-03-04T09:15:27+00:00"}},"data":{{{NUMBER}{number},"id":{object},"name":"Northwind Voice Ltd","companies_id":3,"currencies_id":1,"status":"active","credit":250.0,"c_email_billing":"ap@northwind.example","orig_capacity":60,"tags":["wholesale"]}}}}"#
    );
}

/// The number of the event that a body has.
pub(crate) fn number_in(body: &[u8]) -> Option<usize> {
    let at = body.windows(NUMBER.len()).position(|window| window == NUMBER.as_bytes())? + NUMBER.len();
    let digits = body[at..].iter().take_while(|byte| byte.is_ascii_digit());
    let mut number = None;
    for digit in digits {
        number = Some(number.unwrap_or(0_usize).checked_mul(10)?.checked_add(usize::from(digit - b'0'))?);
    }
    number
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn events_are_json_of_the_usual_size() {
        let text = event(4711, Objects::Spread(1000));
        let json: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&json["event"]["object_id"], &json["data"]["n"]), (&711.into(), &4711.into()));
        assert!((270..320).contains(&text.len()), "{}", text.len());
        assert_eq!(number_in(text.as_bytes()), Some(4711));
    }

    #[test]
    fn a_batch_has_each_of_its_events() {
        let json: Value = serde_json::from_str(&batch(5..8, Objects::Spread(10))).unwrap();
        let numbers: Vec<_> = json["events"].as_array().unwrap().iter().map(|event| event["data"]["n"].clone()).collect();
        assert_eq!(numbers, [5, 6, 7]);
    }

    #[test]
    fn numbers_are_found_in_what_a_handler_gets() {
        assert_eq!(number_in(br#"{"event":{"object_id":7},"data":{"n":0}}"#), Some(0));
        assert_eq!(number_in(br#"{"event":{"object_id":7},"data":{}}"#), None);
        assert_eq!(number_in(br#"{"data":{"n":}}"#), None);
        assert_eq!(number_in(br#"{"data":{"n":99999999999999999999999}}"#), None);
    }

    #[test]
    fn half_of_the_events_are_of_the_hot_object() {
        let hot = Objects::Hot(3);
        assert_eq!((0..8).map(|number| hot.of(number)).collect::<Vec<_>>(), [0, 1, 0, 2, 0, 3, 0, 1]);
        assert!(!Objects::Spread(3).is_hot(0));
    }
}
