//! One connection of a publisher.

use std::net::SocketAddr;
use std::pin::Pin;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
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
    pub(crate) async fn open(address: SocketAddr, token: Option<&str>) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(&address.to_string())?);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(token) = token {
            headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}"))?);
        }
        Ok(Self { sender, driver: Box::pin(driver), headers })
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
            let answer = sender.send_request(request).await?;
            let status = answer.status();
            Ok::<_, hyper::Error>((status, answer.into_body().collect().await?.to_bytes()))
        };
        let (status, body) = tokio::select! {
            biased;
            answered = exchange => answered?,
            ended = &mut self.driver => bail!("{uri}: the connection was closed: {ended:?}"),
        };
        check(uri, status, body)
    }
}

fn check(uri: &Uri, status: StatusCode, body: Bytes) -> Result<Bytes> {
    if !status.is_success() {
        bail!("{uri} was answered with {status}: {}", String::from_utf8_lossy(&body));
    }
    Ok(body)
}
