//! Which events a handler wants, how much of them it can bear, who Baton is to it and whom Baton trusts there.

use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::super::model::{Auth, Handler, Tls};
use super::input::{Input, number, text};
use crate::components::field::{Errors, Text, described, field, select};

impl Input {
    /// The fields of the form for what a handler has of this.
    pub(super) fn connection_of(self, handler: &Handler) -> Self {
        let shown = |limit: Option<u16>| limit.map(|limit| limit.to_string()).unwrap_or_default();
        let auth = handler.auth.clone().unwrap_or_default();
        let tls = handler.tls.clone().unwrap_or_else(Tls::usual);
        Self {
            filter: handler.filter.clone().unwrap_or_default(),
            concurrency: shown(handler.limits.concurrency),
            per_second: shown(handler.limits.per_second),
            auth: auth.kind.clone().unwrap_or_else(|| "none".into()),
            username: auth.username.unwrap_or_default(),
            token_url: auth.token_url.unwrap_or_default(),
            client_id: auth.client_id.unwrap_or_default(),
            scope: auth.scope.unwrap_or_default(),
            audience: auth.audience.unwrap_or_default(),
            credentials_in: auth.credentials_in.unwrap_or_else(|| "header".into()),
            tls_ca: tls.ca.unwrap_or_default(),
            tls_certificate: tls.client_certificate.unwrap_or_default(),
            tls_unverified: if tls.verify { String::new() } else { "yes".into() },
            ..self
        }
    }

    /// What the API is sent of it. Secrets that are not typed are left out, which keeps those that are stored.
    pub(super) fn connection(&self) -> [(&'static str, Value); 4] {
        [
            ("filter", text(&self.filter.replace("\r\n", "\n"))),
            ("limits", json!({"concurrency": number(&self.concurrency), "per_second": number(&self.per_second)})),
            ("auth", if self.is_script() { Value::Null } else { self.auth() }),
            ("tls", if self.is_script() { Value::Null } else { self.tls() }),
        ]
    }

    fn auth(&self) -> Value {
        let (mut auth, secret, typed) = match self.auth.as_str() {
            "basic" => (json!({"type": "basic", "username": text(&self.username)}), "password", &self.password),
            "oauth2" => {
                let auth = json!({
                    "type": "oauth2", "token_url": text(&self.token_url), "client_id": text(&self.client_id), "scope": text(&self.scope),
                    "audience": text(&self.audience), "credentials_in": text(&self.credentials_in),
                });
                (auth, "client_secret", &self.client_secret)
            }
            _ => return Value::Null,
        };
        if !typed.is_empty() {
            auth[secret] = json!(typed);
        }
        auth
    }

    fn tls(&self) -> Value {
        let pem = |typed: &str| text(&typed.replace("\r\n", "\n"));
        let (ca, certificate, verify) = (pem(&self.tls_ca), pem(&self.tls_certificate), self.tls_unverified.is_empty());
        let key = pem(&self.tls_key);
        if verify && [&ca, &certificate, &key].into_iter().all(Value::is_null) {
            return Value::Null;
        }
        let mut tls =
            Map::from_iter([("ca".into(), ca), ("client_certificate".into(), certificate), ("verify".into(), json!(verify))]);
        if !key.is_null() {
            tls.insert("client_key".into(), key);
        }
        tls.into()
    }
}

/// What a filter says of an event that it was tried on.
pub(super) struct Tried {
    /// Whether the handler would be called; `None` where it cannot be said.
    pub(super) wanted: Option<bool>,
    /// Why it cannot.
    pub(super) error: Option<String>,
}

/// Which events it wants, and how many. `action` is where the form is sent.
pub(super) fn events(input: &Input, action: &str, tried: Option<&Tried>, errors: &Errors) -> Markup {
    let area = |id: &'static str, rows: &'static str, value: &str, error: bool| {
        html! {
            textarea.code id=(id) name=(id) rows=(rows) spellcheck="false" aria-invalid=[error.then_some("true")]
                aria-describedby=[described(id, true, error)] { (value) }
        }
    };
    let error = errors.of("filter");
    let hint = html! {
        "An expression on " code { "event" } " and " code { "data" } ", such as " code { "has(data.credit) && data.credit > 100" }
        " (" a.inline href="https://cel.dev" rel="noreferrer" { "CEL" } "). Empty: every event of the type. Who does not want an event is skipped, and the log says so."
    };
    let data_error = errors.of("data").or_else(|| errors.of("body"));
    let data_hint = html! { "Data to try the filter on, a JSON object. Empty: the sample of the event type." };
    let number = |name, label, value, hint, field: &str| {
        Text::new(name, label, value).numeric().hint(hint).shown(errors.of(field).as_deref())
    };
    html! {
        (field("filter", "Only events with", &area("filter", "2", &input.filter, error.is_some()), Some(&hint), error.as_deref()))
        details.tryout open[input.act == "try" || data_error.is_some()] {
            summary { "Try it on an event" }
            (field("filter_data", "Data", &area("filter_data", "4", &input.filter_data, data_error.is_some()), Some(&data_hint), data_error.as_deref()))
            button.btn name="act" value="try" formaction={ (action) "#tried" } { "Try the filter" }
            @if let Some(tried) = tried { (verdict(tried)) }
        }
        div.pair {
            (number("concurrency", "Calls at once", &input.concurrency, "At most; empty: no limit of its own.", "limits.concurrency"))
            (number("per_second", "Calls a second", &input.per_second, "At most, spread over the second; empty: no limit.", "limits.per_second"))
        }
    }
}

fn verdict(tried: &Tried) -> Markup {
    html! {
        div #tried role="status" {
            @match (tried.wanted, &tried.error) {
                (Some(true), _) => { p.said.good { "Wanted: the handler would be called." } }
                (Some(false), _) => { p.said { "Not wanted: the handler would be skipped." } }
                (None, error) => { p.said.bad { "It cannot be asked of this event, which would be a dead letter: " (error.as_deref().unwrap_or_default()) } }
            }
        }
    }
}

const KINDS: &[(&str, &str)] = &[("none", "None"), ("basic", "User and password"), ("oauth2", "OAuth2 client credentials")];
const PLACES_OF_CREDENTIALS: &[(&str, &str)] = &[("header", "in a header (basic)"), ("body", "in the body")];

/// Who Baton is to the receiver.
pub(super) fn auth(saved: Option<&Handler>, input: &Input, errors: &Errors) -> Markup {
    let stored = saved.and_then(|handler| handler.auth.as_ref()).and_then(|auth: &Auth| auth.kind.as_deref());
    let line = |name, label, value, field: &str| Text::new(name, label, value).shown(errors.of(field).as_deref());
    let secret = |name, label, of: &str, field: &str| {
        let placeholder = if stored == Some(of) { "stored; type to replace it" } else { "" };
        Text { kind: "password", ..Text::new(name, label, "").placeholder(placeholder) }.shown(errors.of(field).as_deref())
    };
    let kind_error = errors.of("auth").or_else(|| errors.of("auth.type"));
    html! {
        (select("auth", "Authentication", &input.auth, KINDS, kind_error.as_deref()))
        div.of-basic {
            div.pair {
                (line("username", "User", &input.username, "auth.username"))
                (secret("password", "Password", "basic", "auth.password"))
            }
        }
        div.of-oauth2 {
            (line("token_url", "Token address", &input.token_url, "auth.token_url"))
            div.pair {
                (line("client_id", "Client id", &input.client_id, "auth.client_id"))
                (secret("client_secret", "Client secret", "oauth2", "auth.client_secret"))
                (line("scope", "Scope", &input.scope, "auth.scope"))
                (line("audience", "Audience", &input.audience, "auth.audience"))
            }
            (select("credentials_in", "Credentials are sent", &input.credentials_in, PLACES_OF_CREDENTIALS, errors.of("auth.credentials_in").as_deref()))
        }
    }
}

/// Whom Baton trusts there.
pub(super) fn tls(saved: Option<&Handler>, input: &Input, errors: &Errors) -> Markup {
    let has_certificate = saved.and_then(|handler| handler.tls.as_ref()).is_some_and(|tls| tls.client_certificate.is_some());
    let pem = |id: &'static str, label: &'static str, value: &str, hint: &'static str, of: &str| {
        let error = errors.of(of);
        let area = html! {
            textarea.code id=(id) name=(id) rows="3" spellcheck="false" autocomplete="off" aria-invalid=[error.as_ref().map(|_| "true")]
                aria-describedby=[described(id, true, error.is_some())] { (value) }
        };
        field(id, label, &area, Some(&html! { (hint) }), error.as_deref())
    };
    let key_hint = if has_certificate {
        "A key is stored and stays; paste one to replace it."
    } else {
        "Stored encrypted and never shown again."
    };
    let unverified = !input.tls_unverified.is_empty();
    html! {
        details.tls open[unverified || !errors.below("tls").is_empty() || errors.of("tls").is_some() || !input.tls_ca.is_empty() || has_certificate] {
            summary { "TLS" }
            @if let Some(error) = errors.of("tls") { p.error { (error) } }
            (pem("tls_ca", "Authorities to trust", &input.tls_ca, "Certificates in PEM, trusted beside those of the system.", "tls.ca"))
            (pem("tls_certificate", "Client certificate", &input.tls_certificate, "In PEM, for receivers that want to know who calls.", "tls.client_certificate"))
            (pem("tls_key", "Key of the client certificate", "", key_hint, "tls.client_key"))
            label.check { input #tls_unverified type="checkbox" name="tls_unverified" value="yes" checked[unverified]; "Do not check the receiver's certificate" }
            @if unverified {
                p.said.bad { "Anyone on the way can read and alter what is sent. For a lab only." }
            } @else {
                p.hint { "For a lab only: anyone on the way could read and alter what is sent." }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(more: &Value) -> Handler {
        let mut handler = json!({
            "id": 3, "name": "CRM", "event": "clients.create", "task": {"type": "http", "url": "https://a.lan/x"}, "status": "enabled",
            "priority": 5, "on_failure": "wait", "timeout_ms": 1000, "retry": {"max_attempts": 2, "first_delay_ms": 10, "max_delay_ms": 20},
            "lane": "x", "headers": {}, "secrets_valid": 0, "notes": "", "version": 7, "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z", "live": "live", "paused": false,
        });
        handler.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(handler).unwrap()
    }

    fn sent(input: &Input, name: &str) -> Value {
        input.connection().into_iter().find(|(of, _)| *of == name).unwrap().1
    }

    #[test]
    fn what_is_sent_back_changes_nothing() {
        let auth = json!({"type": "oauth2", "token_url": "https://l.lan/t", "client_id": "b", "client_secret": null, "scope": "a b", "credentials_in": "body"});
        let tls = json!({"ca": "pem", "client_certificate": null, "client_key": null, "verify": false});
        let more = json!({"filter": "data.a == 1", "limits": {"concurrency": 4, "per_second": null}, "auth": auth, "tls": tls});
        let input = Input::of(&stored(&more));
        assert_eq!(sent(&input, "filter"), "data.a == 1");
        assert_eq!(sent(&input, "limits"), json!({"concurrency": 4, "per_second": null}));
        let auth = json!({"type": "oauth2", "token_url": "https://l.lan/t", "client_id": "b", "scope": "a b", "audience": null, "credentials_in": "body"});
        assert_eq!(sent(&input, "auth"), auth);
        assert_eq!(sent(&input, "tls"), json!({"ca": "pem", "client_certificate": null, "verify": false}));
    }

    #[test]
    fn a_handler_without_any_of_it_stays_without() {
        let input = Input::of(&stored(&json!({})));
        assert_eq!((sent(&input, "filter"), sent(&input, "auth"), sent(&input, "tls")), (Value::Null, Value::Null, Value::Null));
        let script = Input { task: "script".into(), auth: "basic".into(), tls_unverified: "yes".into(), ..input };
        assert_eq!((sent(&script, "auth"), sent(&script, "tls")), (Value::Null, Value::Null));
    }

    #[test]
    fn secrets_are_sent_only_where_they_were_typed() {
        let basic = Input { auth: "basic".into(), username: "baton".into(), ..Input::fresh("") };
        assert_eq!(sent(&basic, "auth"), json!({"type": "basic", "username": "baton"}));
        let typed = Input { password: " p ".into(), ..basic };
        assert_eq!(sent(&typed, "auth")["password"], " p ");
    }
}
