//! Sockets that whoever started the server listens on already, as systemd does for a socket unit.
//!
//! `LISTEN_FDS` says how many there are, `LISTEN_PID` for which process, `LISTEN_FDNAMES` what they are called. The one that is
//! called `status` is for the status page, all others, of TCP or Unix sockets, are for files. They are marked so that no
//! child inherits them, and all variables of the protocol are removed, as `sd_listen_fds(3)` does it, so that no child
//! believes that they are its own.

#![allow(
    unsafe_code,
    reason = "nothing else takes a variable out of the environment"
)]

use std::env;
use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use listenfd::ListenFd;
use socket2::SockRef;

/// What a socket for the status page is called.
const STATUS_NAME: &str = "status";

/// What the protocol is made of. The last is of newer managers, who name the process by more than a number.
const VARIABLES: [&str; 4] = [
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PID",
    "LISTEN_PIDFDID",
];

/// The sockets that were handed over.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    pub(crate) files: Vec<HandedOver>,
    pub(crate) status: Option<TcpListener>,
}

/// A socket that listens.
#[derive(Debug)]
pub(crate) enum HandedOver {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Inherited {
    /// Takes what there is, and removes what says so from the environment, if it is for this process or not.
    ///
    /// # Safety
    ///
    /// No other thread reads or changes the environment meanwhile but by `std::env`.
    pub(crate) unsafe fn take() -> Result<Inherited, String> {
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let names: Vec<_> = names.split(':').collect();
        let mut sockets = ListenFd::from_env();
        for variable in VARIABLES {
            // SAFETY: the caller promises that nobody else is at the environment.
            unsafe { env::remove_var(variable) };
        }
        let mut inherited = Inherited::default();
        for index in 0..sockets.len() {
            let name = names.get(index).copied().unwrap_or_default();
            let socket = take_one(&mut sockets, index).map_err(|error| unusable(name, &error))?;
            check(&socket).map_err(|cause| unusable(name, &cause))?;
            match (name, socket, &inherited.status) {
                (STATUS_NAME, HandedOver::Tcp(socket), None) => inherited.status = Some(socket),
                (STATUS_NAME, HandedOver::Unix(_), None) => {
                    return Err(unusable(name, &"the status page is shown over TCP only"));
                }
                (STATUS_NAME, _, Some(_)) => return Err(unusable(name, &"there are two of it")),
                (_, socket, _) => inherited.files.push(socket),
            }
        }
        Ok(inherited)
    }
}

/// What of neither kind is stays where it is, and is an error that names the kind that is usual.
fn take_one(sockets: &mut ListenFd, index: usize) -> io::Result<HandedOver> {
    if let Ok(Some(socket)) = sockets.take_unix_listener(index) {
        return Ok(HandedOver::Unix(socket));
    }
    let socket = sockets.take_tcp_listener(index)?;
    Ok(HandedOver::Tcp(socket.expect("each is taken once")))
}

/// Refuses what connections cannot be accepted from, and has an accept that finds none come back.
fn check(socket: &HandedOver) -> Result<(), String> {
    let socket = match socket {
        HandedOver::Tcp(socket) => SockRef::from(socket),
        HandedOver::Unix(socket) => SockRef::from(socket),
    };
    let listens = socket.is_listener();
    if !listens.map_err(|error| error.to_string())? {
        return Err("it does not listen; a socket unit has to say Accept=no".to_owned());
    }
    let prepared = socket.set_nonblocking(true);
    prepared.map_err(|error| error.to_string())
}

fn unusable(name: &str, cause: &dyn std::fmt::Display) -> String {
    format!("cannot use the socket {name:?} that was handed over (LISTEN_FDS): {cause}")
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// Says to a copy of this test that it is the one that takes.
    const TAKES: &str = "RINGWAY_TEST_TAKES_SOCKETS";

    /// Mutants: leave the names; leave all to listenfd, which removes nothing where the number is none.
    #[test]
    fn no_variable_of_the_protocol_is_left_whoever_it_was_for() {
        if env::var_os(TAKES).is_some() {
            // SAFETY: this process runs one test, and its harness waits for that.
            let taken = unsafe { Inherited::take() }.expect("nothing is wrong with it");
            assert!(taken.files.is_empty() && taken.status.is_none());
            let left = env::vars_os().map(|(name, _)| name);
            let left: Vec<_> = left
                .filter(|name| name.to_string_lossy().starts_with("LISTEN_"))
                .collect();
            assert!(left.is_empty(), "{left:?}");
            return;
        }
        for (count, process) in [("0", ""), ("1", "1"), ("none", "1")] {
            let mut copy = Command::new(env::current_exe().expect("this test has a path"));
            copy.args([
                "--exact",
                "activation::tests::no_variable_of_the_protocol_is_left_whoever_it_was_for",
            ]);
            copy.env(TAKES, "").env("LISTEN_FDS", count);
            copy.env("LISTEN_PID", process).env("LISTEN_PIDFDID", "7");
            copy.env("LISTEN_FDNAMES", "files").stdin(Stdio::null());
            let output = copy.output().expect("it starts");
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{count} for {process:?}: {said}");
            assert!(said.contains("1 passed"), "{said}");
        }
    }
}
