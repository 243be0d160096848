//! What stands in TLS's place where the example was built without the feature `tls`: nothing that could exist.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use ringway::io::{AsyncRead, AsyncWrite, ReadBuf};
use ringway::net::TcpStream;

/// There is none.
#[derive(Clone, Debug)]
pub(crate) enum Acceptor {}

/// There is none.
#[derive(Debug)]
pub(crate) enum Session {}

impl Acceptor {
    /// Says what to do about it.
    pub(crate) fn load(_certificate: &Path, _key: &Path) -> Result<Acceptor, String> {
        Err(
            "--tls-cert and --tls-key need a server that was built with the feature `tls`: \
            `cargo run --release --features tls --example file_server`"
                .to_owned(),
        )
    }

    pub(crate) async fn accept(&self, _stream: TcpStream) -> io::Result<Session> {
        match *self {}
    }
}

impl Session {
    pub(crate) fn get_ref(&self) -> (&TcpStream, ()) {
        match *self {}
    }

    pub(crate) fn get_mut(&mut self) -> (&mut TcpStream, ()) {
        match *self {}
    }
}

impl AsyncRead for Session {
    fn poll_read(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        _room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match *self {}
    }
}

impl AsyncWrite for Session {
    fn poll_write(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        _bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match *self {}
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match *self {}
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_feature_the_options_say_how_to_get_it() {
        let refused = Acceptor::load(Path::new("c.pem"), Path::new("k.pem"));
        let message = refused.expect_err("there is no TLS");
        assert!(message.contains("--features tls --example file_server"));
    }
}
