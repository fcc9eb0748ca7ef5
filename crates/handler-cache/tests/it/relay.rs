//! A way to Redis that can fall silent, as a network does when a firewall forgets a connection or a host loses its power.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Hands bytes on in both directions until it falls silent; then connections stay open and new ones are accepted, but nothing passes.
pub(crate) struct Relay {
    address: SocketAddr,
    /// Cancelled, the connections that were made under it are silent for ever.
    silence: Arc<Mutex<CancellationToken>>,
    _end: DropGuard,
}

impl Relay {
    /// A relay to the server of this `redis://` URL.
    pub(crate) async fn to(redis_url: &str) -> Self {
        let target = redis_url.trim_start_matches("redis://").split('/').next().unwrap().to_owned();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (silence, end) = (Arc::new(Mutex::new(CancellationToken::new())), CancellationToken::new());
        let (current, ended) = (Arc::clone(&silence), end.clone());
        tokio::spawn(async move {
            while let Some(Ok((near, _))) = ended.run_until_cancelled(listener.accept()).await {
                let (silence, ended, target) = (current.lock().unwrap().clone(), ended.clone(), target.clone());
                tokio::spawn(async move {
                    let Ok(far) = TcpStream::connect(&target).await else { return };
                    ended.run_until_cancelled(join(near, far, &silence)).await;
                });
            }
        });
        Self { address, silence, _end: end.drop_guard() }
    }

    /// Its own URL.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// From now on nothing passes.
    pub(crate) fn fall_silent(&self) {
        self.silence.lock().unwrap().cancel();
    }

    /// New connections pass again; what has fallen silent stays silent.
    pub(crate) fn speak(&self) {
        *self.silence.lock().unwrap() = CancellationToken::new();
    }
}

async fn join(near: TcpStream, far: TcpStream, silence: &CancellationToken) {
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    tokio::select! {
        () = pass(near_in, far_out, silence) => {}
        () = pass(far_in, near_out, silence) => {}
    }
}

/// Passes bytes on until one side closes, or, once it is silent, for ever none.
async fn pass(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin, silence: &CancellationToken) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = silence.run_until_cancelled(from.read(&mut buffer)).await;
        if silence.is_cancelled() {
            std::future::pending::<()>().await;
        }
        match read {
            Some(Ok(length @ 1..)) if to.write_all(&buffer[..length]).await.is_ok() => {}
            _ => return,
        }
    }
}
