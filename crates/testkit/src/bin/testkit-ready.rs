//! A program for testkit's own tests: serves `/readyz` with 200 on `BATON_LISTEN` and says what it was given.
//! `--broken` ends at once with exit code 3; `--once` prints and ends.

use std::io::{Read, Write};
use std::net::TcpListener;

fn main() -> std::io::Result<()> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let greeting = std::env::var("BATON_GREETING").unwrap_or_default();
    println!("greeting {greeting}, in {}", std::env::current_dir()?.display());
    if args.iter().any(|arg| arg == "--broken") {
        eprintln!("out of order");
        std::process::exit(3);
    }
    if args.iter().any(|arg| arg == "--once") {
        return Ok(());
    }
    let listen = std::env::var("BATON_LISTEN").map_err(std::io::Error::other)?;
    for stream in TcpListener::bind(listen)?.incoming() {
        let mut stream = stream?;
        let mut request = [0; 1024];
        let _ = stream.read(&mut request)?;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
    }
    Ok(())
}
