//! HTTP handlers: one POST, and as much of the answer as is kept.

use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use baton_domain::address::AddressPolicy;
use baton_domain::connection::{Auth, Tls};
use baton_domain::{FieldErrors, Outcome, Response, Verdict};
use chrono::Utc;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

use super::client::{Common, HttpClient};
use super::echo::Credentials;
use super::kept::Kept;
use super::oauth::{Token, TokenServer, TokenSource, Tokens};
use super::resolver::{NameError, Names};
use super::target::{self, HttpTarget};
use super::tls::{Authorities, TlsClients, TlsSettings};
use super::{Call, CallError, End, Started, answer, failure};

/// How long a look at a host name may take when a handler is saved.
const INSPECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes the requests of all HTTP handlers.
pub(super) struct HttpCaller {
    client: HttpClient,
    /// For handlers with TLS settings of their own.
    tls_clients: TlsClients,
    tokens: Tokens,
    policy: Arc<AddressPolicy>,
    authorities: Authorities,
    common: Common,
}

impl HttpCaller {
    /// # Errors
    /// A user agent that no header can carry.
    pub(super) fn new(policy: AddressPolicy, user_agent: &str) -> Result<Self, CallError> {
        // An error says that another part of the process has installed one, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let user_agent = HeaderValue::from_str(user_agent)?;
        let policy = Arc::new(policy);
        let common = Common { names: Names::new(Arc::clone(&policy)), user_agent };
        let authorities = Authorities::of_system();
        let client = common.client(authorities.usual());
        Ok(Self { client, tls_clients: TlsClients::default(), tokens: Tokens::default(), policy, authorities, common })
    }

    pub(super) async fn call(&self, target: &HttpTarget, limit: Duration, call: &Call<'_>) -> Outcome {
        let started = Started::now();
        let end = match self.check_literal(&target.url) {
            Ok(()) => self.exchange(target, limit, call, &started).await,
            Err(refusal) => End::failed(refusal),
        };
        started.outcome(end)
    }

    /// What is wrong with a URL as it is typed: its form, or an address that it names or resolves to.
    pub(super) async fn inspect(&self, url: &str) -> Result<(), String> {
        let url = target::parse_url(url)?;
        self.check_literal(&url)?;
        let Some(url::Host::Domain(name)) = url.host() else { return Ok(()) };
        match timeout(INSPECT_TIMEOUT, self.common.names.resolve(name)).await {
            Ok(Err(refused @ NameError::Refused { .. })) => Err(refused.to_string()),
            _ => Ok(()),
        }
    }

    /// Names are checked by the resolver, since they can change between two connections; addresses do not pass through it.
    fn check_literal(&self, url: &Url) -> Result<(), String> {
        target::literal(url).map_or(Ok(()), |address| self.policy.check(address)).map_err(|refusal| refusal.to_string())
    }

    /// What is wrong with certificates and keys, and with the address of a token server.
    pub(super) async fn inspect_connection(&self, auth: Option<&Auth<String>>, tls: Option<&Tls<String>>) -> FieldErrors {
        let mut errors = tls.and_then(|tls| self.authorities.config(tls).err()).unwrap_or_default();
        if let Some(Auth::Oauth2 { token_url, .. }) = auth
            && let Err(reason) = self.inspect(token_url).await
        {
            errors.push("auth.token_url", reason);
        }
        errors
    }

    /// A client for handlers with these settings.
    fn own_client(&self, settings: &TlsSettings) -> Result<HttpClient, String> {
        self.tls_clients.get(settings, |tls| self.authorities.config(tls).map(|config| self.common.client(config)))
    }

    async fn exchange(&self, target: &HttpTarget, limit: Duration, call: &Call<'_>, started: &Started) -> End {
        let headers = match target.headers(call, started.at) {
            Ok(headers) => headers,
            Err(reason) => return End::failed(reason),
        };
        let client = match target.tls.as_ref().map(|settings| self.own_client(settings)).transpose() {
            Ok(own) => own,
            Err(reason) => return End::failed(reason),
        };
        let client = client.as_ref().unwrap_or(&self.client);
        let deadline = started.clock + limit;
        let exchange = Exchange { client, target, call, limit, deadline };
        match &target.tokens {
            None => exchange.once(headers).await,
            // Seldom, and much larger than the other way.
            Some(source) => Box::pin(self.with_token(source, &exchange, headers)).await,
        }
    }

    /// Sends with a token. One that was kept and is not taken any more may have been withdrawn: then once more with a new one.
    async fn with_token(&self, source: &TokenSource, exchange: &Exchange<'_>, headers: HeaderMap) -> End {
        if let Err(refusal) = self.check_literal(&source.url) {
            return End::failed(format!("auth.token_url: {refusal}"));
        }
        let server = TokenServer::new(exchange.client, &source.url);
        let mut rejected: Option<Token> = None;
        loop {
            let token = match timeout_at(exchange.deadline, self.tokens.get(source, rejected.as_ref(), &server)).await {
                Ok(Ok(token)) => token,
                // Whatever is wrong there, it can be put right without the receiver: nothing is given up for it.
                Ok(Err(reason)) => return End::retry(reason.to_string()),
                Err(_) => return End::retry(format!("no token from {} within {} ms", source.url, exchange.limit.as_millis())),
            };
            let mut headers = headers.clone();
            headers.insert(header::AUTHORIZATION, token.header.clone());
            let end = exchange.once(headers).await;
            let unauthorized =
                matches!(end.response, Some(Response::Http { status, .. }) if status == StatusCode::UNAUTHORIZED.as_u16());
            if !unauthorized || token.fresh {
                return end;
            }
            rejected = Some(token);
        }
    }
}

/// A call on its way.
struct Exchange<'a> {
    client: &'a HttpClient,
    target: &'a HttpTarget,
    call: &'a Call<'a>,
    limit: Duration,
    deadline: Instant,
}

impl Exchange<'_> {
    async fn once(&self, headers: HeaderMap) -> End {
        let Self { client, target, call, limit, deadline } = self;
        let credentials = Credentials::of(&headers);
        let mut request = Request::new(Full::new(call.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = target.uri.clone();
        *request.headers_mut() = headers;
        if let Some(host) = &target.host {
            request.headers_mut().insert(header::HOST, host.clone());
        }
        let end = match timeout_at(*deadline, client.send(request)).await {
            Err(_) => End::retry(format!("no answer within {} ms", limit.as_millis())),
            Ok(Err(error)) => failure::end(&error, &target.place),
            Ok(Ok(mut response)) => {
                let (body, stop) = read(response.body_mut(), *deadline).await;
                let broken = match stop {
                    Stop::Enough => None,
                    Stop::Late => Some(format!("the answer was not complete within {} ms", limit.as_millis())),
                    Stop::Broken(error) => Some(failure::broken(&error, &target.place)),
                };
                end(&response, body, broken)
            }
        };
        credentials.masked(end)
    }
}

/// Why no more of a body was read.
enum Stop {
    /// It has ended, or there is more than is kept.
    Enough,
    /// The time is over.
    Late,
    /// The connection is.
    Broken(hyper::Error),
}

/// Reads what is kept of a body. A body that ends within the limit is read to its end, so that its connection can be used again.
async fn read(body: &mut Incoming, deadline: Instant) -> (Kept, Stop) {
    let mut kept = Kept::default();
    loop {
        match timeout_at(deadline, body.frame()).await {
            Err(_) => return (kept, Stop::Late),
            Ok(None) => return (kept, Stop::Enough),
            Ok(Some(Err(error))) => return (kept, Stop::Broken(error)),
            // Trailers are not kept.
            Ok(Some(Ok(frame))) => frame.data_ref().map_or((), |data| kept.take(data)),
        }
        if kept.truncated() {
            return (kept, Stop::Enough);
        }
    }
}

/// What an answer means. One that did not come in full is retried, whatever its status: it is no answer.
fn end(response: &::http::Response<Incoming>, body: Kept, broken: Option<String>) -> End {
    let (status, now) = (response.status(), Utc::now());
    let (verdict, error) = match broken {
        None => answer::judge(status, response.headers(), now),
        Some(reason) => (Verdict::Retry { after: answer::retry_after(status, response.headers(), now) }, Some(reason)),
    };
    let (headers, headers_cut) = answer::kept_headers(response.headers());
    let truncated = body.truncated() || headers_cut;
    let response = Response::Http { status: status.as_u16(), headers, body: body.into_text(), truncated };
    End { verdict, error, response: Some(response) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_agent_is_a_header_value() {
        assert!(HttpCaller::new(AddressPolicy::new([], true), "Baton/test").is_ok());
        assert!(HttpCaller::new(AddressPolicy::new([], true), "a\nb").is_err());
    }
}
