//! A way to a database that can be stopped and cut.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What the way is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Open,
    /// Nothing passes, connections stay.
    Stopped,
    /// Connections are closed and new ones too.
    Cut,
}

/// The way, and how often it was cut: a connection from before the last cut is closed even when the way is open again.
#[derive(Debug, Clone, Copy)]
struct State {
    way: Way,
    cuts: u64,
}

/// Forwards connections to another address, as long as the way is open.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    way: watch::Sender<State>,
    end: CancellationToken,
}

impl Proxy {
    pub(crate) async fn to(target: String) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (way, seen) = watch::channel(State { way: Way::Open, cuts: 0 });
        let proxy = Self { address: listener.local_addr().unwrap(), way, end: CancellationToken::new() };
        let end = proxy.end.clone();
        tokio::spawn(end.run_until_cancelled_owned(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(forward(near, target.clone(), seen.clone()));
            }
        }));
        proxy
    }

    pub(crate) fn set(&self, way: Way) {
        self.way.send_modify(|state| {
            state.way = way;
            state.cuts += u64::from(way == Way::Cut);
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

async fn forward(near: TcpStream, target: String, mut way: watch::Receiver<State>) {
    let State { way: now, cuts } = *way.borrow_and_update();
    if now == Way::Cut {
        return;
    }
    let Ok(far) = TcpStream::connect(target).await else { return };
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    let mut cut = way.clone();
    tokio::select! {
        () = copy(near_in, far_out, way.clone()) => {}
        () = copy(far_in, near_out, way.clone()) => {}
        _ = cut.wait_for(|state| state.cuts > cuts) => {}
        // The proxy is gone.
        () = async { while way.changed().await.is_ok() {} } => {}
    }
}

async fn copy(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin, mut way: watch::Receiver<State>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read) = from.read(&mut buffer).await {
        if read == 0
            || way.wait_for(|state| state.way == Way::Open).await.is_err()
            || to.write_all(&buffer[..read]).await.is_err()
        {
            return;
        }
    }
}
