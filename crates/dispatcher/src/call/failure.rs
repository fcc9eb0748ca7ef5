//! Why there was no HTTP answer, in a sentence that an operator understands.

use std::error::Error;
use std::io::ErrorKind;

use hyper_util::client::legacy;

use super::End;
use super::client::{CONNECT_TIMEOUT, ConnectTimeout};
use super::resolver::NameError;

/// What an error of a request to `place` (host and port) means.
pub(super) fn end(error: &legacy::Error, place: &str) -> End {
    if let Some(name) = find::<NameError>(error) {
        return match name {
            NameError::Refused { .. } => End::failed(name.to_string()),
            NameError::Unresolved { .. } => End::retry(name.to_string()),
        };
    }
    End::retry(sentence(error, place))
}

/// Why the rest of an answer did not come.
pub(super) fn broken(error: &hyper::Error, place: &str) -> String {
    format!("{place} broke off in the middle of its answer: {}", innermost(error))
}

fn sentence(error: &legacy::Error, place: &str) -> String {
    if let Some(tls) = find::<rustls::Error>(error) {
        let hint = if matches!(tls, rustls::Error::InvalidMessage(_)) { "; does it speak https there?" } else { "" };
        return format!("no TLS connection to {place}: {tls}{hint}");
    }
    let io = chain(error).filter_map(|error| error.downcast_ref::<std::io::Error>()).last();
    // The system itself gives up as well, later than Baton and with a number of its own.
    let is_late = io.is_some_and(|io| io.kind() == ErrorKind::TimedOut && io.raw_os_error().is_none());
    if error.is_connect() && (is_late || find::<ConnectTimeout>(error).is_some()) {
        return format!("no connection to {place} within {} ms", CONNECT_TIMEOUT.as_millis());
    }
    match io.map(std::io::Error::kind) {
        Some(ErrorKind::ConnectionRefused) => format!("connection refused by {place}"),
        Some(ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe) => {
            format!("{place} reset the connection before it answered")
        }
        Some(ErrorKind::TimedOut) => format!("no connection to {place}: it does not react"),
        Some(ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown) => {
            format!("no way to {place}: {}", innermost(error))
        }
        _ if error.is_connect() => format!("no connection to {place}: {}", innermost(error)),
        _ => format!("no HTTP answer from {place}: {}", innermost(error)),
    }
}

/// The errors from the outermost in. An I/O error that carries another is followed into it: its `source` would leave that one out.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        match (*error).downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(carried) => Some(carried),
            None => (*error).source(),
        }
    })
}

fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    chain(error).find_map(|error| error.downcast_ref())
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn an_error_is_found_inside_of_io_errors() {
        let name = NameError::Unresolved { host: "crm.lan".into(), reason: "no".into() };
        let error = Outer(std::io::Error::other(std::io::Error::other(name)));
        assert!(find::<NameError>(&error).is_some());
        assert!(find::<rustls::Error>(&error).is_none());
        assert_eq!(innermost(&error), "the name crm.lan cannot be resolved: no");
        assert_eq!(innermost(&Outer(ErrorKind::BrokenPipe.into())), "broken pipe");
    }
}
