//! Pipes: bytes and their end, waiting for room, cancelled reads, names, descriptors that go in and come out.

mod net_support;

use std::fs::File;
use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use net_support::*;
use ringway::io::{AsyncReadExt, AsyncWriteExt, Interest};
use ringway::net::unix::pipe::{self, OpenOptions, Receiver, Sender};
use tempfile::TempDir;

/// A directory with a pipe that has a name.
fn named() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("pipe");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0)
        .expect("a pipe");
    (directory, path)
}

fn is_nonblocking(fd: &impl AsFd) -> bool {
    let flags = rustix::fs::fcntl_getfl(fd).expect("the flags");
    flags.contains(rustix::fs::OFlags::NONBLOCK)
}

/// Mutant: leave out the wait of a writer that finds no room.
#[test]
fn bytes_go_through_whole_and_in_order_and_end() {
    const TOTAL: usize = 1_000_000;
    on_both_flavours(|| async {
        let (mut sender, mut receiver) = pipe::pipe().unwrap();
        let writer = ringway::spawn(async move {
            for chunk in pattern_from(5, 0, TOTAL).chunks(30_000) {
                sender.write_all(chunk).await.unwrap();
            }
            sender.shutdown().await.unwrap();
            sender.write_all(b"shutdown ends nothing").await.unwrap();
        });
        let mut bytes = Vec::new();
        receiver.read_to_end(&mut bytes).await.unwrap();
        writer.await.unwrap();
        check_pattern(5, 0, &bytes[..TOTAL]);
        assert_eq!(&bytes[TOTAL..], b"shutdown ends nothing");
        assert_eq!(receiver.try_read(&mut [0; 8]).unwrap(), 0);
    });
}

/// Mutant: the operation that waits reads a byte of the pipe itself, in place of polling a watch.
#[test]
fn reads_that_time_out_lose_no_byte() {
    const TOTAL: u64 = 20_000;
    on_both_flavours(|| async {
        let (mut sender, mut receiver) = pipe::pipe().unwrap();
        let writer = ringway::spawn(async move {
            let mut numbers = Numbers::new(41);
            let mut sent = 0;
            while sent < TOTAL {
                let count = (1 + numbers.below(300)).min((TOTAL - sent) as usize);
                sender
                    .write_all(&pattern_from(6, sent, count))
                    .await
                    .unwrap();
                sent += count as u64;
                let pause = Duration::from_micros(numbers.below(300) as u64);
                ringway::time::sleep(pause).await;
            }
        });
        let mut numbers = Numbers::new(42);
        let mut buffer = [0; 500];
        let mut received = 0;
        while received < TOTAL {
            let patience = Duration::from_micros(numbers.below(200) as u64);
            let read = ringway::time::timeout(patience, receiver.read(&mut buffer));
            if let Ok(count) = read.await {
                let count = count.unwrap();
                assert!(count > 0, "the pipe ended at {received}");
                check_pattern(6, received, &buffer[..count]);
                received += count as u64;
            }
        }
        writer.await.unwrap();
    });
}

/// Mutant: `Way::Direct` for pipes.
#[test]
fn a_dropped_receiver_breaks_the_pipe_at_once() {
    on_both_flavours(|| async {
        let (sender, mut receiver) = pipe::pipe().unwrap();
        {
            let mut buffer = [0; 4];
            let read = pin!(receiver.read(&mut buffer));
            assert!(poll_future(read).await.is_pending());
        }
        ringway::task::yield_now().await;
        drop(receiver);
        assert_eq!(
            sender.try_write(b"x").unwrap_err().kind(),
            ErrorKind::BrokenPipe
        );
        let ready = sender.ready(Interest::WRITABLE).await.unwrap();
        assert!(ready.is_write_closed(), "{ready:?}");
    });
}

#[test]
fn readiness_says_what_a_try_will_find() {
    on_both_flavours(|| async {
        let (sender, receiver) = pipe::pipe().unwrap();
        poll_fn(|cx| sender.poll_write_ready(cx)).await.unwrap();
        assert!(poll_once(|cx| receiver.poll_read_ready(cx)).is_pending());
        let slices = [IoSlice::new(b"ab"), IoSlice::new(b"cde")];
        assert_eq!(sender.try_write_vectored(&slices).unwrap(), 5);
        receiver.readable().await.unwrap();
        let (mut one, mut two) = ([0; 3], [0; 8]);
        let mut slices = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)];
        assert_eq!(receiver.try_read_vectored(&mut slices).unwrap(), 5);
        assert_eq!((&one, &two[..2]), (b"abc", &b"de"[..]));
        let mut sent = 0;
        while let Ok(count) = sender.try_write(&[7; 4096]) {
            sent += count;
        }
        assert!(poll_once(|cx| sender.poll_write_ready(cx)).is_pending());
        let mut bytes = Vec::with_capacity(sent);
        while bytes.len() < sent {
            receiver.try_read_buf(&mut bytes).unwrap();
        }
        sender.writable().await.unwrap();
        let blocked = receiver.try_io(|| receiver.try_read(&mut [0; 1]));
        assert!(would_block(&blocked));
        sender.try_io(|| sender.try_write(b"y")).unwrap();
        drop(sender);
        let ready = receiver.ready(Interest::READABLE).await.unwrap();
        assert!(ready.is_read_closed(), "{ready:?}");
    });
}

#[test]
fn a_named_pipe_joins_who_opens_it() {
    on_both_flavours(|| async {
        let (_directory, path) = named();
        let options = OpenOptions::new();
        let early = options.open_sender(&path).unwrap_err();
        assert_eq!(early.raw_os_error(), Some(libc::ENXIO));
        let mut receiver = options.open_receiver(&path).unwrap();
        {
            let mut buffer = [0; 4];
            let read = pin!(receiver.read(&mut buffer));
            assert!(poll_future(read).await.is_pending(), "it found an end");
        }
        ringway::time::sleep(Duration::from_millis(2)).await;
        let mut sender = options.open_sender(&path).unwrap();
        sender.write_all(b"by name").await.unwrap();
        drop(sender);
        let mut heard = String::new();
        receiver.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "by name");

        let mut resilient = OpenOptions::new()
            .read_write(true)
            .open_receiver(&path)
            .unwrap();
        drop(options.open_sender(&path).unwrap());
        let patience = Duration::from_millis(5);
        let read = ringway::time::timeout(patience, resilient.read(&mut [0; 1])).await;
        assert!(read.is_err(), "it found an end");
    });
}

#[test]
fn what_is_no_pipe_or_open_the_other_way_is_refused() {
    on_both_flavours(|| async {
        let (directory, path) = named();
        let file = directory.path().join("file");
        std::fs::write(&file, b"").unwrap();
        let options = OpenOptions::new();
        for error in [
            options.open_receiver(&file).unwrap_err(),
            options.open_sender(&file).unwrap_err(),
            Receiver::from_file(File::open(&file).unwrap()).unwrap_err(),
            Sender::from_file(File::open(&file).unwrap()).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_eq!(error.to_string(), "not a pipe");
        }
        let _receiver = options.open_receiver(&path).unwrap();
        let write = File::options().write(true).open(&path).unwrap();
        let error = Receiver::from_file(write).unwrap_err();
        assert_eq!(error.to_string(), "not in O_RDONLY or O_RDWR access mode");
        let _sender = options.open_sender(&path).unwrap();
        let error = Sender::from_file(File::open(&path).unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "not in O_WRONLY or O_RDWR access mode");
    });
}

#[test]
fn descriptors_go_in_and_come_out_and_block_as_asked() {
    on_both_flavours(|| async {
        let (read, write) = std::io::pipe().unwrap();
        let (read, write) = (OwnedFd::from(read), OwnedFd::from(write));
        let number = read.as_raw_fd();
        let mut receiver = Receiver::from_owned_fd(read).unwrap();
        let mut sender = Sender::from_owned_fd(write).unwrap();
        assert!(is_nonblocking(&receiver) && is_nonblocking(&sender));
        sender.write_all(b"in").await.unwrap();
        receiver.read_exact(&mut [0; 2]).await.unwrap();
        let read = receiver.into_blocking_fd().unwrap();
        let write = sender.into_nonblocking_fd().unwrap();
        assert_eq!(read.as_raw_fd(), number);
        assert!(!is_nonblocking(&read) && is_nonblocking(&write));
        File::from(write).write_all(b"out").unwrap();
        let mut heard = String::new();
        File::from(read).read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "out");
    });
}
