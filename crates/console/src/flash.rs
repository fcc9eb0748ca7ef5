//! A sentence for the next page: what came of a form that was sent, over the redirect that follows it.

use axum::response::{IntoResponse, IntoResponseParts, Redirect, Response, ResponseParts};
use axum_extra::extract::SignedCookieJar;
use axum_extra::extract::cookie::Key;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use crate::session::console_cookie;

const COOKIE: &str = "baton_said";
/// The longest sentence that is kept, so that the cookie stays one.
const TEXT_MAX: usize = 1500;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Good,
    Bad,
}

/// A sentence for the next page. Never a secret: it travels in a cookie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Flash {
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

impl Flash {
    /// It worked.
    pub(crate) fn good(text: impl Into<String>) -> Self {
        Self::new(Kind::Good, text.into())
    }

    /// It did not.
    pub(crate) fn bad(text: impl Into<String>) -> Self {
        Self::new(Kind::Bad, text.into())
    }

    fn new(kind: Kind, mut text: String) -> Self {
        if let Some((cut, _)) = text.char_indices().nth(TEXT_MAX) {
            text.truncate(cut);
            text.push('…');
        }
        Self { kind, text }
    }

    /// Goes to a page that shows it.
    pub(crate) fn and_go(&self, key: &Key, to: &str) -> Response {
        let value = serde_json::to_vec(self).map(|json| BASE64_URL_SAFE_NO_PAD.encode(json)).unwrap_or_default();
        let jar = SignedCookieJar::new(key.clone()).add(console_cookie(COOKIE, value));
        (jar, Redirect::to(to)).into_response()
    }

    /// The sentence that the last page left.
    pub(crate) fn left(jar: &SignedCookieJar) -> Option<Self> {
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(jar.get(COOKIE)?.value()).ok()?).ok()
    }

    /// The sentence as a page shows it.
    pub(crate) fn shown(&self) -> Markup {
        match self.kind {
            Kind::Good => html! { div.said.good role="status" { (self.text) } },
            Kind::Bad => html! { div.said.bad role="alert" { (self.text) } },
        }
    }
}

/// Takes the sentence away once it is shown.
pub(crate) struct Forget(pub(crate) SignedCookieJar);

impl IntoResponseParts for Forget {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        if self.0.get(COOKIE).is_none() {
            Ok(parts)
        } else {
            self.0.remove(console_cookie(COOKIE, String::new())).into_response_parts(parts)
        }
    }
}
