//! A network that can be cut: a TCP proxy between one program and a server.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const CHUNK: usize = 64 * 1024;

/// The state of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    /// Everything gets through.
    Whole,
    /// Nothing gets through and nobody is told, as when a cable is pulled. What was under way gets through once it is whole again.
    Silent,
    /// Connections are closed, new ones too.
    Closing,
}

/// The proxy; it ends when dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    network: watch::Sender<Network>,
}

impl Proxy {
    /// Starts one in front of a port of 127.0.0.1.
    pub(crate) async fn start(server: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let network = watch::Sender::new(Network::Whole);
        tokio::spawn(accept(listener, (Ipv4Addr::LOCALHOST, server).into(), network.subscribe()));
        Ok(Self { address, network })
    }

    /// The port of 127.0.0.1 that it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Changes the state of the network for all connections.
    pub(crate) fn set(&self, network: Network) {
        self.network.send_replace(network);
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, mut network: watch::Receiver<Network>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // The proxy was dropped.
            Err(_) = closed(&mut network) => return,
        };
        if let Ok((client, _)) = accepted {
            tokio::spawn(carry(client, server, network.clone()));
        }
    }
}

async fn closed(network: &mut watch::Receiver<Network>) -> Result<(), watch::error::RecvError> {
    loop {
        network.changed().await?;
    }
}

/// Carries one connection until an end closes it or the network does.
async fn carry(client: TcpStream, server: SocketAddr, mut network: watch::Receiver<Network>) {
    let mut closes = network.clone();
    let carried = async {
        // Nobody is let through to the server before the network is whole.
        if network.wait_for(|state| *state == Network::Whole).await.is_err() {
            return;
        }
        let Ok(upstream) = TcpStream::connect(server).await else { return };
        let _ = (client.set_nodelay(true), upstream.set_nodelay(true));
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), upstream.into_split());
        tokio::join!(pump(from_client, to_server, network.clone()), pump(from_server, to_client, network));
    };
    tokio::select! {
        () = carried => {}
        _ = closes.wait_for(|state| *state == Network::Closing) => {}
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut network: watch::Receiver<Network>) {
    let mut chunk = vec![0; CHUNK];
    while let Ok(length) = from.read(&mut chunk).await {
        // What has been read waits here while the network is silent, an end of the stream too.
        if network.wait_for(|state| *state == Network::Whole).await.is_err() {
            return;
        }
        if length == 0 || to.write_all(&chunk[..length]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const SHORT: Duration = Duration::from_millis(200);
    const LONG: Duration = Duration::from_secs(10);

    /// A server that sends back what it gets, behind a proxy, and a connection to it.
    async fn echo() -> (Proxy, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::start(listener.local_addr().unwrap().port()).await.unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        let stream = TcpStream::connect(proxy.address).await.unwrap();
        (proxy, stream)
    }

    async fn says(stream: &mut TcpStream, limit: Duration) -> Option<u8> {
        timeout(limit, stream.read_u8()).await.ok()?.ok()
    }

    #[tokio::test]
    async fn what_is_sent_while_the_network_is_silent_arrives_later() {
        let (proxy, mut stream) = echo().await;
        stream.write_u8(1).await.unwrap();
        assert_eq!(says(&mut stream, LONG).await, Some(1));
        proxy.set(Network::Silent);
        stream.write_u8(2).await.unwrap();
        assert_eq!(says(&mut stream, SHORT).await, None);
        let mut other = TcpStream::connect(proxy.address).await.unwrap();
        other.write_u8(3).await.unwrap();
        assert_eq!(says(&mut other, SHORT).await, None);
        proxy.set(Network::Whole);
        assert_eq!((says(&mut stream, LONG).await, says(&mut other, LONG).await), (Some(2), Some(3)));
    }

    #[tokio::test]
    async fn closing_ends_old_connections_and_new_ones() {
        let (proxy, mut stream) = echo().await;
        stream.write_u8(1).await.unwrap();
        assert_eq!(says(&mut stream, LONG).await, Some(1));
        proxy.set(Network::Closing);
        assert!(timeout(LONG, stream.read_u8()).await.unwrap().is_err());
        let mut other = TcpStream::connect(proxy.address).await.unwrap();
        assert!(timeout(LONG, other.read_u8()).await.unwrap().is_err());
        proxy.set(Network::Whole);
        let mut third = TcpStream::connect(proxy.address).await.unwrap();
        third.write_u8(5).await.unwrap();
        assert_eq!(says(&mut third, LONG).await, Some(5));
    }
}
