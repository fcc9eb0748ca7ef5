//! One event once more: to all its handlers, or to one.

use axum::extract::State;
use axum::http::Method;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::PATH;
use super::model::Event;
use crate::components::confirm::Confirm;
use crate::components::cut::short;
use crate::components::refusal::said;
use crate::components::uuid_id::UuidId;
use crate::flash::Flash;
use crate::form::Form;
use crate::layout::Shell;
use crate::state::Console;

/// How many handlers can be chosen from, and how much of a name is shown, in characters.
const HANDLERS_MAX: usize = 100;
const NAME_MAX: usize = 60;

/// The question before it.
pub(super) fn ask(event: &Event, shell: &Shell) -> Markup {
    let handlers = event.chain.iter().flat_map(|stage| &stage.deliveries).take(HANDLERS_MAX);
    let fields = html! {
        (shell.csrf())
        div.field {
            label for="replay-to" { "To" }
            select #replay-to name="to" {
                option value="" { "all handlers of the event" }
                @for delivery in handlers { option value=(delivery.handler_id) { (short(&delivery.name, NAME_MAX)) " alone" } }
            }
        }
        div.field {
            label for="replay-under" { "Under" }
            select #replay-under name="under" {
                option value="live" { "the handlers that are live" }
                option value="original" { "the generation that it first ran under" }
            }
        }
    };
    let confirm = Confirm {
        opener: html! { "Replay…" },
        label: "Replay this event",
        about: None,
        question: html! { "It is sent again, also to handlers that have had it, behind what is under way of this object." },
        action: &format!("{PATH}/{}/replay", event.id),
        fields,
        button: "Replay",
    };
    confirm.shown_as("btn")
}

/// To whom, and under which handlers.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct To {
    to: String,
    under: String,
}

/// `POST /console/events/{id}/replay`
pub(super) async fn replay(State(console): State<Console>, UuidId(id): UuidId, Form(to): Form<To>) -> Response {
    let under = if to.under.is_empty() { "live" } else { to.under.as_str() };
    let input = match to.to.trim() {
        "" => json!({"under": under}),
        // What is no number is for the API to refuse.
        handler => json!({"under": under, "handler_id": handler.parse::<i64>().map_or_else(|_| json!(handler), |id| json!(id))}),
    };
    let path = format!("/v1/events/{id}/replay");
    let flash = match console.api.send::<IgnoredAny>(Method::POST, &path, None, &input).await {
        Ok(_) if to.to.trim().is_empty() => Flash::good("The event is on its way again."),
        Ok(_) => Flash::good("The event is on its way again, to one handler."),
        Err(error) => Flash::bad(said(&error)),
    };
    flash.and_go(&console.key, &format!("{PATH}/{id}"))
}
