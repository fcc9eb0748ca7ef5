//! Tokens of authorization servers (OAuth 2.0, client credentials), asked for once and kept until shortly before they run out.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use ::http::HeaderValue;
use baton_domain::connection::{Auth, CredentialsIn};
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, Full};
use oauth2::basic::{BasicClient, BasicErrorResponse, BasicErrorResponseType};
use oauth2::{
    AsyncHttpClient, AuthType, ClientId, ClientSecret, HttpRequest, HttpResponse, RequestTokenError, Scope, TokenResponse as _,
    TokenUrl,
};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::client::HttpClient;
use super::failure;
use super::target::{parse_url, place};

/// How long a token is used of which the server does not say how long it is valid.
const UNKNOWN_LIFETIME: Duration = Duration::from_secs(300);
/// The longest that a token is kept, whatever its server says.
const LIFETIME_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long before its end a token is no longer used, where it lives long enough.
const MARGIN: Duration = Duration::from_secs(30);
/// How many tokens are kept; with more, all are asked for anew.
const TOKENS_MAX: usize = 10_000;
/// The most of a server's answer that is read, in bytes.
const ANSWER_MAX: usize = 64 * 1024;

/// Where the tokens of a handler come from.
pub(super) struct TokenSource {
    pub(super) url: Url,
    client_id: String,
    client_secret: String,
    scope: Option<String>,
    audience: Option<String>,
    credentials_in: CredentialsIn,
    digest: [u8; 32],
}

impl TokenSource {
    /// The source that these credentials name; none where they are of another kind.
    ///
    /// # Errors
    /// A sentence, when the address of the server is none.
    pub(super) fn new(auth: Auth<String>) -> Result<Option<Self>, String> {
        // A plain enum of texts always serialises.
        let digest = Sha256::digest(serde_json::to_vec(&auth).unwrap_or_default()).into();
        let Auth::Oauth2 { token_url, client_id, client_secret, scope, audience, credentials_in } = auth else { return Ok(None) };
        let url = parse_url(&token_url).map_err(|reason| format!("auth.token_url {reason}"))?;
        Ok(Some(Self { url, client_id, client_secret, scope, audience, credentials_in, digest }))
    }
}

/// A token as it is sent.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) header: HeaderValue,
    /// Whether it was asked for just now.
    pub(super) fresh: bool,
    until: Instant,
}

/// Why there is no token. A sentence without secrets.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NoToken(pub(super) String);

/// The way to a token server.
pub(super) struct TokenServer {
    client: HttpClient,
    /// Host and port.
    place: String,
}

impl TokenServer {
    pub(super) fn new(client: &HttpClient, url: &Url) -> Self {
        Self { client: client.clone(), place: place(url) }
    }

    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, NoToken> {
        let request = request.map(|form| Full::new(form.into()));
        let mut response = self.client.send(request).await.map_err(|error| {
            let end = failure::end(&error, &self.place);
            NoToken(format!("no token: {}", end.error.unwrap_or_default()))
        })?;
        let mut body = Vec::new();
        while let Some(frame) = response.body_mut().frame().await {
            let frame = frame.map_err(|error| NoToken(format!("no token: {}", failure::broken(&error, &self.place))))?;
            body.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
            if body.len() > ANSWER_MAX {
                return Err(NoToken(format!("no token: {} answered more than {} KiB", self.place, ANSWER_MAX / 1024)));
            }
        }
        let status = response.status();
        if status.is_server_error() || status.is_redirection() {
            return Err(NoToken(format!("no token: {} answered {status}", self.place)));
        }
        let mut answer = HttpResponse::new(with_whole_lifetime(body));
        *answer.status_mut() = status;
        *answer.headers_mut() = std::mem::take(response.headers_mut());
        Ok(answer)
    }
}

impl<'c> AsyncHttpClient<'c> for TokenServer {
    type Error = NoToken;
    type Future = BoxFuture<'c, Result<HttpResponse, NoToken>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.ask(request))
    }
}

type Slot = Arc<Mutex<Option<Token>>>;

/// The tokens that are valid. Calls that need the same wait for the one that asks for it.
#[derive(Default)]
pub(super) struct Tokens(std::sync::Mutex<HashMap<[u8; 32], Slot>>);

impl Tokens {
    /// The token of a source; `rejected` is one that the receiver did not take, which is not used again.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn get(
        &self,
        source: &TokenSource,
        rejected: Option<&Token>,
        server: &TokenServer,
    ) -> Result<Token, NoToken> {
        let slot = self.slot(source);
        let mut kept = slot.lock().await;
        let usable =
            |token: &&Token| token.until > Instant::now() && rejected.is_none_or(|rejected| rejected.header != token.header);
        if let Some(token) = kept.as_ref().filter(usable) {
            return Ok(Token { fresh: false, ..token.clone() });
        }
        *kept = None;
        let token = request(source, server).await?;
        *kept = Some(token.clone());
        Ok(token)
    }

    fn slot(&self, source: &TokenSource) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= TOKENS_MAX && !slots.contains_key(&source.digest) {
            slots.clear();
        }
        Arc::clone(slots.entry(source.digest).or_default())
    }
}

async fn request(source: &TokenSource, server: &TokenServer) -> Result<Token, NoToken> {
    let asked_at = Instant::now();
    let client = BasicClient::new(ClientId::new(source.client_id.clone()))
        .set_client_secret(ClientSecret::new(source.client_secret.clone()))
        .set_token_uri(TokenUrl::from_url(source.url.clone()))
        .set_auth_type(match source.credentials_in {
            CredentialsIn::Header => AuthType::BasicAuth,
            CredentialsIn::Body => AuthType::RequestBody,
        });
    let mut exchange = client.exchange_client_credentials();
    for scope in source.scope.iter().flat_map(|scope| scope.split(' ')) {
        exchange = exchange.add_scope(Scope::new(scope.to_owned()));
    }
    if let Some(audience) = &source.audience {
        exchange = exchange.add_extra_param("audience", audience.clone());
    }
    let answer = exchange.request_async(server).await.map_err(refused)?;
    let lifetime = answer.expires_in().unwrap_or(UNKNOWN_LIFETIME).min(LIFETIME_MAX);
    let margin = MARGIN.min(lifetime / 2);
    let header = HeaderValue::try_from(format!("Bearer {}", answer.access_token().secret()));
    let mut header = header.map_err(|_| NoToken("the token server gave a token that no header can carry".into()))?;
    header.set_sensitive(true);
    Ok(Token { header, fresh: true, until: asked_at + lifetime - margin })
}

/// A token server's answer with `expires_in` as RFC 6749 has it. Some write it as text or with a fraction; what says no time at all is left
/// out, as if it were not known.
fn with_whole_lifetime(answer: Vec<u8>) -> Vec<u8> {
    let Ok(serde_json::Value::Object(mut fields)) = serde_json::from_slice(&answer) else { return answer };
    let Some(lifetime) = fields.get("expires_in").filter(|lifetime| !lifetime.is_u64()) else { return answer };
    let seconds = lifetime.as_f64().or_else(|| lifetime.as_str().and_then(|text| text.trim().parse().ok()));
    match seconds.filter(|seconds| *seconds >= 0.0) {
        // What is more than a number of seconds can be becomes the greatest one.
        Some(seconds) => fields.insert("expires_in".into(), (seconds as u64).into()),
        None => fields.remove("expires_in"),
    };
    serde_json::Value::Object(fields).to_string().into_bytes()
}

/// The codes of RFC 6749, section 5.2; any other may be anything.
fn code(error: &BasicErrorResponseType) -> &str {
    match error {
        BasicErrorResponseType::Extension(_) => "with a code of its own",
        known => known.as_ref(),
    }
}

fn refused(error: RequestTokenError<NoToken, BasicErrorResponse>) -> NoToken {
    match error {
        // What it says beside the code may hold what it was sent.
        RequestTokenError::ServerResponse(answer) => NoToken(format!("the token server refused: {}", code(answer.error()))),
        RequestTokenError::Request(reason) => reason,
        RequestTokenError::Parse(error, _) => NoToken(format!("the token server's answer holds no token: {}", error.inner())),
        RequestTokenError::Other(reason) => NoToken(format!("the token server's answer holds no token: {reason}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_understood_however_it_is_written() {
        let lifetime = |written: &str| {
            let answer = format!(r#"{{"access_token":"t","expires_in":{written}}}"#);
            let read: serde_json::Value = serde_json::from_slice(&with_whole_lifetime(answer.into_bytes())).unwrap();
            assert_eq!(read["access_token"], "t");
            read.get("expires_in").cloned()
        };
        for written in ["3600", "\"3600\"", "3600.0", "\" 3600.9 \""] {
            assert_eq!(lifetime(written), Some(3600.into()), "{written}");
        }
        assert_eq!(lifetime("1e30"), Some(u64::MAX.into()));
        for written in ["-1", "\"soon\"", "null", "{}", "\"NaN\""] {
            assert_eq!(lifetime(written), None, "{written}");
        }
        assert_eq!(with_whole_lifetime(b"no JSON".to_vec()), b"no JSON");
    }
}
