//! Sessions: who has shown the admin token is let in for twelve hours, and for longer while the console is used, up to a week.
//!
//! A session is a signed cookie and nothing else: `<end>.<begin>.<s where it is for https only, p otherwise>.<random>`, the instants in seconds
//! since 1970. So every instance with the same token takes it, and a new token ends all of them.

use std::time::Duration;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::SignedCookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use rand::RngExt;

use crate::failure::Failure;
use crate::kept::Kept;
use crate::sign_in;
use crate::state::Console;

const COOKIE: &str = "baton_session";
/// How long a session lasts that is not used, in hours.
const HOURS: i64 = 12;
/// How long one lasts at most, however much it is used, in days.
const DAYS_MAX: i64 = 7;
const NONCE_BYTES: usize = 24;
/// What scripts ask with: they can show a sentence, not a page to sign in.
const BY_SCRIPT: &str = "baton-script";

/// A session that has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    begun: DateTime<Utc>,
    ends: DateTime<Utc>,
    /// Whether its cookie is for https only.
    secure: bool,
    /// What every form of the session carries, so that no other site can send one.
    pub(crate) csrf: String,
}

impl Session {
    /// A new one. `secure`: its cookie is only ever sent over https.
    pub(crate) fn begin(now: DateTime<Utc>, secure: bool) -> Self {
        let nonce = BASE64_URL_SAFE_NO_PAD.encode(rand::rng().random::<[u8; NONCE_BYTES]>());
        Self { begun: now, ends: now + TimeDelta::hours(HOURS), secure, csrf: nonce }
    }

    /// The session of a cookie whose signature is right, ended or not.
    fn read(value: &str) -> Option<Self> {
        let mut parts = value.splitn(4, '.');
        let mut instant = || DateTime::from_timestamp(parts.next()?.parse().ok()?, 0);
        let (ends, begun) = (instant()?, instant()?);
        let secure = match parts.next()? {
            "s" => true,
            "p" => false,
            _ => return None,
        };
        Some(Self { begun, ends, secure, csrf: parts.next()?.to_owned() })
    }

    fn is_over(&self, now: DateTime<Utc>) -> bool {
        now >= self.ends
    }

    /// The same for longer, once more than half of its time is over. Its token stays, so that open pages go on working.
    fn renewed(&self, now: DateTime<Utc>) -> Option<Self> {
        let ends = (now + TimeDelta::hours(HOURS)).min(self.begun + TimeDelta::days(DAYS_MAX));
        (self.ends - now < TimeDelta::hours(HOURS) / 2 && ends > self.ends).then(|| Self { ends, ..self.clone() })
    }

    /// A cookie that is sent where the session's is: over https only, if that is.
    pub(crate) fn beside(&self, mut cookie: Cookie<'static>) -> Cookie<'static> {
        cookie.set_secure(self.secure);
        cookie
    }

    /// How long it still lasts.
    pub(crate) fn left(&self) -> Duration {
        (self.ends - Utc::now()).to_std().unwrap_or_default()
    }

    /// The cookie of the session.
    pub(crate) fn cookie(&self) -> Cookie<'static> {
        let (ends, begun) = (self.ends.timestamp(), self.begun.timestamp());
        let kind = if self.secure { 's' } else { 'p' };
        self.beside(console_cookie(COOKIE, format!("{ends}.{begun}.{kind}.{}", self.csrf)))
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
    signed(console, headers).filter(|session| !session.is_over(Utc::now()))
}

/// The session that a request had or has: the signature of its cookie is right.
pub(crate) fn signed(console: &Console, headers: &HeaderMap) -> Option<Session> {
    let jar = SignedCookieJar::from_headers(headers, console.key.clone());
    Session::read(jar.get(COOKIE)?.value())
}

/// Lets through who is signed in; others are asked to sign in, and what they wanted comes afterwards.
pub(crate) async fn required(State(console): State<Console>, mut request: Request, next: Next) -> Response {
    let Some(session) = of(&console, request.headers()) else { return without(&console, request).await };
    let renewed = session.renewed(Utc::now());
    request.extensions_mut().insert(renewed.clone().unwrap_or(session));
    let response = next.run(request).await;
    match renewed {
        Some(session) => (SignedCookieJar::new(console.key.clone()).add(session.cookie()), response).into_response(),
        None => response,
    }
}

/// What is answered to who is not signed in.
async fn without(console: &Console, request: Request) -> Response {
    let is_look = matches!(*request.method(), Method::GET | Method::HEAD);
    if request.headers().contains_key(BY_SCRIPT) {
        return (StatusCode::UNAUTHORIZED, "Your session has ended. Sign in again.").into_response();
    }
    if !is_look {
        // What somebody tried to change while the session ended cannot be repeated by a redirect: it is carried through the sign-in.
        return match Kept::of(console, request).await {
            Ok(Some(kept)) => sign_in::ended(console, &kept),
            Ok(None) => Redirect::to(&sign_in::address("")).into_response(),
            Err(failure) => failure.into_response(),
        };
    }
    let uri = request.uri();
    if crate::csrf::is_from_elsewhere(request.headers()) {
        // The cookie stays at home when a link is followed from elsewhere. From this page on, the request is the console's own.
        return sign_in::once_more(&uri.to_string()).into_response();
    }
    let next = uri.path_and_query().map_or("", |place| place.as_str());
    Redirect::to(&sign_in::address(next)).into_response()
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
    use axum::Router;
    use axum::body::Body;
    use axum::http::header;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use tokio_util::sync::CancellationToken;
    use tower::ServiceExt;

    use super::*;
    use crate::client::ApiClient;

    fn begun_before(hours: i64) -> Session {
        Session::begin(Utc::now() - TimeDelta::hours(hours), false)
    }

    /// What is answered to a request with this session; a form where there is a body.
    async fn asked(console: &Console, session: &Session, form: Option<&str>) -> Response {
        let page = async |session: Session| session.csrf;
        let pages = Router::new().route("/console/x", get(page).post(page)).layer(from_fn_with_state(console.clone(), required));
        let signed = SignedCookieJar::new(console.key.clone()).add(session.cookie()).into_response();
        let cookie = signed.headers()[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
        let request = Request::builder().uri("/console/x").header(header::COOKIE, cookie);
        let request = match form {
            Some(form) => request
                .method(Method::POST)
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(Body::from(form.to_owned())),
            None => request.body(Body::empty()),
        };
        pages.with_state(console.clone()).oneshot(request.unwrap()).await.unwrap()
    }

    fn console() -> Console {
        Console::new(ApiClient::new(Router::new(), "t").unwrap(), "t", CancellationToken::new())
    }

    /// What is answered to a look with this session: the status, and the cookie that it is given.
    async fn answered(session: &Session) -> (StatusCode, Option<String>) {
        let console = console();
        let response = asked(&console, session, None).await;
        let given = response.headers().get(header::SET_COOKIE).map(|cookie| cookie.to_str().unwrap().to_owned());
        if let Some(given) = &given {
            // It is a session again, the same one.
            let request = HeaderMap::from_iter([(header::COOKIE, given.split(';').next().unwrap().parse().unwrap())]);
            assert_eq!(of(&console, &request).unwrap().csrf, session.csrf);
        }
        (response.status(), given)
    }

    #[test]
    fn a_session_lasts_its_hours_and_no_longer() {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        for secure in [false, true] {
            let session = Session::begin(now, secure);
            assert_eq!(Session::read(session.cookie().value()), Some(session.clone()));
            assert!(!session.is_over(now + TimeDelta::hours(HOURS) - TimeDelta::seconds(1)));
            assert!(session.is_over(now + TimeDelta::hours(HOURS)));
        }
        for bad in ["", "x", "x.y", "99999999999999999999.1.p.x", "1700000000", "1700000000.1700000000.x.y", "1700000000.1.p"] {
            assert_eq!(Session::read(bad), None, "{bad}");
        }
        assert_ne!(Session::begin(now, false).csrf, Session::begin(now, false).csrf);
    }

    #[test]
    fn a_session_in_use_goes_on_for_a_week_at_most() {
        let begun = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let mut session = Session::begin(begun, true);
        assert_eq!(session.renewed(begun + TimeDelta::hours(HOURS / 2)), None, "half of it is left");
        let mut now = begun;
        while !session.is_over(now) {
            now += TimeDelta::hours(1);
            if let Some(renewed) = session.renewed(now) {
                assert_eq!((&renewed.csrf, renewed.secure, renewed.begun), (&session.csrf, true, begun));
                session = renewed;
            }
        }
        assert_eq!(session.ends, begun + TimeDelta::days(DAYS_MAX));
    }

    #[tokio::test]
    async fn the_cookie_of_a_session_in_use_is_replaced() {
        assert_eq!(answered(&begun_before(1)).await, (StatusCode::OK, None));
        let (status, given) = answered(&begun_before(7)).await;
        assert_eq!(status, StatusCode::OK);
        assert!(given.is_some_and(|cookie| cookie.contains("HttpOnly") && !cookie.contains("Secure")));
        assert_eq!(answered(&begun_before(HOURS)).await, (StatusCode::SEE_OTHER, None));
    }

    #[tokio::test]
    async fn a_form_is_kept_that_has_the_token_of_the_session_that_ended() {
        let console = console();
        let ended = begun_before(HOURS + 1);
        let right = asked(&console, &ended, Some(&format!("csrf={}&name=x", ended.csrf))).await;
        assert_eq!(right.status(), StatusCode::UNAUTHORIZED);
        for wrong in ["name=x", "csrf=&name=x", &format!("csrf={}&name=x", begun_before(HOURS + 1).csrf)] {
            let response = asked(&console, &ended, Some(wrong)).await;
            assert_eq!(response.status(), StatusCode::SEE_OTHER);
            assert_eq!(response.headers()[header::LOCATION], "/console/sign-in");
        }
    }

    #[test]
    fn the_cookie_is_for_nobody_else() {
        let cookie = Session::begin(Utc::now(), false).cookie().to_string();
        for part in ["HttpOnly", "SameSite=Strict", "Path=/console"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        assert!(!cookie.contains("Secure"), "{cookie}");
        assert!(Session::begin(Utc::now(), true).cookie().to_string().contains("Secure"));
    }
}
