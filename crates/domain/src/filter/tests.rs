//! Filters: what they want, what they cannot say, what is refused.

use proptest::prelude::*;

use super::*;

const BODY: &str = r#"{"event":{"dt":"2026-03-04T09:15:27+00:00","events_id":"clients.balance_zero","object_id":4107},
    "data":{"balance":-0.5,"credit":250,"tags":["wholesale","vip"],"manager":null,"owner":{"name":"Northwind"},"id":18446744073709551615}}"#;

fn wants(text: &str) -> Result<bool, String> {
    Filter::compile(text)?.wants(BODY.as_bytes())
}

#[test]
fn conditions_are_asked_of_the_envelope() {
    let yes = [
        "data.balance < 0",
        "data.credit == 250 && data.credit + 50 > 299",
        "data.credit > 249.5",
        "event.object_id == 4107",
        "event.events_id.startsWith('clients.')",
        "'vip' in data.tags",
        "data.tags.exists(t, t == 'vip')",
        "size(data.tags) == 2",
        "data.manager == null",
        "has(data.owner) && data.owner.name.matches('^North')",
        "!has(data.missing)",
        "!has(data.missing) || data.missing > 1",
        "data['credit'] in [250, 300]",
        "data.id > 0",
        "{'a': 1}['a'] == 1",
        "has(data.credit) && data.credit > 100 && !(event.object_id in [1, 2])",
        "double('-0.5') < 0.0",
        "data.tags.exists_one(t, t in ['vip', 'gold'])",
        "data.tags.all(t, size(t) < data.credit)",
        "data.tags.filter(t, t.startsWith('v')).size() == 1",
    ];
    for text in yes {
        assert_eq!(wants(text), Ok(true), "{text}");
    }
    for text in ["data.balance > 0", "event.object_id == '4107'", "has(data.missing) && data.missing == 1", "false"] {
        assert_eq!(wants(text), Ok(false), "{text}");
    }
}

#[test]
fn work_that_grows_with_the_square_is_for_small_events() {
    let event = |length: usize| {
        let list = vec!["1"; length].join(",");
        format!(r#"{{"event":{{"dt":"","events_id":"clients.create","object_id":1}},"data":{{"l":[{list}],"s":"x"}}}}"#)
    };
    for square in ["data.l.all(x, !(2 in data.l))", "data.l.map(x, data.l).size() > 0", "data.l.all(x, data.s.contains('x'))"] {
        let filter = Filter::compile(square).unwrap();
        assert_eq!(filter.wants(event(1000).as_bytes()), Ok(true), "{square}");
        let error = filter.wants(event(100_000).as_bytes()).unwrap_err();
        assert!(error.contains("at most 8 KiB"), "{square}: {error}");
    }
    // The range of a macro is looked at once, and what is behind it as well.
    for linear in
        ["data.l.all(x, x == 1)", "data.l.exists(x, x == 1) && data.s == 'x'", "data.l.filter(x, x == 1).size() == 100000"]
    {
        assert_eq!(Filter::compile(linear).unwrap().wants(event(100_000).as_bytes()), Ok(true), "{linear}");
    }
}

#[test]
fn what_cannot_be_said_of_an_event_is_an_error_with_a_reason() {
    let reasons = [
        ("data.missing == 1", "the event has no 'missing'; has(…) asks whether a field is there"),
        ("data.credit", "it gives int, not true or false"),
        ("data.owner", "it gives map, not true or false"),
        ("data.credit / 0 == 1", "divides by zero"),
        ("data.tags[7] == 'x'", "fewer elements"),
        ("data.credit + data.owner.name == 1", "cannot be done with int and string"),
        ("data.tags < 1", "no matching overload"),
    ];
    for (text, reason) in reasons {
        let error = wants(text).unwrap_err();
        assert!(error.contains(reason) && !error.contains('\n'), "{text}: {error}");
    }
}

#[test]
fn what_no_event_could_satisfy_is_refused_when_it_is_saved() {
    let refused = [
        ("", "must be an expression"),
        ("  ", "must be an expression"),
        ("data.balance <", "cannot be read at line 1, column 15"),
        ("datum.balance < 0", "does not know 'datum'; there are event and data"),
        ("event.id == 1", "does not know 'event.id'"),
        ("now() > 1", "does not know the function 'now'"),
        ("timestamp(event.dt) > 1", "does not know the function 'timestamp'"),
        ("data.tags.all(t, data.tags.all(u, u == t))", "within another"),
        ("data.tags.map(t, t).exists(t, x == t)", "does not know 'x'"),
        ("Thing{a: 1} == 1", "cannot make"),
        ("data.owner.name.matches('(')", "unclosed group"),
        ("data.owner.name.matches(data.pattern)", "a pattern in quotes"),
        ("data.tags.map(t, t + t).size() > 0", "must not add within a macro"),
        ("data.tags.map(t, [t, t]).size() > 0", "must not build lists"),
        ("data.a.map(t, t).map(t, t).map(t, t).map(t, t).map(t, t).size() > 0", "more than 4"),
        ("data.a + data.a + data.a + data.a + data.a + data.a + data.a + data.a + data.a + data.a == 'x'", "more than 8 times"),
    ];
    for (text, reason) in refused {
        let error = Filter::compile(text).unwrap_err();
        assert!(error.contains(reason), "{text}: {error}");
    }
    let long = format!("data.a == '{}'", "x".repeat(FILTER_MAX));
    assert!(Filter::compile(&long).is_err());
    for deep in [format!("{}1{} == 1", "(".repeat(900), ")".repeat(900)), format!("data{} == 1", ".a".repeat(900))] {
        assert!(Filter::compile(&deep).is_err());
    }
    assert!(Filter::compile(&["data.a == 1"; 100].join(" || ")).is_ok());
}

proptest! {
    #[test]
    fn any_text_is_refused_or_asked_without_a_panic(text in "[ -~]{0,60}", tokens in proptest::collection::vec(
        proptest::sample::select(vec!["data", "event", ".", "a", "(", ")", "[", "]", "==", "<", "&&", "!", "1", "'x'", "has", ",", "?", ":", "-", "{", "}"]), 0..20)) {
        for text in [text, tokens.join(" ")] {
            if let Ok(filter) = Filter::compile(&text) {
                let _ = filter.wants(BODY.as_bytes());
            }
        }
    }
}
