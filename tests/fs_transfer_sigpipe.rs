//! A transfer to nobody. It is alone in its process, whose signal disposition it changes.

mod fs_support;

use std::io::ErrorKind;
use std::time::Duration;

use fs_support::*;
use ringway::fs::{self, File};
use ringway::net::{TcpListener, TcpStream};

/// Mutant: splicing without blocking the signal.
#[test]
fn a_receiver_that_is_gone_is_an_error_and_no_signal() {
    // A program that was not started by std, or that resets it, dies of SIGPIPE.
    // SAFETY: the default action is a valid handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, pattern(1 << 20)).unwrap();
        let file = File::open(&path).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (sender, _) = listener.accept().await.unwrap();
        drop(receiver);
        let mut error = None;
        for _ in 0..100 {
            match fs::transfer(&file, 0, 1 << 20, &sender).await {
                Ok(_) => ringway::time::sleep(Duration::from_millis(1)).await,
                Err(failed) => {
                    error = Some(failed);
                    break;
                }
            }
        }
        let kind = error.expect("nobody receives").kind();
        assert!(
            matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset),
            "{kind:?}"
        );
    });
}
