//! What the buttons of the list do.

use std::collections::HashMap;

use axum::extract::{Query, State};
use axum::http::Method;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::PATH;
use super::model::Handler;
use super::order::{Place, behind, moved};
use crate::client::{ApiClient, ApiError};
use crate::components::id::Id;
use crate::flash::Flash;
use crate::form::Form;
use crate::layout::count;
use crate::sign_in::own_page;
use crate::state::Console;

/// The most handlers of one event that can be put in order.
const CHAIN_MAX: usize = 2000;

/// Where to go afterwards.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Back {
    back: String,
}

/// The page that a form names, if it is the console's own.
pub(super) fn way_back<'a>(back: &'a Back, otherwise: &'a str) -> &'a str {
    own_page(&back.back).unwrap_or(otherwise)
}

#[derive(Deserialize)]
pub(super) struct To {
    to: String,
}

/// `POST /console/provisioning/{id}/toggle?to=disabled`: sent twice, it still does it once.
pub(super) async fn toggle(
    State(console): State<Console>,
    Id(id): Id,
    Query(To { to }): Query<To>,
    Form(back): Form<Back>,
) -> Response {
    let flash = toggled(&console.api, id, &to).await.unwrap_or_else(|error| Flash::bad(reason(&error)));
    flash.and_go(&console.key, way_back(&back, PATH))
}

async fn toggled(api: &ApiClient, id: i64, to: &str) -> Result<Flash, ApiError> {
    if to != "enabled" && to != "disabled" {
        return Ok(Flash::bad("A handler is switched between enabled and disabled; into and out of the archive leads its form."));
    }
    let path = format!("/v1/handlers/{id}");
    let mut handler: Handler = api.get(&path).await?;
    if handler.status != to {
        handler = api.order(&format!("{path}/toggle"), Some(handler.version)).await?;
    }
    Ok(Flash::good(format!("{} is {}. {}", handler.name, handler.status, when(&handler))))
}

/// When what was saved goes live.
pub(super) fn when(handler: &Handler) -> &'static str {
    match handler.live.as_str() {
        "live" => "That is what is live.",
        "off" => "It was not live.",
        _ => "It goes live with the next restart of the Cache Manager.",
    }
}

/// What is asked before a handler is deleted.
pub(super) fn deletion(handler: &Handler) -> Markup {
    html! {
        "Delete " b { (handler.name) } " for good? Its executions stay in the log."
        @if handler.live != "off" && handler.live != "new" { " It is called until the Cache Manager is restarted." }
    }
}

/// What went wrong, in a sentence: of refused fields what is wrong with them.
pub(super) fn reason(error: &ApiError) -> String {
    if error.is("version_mismatch") {
        return "Somebody else has just edited this handler. Nothing was changed: look at it as it is now.".into();
    }
    error.to_string()
}

#[derive(Deserialize)]
pub(super) struct Priority {
    #[serde(default)]
    priority: String,
    #[serde(flatten)]
    back: Back,
}

/// `POST /console/provisioning/{id}/priority`
pub(super) async fn set_priority(State(console): State<Console>, Id(id): Id, Form(sent): Form<Priority>) -> Response {
    let typed = sent.priority.trim();
    let value = typed.parse::<i64>().map_or_else(|_| json!(typed), |number| json!(number));
    let flash = prioritised(&console.api, id, &value).await.unwrap_or_else(|error| Flash::bad(reason(&error)));
    flash.and_go(&console.key, way_back(&sent.back, PATH))
}

async fn prioritised(api: &ApiClient, id: i64, value: &Value) -> Result<Flash, ApiError> {
    let path = format!("/v1/handlers/{id}");
    match api.send::<Handler>(Method::PATCH, &path, None, &json!({"priority": value})).await {
        Ok(handler) => Ok(Flash::good(format!("{} has the priority {}. {}", handler.name, handler.priority, when(&handler)))),
        // The list has many numbers: which of them is meant has to be said.
        Err(error) => {
            let why = match error.fields() {
                [] => reason(&error),
                fields => fields.iter().map(|of| format!("{} {}", of.field, of.message)).collect::<Vec<_>>().join("; "),
            };
            Ok(Flash::bad(format!("{}: {why}", api.get::<Handler>(&path).await?.name)))
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Move {
    /// The handler that it is to run right before.
    #[serde(default)]
    before: String,
    /// Or the one that it is to run right after.
    #[serde(default)]
    after: String,
    #[serde(flatten)]
    back: Back,
}

/// `POST /console/provisioning/{id}/move`
pub(super) async fn move_to(State(console): State<Console>, Id(id): Id, Form(sent): Form<Move>) -> Response {
    let flash = reordered(&console.api, id, &sent).await.unwrap_or_else(|error| Flash::bad(reason(&error)));
    flash.and_go(&console.key, way_back(&sent.back, PATH))
}

async fn reordered(api: &ApiClient, id: i64, to: &Move) -> Result<Flash, ApiError> {
    let handler: Handler = api.get(&format!("/v1/handlers/{id}")).await?;
    // Ids of event types are lower-case words and dots.
    let chain: Vec<Handler> = api.list(&format!("/v1/handlers?event={}&order=chain&", handler.event), CHAIN_MAX).await?;
    let places: Vec<_> = chain.iter().map(|of| Place { id: of.id, priority: of.priority.into() }).collect();
    let place = match (to.before.trim().parse(), to.after.trim().parse()) {
        (Ok(before), _) => Some(Some(before)),
        (_, Ok(after)) => behind(&places, id, after),
        _ => None,
    };
    let Some(changed) = place.and_then(|before| moved(&places, id, before)) else {
        return Ok(Flash::bad("It cannot stand there: the list has changed, or no priority is left. Load the page again."));
    };
    if changed.is_empty() {
        return Ok(Flash::good(format!("{} stands there already.", handler.name)));
    }
    let versions: HashMap<_, _> = chain.iter().map(|of| (of.id, of.version)).collect();
    let handlers: Vec<_> = changed
        .iter()
        .map(|place| json!({"id": place.id, "priority": place.priority, "version": versions.get(&place.id)}))
        .collect();
    match api.send::<IgnoredAny>(Method::POST, "/v1/handlers/priorities", None, &json!({"handlers": handlers})).await {
        Ok(_) => {}
        Err(error) if error.is("version_mismatch") => {
            return Ok(Flash::bad(
                "Somebody else has just edited this handler or one that makes way for it. Nothing was changed: look at the order as it is now.",
            ));
        }
        Err(error) => return Err(error),
    }
    let own = changed.iter().find(|place| place.id == id).map_or(u32::from(handler.priority), |place| place.priority);
    let others = match changed.iter().filter(|place| place.id != id).count() {
        0 => String::new(),
        others => format!(" {} after it made way.", count(others, "handler")),
    };
    Ok(Flash::good(format!("{} has the priority {own}.{others}", handler.name)))
}

#[derive(Deserialize)]
pub(super) struct Version {
    pub(super) version: Option<i64>,
}

/// `POST /console/provisioning/{id}/delete?version=3`
pub(super) async fn delete(
    State(console): State<Console>,
    Id(id): Id,
    Query(Version { version }): Query<Version>,
    Form(back): Form<Back>,
) -> Response {
    let flash = match deleted(&console.api, id, version).await {
        Ok(name) => Flash::good(format!("{name} is deleted. Its executions stay in the log.")),
        Err(error) => Flash::bad(reason(&error)),
    };
    flash.and_go(&console.key, way_back(&back, PATH))
}

async fn deleted(api: &ApiClient, id: i64, version: Option<i64>) -> Result<String, ApiError> {
    let path = format!("/v1/handlers/{id}");
    let handler: Handler = api.get(&path).await?;
    api.delete(&path, version).await?;
    Ok(handler.name)
}
