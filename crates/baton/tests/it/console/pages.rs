//! The console by requests alone: what a browser would send, without one.

use reqwest::{Method, RequestBuilder};

use crate::rig::{Answer, Api, Embedded};

/// A signed-in operator without a browser.
pub(super) struct Operator {
    api: Api,
    pub(super) cookie: String,
    pub(super) csrf: String,
}

impl Operator {
    /// Signs in.
    pub(super) async fn of(baton: &Embedded) -> Self {
        let api = baton.api.clone();
        let answer = sign_in(&api, api.token()).await;
        assert_eq!(answer.status, 303, "{}", answer.text);
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        let mut operator = Self { api, cookie, csrf: String::new() };
        let page = operator.page("/console/provisioning").await;
        operator.csrf = between(&page, "name=\"csrf\" value=\"", "\"").to_owned();
        operator
    }

    /// A request with the session's cookie.
    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.api.anonymous(method, path).header("cookie", &self.cookie)
    }

    /// The markup of a page.
    pub(super) async fn page(&self, path: &str) -> String {
        let answer = self.api.send(self.request(Method::GET, path)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.text
    }

    /// Sends a form with its token.
    pub(super) async fn send(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.send_as(path, &self.csrf, fields).await
    }

    /// Sends a form with this token.
    pub(super) async fn send_as(&self, path: &str, csrf: &str, fields: &[(&str, &str)]) -> Answer {
        let request = self.request(Method::POST, path);
        self.api.send(form(request, &[&[("csrf", csrf)], fields].concat())).await
    }
}

/// Shows a token at the sign-in.
pub(super) async fn sign_in(api: &Api, token: &str) -> Answer {
    api.send(form(api.anonymous(Method::POST, "/console/sign-in"), &[("token", token)])).await
}

/// A request with a form as browsers send it.
pub(super) fn form(request: RequestBuilder, fields: &[(&str, &str)]) -> RequestBuilder {
    let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    request.header("content-type", "application/x-www-form-urlencoded").body(body)
}

/// What stands between two texts, the first time.
#[track_caller]
pub(super) fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before} in {text}"));
    rest.split_once(after).map_or(rest, |(found, _)| found)
}
