//! One connection of a publisher.

use std::net::SocketAddr;
use std::pin::Pin;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

type Driver = http1::Connection<TokioIo<TcpStream>, Full<Bytes>>;

/// A connection that carries one request at a time. All of it runs within the task that asks: no other is woken.
pub(crate) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: Pin<Box<Driver>>,
    headers: HeaderMap,
}

impl Connection {
    /// As a publisher: bodies are JSON, the token is shown with each request.
    pub(crate) async fn open(address: SocketAddr, token: Option<&str>) -> Result<Self> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(token) = token {
            headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}"))?);
        }
        Self::with(address, headers).await
    }

    /// As a browser: bodies are forms.
    pub(crate) async fn of_browser(address: SocketAddr) -> Result<Self> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        Self::with(address, headers).await
    }

    async fn with(address: SocketAddr, mut headers: HeaderMap) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
        headers.insert(header::HOST, HeaderValue::from_str(&address.to_string())?);
        Ok(Self { sender, driver: Box::pin(driver), headers })
    }

    /// Shows this cookie with each request from here on.
    pub(crate) fn set_cookie(&mut self, cookie: HeaderValue) {
        self.headers.insert(header::COOKIE, cookie);
    }

    /// `POST`; an error unless the answer is a 2xx.
    pub(crate) async fn post(&mut self, uri: &Uri, body: impl Into<Bytes>) -> Result<Bytes> {
        self.ask(Method::POST, uri, body.into()).await
    }

    /// `GET`; an error unless the answer is a 2xx.
    pub(crate) async fn get(&mut self, uri: &Uri) -> Result<Bytes> {
        self.ask(Method::GET, uri, Bytes::new()).await
    }

    async fn ask(&mut self, method: Method, uri: &Uri, body: Bytes) -> Result<Bytes> {
        check(uri, self.exchange(method, uri, body).await?)
    }

    /// The answer, whatever it is.
    pub(crate) async fn exchange(&mut self, method: Method, uri: &Uri, body: Bytes) -> Result<Response<Bytes>> {
        let is_empty = body.is_empty();
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = self.headers.clone();
        if is_empty {
            request.headers_mut().remove(header::CONTENT_TYPE);
        }
        let sender = &mut self.sender;
        let exchange = async move {
            sender.ready().await?;
            let (head, body) = sender.send_request(request).await?.into_parts();
            Ok::<_, hyper::Error>(Response::from_parts(head, body.collect().await?.to_bytes()))
        };
        tokio::select! {
            biased;
            answered = exchange => Ok(answered?),
            ended = &mut self.driver => bail!("{uri}: the connection was closed: {ended:?}"),
        }
    }
}

fn check(uri: &Uri, answer: Response<Bytes>) -> Result<Bytes> {
    let (status, body) = (answer.status(), answer.into_body());
    if !status.is_success() {
        bail!("{uri} was answered with {status}: {}", String::from_utf8_lossy(&body));
    }
    Ok(body)
}
