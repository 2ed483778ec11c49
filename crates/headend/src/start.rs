//! Why a server does not start, in words that say what to do.

use crate::exit::{Exit, Failure};
use server::StartError;
use std::io::ErrorKind;

/// The error with a way out; `flag` turns a key of the configuration into the flag for it.
pub fn refused(error: StartError, flag: impl Fn(&str) -> String) -> anyhow::Error {
    let StartError::Bind { what, addr, source } = &error else {
        return error.into();
    };
    let (what, port) = (flag(what), addr.port());
    let words = match source.kind() {
        ErrorKind::AddrInUse => format!(
            "another program listens on {addr}: stop it (`ss -ltnp 'sport = :{port}'` names it), \
             or choose another address with {what}"
        ),
        ErrorKind::PermissionDenied => format!(
            "this user may not listen on {addr}: choose a port of 1024 or more with {what}, or \
             allow this one (setcap cap_net_bind_service, AmbientCapabilities= of systemd)"
        ),
        ErrorKind::AddrNotAvailable => {
            format!(
                "this machine has no address {}: choose one with {what}",
                addr.ip()
            )
        }
        _ => return error.into(),
    };
    Exit::error(Failure::Other, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_named_with_the_way_out() {
        let taken = |kind| StartError::Bind {
            what: "http.listen",
            addr: ([127, 0, 0, 1], 8080).into(),
            source: std::io::Error::from(kind),
        };
        let words = refused(taken(ErrorKind::AddrInUse), |_| "--http".to_owned()).to_string();
        assert!(
            words.contains("127.0.0.1:8080") && words.ends_with("with --http"),
            "{words}"
        );
        let words = refused(taken(ErrorKind::PermissionDenied), str::to_owned).to_string();
        assert!(
            words.contains("may not") && words.contains("http.listen"),
            "{words}"
        );
    }
}
