//! What a receiver repeats of the credentials that it was sent: it must not get into the log, from where more people can read it than know them.

use std::cmp::Reverse;

use ::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use baton_domain::{Response, mask};

use super::End;

/// Shorter ones are left: they stand in much that is no secret, and what is left would say what they are.
const LEAST_BYTES: usize = 8;
const BASIC: &str = "Basic ";

/// The credentials of one request, in every form that a receiver is likely to repeat them in.
pub(super) struct Credentials(Vec<String>);

impl Credentials {
    /// Those among the headers of a request: all that are marked as sensitive.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut forms: Vec<_> = headers.values().filter(|value| value.is_sensitive()).flat_map(forms).collect();
        forms.retain(|form| form.len() >= LEAST_BYTES);
        // What holds another is replaced whole.
        forms.sort_unstable_by_key(|form| Reverse(form.len()));
        Self(forms)
    }

    /// What is kept of an answer, with the credentials replaced.
    pub(super) fn masked(&self, mut end: End) -> End {
        if self.0.is_empty() {
            return end;
        }
        if let Some(error) = &mut end.error {
            self.mask(error);
        }
        if let Some(Response::Http { headers, body, .. }) = &mut end.response {
            headers.values_mut().for_each(|value| self.mask(value));
            self.mask(body);
        }
        end
    }

    fn mask(&self, text: &mut String) {
        for form in &self.0 {
            if text.contains(form.as_str()) {
                *text = text.replace(form.as_str(), mask::MASK);
            }
        }
    }
}

/// A header's value, what stands behind its scheme, and user and password where it is those; each also as it stands in JSON.
fn forms(value: &HeaderValue) -> Vec<String> {
    let whole = String::from_utf8_lossy(value.as_bytes()).into_owned();
    let mut forms = Vec::new();
    if let Some((_, behind)) = whole.split_once(' ') {
        forms.push(behind.to_owned());
    }
    if let Some(pair) = whole.strip_prefix(BASIC).and_then(decoded) {
        forms.extend(pair.split_once(':').map(|(_, password)| password.to_owned()));
        forms.push(pair);
    }
    forms.push(whole);
    let quoted: Vec<_> = forms.iter().filter_map(|form| in_json(form)).collect();
    forms.extend(quoted);
    forms
}

fn decoded(text: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(text).ok()?).ok()
}

/// The form within a string of JSON, where that is another.
fn in_json(form: &str) -> Option<String> {
    let quoted = serde_json::to_string(form).ok()?;
    let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
    (inner != form).then(|| inner.to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use baton_domain::Verdict;

    use super::*;

    fn sent(list: &[(&'static str, &str)]) -> Credentials {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        for (name, value) in list {
            let mut value = HeaderValue::try_from(*value).unwrap();
            value.set_sensitive(true);
            headers.append(*name, value);
        }
        Credentials::of(&headers)
    }

    fn masked(list: &[(&'static str, &str)], text: &str) -> String {
        let mut text = text.to_owned();
        sent(list).mask(&mut text);
        text
    }

    #[test]
    fn whatever_form_a_credential_comes_back_in_it_is_replaced() {
        let key = [("x-api-key", "k-123456789")];
        assert_eq!(masked(&key, r#"{"bad key":"k-123456789"}, k-123456789"#), r#"{"bad key":"••••"}, ••••"#);
        let bearer = [("authorization", "Bearer abcdefgh.ijkl")];
        assert_eq!(masked(&bearer, "Bearer abcdefgh.ijkl or abcdefgh.ijkl"), "•••• or ••••");
        // billing:correct horse
        let basic = [("authorization", "Basic YmlsbGluZzpjb3JyZWN0IGhvcnNl")];
        assert_eq!(
            masked(&basic, "YmlsbGluZzpjb3JyZWN0IGhvcnNl is billing:correct horse, whose password is correct horse"),
            "•••• is ••••, whose password is ••••"
        );
        assert_eq!(masked(&[("x-key", r#"a"b\c"d"e"f"#)], r#"{"was":"a\"b\\c\"d\"e\"f"}"#), r#"{"was":"••••"}"#);
    }

    #[test]
    fn what_is_short_or_no_credential_is_left() {
        assert_eq!(masked(&[("x-env", "prod")], "production"), "production");
        assert_eq!(masked(&[("x-api-key", "k-123456789")], "application/json k-12345678"), "application/json k-12345678");
        assert!(sent(&[]).0.is_empty());
    }

    #[test]
    fn headers_body_and_error_are_masked() {
        let key = "k-123456789";
        let response = Response::Http {
            status: 302,
            headers: BTreeMap::from([("location".to_owned(), format!("/login?key={key}"))]),
            body: format!("no {key}"),
            truncated: false,
        };
        let error = Some(format!("answered 302 Found, which points to /login?key={key}"));
        let end = sent(&[("x-api-key", key)]).masked(End { verdict: Verdict::Failed, error, response: Some(response) });
        let kept = format!("{:?} {:?}", end.error, end.response);
        assert!(!kept.contains(key) && kept.matches(mask::MASK).count() == 3, "{kept}");
    }
}
