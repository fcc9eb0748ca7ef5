//! Handlers as they are called: parsed once per generation.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use ::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use baton_domain::Task;
use baton_domain::connection::Auth;
use baton_domain::handler::HandlerSpec;
use chrono::{DateTime, Utc};
use percent_encoding::percent_decode_str;
use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP};
use url::{Host, Url};

use super::Call;
use super::oauth::TokenSource;
use super::opened::Opened;
use super::signing::SigningKey;
use super::tls::TlsSettings;

const ATTEMPT: HeaderName = HeaderName::from_static("baton-attempt");
const HANDLER: HeaderName = HeaderName::from_static("baton-handler");
const GENERATION: HeaderName = HeaderName::from_static("baton-generation");
const WEBHOOK_PREFIX: &str = "webhook-";

/// Headers that are Baton's or the connection's own; an operator's are left out.
const OWN: [HeaderName; 9] = [
    ATTEMPT,
    HANDLER,
    GENERATION,
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::HOST,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::USER_AGENT,
];

/// How many headers a request gets beside those that all of a handler's have, at the most.
const ADDED: usize = 12;

/// A handler ready to be called: parsed once per generation, secrets opened.
pub struct Target {
    pub(super) timeout: Duration,
    pub(super) way: Way,
}

/// How it is reached.
pub(super) enum Way {
    Http(Box<HttpTarget>),
    Script(ScriptTarget),
}

/// Where to post to, and what every request has in common.
pub(super) struct HttpTarget {
    pub(super) url: Url,
    /// What is asked for: the URL without user and fragment.
    pub(super) uri: Uri,
    /// Host and port, as errors name them.
    pub(super) place: String,
    /// The host that a request names, which the client would make anew for each. Over TLS it depends on the version of HTTP whether one does.
    pub(super) host: Option<HeaderValue>,
    headers: HeaderMap,
    secrets: Vec<(SigningKey, Option<DateTime<Utc>>)>,
    /// Whom to trust, where it is not the authorities of the system alone.
    pub(super) tls: Option<TlsSettings>,
    /// Where its tokens come from, where it wants one.
    pub(super) tokens: Option<TokenSource>,
}

/// What to run.
pub(super) struct ScriptTarget {
    /// Under the script root.
    pub(super) path: String,
    pub(super) args: Vec<String>,
}

impl Target {
    /// Parses a handler, whose secrets are opened. Headers that Baton sets itself are left out.
    ///
    /// # Errors
    /// A sentence, for a URL, header, secret or certificate that no request can be made of.
    pub fn new(spec: &HandlerSpec, opened: Opened) -> Result<Self, String> {
        let way = match &spec.task {
            Task::Http { url } => Way::Http(Box::new(HttpTarget::new(url, opened)?)),
            Task::Script { path, args } => Way::Script(ScriptTarget { path: path.clone(), args: args.clone() }),
        };
        Ok(Self { timeout: Duration::from_millis(spec.timeout_ms.into()), way })
    }
}

impl fmt::Debug for Target {
    /// Without headers and secrets, which are not to be shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match &self.way {
            Way::Http(http) => &http.place,
            Way::Script(script) => &script.path,
        };
        f.debug_struct("Target").field("place", place).field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl HttpTarget {
    /// Parses what an HTTP handler is made of; see [`Target::new`].
    ///
    /// # Errors
    /// A sentence.
    pub(super) fn new(url: &str, opened: Opened) -> Result<Self, String> {
        let Opened { headers, secrets, auth, tls } = opened;
        let url = parse_url(url)?;
        let place = place(&url);
        let secrets =
            secrets.into_iter().map(|(secret, until)| Ok((SigningKey::parse(&secret)?, until))).collect::<Result<_, String>>()?;
        let mut headers = common_headers(headers)?;
        if let Some((username, password)) = user(&url)
            && !headers.contains_key(header::AUTHORIZATION)
        {
            headers.insert(header::AUTHORIZATION, basic(&username, &password)?);
        }
        let tokens = match auth {
            None => None,
            Some(Auth::Basic { username, password }) => {
                headers.insert(header::AUTHORIZATION, basic(&username, &password)?);
                None
            }
            Some(oauth2 @ Auth::Oauth2 { .. }) => TokenSource::new(oauth2)?,
        };
        let host = (url.scheme() == "http").then(|| host(&url)).transpose()?;
        Ok(Self { uri: uri(&url)?, url, place, host, headers, secrets, tls: tls.map(TlsSettings::new), tokens })
    }

    /// The headers of one attempt that begins at `now`.
    ///
    /// # Errors
    /// A sentence, when the body cannot be signed.
    pub(super) fn headers(&self, call: &Call<'_>, now: DateTime<Utc>) -> Result<HeaderMap, String> {
        let id = format!("{}-{}", call.event_id, call.handler_id);
        // With room for all that is added, here and by the client: a map that grows costs more than the one that it starts as.
        let mut headers = HeaderMap::with_capacity(self.headers.len() + ADDED);
        headers.extend(self.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        headers.insert(ATTEMPT, call.attempt.into());
        headers.insert(HANDLER, call.handler_id.0.into());
        headers.insert(GENERATION, call.generation.0.into());
        headers.insert(HEADER_WEBHOOK_TIMESTAMP, now.timestamp().into());
        let signature = self.signature(&id, call, now)?;
        if !signature.is_empty() {
            let mut signature = value(&signature)?;
            signature.set_sensitive(true);
            headers.insert(HEADER_WEBHOOK_SIGNATURE, signature);
        }
        headers.insert(HEADER_WEBHOOK_ID, value(&id)?);
        Ok(headers)
    }

    /// One signature for each secret that is valid at `now`, separated by spaces; empty where there is none.
    fn signature(&self, id: &str, call: &Call<'_>, now: DateTime<Utc>) -> Result<String, String> {
        let valid = self.secrets.iter().filter(|(_, until)| until.is_none_or(|until| now < until));
        let signed: Result<Vec<_>, _> = valid.map(|(signer, _)| signer.sign(id, now.timestamp(), &call.body)).collect();
        signed.map(|list| list.join(" "))
    }
}

/// A URL that can be posted to.
///
/// # Errors
/// A sentence.
pub(super) fn parse_url(url: &str) -> Result<Url, String> {
    if url.contains(char::is_control) {
        // A parser drops some of them, so that another place would be called than the one that is shown.
        return Err("must not hold control characters, such as line breaks".to_owned());
    }
    let url = Url::parse(url).map_err(|e| format!("is not a URL ({e}); an example is http://host:8080/path"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(format!("must begin with http:// or https://, not {}:", url.scheme()));
    }
    uri(&url)?;
    Ok(url)
}

/// What a request asks for.
fn uri(url: &Url) -> Result<Uri, String> {
    let mut asked = url.clone();
    asked.set_fragment(None);
    // Neither can fail for http and https, which always have a host.
    let _ = asked.set_username("");
    let _ = asked.set_password(None);
    Uri::try_from(String::from(asked)).map_err(|e| format!("cannot be asked for ({e})"))
}

/// The host that a request names: with its port, where that is not the usual one.
fn host(url: &Url) -> Result<HeaderValue, String> {
    let name = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| value(name), |port| value(&format!("{name}:{port}")))
}

/// The user and the password that a URL holds.
fn user(url: &Url) -> Option<(String, String)> {
    let plain = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let (username, password) = (url.username(), url.password());
    (!username.is_empty() || password.is_some()).then(|| (plain(username), plain(password.unwrap_or_default())))
}

/// The address that a URL names without the help of a name server.
pub(super) fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(v4) => Some(v4.into()),
        Host::Ipv6(v6) => Some(v6.into()),
        Host::Domain(_) => None,
    }
}

/// Host and port, as errors name them.
pub(super) fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn common_headers(headers: Vec<(String, String)>) -> Result<HeaderMap, String> {
    let mut common = HeaderMap::new();
    for (name, value) in headers {
        let parsed = HeaderName::try_from(&name).map_err(|_| format!("'{name}' is not a header name"))?;
        if OWN.contains(&parsed) || parsed.as_str().starts_with(WEBHOOK_PREFIX) {
            continue;
        }
        let mut value = HeaderValue::try_from(value).map_err(|_| format!("the value of the header '{name}' cannot be sent"))?;
        value.set_sensitive(true);
        common.insert(parsed, value);
    }
    common.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(common)
}

/// User and password as a header (RFC 7617).
fn basic(username: &str, password: &str) -> Result<HeaderValue, String> {
    let mut header = value(&format!("Basic {}", STANDARD.encode(format!("{username}:{password}"))))?;
    header.set_sensitive(true);
    Ok(header)
}

fn value(text: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(text).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use baton_domain::{EventId, GenerationNumber, HandlerId, ObjectId};

    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn http(headers: &[(&str, &str)], secrets: &[(&str, Option<&str>)]) -> Result<HttpTarget, String> {
        let headers = headers.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        let secrets = secrets.iter().map(|(s, until)| ((*s).into(), until.map(|u| u.parse().unwrap()))).collect();
        HttpTarget::new("http://crm.lan/api", Opened { headers, secrets, ..Opened::default() })
    }

    fn headers(target: &HttpTarget, now: &str) -> HeaderMap {
        let object_id = ObjectId::from_json("1").unwrap();
        let call = Call {
            event_id: EventId("0192f0c1-0000-7000-8000-000000000001".parse().unwrap()),
            events_id: "clients.create",
            object_id: &object_id,
            handler_id: HandlerId(5),
            generation: GenerationNumber(7),
            attempt: 2,
            body: "{}".into(),
        };
        target.headers(&call, now.parse().unwrap()).unwrap()
    }

    #[test]
    fn an_operators_header_takes_the_place_of_none_of_batons() {
        let own = ["Content-Type", "content-length", "Host", "Webhook-Id", "webhook-extra", "Baton-Attempt", "User-Agent"];
        let mut given: Vec<_> = own.iter().map(|name| (*name, "mine")).collect();
        given.push(("X-Key", "k"));
        let sent = headers(&http(&given, &[]).unwrap(), "2026-11-24T10:00:00Z");
        let sent: Vec<_> = sent.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        let mut sorted = sent.clone();
        sorted.sort_unstable();
        let expected = [
            ("baton-attempt", "2"),
            ("baton-generation", "7"),
            ("baton-handler", "5"),
            ("content-type", "application/json"),
            ("webhook-id", "0192f0c1-0000-7000-8000-000000000001-5"),
            ("webhook-timestamp", "1795514400"),
            ("x-key", "k"),
        ];
        assert_eq!(sorted, expected);
    }

    #[test]
    fn a_secret_signs_until_it_ends() {
        let target = http(&[], &[(SECRET, None), ("whsec_AAAA", Some("2026-11-24T10:00:00Z"))]).unwrap();
        let signatures = |now: &str| headers(&target, now)["webhook-signature"].to_str().unwrap().split(' ').count();
        assert_eq!(signatures("2026-11-24T09:59:59.999Z"), 2);
        assert_eq!(signatures("2026-11-24T10:00:00Z"), 1);
        let ended = http(&[], &[(SECRET, Some("2026-11-24T10:00:00Z"))]).unwrap();
        assert!(!headers(&ended, "2026-11-24T10:00:00Z").contains_key("webhook-signature"));
    }

    #[test]
    fn what_no_request_can_be_made_of_is_said() {
        assert!(http(&[("a b", "x")], &[]).is_err_and(|e| e.contains("a b")));
        assert!(http(&[("x-key", "a\nb")], &[]).is_err_and(|e| e.contains("x-key") && !e.contains("a\nb")));
        assert!(http(&[], &[("whsec_!", None)]).is_err_and(|e| !e.contains('!')));
        for url in ["", "crm.lan", "ftp://crm.lan/", "mailto:a@crm.lan", "http://", "http://crm.lan/a\r\nb"] {
            assert!(parse_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn addresses_are_seen_in_every_spelling() {
        for url in ["http://127.0.0.1/", "http://127.1/", "http://0x7f000001/", "http://2130706433/", "http://127.0.0.1./"] {
            assert_eq!(literal(&parse_url(url).unwrap()), Some("127.0.0.1".parse().unwrap()), "{url}");
        }
        assert_eq!(literal(&parse_url("http://[::1]:80/").unwrap()), Some("::1".parse().unwrap()));
        assert_eq!(literal(&parse_url("http://localhost/").unwrap()), None);
    }
}
