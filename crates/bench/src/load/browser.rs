//! An operator's browser at the console: signs in by the form, keeps the cookie, and takes nothing but pages for an answer.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use http::header::{LOCATION, SET_COOKIE};
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri};

use super::{Connection, Target};

const SIGN_IN: &str = "/console/sign-in";

/// A browser that is signed in.
pub(crate) struct Browser {
    connection: Connection,
    /// What every form of the session carries.
    csrf: String,
}

/// A page, and how long it took until it was there, in milliseconds.
pub(crate) struct Visit {
    pub time: f64,
    pub page: String,
}

impl Browser {
    /// Signs in with the token of the API.
    pub(crate) async fn sign_in(target: &Target) -> Result<Self> {
        let mut connection = Connection::of_browser(target.address).await?;
        let asked = connection.get(&Uri::from_static(SIGN_IN)).await?;
        ensure!(String::from_utf8_lossy(&asked).contains(r#"name="token""#), "{SIGN_IN} does not ask for the token");
        let token = target.token.as_deref().context("there is no token to sign in with")?;
        let form = format!("next=&token={token}");
        let sent = connection.exchange(Method::POST, &Uri::from_static(SIGN_IN), form.into()).await?;
        let said = |name: HeaderName| sent.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (to, cookie) = (said(LOCATION), said(SET_COOKIE));
        ensure!(
            sent.status() == StatusCode::SEE_OTHER && to == "/console/",
            "the sign-in was answered with {} {to}",
            sent.status()
        );
        connection.set_cookie(HeaderValue::from_str(cookie.split(';').next().unwrap_or_default())?);
        let mut browser = Self { connection, csrf: String::new() };
        let home = browser.visit("/console/").await?.page;
        browser.csrf = between(&home, r#"name="csrf" value=""#, '"').context("no form of the console has a token")?.to_owned();
        Ok(browser)
    }

    /// Asks for a page of the console. A redirect, an error, and a page that tells of a mistake are errors.
    pub(crate) async fn visit(&mut self, path: &str) -> Result<Visit> {
        let uri: Uri = path.parse().with_context(|| path.to_owned())?;
        let began = Instant::now();
        let answer = self.connection.get(&uri).await?;
        page(path, began, &answer)
    }

    /// Sends a form that is answered with a page; `fields` as they stand in the body.
    pub(crate) async fn send(&mut self, path: &str, fields: &str) -> Result<Visit> {
        let uri: Uri = path.parse().with_context(|| path.to_owned())?;
        let body = format!("csrf={}&{fields}", self.csrf);
        let began = Instant::now();
        let answer = self.connection.post(&uri, body).await?;
        page(path, began, &answer)
    }
}

fn page(path: &str, began: Instant, answer: &[u8]) -> Result<Visit> {
    let time = began.elapsed().as_secs_f64() * 1000.0;
    let page = String::from_utf8(answer.to_vec()).with_context(|| format!("{path} is no text"))?;
    ensure!(page.ends_with("</html>"), "{path} is no page");
    ensure!(!page.contains(r#"role="alert""#) && !page.contains(r#"class="error""#), "{path} tells of a mistake");
    Ok(Visit { time, page })
}

/// What stands between `start` and the next `end`.
pub(crate) fn between<'a>(text: &'a str, start: &str, end: char) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    rest.split(end).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_without_a_mistake_count() {
        let of = |text: &str| page("/", Instant::now(), text.as_bytes()).is_ok();
        assert!(of("<!DOCTYPE html><html><p>Nothing</p></html>"));
        assert!(!of("{}"));
        assert!(!of(r#"<html><p class="error" id="q-error">must be 1 to 9</p></html>"#));
        assert!(!of(r#"<html><div class="said bad" role="alert">not found</div></html>"#));
        assert_eq!(between(r#"a href="/x?y" b"#, r#"href=""#, '"'), Some("/x?y"));
        assert_eq!(between("a", "b", '"'), None);
    }
}
