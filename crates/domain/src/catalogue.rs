//! The catalogue of event types: one table, from which the API, the console and the docs are fed.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::field_error::FieldErrors;
use crate::limits::{EVENTS_ID_MAX, NAME_MAX};

/// An entry of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventType {
    /// What travels on the wire: `clients.create`.
    pub id: String,
    /// The group under which an operator finds it: `Clients`.
    pub group: String,
    /// What happened, the last part of the id as a word: `create`.
    pub action: String,
    /// Group and action as an operator reads them: `Clients: create`.
    pub title: String,
    /// The kind of object it happens to, the first half of the ordering key: `client`.
    pub object_kind: String,
    /// Older spellings, accepted wherever an id is given.
    pub aliases: Vec<String>,
    /// Whether an operator added it.
    pub custom: bool,
}

struct Row(&'static str, &'static str, &'static str, &'static str, &'static [&'static str]);

const CLIENTS: &str = "Clients";
const ACCOUNTS: &str = "Accounts";
const PACKAGES: &str = "Clients Packages";

/// Group, action, object kind, id, aliases.
const BUILT_IN: &[Row] = &[
    Row(CLIENTS, "create", "client", "clients.create", &[]),
    Row(CLIENTS, "update", "client", "clients.update", &[]),
    Row(CLIENTS, "delete", "client", "clients.delete", &[]),
    Row(CLIENTS, "archive", "client", "clients.archive", &[]),
    Row(CLIENTS, "custom fields update", "client", "clients.custom_fields.update", &["clients.custom_fields_update"]),
    Row(CLIENTS, "balance became >=0", "client", "clients.balance_notzero", &[]),
    Row(CLIENTS, "balance became <=0", "client", "clients.balance_zero", &[]),
    Row(ACCOUNTS, "create", "account", "clients.accounts.create", &["accounts.create"]),
    Row(ACCOUNTS, "update", "account", "clients.accounts.update", &["accounts.update"]),
    Row(ACCOUNTS, "delete", "account", "clients.accounts.delete", &["accounts.delete"]),
    Row(PACKAGES, "assign", "subscription", "clients.subscriptions.assign", &["clients_packages.assign"]),
    Row(PACKAGES, "activate", "subscription", "clients.subscriptions.activate", &["clients_packages.activate"]),
    Row(PACKAGES, "deactivate", "subscription", "clients.subscriptions.deactivate", &["clients_packages.deactivate"]),
    Row(PACKAGES, "renew", "subscription", "clients.subscriptions.renew", &["clients_packages.renew"]),
    Row(PACKAGES, "close", "subscription", "clients.subscriptions.close", &["clients_packages.close"]),
];

/// All event types, the built-in ones and the operators' own, found by id or alias.
#[derive(Debug, Clone)]
pub struct Catalogue {
    types: Vec<EventType>,
    by_name: HashMap<String, usize>,
}

impl Default for Catalogue {
    fn default() -> Self {
        Self::with_custom([])
    }
}

impl Catalogue {
    /// The built-in types, then the operators' own in the order given.
    #[must_use]
    pub fn with_custom(custom: impl IntoIterator<Item = EventType>) -> Self {
        let built_in = BUILT_IN.iter().map(|&Row(group, action, kind, id, aliases)| EventType {
            id: id.into(),
            group: group.into(),
            action: action.into(),
            title: format!("{group}: {action}"),
            object_kind: kind.into(),
            aliases: aliases.iter().map(|&a| a.into()).collect(),
            custom: false,
        });
        let types: Vec<_> = built_in.chain(custom).collect();
        let mut by_name = HashMap::new();
        for (index, entry) in types.iter().enumerate() {
            by_name.entry(entry.id.clone()).or_insert(index);
            for alias in &entry.aliases {
                by_name.entry(alias.clone()).or_insert(index);
            }
        }
        Self { types, by_name }
    }

    /// The type with this id or alias.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&EventType> {
        self.by_name.get(name).and_then(|&index| self.types.get(index))
    }

    /// Like [`Self::find`].
    ///
    /// # Errors
    /// A sentence for the person who gave the name.
    pub fn resolve(&self, name: &str) -> Result<&EventType, String> {
        self.find(name).ok_or_else(|| {
            format!("'{name}' is not in the event catalogue; GET /v1/event-types lists it, POST /v1/event-types adds to it")
        })
    }

    /// Every type, the built-in ones first.
    #[must_use]
    pub fn types(&self) -> &[EventType] {
        &self.types
    }
}

impl EventType {
    /// An operator's own event type, checked against the catalogue it joins.
    ///
    /// # Errors
    /// Every field that is refused: `id`, `group`, `action`, `title`, `object_kind`.
    pub fn custom(
        catalogue: &Catalogue,
        id: &str,
        group: &str,
        action: Option<&str>,
        title: Option<&str>,
        object_kind: &str,
    ) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::default();
        if !is_events_id(id) {
            errors.push("id", format!("must be lower-case words joined by dots, such as 'orders.paid' ([a-z0-9_]+(\\.[a-z0-9_]+)+), at most {EVENTS_ID_MAX} characters"));
        } else if catalogue.find(id).is_some() {
            errors.push("id", format!("'{id}' is in the catalogue already, as an id or as an older spelling"));
        }
        if !is_word(object_kind) {
            errors.push("object_kind", "must be a word of a to z, 0 to 9 and _, such as 'client', at most 64 characters");
        }
        let action = action.unwrap_or_else(|| id.rsplit('.').next().unwrap_or(id));
        let default_title = format!("{group}: {action}");
        let title = title.unwrap_or(&default_title);
        for (field, value) in [("group", group), ("action", action), ("title", title)] {
            if value.trim().is_empty() || value.chars().count() > NAME_MAX || value.chars().any(char::is_control) {
                errors.push(field, format!("must be 1 to {NAME_MAX} characters of one line"));
            }
        }
        errors.or(Self {
            id: id.into(),
            group: group.into(),
            action: action.into(),
            title: title.into(),
            object_kind: object_kind.into(),
            aliases: Vec::new(),
            custom: true,
        })
    }
}

fn is_word_part(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn is_word(word: &str) -> bool {
    is_word_part(word) && word.len() <= 64
}

fn is_events_id(id: &str) -> bool {
    id.len() <= EVENTS_ID_MAX && id.contains('.') && id.split('.').all(is_word_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_spellings_lead_to_the_id_that_is_stored() {
        let catalogue = Catalogue::default();
        let stored = |name: &str| catalogue.find(name).map(|t| t.id.as_str());
        assert_eq!(stored("clients.custom_fields_update"), Some("clients.custom_fields.update"));
        for action in ["create", "update", "delete"] {
            assert_eq!(stored(&format!("accounts.{action}")), Some(format!("clients.accounts.{action}").as_str()));
        }
        for action in ["assign", "activate", "deactivate", "renew", "close"] {
            assert_eq!(stored(&format!("clients_packages.{action}")), Some(format!("clients.subscriptions.{action}").as_str()));
        }
        assert_eq!(stored("clients.unknown"), None);
    }

    #[test]
    fn every_built_in_id_is_well_formed_and_unique() {
        let catalogue = Catalogue::default();
        assert_eq!(catalogue.types().len(), 15);
        let mut names: Vec<_> = catalogue.types().iter().flat_map(|t| std::iter::once(&t.id).chain(&t.aliases)).collect();
        assert!(names.iter().all(|n| is_events_id(n)));
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 15 + 9);
    }

    #[test]
    fn custom_types_are_checked() {
        let catalogue = Catalogue::default();
        let custom = |id: &str, kind: &str| EventType::custom(&catalogue, id, "Orders", None, None, kind);
        let paid = custom("orders.paid", "order").unwrap();
        assert_eq!((paid.title.as_str(), paid.action.as_str(), paid.custom), ("Orders: paid", "paid", true));
        for bad in
            ["orders", "Orders.paid", "orders..paid", ".paid", "orders.", "orders.paid!", "clients.create", "accounts.create"]
        {
            assert_eq!(custom(bad, "order").unwrap_err().0[0].field, "id", "{bad}");
        }
        assert!(custom(&format!("orders.{}", "x".repeat(EVENTS_ID_MAX)), "order").is_err());
        assert_eq!(custom("orders.paid", "an order").unwrap_err().0[0].field, "object_kind");
    }
}
