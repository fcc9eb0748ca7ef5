//! What rolling back would change: the differences of all later generations, taken back one after the other.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::components::changes::{Changed, Changes, Field, Named};

/// What becomes of one handler.
enum Net {
    /// It is live and was not.
    Gone(String),
    /// It was live and is not.
    Back(String),
    /// It is live and was, with other fields: live, and as it was.
    Other(String, BTreeMap<String, (Value, Value)>),
    /// It was removed and added anew in between.
    Anew(String),
}

/// What stands for a value that is never shown, and for another one in its place.
const SET: &str = "set";
const SET_ANEW: &str = "set to another value";

/// What would change if everything in `later` were taken back: the differences of the generations behind the one to go back to, from the live
/// one on. `live` is what is live now, `saved` what would be again. Of a handler that was removed and added anew in between, the
/// fields in which it differs are not known; it is there as one that is changed, without fields.
pub(super) fn undone<'a>(later: impl IntoIterator<Item = &'a Changes>) -> Changes {
    let mut net = BTreeMap::new();
    for changes in later {
        take_back(&mut net, changes);
    }
    let mut all = Changes::default();
    for (id, net) in net {
        match net {
            Net::Gone(name) => all.removed.push(Named { id, name }),
            Net::Back(name) => all.added.push(Named { id, name }),
            Net::Other(name, fields) => {
                let fields = fields.into_iter().map(|(field, (live, saved))| shown(field, live, saved)).collect();
                all.changed.push(Changed { id, name, fields });
            }
            Net::Anew(name) => all.changed.push(Changed { id, name, fields: Vec::new() }),
        }
    }
    all
}

fn is_hidden(field: &str, value: &Value) -> bool {
    let write_only = field == "secret" || ["headers.", "auth.", "tls."].iter().any(|prefix| field.starts_with(prefix));
    write_only && (value == SET || value == SET_ANEW)
}

/// Values that are not shown look alike and may differ.
fn shown(field: String, live: Value, saved: Value) -> Field {
    let (was, is) = (is_hidden(&field, &saved), is_hidden(&field, &live));
    let saved = if was { Value::from(if is { SET_ANEW } else { SET }) } else { saved };
    Field { live: if is { SET.into() } else { live }, saved, field }
}

fn take_back(net: &mut BTreeMap<i64, Net>, changes: &Changes) {
    for Named { id, name } in &changes.added {
        match net.remove(id) {
            // It came and went in between.
            Some(Net::Back(_)) => {}
            Some(Net::Gone(name) | Net::Other(name, _) | Net::Anew(name)) => drop(net.insert(*id, Net::Gone(name))),
            None => drop(net.insert(*id, Net::Gone(name.clone()))),
        }
    }
    for Named { id, name } in &changes.removed {
        match net.remove(id) {
            Some(Net::Gone(name)) => drop(net.insert(*id, Net::Anew(name))),
            _ => drop(net.insert(*id, Net::Back(name.clone()))),
        }
    }
    for Changed { id, name, fields } in &changes.changed {
        let Net::Other(_, known) = net.entry(*id).or_insert_with(|| Net::Other(name.clone(), BTreeMap::new())) else { continue };
        for Field { field, live, saved } in fields {
            known.entry(field.clone()).and_modify(|(_, was)| *was = live.clone()).or_insert((saved.clone(), live.clone()));
        }
        known.retain(|field, (now, was)| now != was || is_hidden(field, now));
        if known.is_empty() {
            net.remove(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn changes(value: Value) -> Changes {
        serde_json::from_value(value).unwrap()
    }

    fn edit(field: &str, live: impl Into<Value>, saved: impl Into<Value>) -> Changes {
        let fields = json!([{"field": field, "live": live.into(), "saved": saved.into()}]);
        changes(json!({"added": [], "removed": [], "changed": [{"id": 1, "name": "CRM", "fields": fields}]}))
    }

    fn added(id: i64) -> Changes {
        changes(json!({"added": [{"id": id, "name": "CRM"}], "removed": [], "changed": []}))
    }

    fn removed(id: i64) -> Changes {
        changes(json!({"added": [], "removed": [{"id": id, "name": "CRM"}], "changed": []}))
    }

    #[test]
    fn edits_are_joined_and_turned_round() {
        let all = undone([&edit("priority", json!(9), json!(10)), &edit("priority", json!(8), json!(9))]);
        let field = &all.changed[0].fields[0];
        assert_eq!((&field.live, &field.saved, all.len()), (&json!(10), &json!(8), 1));
        assert_eq!(undone([&edit("priority", json!(9), json!(8)), &edit("priority", json!(8), json!(9))]).len(), 0);
    }

    #[test]
    fn values_that_are_not_shown_may_differ() {
        let (unset, set, anew) = (|| json!(null), || json!(SET), || json!(SET_ANEW));
        let of = |later: &[&Changes]| {
            let all = undone(later.iter().copied());
            let field = all.changed[0].fields[0].clone();
            (field.live, field.saved)
        };
        let replaced = edit("headers.X", set(), anew());
        assert_eq!(of(&[&replaced]), (set(), anew()));
        assert_eq!(of(&[&replaced, &edit("headers.X", unset(), set())]), (set(), unset()));
        assert_eq!(of(&[&edit("headers.X", unset(), set()), &edit("headers.X", set(), unset())]), (set(), anew()));
        assert_eq!(of(&[&edit("headers.X", set(), unset())]), (unset(), set()));
    }

    #[test]
    fn what_came_goes_and_what_went_comes_back() {
        assert_eq!(undone([&added(1)]).summary(), "1 removed");
        assert_eq!(undone([&removed(1)]).summary(), "1 added");
        assert_eq!(undone([&removed(1), &added(1)]).len(), 0);
        assert_eq!(undone([&edit("priority", json!(1), json!(2)), &added(1)]).summary(), "1 removed");
        assert_eq!(undone([&removed(1), &edit("priority", json!(1), json!(2))]).summary(), "1 added");
        assert_eq!(undone([&added(1), &removed(1)]).summary(), "1 changed", "which fields is not known");
    }
}
