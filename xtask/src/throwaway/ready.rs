//! Whether a service answers, asked in its own language: a port that accepts connections is not yet a service.

use std::io::{Read, Result, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(2);

/// Whether PostgreSQL lets this user in.
pub(crate) fn postgres(port: u16, user: &str) -> bool {
    const PROTOCOL: i32 = 196_608;
    let mut message = PROTOCOL.to_be_bytes().to_vec();
    message.extend(format!("user\0{user}\0database\0postgres\0\0").bytes());
    let length = i32::try_from(message.len() + 4).unwrap_or_default();
    let mut startup = length.to_be_bytes().to_vec();
    startup.extend(message);
    // 'R' opens the answer to who may come in; 'E' that it is still starting.
    matches!(exchange(port, &startup, 1), Ok(answer) if answer == b"R")
}

/// Whether Redis answers.
pub(crate) fn redis(port: u16) -> bool {
    matches!(exchange(port, b"PING\r\n", 5), Ok(answer) if answer == b"+PONG")
}

/// Whether a program's `/readyz` says that it is ready.
pub(crate) fn program(port: u16) -> bool {
    let request = format!("GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    matches!(exchange(port, request.as_bytes(), 12), Ok(answer) if answer == b"HTTP/1.1 200")
}

/// Sends a message and reads the first bytes of the answer.
fn exchange(port: u16, message: &[u8], length: usize) -> Result<Vec<u8>> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(message)?;
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}
