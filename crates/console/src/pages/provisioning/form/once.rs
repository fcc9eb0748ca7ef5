//! A signing secret that was just generated, on its way to the one page that shows it.
//!
//! The answer to a form is a redirect, so that a reload sends nothing again; the secret goes along in a cookie that is encrypted, lasts a
//! minute, is for the handler's page only, and goes with the page that has shown it.

use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, Key};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, Generate as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use chrono::{TimeDelta, Utc};
use sha2::{Digest, Sha256};

use super::super::PATH;
use crate::session::{Session, console_cookie};

const COOKIE: &str = "baton_secret";
/// How long the browser has to follow the redirect.
const SECONDS: i64 = 60;

/// The answer with the secret beside it, for the page of the handler `id`.
pub(super) fn carried(key: &Key, session: &Session, id: i64, secret: &str, answer: Response) -> Response {
    let until = (Utc::now() + TimeDelta::seconds(SECONDS)).timestamp();
    let cookie = session.beside(cookie(id, sealed(key, id, &format!("{until} {secret}"))));
    (CookieJar::new().add(cookie), answer).into_response()
}

/// The secret that came along to the page of the handler `id`.
pub(super) fn brought(key: &Key, headers: &HeaderMap, id: i64) -> Option<String> {
    let jar = CookieJar::from_headers(headers);
    let text = opened(key, id, jar.get(COOKIE)?.value())?;
    let (until, secret) = text.split_once(' ')?;
    // A copy of the cookie is worth nothing later, whoever has kept it.
    (Utc::now().timestamp() <= until.parse().ok()?).then(|| secret.to_owned())
}

/// The page, which takes the secret out of the browser.
pub(super) fn forgotten(headers: &HeaderMap, id: i64, page: Response) -> Response {
    let jar = CookieJar::from_headers(headers);
    if jar.get(COOKIE).is_none() { page } else { (jar.remove(cookie(id, String::new())), page).into_response() }
}

fn cookie(id: i64, value: String) -> Cookie<'static> {
    let mut cookie = console_cookie(COOKIE, value);
    cookie.set_path(format!("{PATH}/{id}"));
    cookie
}

/// A key of its own, made from the one that signs sessions.
fn cipher(key: &Key) -> XChaCha20Poly1305 {
    let digest: [u8; 32] = Sha256::new().chain_update(b"baton console secrets, 1\0").chain_update(key.master()).finalize().into();
    XChaCha20Poly1305::new(&digest.into())
}

fn sealed(key: &Key, id: i64, text: &str) -> String {
    let nonce = XNonce::generate();
    // Encryption fails for texts of more than 256 GiB only; what came of it then could not be opened.
    let sealed = cipher(key).encrypt(&nonce, Payload { msg: text.as_bytes(), aad: &id.to_be_bytes() }).unwrap_or_default();
    BASE64_URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat())
}

fn opened(key: &Key, id: i64, value: &str) -> Option<String> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(value).ok()?;
    let (nonce, sealed) = bytes.split_first_chunk::<24>()?;
    let text = cipher(key).decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: &id.to_be_bytes() }).ok()?;
    String::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_for_its_own_handler_only_and_by_nobody_on_the_way() {
        let key = Key::from(&[7; 64]);
        let value = sealed(&key, 3, "9 whsec_x");
        assert!(!value.contains("whsec"), "{value}");
        assert_eq!(opened(&key, 3, &value).as_deref(), Some("9 whsec_x"));
        assert_eq!(opened(&key, 4, &value), None);
        assert_eq!(opened(&Key::from(&[8; 64]), 3, &value), None);
        let with = |text: &str| {
            let header = format!("{COOKIE}={}", sealed(&key, 3, text)).parse().unwrap();
            HeaderMap::from_iter([(axum::http::header::COOKIE, header)])
        };
        let soon = Utc::now().timestamp() + 30;
        assert_eq!(brought(&key, &with(&format!("{soon} whsec_x")), 3).as_deref(), Some("whsec_x"));
        assert_eq!(brought(&key, &with("9 whsec_x"), 3), None, "it is too late");
    }
}
