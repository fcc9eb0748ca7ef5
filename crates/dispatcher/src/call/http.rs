//! HTTP handlers: one POST, and as much of the answer as is kept.

use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, header};
use baton_domain::address::AddressPolicy;
use baton_domain::connection::{Auth, Tls};
use baton_domain::{FieldErrors, Outcome, Response, Verdict};
use chrono::Utc;
use reqwest::{StatusCode, redirect};
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

use super::kept::Kept;
use super::oauth::{Token, TokenServer, TokenSource, Tokens};
use super::resolver::{NameError, Names};
use super::target::{self, HttpTarget};
use super::tls::{self, TlsClients};
use super::{Call, End, Started, answer, failure};

/// How long a connection may take to be there, TLS included, where the handler's timeout is not shorter. It is shared out among the
/// addresses of a name, so that one that swallows packets does not keep the others from being tried.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an unused connection is kept. Shorter than the five seconds after which common servers close it, so that no request meets a
/// connection that is just being closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// The most unused connections to one host that are kept.
const IDLE_MAX: usize = 256;
/// How long a look at a host name may take when a handler is saved.
const INSPECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes the requests of all HTTP handlers.
pub(super) struct HttpCaller {
    client: reqwest::Client,
    /// For handlers with TLS settings of their own.
    tls_clients: TlsClients,
    tokens: Tokens,
    policy: Arc<AddressPolicy>,
    names: Names,
    user_agent: String,
}

impl HttpCaller {
    pub(super) fn new(policy: AddressPolicy, user_agent: &str) -> reqwest::Result<Self> {
        // An error says that another part of the process has installed one, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let policy = Arc::new(policy);
        let names = Names::new(Arc::clone(&policy));
        let client = match builder(&names, user_agent).build() {
            Ok(client) => client,
            Err(error) => {
                // A machine without any CA certificate can still call http:// URLs.
                let client = builder(&names, user_agent).tls_certs_only([]).build()?;
                tracing::warn!(%error, "no CA certificates on this system: every call of an https:// URL will fail");
                client
            }
        };
        let user_agent = user_agent.to_owned();
        Ok(Self { client, tls_clients: TlsClients::default(), tokens: Tokens::default(), policy, names, user_agent })
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
        match timeout(INSPECT_TIMEOUT, self.names.resolve(name)).await {
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
        let mut errors = tls.map(|tls| tls::inspect(tls, || self.builder())).unwrap_or_default();
        if let Some(Auth::Oauth2 { token_url, .. }) = auth
            && let Err(reason) = self.inspect(token_url).await
        {
            errors.push("auth.token_url", reason);
        }
        errors
    }

    fn builder(&self) -> reqwest::ClientBuilder {
        builder(&self.names, &self.user_agent)
    }

    async fn exchange(&self, target: &HttpTarget, limit: Duration, call: &Call<'_>, started: &Started) -> End {
        let headers = match target.headers(call, started.at) {
            Ok(headers) => headers,
            Err(reason) => return End::failed(reason),
        };
        let client = match target.tls.as_ref().map(|settings| self.tls_clients.get(settings, || self.builder())).transpose() {
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
    client: &'a reqwest::Client,
    target: &'a HttpTarget,
    call: &'a Call<'a>,
    limit: Duration,
    deadline: Instant,
}

impl Exchange<'_> {
    async fn once(&self, headers: HeaderMap) -> End {
        let Self { client, target, call, limit, deadline } = self;
        let request = client.post(target.url.clone()).headers(headers).body(call.body.clone());
        match timeout_at(*deadline, request.send()).await {
            Err(_) => End::retry(format!("no answer within {} ms", limit.as_millis())),
            Ok(Err(error)) => failure::end(&error, &target.place),
            Ok(Ok(mut response)) => {
                let (body, stop) = read(&mut response, *deadline).await;
                let broken = match stop {
                    Stop::Enough => None,
                    Stop::Late => Some(format!("the answer was not complete within {} ms", limit.as_millis())),
                    Stop::Broken(error) => Some(failure::broken(&error, &target.place)),
                };
                end(&response, body, broken)
            }
        }
    }
}

fn builder(names: &Names, user_agent: &str) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(user_agent)
        .dns_resolver(Arc::new(names.clone()))
        .no_proxy()
        .redirect(redirect::Policy::none())
        // Bodies are kept as they come, whatever other parts of the process switch on.
        .no_gzip()
        .no_brotli()
        .no_deflate()
        .no_zstd()
        .tcp_nodelay(true)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(IDLE_MAX)
}

/// Why no more of a body was read.
enum Stop {
    /// It has ended, or there is more than is kept.
    Enough,
    /// The time is over.
    Late,
    /// The connection is.
    Broken(reqwest::Error),
}

/// Reads what is kept of a body. A body that ends within the limit is read to its end, so that its connection can be used again.
async fn read(response: &mut reqwest::Response, deadline: Instant) -> (Kept, Stop) {
    let mut kept = Kept::default();
    loop {
        match timeout_at(deadline, response.chunk()).await {
            Err(_) => return (kept, Stop::Late),
            Ok(Err(error)) => return (kept, Stop::Broken(error)),
            Ok(Ok(None)) => return (kept, Stop::Enough),
            Ok(Ok(Some(chunk))) => kept.take(&chunk),
        }
        if kept.truncated() {
            return (kept, Stop::Enough);
        }
    }
}

/// What an answer means. One that did not come in full is retried, whatever its status: it is no answer.
fn end(response: &reqwest::Response, body: Kept, broken: Option<String>) -> End {
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
    fn a_machine_without_ca_certificates_still_has_a_client() {
        let policy = AddressPolicy::new([], true);
        assert!(HttpCaller::new(policy.clone(), "Baton/test").is_ok());
        let names = Names::new(Arc::new(policy));
        assert!(builder(&names, "Baton/test").tls_certs_only([]).build().is_ok());
        assert!(HttpCaller::new(AddressPolicy::new([], true), "a\nb").is_err());
    }
}
