//! A way to Redis that can fall silent, as a network does when a firewall forgets a connection or a host loses its power.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Hands bytes on in both directions until it falls silent; then connections stay open and new ones are accepted, but nothing passes.
pub(crate) struct Relay {
    address: SocketAddr,
    silent: watch::Sender<bool>,
    _end: DropGuard,
}

impl Relay {
    /// A relay to the server of this `redis://` URL.
    pub(crate) async fn to(redis_url: &str) -> Self {
        let target = redis_url.trim_start_matches("redis://").split('/').next().unwrap().to_owned();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (silent, end) = (watch::Sender::new(false), CancellationToken::new());
        let (gate, ended) = (silent.clone(), end.clone());
        tokio::spawn(async move {
            while let Some(Ok((near, _))) = ended.run_until_cancelled(listener.accept()).await {
                let (gate, ended, target) = (gate.clone(), ended.clone(), target.clone());
                tokio::spawn(async move {
                    let Ok(far) = TcpStream::connect(&target).await else { return };
                    ended.run_until_cancelled(join(near, far, &gate)).await;
                });
            }
        });
        Self { address, silent, _end: end.drop_guard() }
    }

    /// Its own URL.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// From now on nothing passes.
    pub(crate) fn fall_silent(&self) {
        self.silent.send_replace(true);
    }

    /// New connections pass again; what had fallen silent stays silent.
    pub(crate) fn speak(&self) {
        self.silent.send_replace(false);
    }
}

async fn join(near: TcpStream, far: TcpStream, silent: &watch::Sender<bool>) {
    let (mut near_in, mut near_out) = near.into_split();
    let (mut far_in, mut far_out) = far.into_split();
    let there = pass(&mut near_in, &mut far_out, silent.subscribe());
    let back = pass(&mut far_in, &mut near_out, silent.subscribe());
    tokio::select! { () = there => {}, () = back => {} }
}

/// Passes bytes on until one side closes; once silent, for ever silent.
async fn pass(from: &mut (impl AsyncReadExt + Unpin), to: &mut (impl AsyncWriteExt + Unpin), mut silent: watch::Receiver<bool>) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = tokio::select! {
            biased;
            _ = silent.wait_for(|silent| *silent) => std::future::pending().await,
            read = from.read(&mut buffer) => read,
        };
        match read {
            Ok(length @ 1..) if to.write_all(&buffer[..length]).await.is_ok() => {}
            _ => return,
        }
    }
}
