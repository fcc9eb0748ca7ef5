//! Signing in with the admin token, and out.

use std::time::Duration;

use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum_extra::extract::SignedCookieJar;
use chrono::Utc;
use maud::{Markup, PreEscaped, html};
use serde::Deserialize;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use crate::failure::Failure;
use crate::form::{FORM_MAX, Fields};
use crate::kept::{Carried, Kept};
use crate::session::{self, Session};
use crate::state::Console;
use crate::{HOME, csrf, form, layout};

/// How many tokens are looked at side by side.
const ATTEMPTS_MAX: usize = 4;
/// How long a wrong token takes its place among them, so that there are no more than four guesses a second.
const WRONG_TAKES: Duration = Duration::from_secs(1);
/// How long an attempt waits for its turn.
const TURN_WITHIN: Duration = Duration::from_secs(10);
/// The largest form of the sign-in, in bytes: one that it carries is in it, escaped once more.
const SIGN_IN_MAX: usize = 2 * FORM_MAX;
/// The longest address to go back to, in bytes.
const NEXT_MAX: usize = 2000;

/// Bounds how fast tokens can be guessed.
pub(crate) struct Attempts(Semaphore);

impl Default for Attempts {
    fn default() -> Self {
        Self(Semaphore::new(ATTEMPTS_MAX))
    }
}

/// Where the operator wanted to go.
#[derive(Debug, Default, Deserialize)]
struct Wanted {
    #[serde(default)]
    next: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SignIn {
    token: String,
    next: String,
    #[serde(flatten)]
    carried: Carried,
}

pub(crate) fn router() -> Router<Console> {
    Router::new().route("/console/sign-in", get(ask).post(sign_in)).route("/console/sign-out", post(sign_out))
}

/// The address of the sign-in, which goes on to `next`.
pub(crate) fn address(next: &str) -> String {
    match own_page(next) {
        Some(next) if next != HOME => {
            let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
            format!("/console/sign-in?{query}")
        }
        _ => "/console/sign-in".into(),
    }
}

/// The address, if it is a page of the console: nobody is sent elsewhere.
pub(crate) fn own_page(next: &str) -> Option<&str> {
    let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let is_own =
        next.starts_with("/console/") && !next.starts_with("/console/sign-") && !next.contains("//") && !next.contains("/..");
    (is_own && is_plain && next.len() <= NEXT_MAX).then_some(next)
}

/// A page that asks for the same address again, now from the console itself.
pub(crate) fn once_more(address: &str) -> Markup {
    let refresh = html! { meta http-equiv="refresh" content=(format!("0;url={address}")); };
    let body = html! { main.alone { p { a href=(address) { "Go on to Baton" } } } };
    layout::bare_document("Baton", &refresh, &body)
}

async fn ask(State(console): State<Console>, Query(wanted): Query<Wanted>, headers: HeaderMap) -> Response {
    if session::of(&console, &headers).is_some() {
        return Redirect::to(own_page(&wanted.next).unwrap_or(HOME)).into_response();
    }
    page(&wanted.next, None, None).into_response()
}

/// The sign-in that carries a form which came when the session had ended.
pub(crate) fn ended(console: &Console, kept: &Kept) -> Response {
    (StatusCode::UNAUTHORIZED, kept.noted(console), page(kept.back(), None, Some(kept))).into_response()
}

async fn sign_in(State(console): State<Console>, request: Request) -> Result<Response, Failure> {
    let jar = SignedCookieJar::from_headers(request.headers(), console.key.clone());
    // The browser itself says how it sees this page. A cookie that is only for https would be lost on plain http.
    let secure = request.headers().get(header::ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"));
    let sent: SignIn = form::parse(&form::body(request, SIGN_IN_MAX).await?)?;
    let kept = sent.carried.kept(&jar);
    let refused = |wrong| page(&sent.next, Some(wrong), kept.as_ref());
    // Only wrong tokens wait: whoever shows many of them keeps nobody out.
    if !bool::from(sent.token.trim().as_bytes().ct_eq(console.admin_token.as_bytes())) {
        let Ok(Ok(_turn)) = tokio::time::timeout(TURN_WITHIN, console.attempts.0.acquire()).await else {
            let busy = refused("That is not the admin token, and too many wrong ones were shown. Try again in a minute.");
            return Ok((StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "60")], busy).into_response());
        };
        tokio::time::sleep(WRONG_TAKES).await;
        tracing::warn!("a wrong token was shown at the sign-in of the console");
        return Ok((StatusCode::UNAUTHORIZED, refused("That is not the admin token.")).into_response());
    }
    let session = Session::begin(Utc::now(), secure);
    let jar = jar.add(session.cookie());
    Ok(match kept {
        Some(kept) => (jar, kept.asked_about(&session)).into_response(),
        None => (jar, Redirect::to(own_page(&sent.next).unwrap_or(HOME))).into_response(),
    })
}

async fn sign_out(State(console): State<Console>, request: Request) -> Result<Response, Failure> {
    let jar = SignedCookieJar::from_headers(request.headers(), console.key.clone());
    if let Some(session) = session::of(&console, request.headers()) {
        let fields: Fields = form::parse(&form::body(request, FORM_MAX).await?)?;
        if !csrf::is_right(&session, form::token(&fields)) {
            return Err(Failure::forbidden("This form belongs to another session."));
        }
    }
    Ok((session::ended(jar), Redirect::to("/console/sign-in")).into_response())
}

fn page(next: &str, wrong: Option<&str>, kept: Option<&Kept>) -> Markup {
    let body = html! {
        main.alone #main {
            (layout::logo())
            h1 { "Sign in" }
            @if kept.is_some() {
                div.said.warn role="status" { "Your session has ended. Sign in, and what you entered is kept: nothing of it is carried out before you say so." }
            }
            form method="post" action="/console/sign-in" {
                input type="hidden" name="next" value=(own_page(next).unwrap_or_default());
                @if let Some(kept) = kept { (kept.carried()) }
                div.field {
                    label for="token" { "Admin token" }
                    input #token type="password" name="token" required autofocus autocomplete="current-password" spellcheck="false"
                        aria-invalid=[wrong.map(|_| "true")] aria-describedby=(if wrong.is_some() { "token-error token-hint" } else { "token-hint" });
                    @if let Some(wrong) = wrong { p.error #token-error role="alert" { (wrong) } }
                    p.hint #token-hint {
                        "What " code { "BATON_ADMIN_TOKEN" } " sets; without it, what stands in " code { "baton-data/admin-token" } "."
                    }
                }
                button.btn.primary { "Sign in" }
            }
        }
    };
    layout::bare_document("Sign in", &PreEscaped(String::new()), &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere() {
        for own in ["/console/provisioning", "/console/provisioning/7?x=1&y=%2F", "/console/executions?handler_id=3"] {
            assert_eq!(own_page(own), Some(own));
        }
        for other in [
            "",
            "/",
            "//evil.example",
            "https://evil.example/console/",
            "/console//evil.example",
            "/console/\\evil.example",
            "/console/../v1",
            "/console/sign-in",
            "/console/sign-out",
            "/consolex",
            "javascript:alert(1)",
            "/console/ä",
            "/console/a b",
            "/console/a\nb",
            "/\\evil.example",
        ] {
            assert_eq!(own_page(other), None, "{other}");
            assert_eq!(address(other), "/console/sign-in");
        }
        assert_eq!(address("/console/provisioning/7?a=b&c"), "/console/sign-in?next=%2Fconsole%2Fprovisioning%2F7%3Fa%3Db%26c");
    }
}
