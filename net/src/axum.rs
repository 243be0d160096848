//! axum's servers take our listeners: its trait `Listener`, which must be implemented where the listeners are.

use std::future::{pending, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::serve::Listener;
use ringway_runtime::driver::{Home, is_shutdown};
use ringway_runtime::{Pause, tell_of_refused_accept};

use crate::socket::is_shortage;
use crate::unix;
use crate::{TcpListener, TcpStream, UnixListener, UnixStream};

impl Listener for TcpListener {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match TcpListener::accept(self).await {
                Ok(accepted) => return accepted,
                Err(error) => back_off(&error).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        TcpListener::local_addr(self)
    }
}

impl Listener for UnixListener {
    type Io = UnixStream;
    type Addr = unix::SocketAddr;

    async fn accept(&mut self) -> (UnixStream, unix::SocketAddr) {
        loop {
            match UnixListener::accept(self).await {
                Ok(accepted) => return accepted,
                Err(error) => back_off(&error).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<unix::SocketAddr> {
        UnixListener::local_addr(self)
    }
}

/// An accept has failed, and there is nobody to tell. Returns when it is worth another try.
async fn back_off(error: &io::Error) {
    if is_of_one_connection(error) {
        return;
    }
    if is_shutdown(error) {
        // There will be none.
        return pending().await;
    }
    tell_of_refused_accept(error);
    if is_shortage(error) {
        // The listener itself waits until there is room, and tells of it once a second.
        return;
    }
    if let Some(home) = Home::here() {
        let mut pause = Pause::begin(PAUSE, home);
        poll_fn(|cx| pause.poll(cx)).await;
    }
}

/// Whether who connected has gone already, so that the next accept has nothing to do with it.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}

/// After an error of the listener itself, which the next accept would find as well: as many lines as a log can take.
const PAUSE: Duration = Duration::from_secs(1);
