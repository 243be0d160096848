//! Writes to nobody. Alone in its process, whose signal disposition it changes.

mod net_support;

use std::io::{ErrorKind, IoSlice};
use std::time::Duration;

use net_support::*;
use ringway::fs::File;
use ringway::io::{AsyncWrite, AsyncWriteExt};
use ringway::net::unix::pipe;
use ringway::net::{UnixDatagram, UnixStream, splice};
use ringway::uring;

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

/// As above, of what goes from one stream to another, of sends in the ring, and of a file that is a pipe and was full when
/// its reader went. Mutants: `without_sigpipe` left out of `net/src/op/splice.rs`, and of the second driver's writes
/// (`runtime/src/driver/plain/stream.rs`).
#[test]
fn transfers_and_requests_to_nobody_are_errors_and_no_signal() {
    // SAFETY: the default action is a valid handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    on_both_flavours(|| async {
        for to_socket in [true, false] {
            let (mut client, mut front) = pair().await;
            client.write_all(b"to nobody").await.expect("room");
            let spliced = if to_socket {
                let (mut back, server) = UnixStream::pair().expect("a pair");
                drop(server);
                splice(&mut front, &mut back).await
            } else {
                let (mut back, reader) = pipe::pipe().expect("a pipe");
                drop(reader);
                splice(&mut front, &mut back).await
            };
            assert_eq!(spliced.expect_err("nobody").kind(), ErrorKind::BrokenPipe);
        }
        let gone = || {
            let (one, two) = UnixStream::pair().expect("a pair");
            drop(two);
            one
        };
        let bytes = || vec![7; 64];
        let refused = [
            uring::send(&gone(), bytes()).await.0,
            uring::send_all(&gone(), bytes()).await.0,
            uring::send_vectored(&gone(), vec![bytes(), bytes()])
                .await
                .0,
            uring::send_all_vectored(&gone(), vec![bytes(), bytes()])
                .await
                .0,
        ];
        for (number, sent) in refused.into_iter().enumerate() {
            let error = sent.expect_err("nobody receives");
            assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{number}");
        }
        let (stream, peer) = pair().await;
        drop(peer);
        let mut kind = None;
        while kind.is_none() {
            let sent = uring::send_zc(&stream, bytes()).await.0;
            kind = sent.err().map(|error| error.kind());
            ringway::task::yield_now().await;
        }
        assert!(matches!(
            kind,
            Some(ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
        ));
        file_without_a_reader().await;
    });
}

async fn file_without_a_reader() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("fifo");
    let kind = rustix::fs::FileType::Fifo;
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).expect("a FIFO");
    let reader = pipe::OpenOptions::new().open_receiver(&path);
    let reader = reader.expect("a reader");
    let mut file = File::options()
        .write(true)
        .open(&path)
        .await
        .expect("a writer");
    let writing = ringway::spawn(async move {
        loop {
            if let Err(error) = file.write_all(&[7; 1 << 16]).await {
                return error.kind();
            }
            if let Err(error) = file.flush().await {
                return error.kind();
            }
        }
    });
    ringway::time::sleep(Duration::from_millis(20)).await;
    assert!(!writing.is_finished(), "it waits for room");
    drop(reader);
    assert_eq!(writing.await.expect("no panic"), ErrorKind::BrokenPipe);
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
