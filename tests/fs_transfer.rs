//! From a file to a socket.

mod fs_support;

use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fs_support::*;
use ringway::fs::{self, File, ShortTransfer, Transfer};
use ringway::io::{AsyncReadExt, AsyncWriteExt};
use ringway::net::{TcpListener, TcpStream};

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = TcpStream::connect(address).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (client, server)
}

fn short(error: &std::io::Error) -> Option<&ShortTransfer> {
    error.get_ref()?.downcast_ref()
}

/// Mutants: an offset that does not move on; bytes left in the pipe after a short splice; a chunk sent twice.
#[test]
fn what_arrives_is_what_lies_in_the_file() {
    on_both_flavours(|| async {
        for folder in folders() {
            let path = folder.path().join("file");
            let contents = pattern(5 * 1024 * 1024 + 123);
            std::fs::write(&path, &contents).unwrap();
            let len = contents.len();
            for (cold, offset, count) in [
                (false, 0, len),
                (true, 0, len),
                (false, 1, 1),
                (false, 4095, 70_000),
                (true, 123_457, 1_000_001),
                (false, len - 1, 1),
                (false, len, 0),
            ] {
                if cold {
                    evict(&path);
                }
                let file = File::open(&path).await.unwrap();
                let (mut receiver, sender) = pair().await;
                let sending = ringway::spawn(async move {
                    fs::transfer(&file, offset as u64, count as u64, &sender)
                        .await
                        .unwrap()
                });
                let mut received = Vec::new();
                receiver.read_to_end(&mut received).await.unwrap();
                assert!(
                    received == contents[offset..offset + count],
                    "{count} bytes from {offset}"
                );
                assert_eq!(sending.await.unwrap(), count as u64);
            }
        }
    });
}

/// Mutant: a sink that is full taken for one that is broken, or for one that has taken all.
#[test]
fn a_slow_receiver_gets_everything_and_holds_nobody_up() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let contents = Arc::new(pattern(16 << 20));
        std::fs::write(&path, &*contents).unwrap();
        let file = File::open(&path).await.unwrap();
        let (mut receiver, mut sender) = pair().await;
        let sending = ringway::spawn(async move {
            let sent = fs::transfer(&file, 0, 16 << 20, &sender).await.unwrap();
            sender.write_all(b"end").await.unwrap();
            sent
        });
        let mut received = vec![0; contents.len() + 3];
        let mut done = 0;
        while done < received.len() {
            let end = received.len().min(done + 200_000);
            let count = receiver.read(&mut received[done..end]).await.unwrap();
            assert_ne!(count, 0);
            done += count;
            if done % 7 == 0 {
                ringway::time::sleep(Duration::from_millis(1)).await;
            }
        }
        assert!(received[..contents.len()] == contents[..]);
        assert_eq!(&received[contents.len()..], b"end");
        assert_eq!(sending.await.unwrap(), 16 << 20);
    });
}

/// Mutant: returning a count, or waiting for ever, when the file ends too soon.
#[test]
fn a_file_that_is_too_short_is_reported_with_what_was_sent() {
    on_both_flavours(|| async {
        for folder in folders() {
            let path = folder.path().join("file");
            let contents = pattern(700_000);
            std::fs::write(&path, &contents).unwrap();
            let file = File::open(&path).await.unwrap();
            let (mut receiver, sender) = pair().await;
            let receiving = ringway::spawn(async move {
                let mut received = Vec::new();
                receiver.read_to_end(&mut received).await.unwrap();
                received
            });
            let error = fs::transfer(&file, 100, 700_000, &sender)
                .await
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
            let short = short(&error).expect("it says how much was sent");
            assert_eq!((short.sent(), short.expected()), (699_900, 700_000));
            assert!(error.to_string().contains("699900"), "{error}");
            drop(sender);
            assert!(receiving.await.unwrap() == contents[100..]);
        }
    });
}

#[test]
fn a_file_that_is_cut_while_it_is_sent_ends_the_transfer() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, pattern(16 << 20)).unwrap();
        let file = File::open(&path).await.unwrap();
        let (mut receiver, sender) = pair().await;
        let sending =
            ringway::spawn(async move { fs::transfer(&file, 0, 16 << 20, &sender).await });
        // It is under way, and more than the socket holds is left.
        receiver.read_exact(&mut [0; 1000]).await.unwrap();
        std::fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(1000)
            .unwrap();
        let mut rest = Vec::new();
        receiver.read_to_end(&mut rest).await.unwrap();
        let error = sending.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        assert_eq!(short(&error).unwrap().sent(), rest.len() as u64 + 1000);
    });
}

/// Mutant: keeping the pipe of a transfer that was given up.
#[test]
fn a_transfer_that_was_given_up_leaves_nothing_to_the_next() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        std::fs::write(&old, vec![0xdd; 16 << 20]).unwrap();
        let contents = pattern(600_000);
        std::fs::write(&new, &contents).unwrap();
        let (old, new) = (
            File::open(&old).await.unwrap(),
            File::open(&new).await.unwrap(),
        );
        for round in 0..20 {
            // Nobody reads, so it stops in the middle.
            let (_receiver, sender) = pair().await;
            let mut transfer = Box::pin(fs::transfer(&old, 0, 16 << 20, &sender));
            for _ in 0..=round {
                assert!(poll_once(transfer.as_mut()).await.is_none(), "nobody reads");
                ringway::task::yield_now().await;
            }
            drop(transfer);
            let (mut receiver, other) = pair().await;
            let receiving = ringway::spawn(async move {
                let mut received = Vec::new();
                receiver.read_to_end(&mut received).await.unwrap();
                received
            });
            fs::transfer(&new, 0, 600_000, &other).await.unwrap();
            drop(other);
            assert!(receiving.await.unwrap() == contents);
        }
    });
}

#[test]
fn a_stretch_beyond_the_largest_offset_is_refused() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"x").unwrap();
        let file = File::open(&path).await.unwrap();
        let (_receiver, sender) = pair().await;
        for (offset, len) in [(u64::MAX, 1), (1, u64::MAX), (i64::MAX as u64, 1)] {
            let error = fs::transfer(&file, offset, len, &sender).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    });
}

#[test]
fn a_file_can_be_transferred_to_a_pipe_or_a_file() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let contents = pattern(1_000_000);
        std::fs::write(folder.path().join("from"), &contents).unwrap();
        let from = File::open(folder.path().join("from")).await.unwrap();

        let to = File::create(folder.path().join("to")).await.unwrap();
        assert_eq!(
            fs::transfer(&from, 0, 1_000_000, &to).await.unwrap(),
            1_000_000
        );
        assert!(std::fs::read(folder.path().join("to")).unwrap() == contents);

        // A pipe that blocks: the ring waits for its reader.
        let (reader, writer) = pipe();
        let reading = ringway::task::spawn_blocking(move || {
            let mut read = Vec::new();
            std::fs::File::from(reader).read_to_end(&mut read).unwrap();
            read
        });
        let writer = File::from(writer);
        assert!(writer.as_fd().try_clone_to_owned().is_ok());
        fs::transfer(&from, 0, 1_000_000, &writer).await.unwrap();
        drop(writer);
        assert!(reading.await.unwrap() == contents);
    });
}

/// Mutant: a streak without an end.
#[test]
fn a_transfer_of_what_is_in_memory_lets_others_run() {
    on_this_thread(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, pattern(3 << 20)).unwrap();
        let file = File::open(&path).await.unwrap();
        // A sink that takes all of it without a wait, and would say so if it were full.
        let null = std::fs::File::options()
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/null");
        let sink = File::from(null.unwrap());
        let ran = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&ran);
        let other = ringway::spawn(async move { flag.store(true, Ordering::Relaxed) });
        assert_eq!(
            fs::transfer(&file, 0, 3 << 20, &sink).await.unwrap(),
            3 << 20
        );
        assert!(ran.load(Ordering::Relaxed), "the other task did not run");
        other.await.unwrap();
    });
}

/// Mutants: a step that counts what it did not send, or sends what it does not count; one that goes beyond its stretch.
#[test]
fn a_transfer_step_by_step_goes_on_where_a_step_was_given_up() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let contents = pattern(16 << 20);
        std::fs::write(&path, &contents).unwrap();
        let file = File::open(&path).await.unwrap();
        let (mut receiver, sender) = pair().await;
        let len = (16 << 20) - 12_345;
        let mut transfer = Transfer::new(&file, 5_000, len, &sender).unwrap();
        // Nobody reads, so some step waits; it is given up.
        while let Some(count) = poll_once(pin!(transfer.advance())).await {
            assert!((1..=1 << 20).contains(&count.unwrap()));
        }
        let sent = transfer.sent();
        assert!(0 < sent && sent < len, "{sent}");
        assert_eq!(transfer.left(), len - sent);
        let receiving = ringway::spawn(async move {
            let mut received = Vec::new();
            receiver.read_to_end(&mut received).await.unwrap();
            received
        });
        while transfer.left() > 0 {
            transfer.advance().await.unwrap();
        }
        assert_eq!(
            (transfer.sent(), transfer.advance().await.unwrap()),
            (len, 0)
        );
        drop(transfer);
        drop(sender);
        assert!(receiving.await.unwrap() == contents[5_000..5_000 + len as usize]);
    });
}

/// Mutant: `is_adrift` cleared when a step begins.
#[test]
fn who_gives_up_a_step_through_a_pipe_cannot_go_on_with_what_is_lost() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, pattern(4 << 20)).unwrap();
        let file = File::open(&path).await.unwrap();
        // It blocks when it is full, so the bytes go by a pipe and the ring.
        let (reader, writer) = pipe();
        let sink = File::from(writer);
        let mut transfer = Transfer::new(&file, 0, 4 << 20, &sink).unwrap();
        loop {
            let mut step = Box::pin(transfer.advance());
            let given_up = ringway::time::timeout(Duration::from_millis(20), &mut step).await;
            match given_up {
                Ok(count) => assert_ne!(count.unwrap(), 0),
                Err(_) => break,
            }
        }
        let sent = transfer.sent();
        let error = transfer.advance().await.unwrap_err();
        assert_eq!(error.to_string(), "nobody knows how much was transferred");
        assert_eq!(transfer.sent(), sent);
        drop(reader);
    });
}
