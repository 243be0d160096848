//! Writes to nobody. Alone in its process, whose signal disposition it changes.

mod net_support;

use std::io::{ErrorKind, IoSlice};

use net_support::*;
use ringway::io::{AsyncWrite, AsyncWriteExt};
use ringway::net::unix::pipe;
use ringway::net::{UnixDatagram, UnixStream};

/// Writes until it fails, and returns how.
async fn write_until_error(stream: &mut (impl AsyncWrite + Unpin), vectored: bool) -> ErrorKind {
    let bytes = [7; 1024];
    loop {
        let written = match vectored {
            false => stream.write(&bytes).await,
            true => stream.write_vectored(&[IoSlice::new(&bytes)]).await,
        };
        match written {
            Ok(_) => ringway::task::yield_now().await,
            Err(error) => return error.kind(),
        }
    }
}

/// Mutants: send without MSG_NOSIGNAL; write to a pipe by write(2).
#[test]
fn a_reader_that_is_gone_is_an_error_and_no_signal() {
    // A program that was not started by std, or that resets it, dies of SIGPIPE.
    // SAFETY: the default action is a valid handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    on_both_flavours(|| async {
        for vectored in [false, true] {
            let (mut stream, peer) = pair().await;
            drop(peer);
            let kind = write_until_error(&mut stream, vectored).await;
            assert!(
                matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset),
                "{kind:?}"
            );

            let (mut stream, peer) = UnixStream::pair().expect("a pair");
            drop(peer);
            assert_eq!(
                write_until_error(&mut stream, vectored).await,
                ErrorKind::BrokenPipe
            );

            let (mut sender, receiver) = pipe::pipe().expect("a pipe");
            drop(receiver);
            assert_eq!(
                write_until_error(&mut sender, vectored).await,
                ErrorKind::BrokenPipe
            );
        }
        let (sender, receiver) = pipe::pipe().expect("a pipe");
        drop(receiver);
        let error = sender.try_write(b"x").expect_err("nobody reads");
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        let slices = [IoSlice::new(b"x")];
        let error = sender
            .try_write_vectored(&slices)
            .expect_err("nobody reads");
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);

        let (socket, peer) = UnixDatagram::pair().expect("a pair");
        drop(peer);
        assert!(socket.send(b"x").await.is_err());
    });
}

/// As much as fits is written, whatever the flag says. Mutant: give `pwritev2` an offset, which a pipe refuses.
#[test]
fn what_is_written_to_a_pipe_is_what_is_read() {
    on_both_flavours(|| async {
        use ringway::io::AsyncReadExt;
        let (mut sender, mut receiver) = pipe::pipe().expect("a pipe");
        let writing = ringway::spawn(async move {
            sender
                .write_all(&pattern_from(1, 0, 300_000))
                .await
                .expect("somebody reads");
            let tail = pattern_from(1, 300_000, 10);
            let slices = [IoSlice::new(&tail[..3]), IoSlice::new(&tail[3..])];
            sender
                .write_vectored(&slices)
                .await
                .expect("somebody reads")
        });
        let mut bytes = Vec::new();
        receiver.read_to_end(&mut bytes).await.expect("bytes");
        assert_eq!(writing.await.expect("no panic"), 10);
        assert_eq!(bytes.len(), 300_010);
        check_pattern(1, 0, &bytes);
    });
}
