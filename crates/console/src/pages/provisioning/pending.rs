//! What is saved but not live, and the restart that makes it live.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::PATH;
use super::actions::{Back, way_back};
use crate::components::restart;
use crate::form::Form;
use crate::layout::Shell;
use crate::state::Console;

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
    let path = format!("/v1/services/cache-manager/restart?wait={}", restart::WAIT);
    let done = console.api.order::<restart::Restart>(&path, None).await;
    restart::said(done).and_go(&console.key, way_back(&back, PATH))
}
