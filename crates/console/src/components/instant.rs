//! Instants that are searched by. Without scripts they are typed in UTC; a script puts the reader's zone in its place.

use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};
use maud::{Markup, html};

use super::field::{described, field};

/// What browsers send: with seconds, or without where they are 0.
const TYPED: [&str; 3] = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%.f"];

/// An instant as it is typed, as the API takes it. What is none stays as it is: the API says what is wrong with it.
pub(crate) fn for_api(typed: &str) -> String {
    parse(typed).map_or_else(|| typed.trim().to_owned(), |instant| instant.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

fn parse(typed: &str) -> Option<DateTime<Utc>> {
    let typed = typed.trim();
    let local = || TYPED.iter().find_map(|form| NaiveDateTime::parse_from_str(typed, form).ok()).map(|at| at.and_utc());
    // A plus sign that was not escaped arrives as a space.
    DateTime::parse_from_rfc3339(&typed.replace(' ', "+")).map(|at| at.to_utc()).ok().or_else(local)
}

/// A field for an instant.
pub(crate) fn shown(name: &str, label: &str, value: &str, error: Option<&str>) -> Markup {
    let value = parse(value).map(|at| at.format("%Y-%m-%dT%H:%M:%S").to_string()).unwrap_or_default();
    let input = html! {
        input id=(name) name=(name) type="datetime-local" step="1" value=(value) data-utc=(label) aria-invalid=[error.map(|_| "true")]
            aria-describedby=[described(name, false, error.is_some())];
    };
    field(name, &format!("{label}, UTC"), &input, None, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_browsers_send_and_what_links_carry_is_taken() {
        for (typed, taken) in [
            ("2026-03-04T11:02", "2026-03-04T11:02:00Z"),
            (" 2026-03-04T11:02:33 ", "2026-03-04T11:02:33Z"),
            ("2026-03-04T11:02:33.481Z", "2026-03-04T11:02:33.481Z"),
            ("2026-03-04T11:02:33 02:00", "2026-03-04T09:02:33Z"),
            ("yesterday", "yesterday"),
            ("", ""),
        ] {
            assert_eq!(for_api(typed), taken);
        }
    }
}
