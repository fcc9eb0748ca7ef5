//! What is saved but not live, and the restart that makes it live.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::PATH;
use super::actions::{Back, way_back};
use crate::client::ApiError;
use crate::components::changes::Changes;
use crate::components::time;
use crate::flash::Flash;
use crate::form::Form;
use crate::layout::{Shell, count};
use crate::state::Console;

/// How many seconds the page waits for the restart.
const WAIT: u32 = 30;

/// What a restart did. While it has not ended, the API says only that it is asked for.
#[derive(Deserialize)]
#[serde(untagged)]
enum Restart {
    Done { generation: i64, handlers: usize, changes: Changes, took_ms: i64 },
    UnderWay { status: String },
}

/// The bar above the list; nothing where everything is live. `back` is the page to come back to;
/// `listed`: with what the changes are.
pub(super) fn bar(shell: &Shell, back: &str, listed: bool) -> Markup {
    let cache = &shell.cache;
    let Some(generation) = cache.generation else { return html! {} };
    if cache.pending_count == 0 {
        return html! {};
    }
    let (changes, are) = if cache.pending_count == 1 { ("change", "is") } else { ("changes", "are") };
    html! {
        section.notice aria-label="Not live" {
            div {
                b { (cache.pending_count) " " (changes) " " (are) " not live." }
                " Handlers run as in generation " (generation) " until the Cache Manager is restarted."
                @if listed { (cache.pending.listed()) }
            }
            form method="post" action={ (PATH) "/restart" } {
                (shell.csrf())
                input type="hidden" name="back" value=(back);
                button.btn.primary { "Restart Cache Manager" }
            }
        }
    }
}

/// `POST /console/provisioning/restart`
pub(super) async fn restart(State(console): State<Console>, Form(back): Form<Back>) -> Response {
    let path = format!("/v1/services/cache-manager/restart?wait={WAIT}");
    let done = console.api.order::<Restart>(&path, None).await;
    said(done).and_go(&console.key, way_back(&back, PATH))
}

fn said(done: Result<Restart, ApiError>) -> Flash {
    match done {
        Ok(Restart::Done { generation, handlers, changes, took_ms }) => Flash::good(format!(
            "Generation {generation} is live with {}: {}. It took {}.",
            count(handlers, "handler"),
            changes.summary(),
            time::took(took_ms)
        )),
        Ok(Restart::UnderWay { status }) => Flash::good(format!(
            "The restart is {status}; it did not end within {WAIT} s. The foot of the page says which generation is live."
        )),
        Err(error) => Flash::bad(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_result_of_a_restart_is_said() {
        let changes = json!({"added": [{"id": 1, "name": "a"}], "removed": [], "changed": []});
        let done = json!({"generation": 5, "handlers": 1, "changes": changes, "took_ms": 7, "run_id": 1});
        let said_of = |value| said(Ok(serde_json::from_value(value).unwrap())).text;
        assert_eq!(said_of(done), "Generation 5 is live with 1 handler: 1 added. It took 7 ms.");
        assert!(said_of(json!({"id": 1, "status": "queued"})).starts_with("The restart is queued"));
    }
}
