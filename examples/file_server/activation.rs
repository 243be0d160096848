//! Sockets that whoever started the server listens on already, as systemd does for a socket unit.
//!
//! `LISTEN_FDS` says how many there are, `LISTEN_PID` for which process, `LISTEN_FDNAMES` what they are called. The one that is
//! called `status` is for the status page, all others are for files. They are marked so that no child inherits them, and
//! the variables of their number and process are removed, so that no child believes that they are its own.

use std::net::TcpListener;

use listenfd::ListenFd;
use socket2::SockRef;

/// What a socket for the status page is called.
const STATUS_NAME: &str = "status";

/// The sockets that were handed over.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    pub(crate) files: Vec<TcpListener>,
    pub(crate) status: Option<TcpListener>,
}

impl Inherited {
    /// Takes what there is. Called before there is a second thread, for it changes the environment.
    pub(crate) fn take() -> Result<Inherited, String> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let names: Vec<_> = names.split(':').collect();
        let mut sockets = ListenFd::from_env();
        let mut inherited = Inherited::default();
        for index in 0..sockets.len() {
            let name = names.get(index).copied().unwrap_or_default();
            let socket = sockets.take_tcp_listener(index);
            let socket = socket.map_err(|error| unusable(name, &error))?;
            let socket = socket.expect("each is taken once");
            check(&socket).map_err(|cause| unusable(name, &cause))?;
            match (name, &inherited.status) {
                (STATUS_NAME, None) => inherited.status = Some(socket),
                (STATUS_NAME, Some(_)) => return Err(unusable(name, &"there are two of it")),
                _ => inherited.files.push(socket),
            }
        }
        Ok(inherited)
    }
}

/// Refuses what connections cannot be accepted from, and has an accept that finds none come back.
fn check(socket: &TcpListener) -> Result<(), String> {
    let listens = SockRef::from(socket).is_listener();
    if !listens.map_err(|error| error.to_string())? {
        return Err("it does not listen; a socket unit has to say Accept=no".to_owned());
    }
    let prepared = socket.set_nonblocking(true);
    prepared.map_err(|error| error.to_string())
}

fn unusable(name: &str, cause: &dyn std::fmt::Display) -> String {
    format!("cannot use the socket {name:?} that was handed over (LISTEN_FDS): {cause}")
}
