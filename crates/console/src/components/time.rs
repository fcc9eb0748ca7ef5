//! Instants and durations. The server writes UTC; a script puts the reader's zone in its place.

use chrono::{DateTime, SecondsFormat, Utc};
use maud::{Markup, html};

/// An instant, to the second: `2026-03-04 11:02:33 UTC`.
pub(crate) fn at(instant: DateTime<Utc>) -> Markup {
    html! { time datetime=(exact(instant)) data-show="at" title=(exact(instant)) { (instant.format("%Y-%m-%d %H:%M:%S UTC")) } }
}

/// The same in a table of hundreds, without the exact instant to point at, which would say it once more.
pub(crate) fn plain(instant: DateTime<Utc>) -> Markup {
    let seconds = instant.to_rfc3339_opts(SecondsFormat::Secs, true);
    html! { time datetime=(seconds) data-show="at" { (instant.format("%Y-%m-%d %H:%M:%S UTC")) } }
}

/// How long ago an instant was: `12 s ago`. The exact instant is there when it is pointed at.
pub(crate) fn ago(instant: DateTime<Utc>) -> Markup {
    let seconds = (Utc::now() - instant).num_seconds();
    html! { time datetime=(exact(instant)) data-show="ago" title=(exact(instant)) { (apart(seconds)) } }
}

/// When something is due: `in 12 s`, then `due`.
pub(crate) fn next(instant: DateTime<Utc>) -> Markup {
    let seconds = (Utc::now() - instant).num_seconds();
    let said = if instant > Utc::now() { apart(seconds.min(-1)) } else { "due".to_owned() };
    html! { time datetime=(exact(instant)) data-show="next" title=(exact(instant)) { (said) } }
}

fn exact(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// `12 s ago`, `in 20 s`.
fn apart(seconds: i64) -> String {
    match seconds {
        0 => "just now".into(),
        1.. => format!("{} ago", rough(seconds.unsigned_abs())),
        _ => format!("in {}", rough(seconds.unsigned_abs())),
    }
}

/// A span of time in its largest unit: `84 s` is `1 min`.
fn rough(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// How long something took: `84 ms`, `1.2 s`, `3 min 5 s`.
pub(crate) fn took(ms: i64) -> String {
    match ms {
        ..1000 => format!("{ms} ms"),
        1000..60_000 => format!("{} s", tenths(ms)),
        _ => span(ms.unsigned_abs()),
    }
}

fn tenths(ms: i64) -> String {
    let text = format!("{:.1}", ms as f64 / 1000.0);
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// A span of time as a person would say it, in its two largest units: `1 h 8 min`, `1.5 s`.
pub(crate) fn span(ms: u64) -> String {
    if ms < 1000 {
        return format!("{ms} ms");
    }
    if ms < 60_000 {
        return format!("{} s", tenths(ms.cast_signed()));
    }
    let seconds = ms / 1000;
    let units = [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s")];
    let largest = units.iter().position(|(number, _)| *number > 0).unwrap_or(units.len() - 1);
    let said = units.iter().skip(largest).take(2).filter(|(number, _)| *number > 0);
    said.map(|(number, unit)| format!("{number} {unit}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_as_a_person_would() {
        for (ms, said) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1000, "1 s"),
            (1500, "1.5 s"),
            (59_000, "59 s"),
            (60_000, "1 min"),
            (68_000, "1 min 8 s"),
            (3_600_000, "1 h"),
            (4_096_000, "1 h 8 min"),
            (86_400_000, "1 d"),
            (90_061_000, "1 d 1 h"),
        ] {
            assert_eq!(span(ms), said);
        }
        assert_eq!(took(84), "84 ms");
        assert_eq!(took(1234), "1.2 s");
        assert_eq!(apart(-20), "in 20 s");
        assert_eq!(apart(7200), "2 h ago");
    }
}
