//! `/docs`: the OpenAPI document for people. Page, scripts and styles are part of this program; no outside address is asked for any.

use std::sync::Arc;

use axum::Router;
use axum::extract::RawPathParams;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use utoipa_swagger_ui::Config;

use crate::problem::{Code, Problem};

/// Lets the browser load nothing from elsewhere, whatever the scripts would like to.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The routes of the page.
pub(crate) fn router() -> Router {
    // The validator's badge would be fetched from the makers of the page.
    let config = Config::from("/openapi.json").validator_url("none").try_it_out_enabled(true).display_operation_id(true);
    let config = Arc::new(config);
    let index = Arc::clone(&config);
    Router::new()
        .route("/docs", get(async || Redirect::permanent("/docs/")))
        .route("/docs/", get(async move || file("", index)))
        .route("/docs/{*file}", get(async move |params: RawPathParams| file(first(&params), config)))
}

fn first(params: &RawPathParams) -> &str {
    params.iter().next().map_or("", |(_, value)| value)
}

fn file(name: &str, config: Arc<Config<'static>>) -> Response {
    match utoipa_swagger_ui::serve(name, config) {
        Ok(Some(file)) => {
            let kind = HeaderValue::from_str(&file.content_type).unwrap_or(HeaderValue::from_static("application/octet-stream"));
            let headers = [
                (header::CONTENT_TYPE, kind),
                (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
                (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            ];
            (headers, file.bytes.into_owned()).into_response()
        }
        Ok(None) => Problem::not_found(format_args!("file '{name}' of the documentation")).into_response(),
        Err(error) => {
            tracing::error!(%error, "a file of the documentation cannot be served");
            Problem::new(Code::Internal, "The documentation cannot be shown; Baton's log says why.").into_response()
        }
    }
}
