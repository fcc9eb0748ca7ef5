//! What the form sends, as it was typed, and what the API is sent for it.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::model::{Handler, Task};

/// The form's fields as they were typed, so that all of it stays when something is refused.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Input {
    pub(super) name: String,
    pub(super) event: String,
    /// `http`, `https`, `script`.
    pub(super) task: String,
    pub(super) url: String,
    pub(super) path: String,
    /// One argument a line, or a JSON array where an argument does not fit on a line.
    pub(super) args: String,
    pub(super) status: String,
    pub(super) priority: String,
    pub(super) on_failure: String,
    pub(super) timeout_ms: String,
    pub(super) max_attempts: String,
    pub(super) first_delay_ms: String,
    pub(super) max_delay_ms: String,
    pub(super) lane: String,
    pub(super) header_name: Vec<String>,
    pub(super) header_value: Vec<String>,
    /// Names of stored headers that are to go.
    pub(super) header_remove: Vec<String>,
    /// `keep`, `generate`, `generate_ed25519`, `set`, `remove`.
    pub(super) secret_change: String,
    pub(super) secret: String,
    pub(super) notes: String,
    pub(super) filter: String,
    /// What the filter is to be tried on; not saved.
    pub(super) filter_data: String,
    pub(super) concurrency: String,
    pub(super) per_second: String,
    /// `none`, `basic`, `oauth2`.
    pub(super) auth: String,
    pub(super) username: String,
    pub(super) password: String,
    pub(super) token_url: String,
    pub(super) client_id: String,
    pub(super) client_secret: String,
    pub(super) scope: String,
    pub(super) audience: String,
    /// `header`, `body`.
    pub(super) credentials_in: String,
    pub(super) tls_ca: String,
    pub(super) tls_certificate: String,
    pub(super) tls_key: String,
    /// Anything where the receiver's certificate is not to be checked.
    pub(super) tls_unverified: String,
    /// The version that is edited.
    pub(super) version: Option<i64>,
    /// The version of somebody else that the operator wants to save over: said by a button of its own, which only a click presses.
    pub(super) over: Option<i64>,
    /// `preview` shows what was typed, `try` tries the filter; neither saves anything.
    pub(super) act: String,
}

impl Input {
    /// The form of a new handler.
    pub(super) fn fresh(event: &str) -> Self {
        Self {
            event: event.to_owned(),
            task: "http".into(),
            status: "enabled".into(),
            priority: "100".into(),
            on_failure: "continue".into(),
            timeout_ms: "10000".into(),
            max_attempts: "12".into(),
            first_delay_ms: "1000".into(),
            max_delay_ms: "3600000".into(),
            secret_change: "keep".into(),
            auth: "none".into(),
            credentials_in: "header".into(),
            ..Self::default()
        }
    }

    /// The form of a saved handler.
    pub(super) fn of(handler: &Handler) -> Self {
        let (task, url, path, args) = match &handler.task {
            Task::Http { url } => {
                (if url.starts_with("https:") { "https" } else { "http" }, url.clone(), String::new(), String::new())
            }
            Task::Script { path, args } => ("script", String::new(), path.clone(), lines(args)),
        };
        let target = if url.is_empty() { &path } else { &url };
        Self {
            name: handler.name.clone(),
            event: handler.event.clone(),
            task: task.into(),
            status: handler.status.clone(),
            priority: handler.priority.to_string(),
            on_failure: handler.on_failure.clone(),
            timeout_ms: handler.timeout_ms.to_string(),
            max_attempts: handler.retry.max_attempts.to_string(),
            first_delay_ms: handler.retry.first_delay_ms.to_string(),
            max_delay_ms: handler.retry.max_delay_ms.to_string(),
            // The default lane goes with the target, and an empty field stands for it.
            lane: if is_default_lane(&handler.lane, target) { String::new() } else { handler.lane.clone() },
            secret_change: "keep".into(),
            notes: handler.notes.clone(),
            version: Some(handler.version),
            url,
            path,
            args,
            ..Self::default()
        }
        .connection_of(handler)
    }

    /// Whether the task is a script.
    pub(super) fn is_script(&self) -> bool {
        self.task == "script"
    }

    /// The body for the API. Of a `stored` handler what is left out stays as it is, and null gives the default back; a new one takes the
    /// default of what is left out.
    pub(super) fn body(&self, stored: Option<&Handler>) -> Value {
        let mut body = Map::new();
        let mut put = |name: &str, value: Value| {
            if stored.is_some() || !value.is_null() {
                body.insert(name.to_owned(), value);
            }
        };
        put("name", json!(self.name));
        put("event", if self.event.is_empty() { Value::Null } else { json!(self.event) });
        put("task", self.task());
        put("status", text(&self.status));
        put("priority", number(&self.priority));
        put("on_failure", text(&self.on_failure));
        put("timeout_ms", number(&self.timeout_ms));
        put("retry", self.retry(stored.is_some()));
        put("lane", text(&self.lane));
        put("notes", json!(self.notes.replace("\r\n", "\n")));
        for (name, value) in self.connection() {
            put(name, value);
        }
        let headers = self.headers(stored);
        if !headers.is_empty() {
            put("headers", headers.into());
        }
        match self.secret_change.as_str() {
            "remove" if stored.is_some() => put("secret", Value::Null),
            // An empty one is for the API to refuse.
            "set" => put("secret", json!(self.secret.trim())),
            word @ ("generate" | "generate_ed25519") => put("secret", json!(word)),
            _ => {}
        }
        body.into()
    }

    /// What is wrong with an address whose scheme is not the one that is chosen above it: which of the two is meant nobody can tell.
    pub(super) fn scheme_error(&self) -> Option<String> {
        let typed = self.url.trim().to_ascii_lowercase();
        match self.task.as_str() {
            "https" if typed.starts_with("http://") => {
                Some("begins with http://, and HTTPS is chosen: change one of them".into())
            }
            "http" if typed.starts_with("https://") => {
                Some("begins with https://, and HTTP is chosen: change one of them".into())
            }
            _ => None,
        }
    }

    fn task(&self) -> Value {
        if self.is_script() {
            return json!({"type": "script", "path": text(&self.path), "args": arguments(&self.args)});
        }
        let url = self.url.trim();
        // With a scheme it is left to the API as it is: to refuse, where it is another one than HTTP.
        if url.is_empty() {
            json!({"type": "http", "url": null})
        } else if url.contains("://") {
            json!({"type": "http", "url": url})
        } else {
            json!({"type": "http", "url": format!("{}://{url}", if self.task == "https" { "https" } else { "http" })})
        }
    }

    fn retry(&self, is_stored: bool) -> Value {
        let fields = [
            ("max_attempts", &self.max_attempts),
            ("first_delay_ms", &self.first_delay_ms),
            ("max_delay_ms", &self.max_delay_ms),
        ];
        let given = fields.into_iter().map(|(name, typed)| (name.to_owned(), number(typed)));
        let given: Map<_, _> = given.filter(|(_, value)| is_stored || !value.is_null()).collect();
        if given.values().all(Value::is_null) { Value::Null } else { given.into_iter().filter(|(_, v)| !v.is_null()).collect() }
    }

    /// Headers that were typed; of stored ones only those that change.
    fn headers(&self, stored: Option<&Handler>) -> Map<String, Value> {
        let mut headers = Map::new();
        if self.is_script() {
            // A script has no request: what an HTTP task had goes with it.
            let names = stored.into_iter().flat_map(|stored| stored.headers.keys());
            return names.map(|name| (name.clone(), Value::Null)).collect();
        }
        for name in &self.header_remove {
            headers.insert(name.clone(), Value::Null);
        }
        for (name, value) in self.header_name.iter().zip(&self.header_value) {
            let name = name.trim();
            let is_stored = stored.is_some_and(|stored| stored.headers.contains_key(&name.to_ascii_lowercase()));
            let is_kept = value.is_empty() && is_stored;
            if (name.is_empty() && value.is_empty()) || is_kept || headers.contains_key(name) {
                continue;
            }
            headers.insert(name.to_owned(), json!(value));
        }
        headers
    }
}

/// A number where one was typed; else the text, so that the API says what is wrong with it; null for nothing.
pub(super) fn number(typed: &str) -> Value {
    match typed.trim() {
        "" => Value::Null,
        typed => typed.parse::<i64>().map_or_else(|_| json!(typed), |number| json!(number)),
    }
}

pub(super) fn text(typed: &str) -> Value {
    let typed = typed.trim();
    if typed.is_empty() { Value::Null } else { json!(typed) }
}

fn is_default_lane(lane: &str, target: &str) -> bool {
    lane == target || target.split(['?', '#']).next() == Some(lane)
}

/// Arguments as the form shows them.
fn lines(args: &[String]) -> String {
    let fits = |arg: &String| !arg.is_empty() && !arg.contains(['\n', '\r']) && arg.trim() == arg;
    if args.iter().all(fits) && !args.first().is_some_and(|arg| arg.starts_with('[')) {
        args.join("\n")
    } else {
        serde_json::to_string(args).unwrap_or_default()
    }
}

/// Arguments as they were typed.
fn arguments(typed: &str) -> Value {
    let typed = typed.trim();
    if typed.starts_with('[')
        && let Ok(array @ Value::Array(_)) = serde_json::from_str::<Value>(typed)
    {
        return array;
    }
    typed.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(task: &Value) -> Handler {
        serde_json::from_value(json!({
            "id": 3, "name": "CRM", "event": "clients.create", "task": task, "status": "enabled", "priority": 5, "on_failure": "wait",
            "timeout_ms": 1000, "retry": {"max_attempts": 2, "first_delay_ms": 10, "max_delay_ms": 20}, "lane": "http://a.lan/x",
            "headers": {"x-key": null, "x-old": null}, "secrets_valid": 1, "notes": "", "version": 7, "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z", "live": "live", "paused": false,
        }))
        .unwrap()
    }

    #[test]
    fn a_form_that_is_sent_back_changes_nothing() {
        let handler = stored(&json!({"type": "http", "url": "http://a.lan/x?y=1"}));
        let input = Input::of(&handler);
        assert_eq!(input.lane, "");
        let body = input.body(Some(&handler));
        assert_eq!(
            body,
            json!({"name": "CRM", "event": "clients.create", "task": {"type": "http", "url": "http://a.lan/x?y=1"}, "status": "enabled",
                "priority": 5, "on_failure": "wait", "timeout_ms": 1000, "lane": null, "notes": "",
                "retry": {"max_attempts": 2, "first_delay_ms": 10, "max_delay_ms": 20}, "filter": null,
                "limits": {"concurrency": null, "per_second": null}, "auth": null, "tls": null})
        );
    }

    #[test]
    fn headers_and_secrets_stay_unless_they_are_changed() {
        let handler = stored(&json!({"type": "http", "url": "https://a.lan/x"}));
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let input = Input {
            header_name: words(&["x-key", "x-old", "X-New", "", ""]),
            header_value: words(&["", "typed", "1", "", "alone"]),
            header_remove: words(&["x-old"]),
            secret_change: "remove".into(),
            ..Input::of(&handler)
        };
        let body = input.body(Some(&handler));
        assert_eq!(body["headers"], json!({"x-old": null, "X-New": "1", "": "alone"}));
        assert_eq!(body.get("secret"), Some(&Value::Null));
        assert_eq!(Input::of(&handler).body(Some(&handler)).get("secret"), None);
    }

    #[test]
    fn what_is_no_number_is_left_to_the_api() {
        let typed = Input { priority: "first".into(), timeout_ms: " ".into(), ..Input::fresh("") };
        let body = typed.body(None);
        assert_eq!(body["priority"], "first");
        assert_eq!(body.get("timeout_ms"), None);
        assert_eq!(body.get("event"), None);
    }

    #[test]
    fn a_scheme_that_was_typed_is_the_one_that_is_chosen() {
        let url = |task: &str, url: &str| {
            Input { task: task.into(), url: url.into(), ..Input::fresh("") }.body(None)["task"]["url"].clone()
        };
        assert_eq!(url("https", "a.lan/x"), "https://a.lan/x");
        assert_eq!(url("http", "a.lan/x"), "http://a.lan/x");
        assert_eq!(url("http", "ftp://a.lan/x"), "ftp://a.lan/x");
        let is_refused =
            |task: &str, url: &str| Input { task: task.into(), url: url.into(), ..Input::fresh("") }.scheme_error().is_some();
        assert!(is_refused("http", " HTTPS://a.lan") && is_refused("https", "http://a.lan"));
        assert!(!is_refused("http", "http://a.lan") && !is_refused("https", "a.lan") && !is_refused("script", "http://a.lan"));
        assert_eq!(url("http", " "), Value::Null);
    }

    #[test]
    fn arguments_come_back_as_they_are_stored() {
        for args in [&["a", "b c"][..], &["", "x\ny"], &["[1]"], &[], &[" a "]] {
            let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
            assert_eq!(arguments(&lines(&args)), json!(args), "{args:?}");
        }
        assert_eq!(arguments("a\r\n\r\n  b  "), json!(["a", "b"]));
    }
}
