//! Sessions: who has shown the admin token is let in for twelve hours.
//!
//! A session is a signed cookie and nothing else: `<end, seconds since 1970>.<random>`. So every instance with the same token takes it, and a
//! new token ends all of them.

use std::time::Duration;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::SignedCookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use rand::RngExt;

use crate::failure::Failure;
use crate::sign_in;
use crate::state::Console;

const COOKIE: &str = "baton_session";
/// How long a session lasts, in hours.
const HOURS: i64 = 12;
const NONCE_BYTES: usize = 24;

/// A session that has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    ends: DateTime<Utc>,
    /// What every form of the session carries, so that no other site can send one.
    pub(crate) csrf: String,
}

impl Session {
    /// A new one.
    pub(crate) fn begin(now: DateTime<Utc>) -> Self {
        let nonce = BASE64_URL_SAFE_NO_PAD.encode(rand::rng().random::<[u8; NONCE_BYTES]>());
        Self { ends: now + TimeDelta::hours(HOURS), csrf: nonce }
    }

    /// The session of a cookie whose signature is right.
    fn read(value: &str, now: DateTime<Utc>) -> Option<Self> {
        let (ends, csrf) = value.split_once('.')?;
        let ends = DateTime::from_timestamp(ends.parse().ok()?, 0)?;
        (now < ends).then(|| Self { ends, csrf: csrf.to_owned() })
    }

    /// How long it still lasts.
    pub(crate) fn left(&self) -> Duration {
        (self.ends - Utc::now()).to_std().unwrap_or_default()
    }

    /// The cookie of the session. `secure`: only ever sent over https.
    pub(crate) fn cookie(&self, secure: bool) -> Cookie<'static> {
        let mut cookie = console_cookie(COOKIE, format!("{}.{}", self.ends.timestamp(), self.csrf));
        cookie.set_secure(secure);
        cookie
    }
}

/// A cookie as all of the console's are: not for scripts, not for other sites, not for other paths.
pub(crate) fn console_cookie(name: &'static str, value: String) -> Cookie<'static> {
    Cookie::build((name, value)).http_only(true).same_site(SameSite::Strict).path("/console").build()
}

/// The cookies without the session's.
pub(crate) fn ended(jar: SignedCookieJar) -> SignedCookieJar {
    jar.remove(console_cookie(COOKIE, String::new()))
}

/// The session of a request, if it has one.
pub(crate) fn of(console: &Console, headers: &HeaderMap) -> Option<Session> {
    let jar = SignedCookieJar::from_headers(headers, console.key.clone());
    Session::read(jar.get(COOKIE)?.value(), Utc::now())
}

/// Lets through who is signed in; others are sent to sign in, and back afterwards.
pub(crate) async fn required(State(console): State<Console>, mut request: Request, next: Next) -> Response {
    let Some(session) = of(&console, request.headers()) else {
        let uri = request.uri();
        let is_look = matches!(*request.method(), Method::GET | Method::HEAD);
        if is_look && crate::csrf::is_from_elsewhere(request.headers()) {
            // The cookie stays at home when a link is followed from elsewhere. From this page on, the request is the console's own.
            return sign_in::once_more(&uri.to_string()).into_response();
        }
        // What somebody tried to change while the session ended cannot be repeated by a redirect.
        let next = if is_look { uri.path_and_query().map_or("", |place| place.as_str()) } else { "" };
        return Redirect::to(&sign_in::address(next)).into_response();
    };
    request.extensions_mut().insert(session);
    next.run(request).await
}

impl<S: Sync> FromRequestParts<S> for Session {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(|| Failure::internal("a page that wants a session is served without one"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_lasts_its_hours_and_no_longer() {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let session = Session::begin(now);
        let cookie = session.cookie(true);
        assert_eq!(Session::read(cookie.value(), now), Some(session.clone()));
        assert_eq!(Session::read(cookie.value(), now + TimeDelta::hours(HOURS)), None);
        assert_eq!(Session::read(cookie.value(), now + TimeDelta::hours(HOURS) - TimeDelta::seconds(1)), Some(session));
        for bad in ["", "x", "x.y", "99999999999999999999.x", "1700000000"] {
            assert_eq!(Session::read(bad, now), None, "{bad}");
        }
        assert_ne!(Session::begin(now).csrf, Session::begin(now).csrf);
    }

    #[test]
    fn the_cookie_is_for_nobody_else() {
        let cookie = Session::begin(Utc::now()).cookie(false).to_string();
        for part in ["HttpOnly", "SameSite=Strict", "Path=/console"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        assert!(!cookie.contains("Secure"), "{cookie}");
        assert!(Session::begin(Utc::now()).cookie(true).to_string().contains("Secure"));
    }
}
