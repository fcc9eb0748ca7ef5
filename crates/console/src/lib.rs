//! The web console of Baton: pages rendered on the server, under `/console/`.
//!
//! The console is a client of the REST API in the same process (`client`): what may be saved, what a conflict is and how things are found
//! is decided there and nowhere else. Pages work without scripts; the scripts (`assets`) only make them nicer.
//!
//! A screen is a module of `pages` with a `router()`, an entry in `layout::SECTIONS` and a line in [`router`].

mod assets;
mod client;
mod components;
mod csrf;
mod failure;
mod flash;
mod form;
mod kept;
mod layout;
mod pages;
mod security_headers;
mod session;
mod sign_in;
mod state;

pub use axum::Router;
use axum::http::Uri;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Redirect;
use axum::routing::{any, get};
use tokio_util::sync::CancellationToken;

use crate::client::ApiClient;
use crate::failure::Failure;
use crate::state::Console;

/// The page after the sign-in.
pub(crate) const HOME: &str = "/console/";

/// What the console has to be told.
#[derive(Clone)]
pub struct ConsoleSettings {
    /// The bearer token of the API. Who shows it may sign in, and sessions are signed with a key made from it, so that several instances
    /// share sessions and a new token ends them.
    pub admin_token: String,
    /// Ends what browsers keep open, so that the process can end.
    pub stop: CancellationToken,
}

/// Why there is no console.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// The token would have to stand in a header, and cannot.
    #[error(
        "the admin token (BATON_ADMIN_TOKEN) cannot stand in the header Authorization: it may have visible ASCII characters only"
    )]
    BadToken,
}

/// The API's routes with the console's beside them: `/` and everything under `/console`.
///
/// # Errors
/// When the token is none.
pub fn router(api: Router, settings: &ConsoleSettings) -> Result<Router, ConsoleError> {
    let client = ApiClient::new(api.clone(), &settings.admin_token)?;
    let console = Console::new(client, &settings.admin_token, settings.stop.clone());
    let pages = Router::new()
        .merge(pages::overview::router())
        .merge(pages::provisioning::router())
        .merge(pages::executions::router())
        .merge(pages::events::router())
        .merge(pages::dead_letters::router())
        .merge(pages::scheduler::router())
        .route("/console/{*page}", any(no_such_page))
        .method_not_allowed_fallback(no_such_page)
        .layer(from_fn_with_state(console.clone(), session::required));
    let open = Router::new()
        .route("/", get(async || Redirect::to("/console/")))
        .route("/console", get(async || Redirect::permanent("/console/")))
        .merge(sign_in::router())
        .merge(assets::router());
    let console = open.merge(pages).layer(from_fn(csrf::same_site)).layer(from_fn(security_headers::added)).with_state(console);
    // Merged, not nested: a request to the API costs nothing more than without a console.
    Ok(api.merge(console))
}

async fn no_such_page(uri: Uri) -> Failure {
    Failure::not_found(format!("There is no page '{}'.", uri.path()))
}
