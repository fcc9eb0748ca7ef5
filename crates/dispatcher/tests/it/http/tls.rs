//! TLS of single handlers, against servers with an authority of their own.

use std::sync::{Arc, Mutex};

use baton_dispatcher::call::Opened;
use baton_domain::connection::Tls;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

use super::*;

/// An authority that signs certificates for this machine.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
struct Signed {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn sign(&self, name: &str) -> Signed {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        Signed { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

/// A server that speaks HTTP/2 and HTTP/1.1 and notes which version each request had.
struct TlsServer {
    url: String,
    versions: Arc<Mutex<Vec<::http::Version>>>,
    task: AbortHandle,
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TlsServer {
    /// `clients` are those whom it lets in; without, anybody.
    async fn start(server: &Signed, clients: Option<&Authority>, protocols: &[&str]) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let chain = CertificateDer::pem_slice_iter(server.certificate.as_bytes()).collect::<Result<Vec<_>, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_slice(server.key.as_bytes()).unwrap();
        let builder = ServerConfig::builder();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
                builder.with_client_cert_verifier(WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap())
            }
        };
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/hook", listener.local_addr().unwrap());
        let versions = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(accept(listener, TlsAcceptor::from(Arc::new(config)), Arc::clone(&versions))).abort_handle();
        Self { url, versions, task }
    }

    fn versions(&self) -> Vec<::http::Version> {
        self.versions.lock().unwrap().clone()
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, versions: Arc<Mutex<Vec<::http::Version>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, versions) = (acceptor.clone(), Arc::clone(&versions));
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let answer = service_fn(move |request: hyper::Request<Incoming>| {
                versions.lock().unwrap().push(request.version());
                async { Ok::<_, std::convert::Infallible>(hyper::Response::new(Full::new(Bytes::from_static(b"done")))) }
            });
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

fn trusting(ca: Option<String>) -> Tls<String> {
    Tls { ca, client_certificate: None, client_key: None, verify: true }
}

async fn post_with(url: &str, tls: Option<Tls<String>>) -> Outcome {
    let target = Target::new(&spec(url, AMPLE), Opened { tls, ..Opened::default() }).unwrap();
    call(&caller(&[], true), &target, 1).await
}

fn why(outcome: Outcome) -> String {
    assert_eq!(outcome.verdict, baton_domain::Verdict::Retry { after: None });
    outcome.error.unwrap()
}

#[tokio::test]
async fn a_receiver_of_an_authority_of_its_own_is_called_where_the_handler_names_it() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let server = TlsServer::start(&authority.sign("127.0.0.1"), None, &["http/1.1"]).await;
    assert_eq!(status(&post_with(&server.url, Some(trusting(Some(authority.pem())))).await), 200);
    let both = format!("{}{}", stranger.pem(), authority.pem());
    assert_eq!(status(&post_with(&server.url, Some(trusting(Some(both)))).await), 200);
    for tls in [None, Some(trusting(None)), Some(trusting(Some(stranger.pem())))] {
        let why = why(post_with(&server.url, tls).await);
        assert!(why.contains("no TLS connection") && why.contains("certificate"), "{why}");
    }
    assert_eq!(server.versions(), [::http::Version::HTTP_11; 2]);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority.sign("crm.example"), None, &["http/1.1"]).await;
    let why = why(post_with(&server.url, Some(trusting(Some(authority.pem())))).await);
    assert!(why.contains("not valid for name"), "{why}");
    let unchecked = Tls { verify: false, ..trusting(None) };
    assert_eq!(status(&post_with(&server.url, Some(unchecked)).await), 200);
}

#[tokio::test]
async fn a_receiver_that_wants_a_certificate_gets_the_handlers() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let server = TlsServer::start(&servers.sign("127.0.0.1"), Some(&clients), &["http/1.1"]).await;
    let showing = |signed: Signed| Tls {
        client_certificate: Some(signed.certificate),
        client_key: Some(signed.key),
        ..trusting(Some(servers.pem()))
    };
    assert_eq!(status(&post_with(&server.url, Some(showing(clients.sign("baton.example")))).await), 200);
    let none = post_with(&server.url, Some(trusting(Some(servers.pem())))).await;
    let foreign = post_with(&server.url, Some(showing(servers.sign("baton.example")))).await;
    for outcome in [none, foreign] {
        let why = why(outcome);
        assert!(why.contains("127.0.0.1"), "{why}");
    }
    assert_eq!(server.versions().len(), 1);
}

#[tokio::test]
async fn http2_is_spoken_where_it_is_offered_over_one_connection() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority.sign("127.0.0.1"), None, &["h2", "http/1.1"]).await;
    let caller = caller(&[], true);
    let tls = Some(trusting(Some(authority.pem())));
    let target = Target::new(&spec(&server.url, AMPLE), Opened { tls, ..Opened::default() }).unwrap();
    for attempt in 1..=3 {
        let outcome = call(&caller, &target, attempt).await;
        assert_eq!((status(&outcome), body(&outcome)), (200, ("done", false)));
    }
    assert_eq!(server.versions(), [::http::Version::HTTP_2; 3]);
}

#[tokio::test]
async fn what_cannot_be_used_is_said_before_it_is_saved() {
    let authority = Authority::new();
    let (one, other) = (authority.sign("a.example"), authority.sign("b.example"));
    let caller = caller(&[], true);
    let fields = async |tls: Tls<String>| {
        let errors = caller.inspect_connection(None, Some(&tls)).await;
        errors.0.into_iter().map(|error| error.field).collect::<Vec<_>>()
    };
    assert!(fields(trusting(Some(authority.pem()))).await.is_empty());
    let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for none in [pem, "-----BEGIN CERTIFICATE-----\n!", "", "no certificate"] {
        assert_eq!(fields(trusting(Some(none.into()))).await, ["tls.ca"], "{none}");
    }
    let pair = |certificate: &str, key: &str| Tls {
        client_certificate: Some(certificate.into()),
        client_key: Some(key.into()),
        ..trusting(None)
    };
    assert!(fields(pair(&one.certificate, &one.key)).await.is_empty());
    assert_eq!(fields(pair(&one.certificate, &other.key)).await, ["tls"]);
    assert_eq!(fields(pair(&one.certificate, "none")).await, ["tls.client_certificate"]);
}
