//! No other site can do anything in an operator's name: what changes something carries the session's token, and browsers say where a
//! request comes from.

use axum::extract::Request;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use subtle::ConstantTimeEq;

use crate::failure::Failure;
use crate::session::Session;

/// The name of the field with the token.
pub(crate) const FIELD: &str = "csrf";

/// The field that every form of a page has.
pub(crate) fn field(session: &Session) -> Markup {
    html! { input type="hidden" name=(FIELD) value=(session.csrf); }
}

/// Whether a form carries the session's token, compared in a time that does not tell how much of it is right.
pub(crate) fn is_right(session: &Session, given: Option<&str>) -> bool {
    given.is_some_and(|given| bool::from(given.as_bytes().ct_eq(session.csrf.as_bytes())))
}

/// Whether the browser says that another site has sent the request. Browsers that do not say it are held by the token alone.
pub(crate) fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none")
}

/// Whether the request comes from a page of the console: the browser says so, or names the origin of the very address that it asks. Browsers
/// say the first over https and to this machine only.
pub(crate) fn is_own(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin";
    }
    let origin = text("origin").and_then(|origin| origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://")));
    origin.is_some() && origin == text("host")
}

/// Refuses what another site has sent, but for looking at pages.
pub(crate) async fn same_site(request: Request, next: Next) -> Response {
    let is_look = matches!(*request.method(), Method::GET | Method::HEAD);
    if !is_look && is_from_elsewhere(request.headers()) {
        return Failure::forbidden("Another site has sent this form. Baton takes only those of its own pages.").into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    #[test]
    fn a_page_of_the_console_is_told_from_others() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect::<HeaderMap>()
        };
        let host = ("host", "baton.lan:8080");
        for own in [
            &[("sec-fetch-site", "same-origin")][..],
            &[host, ("origin", "http://baton.lan:8080")],
            &[host, ("origin", "https://baton.lan:8080")],
        ] {
            assert!(is_own(&headers(own)), "{own:?}");
        }
        for other in [
            &[][..],
            &[host],
            &[("origin", "http://baton.lan:8080")],
            &[host, ("origin", "null")],
            &[host, ("origin", "http://evil.example")],
            &[host, ("origin", "http://baton.lan:8081")],
            &[host, ("origin", "http://baton.lan:8080"), ("sec-fetch-site", "same-site")],
            &[host, ("origin", "http://baton.lan:8080"), ("sec-fetch-site", "none")],
        ] {
            assert!(!is_own(&headers(other)), "{other:?}");
        }
    }
}
