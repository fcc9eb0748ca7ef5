//! The catalogue: titles of events, and the list to choose one from.

use maud::{Markup, html};
use serde::Deserialize;

use super::field::{described, field};
use crate::client::{ApiClient, Result};

/// The most event types that are read.
const TYPES_MAX: usize = 5000;

/// An entry of the catalogue.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct EventType {
    pub(crate) id: String,
    pub(crate) group: String,
    pub(crate) action: String,
    pub(crate) title: String,
}

/// The catalogue in its order.
#[derive(Debug, Clone)]
pub(crate) struct EventTypes(Vec<EventType>);

impl EventTypes {
    /// What the API has.
    ///
    /// # Errors
    /// What the API refuses with.
    pub(crate) async fn read(api: &ApiClient) -> Result<Self> {
        api.list("/v1/event-types", TYPES_MAX).await.map(Self)
    }

    /// The title of an event: `Clients: create`; its id where the catalogue does not have it.
    pub(crate) fn title<'a>(&'a self, id: &'a str) -> &'a str {
        self.0.iter().find(|known| known.id == id).map_or(id, |known| known.title.as_str())
    }

    /// The id of the first.
    pub(crate) fn first(&self) -> Option<&str> {
        self.0.first().map(|known| known.id.as_str())
    }

    /// A choice, grouped. `none` is what stands for no event.
    pub(crate) fn select(&self, name: &str, label: &str, value: &str, none: &str, error: Option<&str>) -> Markup {
        let mut groups: Vec<(&str, Vec<&EventType>)> = Vec::new();
        for known in &self.0 {
            match groups.iter_mut().find(|(group, _)| *group == known.group) {
                Some((_, of)) => of.push(known),
                None => groups.push((&known.group, vec![known])),
            }
        }
        let is_known = value.is_empty() || self.0.iter().any(|known| known.id == value);
        let input = html! {
            select id=(name) name=(name) aria-invalid=[error.map(|_| "true")] aria-describedby=[described(name, false, error.is_some())] {
                option value="" { (none) }
                // What was asked for stays, so that its error is beside it.
                @if !is_known { option value=(value) selected { (value) } }
                @for (group, of) in groups {
                    optgroup label=(group) {
                        @for known in of {
                            option value=(known.id) selected[known.id == value] { (group) ": " (known.action) }
                        }
                    }
                }
            }
        };
        field(name, label, &input, None, error)
    }
}
