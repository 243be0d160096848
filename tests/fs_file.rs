//! Files through tokio's traits: what a position means, what is in flight, what survives a dropped future.

mod fs_support;

use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fs_support::*;
use ringway::fs::{self, Advice, File, OpenOptions};
use ringway::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

#[test]
fn what_is_written_is_read() {
    on_both_flavours(|| async {
        for folder in folders() {
            let path = folder.path().join("file");
            let mut file = File::create(&path).await.unwrap();
            file.write_all(b"hello ").await.unwrap();
            file.write_all(b"world").await.unwrap();
            file.flush().await.unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"hello world");

            let mut file = File::open(&path).await.unwrap();
            let mut text = String::new();
            file.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "hello world");
            assert_eq!(file.read(&mut [0; 8]).await.unwrap(), 0);
        }
    });
}

/// Mutant: not reading through the ring what is not in memory (`Now::Later` taken for the end).
#[test]
fn a_file_that_is_not_in_memory_is_read_whole() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cold");
        let contents = pattern(3 * 1024 * 1024 + 17);
        std::fs::write(&path, &contents).unwrap();

        evict(&path);
        let mut read = Vec::new();
        File::open(&path)
            .await
            .unwrap()
            .read_to_end(&mut read)
            .await
            .unwrap();
        assert!(read == contents, "through AsyncRead");

        evict(&path);
        assert!(fs::read(&path).await.unwrap() == contents, "through read");
    });
}

/// Goal: a count that is short because the rest is not in memory is not taken for the end. Method: only the first page is.
///
/// Mutant: `read_sized` in `fs/src/op/now.rs` takes every count that is no error for all of the file.
#[test]
fn a_file_of_which_only_the_beginning_is_in_memory_is_read_whole() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        for len in [8 * 1024, 256 * 1024, 256 * 1024 + 1, 3 * 1024 * 1024] {
            let path = folder.path().join(len.to_string());
            let contents = pattern(len);
            std::fs::write(&path, &contents).unwrap();
            evict(&path);
            let file = File::open(&path).await.unwrap();
            file.advise(0, 0, Advice::Random).await.unwrap();
            let (result, first) = file.read_at(vec![0; 1], 0).await;
            assert_eq!((result.unwrap(), &first[..]), (1, &contents[..1]));
            assert!(fs::read(&path).await.unwrap() == contents, "{len} bytes");
        }
    });
}

/// Goal: an operation of the file does what the same one of std does, whatever came before, and dropping a
/// read that was polled once makes no difference. Method: the same sequence, drawn from a seed, on two files.
///
/// Mutants: not discarding what was read ahead when writing or seeking; advancing the position when a read
/// completes and not when its bytes are taken; not moving the position back when an append-only file is read.
#[test]
fn any_sequence_of_operations_does_what_std_does() {
    for folder in folders() {
        for seed in 0..90 {
            let path = folder.path().to_owned();
            on_two_workers(async move { compare_with_std(&path, seed).await });
        }
    }
}

async fn compare_with_std(folder: &std::path::Path, seed: u64) {
    let (our_path, std_path) = (folder.join("ours"), folder.join("std"));
    for path in [&our_path, &std_path] {
        std::fs::write(path, pattern(5000)).unwrap();
    }
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).append(seed % 3 == 1);
    let mut expected = options.open(&std_path).unwrap();
    let mut file = if seed % 3 == 2 {
        File::from_std(options.open(&our_path).unwrap())
    } else {
        let mut ours = OpenOptions::new();
        ours.read(true)
            .write(true)
            .append(seed % 3 == 1)
            .open(&our_path)
            .await
            .unwrap()
    };
    let mut random = Random(seed);
    for step in 0..120 {
        let context = format!("seed {seed}, step {step}");
        if random.below(4) == 0 {
            evict(&our_path);
        }
        do_one_step(&mut random, &mut file, &mut expected, &context).await;
    }
    file.flush().await.unwrap();
    assert!(
        std::fs::read(&our_path).unwrap() == std::fs::read(&std_path).unwrap(),
        "seed {seed}"
    );
}

async fn do_one_step(random: &mut Random, file: &mut File, std: &mut std::fs::File, context: &str) {
    match random.below(9) {
        // Given up, perhaps in flight, perhaps with more bytes than the next read takes.
        7 | 8 => {
            let len = random.below(3000);
            if let Some(count) = poll_once(file.read(&mut vec![0; len])).await {
                std.seek_relative(count.unwrap() as i64).unwrap();
            }
        }
        0 | 1 => {
            let len = random.below(3000);
            let (mut ours, mut theirs) = (vec![0; len], vec![0; len]);
            let expected = read_full(std, &mut theirs);
            // What was read ahead comes first, so a read may be short; together they agree.
            let mut read = 0;
            while read < expected {
                let count = file.read(&mut ours[read..expected]).await.unwrap();
                assert_ne!(count, 0, "{context}: an early end");
                read += count;
            }
            assert_eq!(ours, theirs, "{context}: read {len}");
        }
        2 => {
            let bytes = pattern(random.below(2000));
            file.write_all(&bytes).await.unwrap();
            std.write_all(&bytes).unwrap();
        }
        3 => {
            let by = random.below(2000) as i64 - 1000;
            let to = [
                SeekFrom::Start(by.unsigned_abs()),
                SeekFrom::Current(by),
                SeekFrom::End(by),
            ][random.below(3)];
            let (ours, theirs) = (file.seek(to).await, std.seek(to));
            assert_eq!(
                ours.as_ref().ok(),
                theirs.as_ref().ok(),
                "{context}: {to:?}"
            );
            let kinds = (
                ours.map_err(|e| e.kind()).err(),
                theirs.map_err(|e| e.kind()).err(),
            );
            assert_eq!(kinds.0, kinds.1, "{context}: {to:?}");
        }
        4 => {
            let len = random.below(8000) as u64;
            file.set_len(len).await.unwrap();
            std.set_len(len).unwrap();
        }
        5 => file.flush().await.unwrap(),
        _ => assert_eq!(
            position(file).await,
            std.stream_position().unwrap(),
            "{context}"
        ),
    }
}

fn read_full(file: &mut std::fs::File, target: &mut [u8]) -> usize {
    let mut done = 0;
    while done < target.len() {
        match file.read(&mut target[done..]).unwrap() {
            0 => break,
            count => done += count,
        }
    }
    done
}

/// A linear congruential generator: the same sequence for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// Mutant: giving the read in flight up with the future, as the positional reads do.
#[test]
fn a_dropped_read_of_a_pipe_loses_no_byte() {
    on_both_flavours(|| async {
        let (reader, writer) = pipe();
        let mut reader = File::from(reader);
        for round in 0..50u8 {
            let mut buf = [0; 16];
            assert!(
                poll_once(reader.read(&mut buf)).await.is_none(),
                "the pipe is empty"
            );
            std::fs::File::from(writer.try_clone().unwrap())
                .write_all(&[round, round + 100])
                .unwrap();
            // Taken one by one, although one read brought both.
            for expected in [round, round + 100] {
                let count = reader.read(&mut buf[..1]).await.unwrap();
                assert_eq!((count, buf[0]), (1, expected));
            }
        }
    });
}

/// Mutant: giving up the read in flight because of the write, as with a position.
#[test]
fn a_write_to_a_stream_loses_nothing_that_was_read() {
    on_both_flavours(|| async {
        let (ours, mut peer) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut ours = File::from(std::os::fd::OwnedFd::from(ours));
        let mut buf = [0; 8];
        assert!(
            poll_once(ours.read(&mut buf)).await.is_none(),
            "nothing was sent"
        );
        peer.write_all(b"first").unwrap();
        // The read in flight has the bytes by now, or will have them.
        ringway::time::sleep(Duration::from_millis(20)).await;
        ours.write_all(b"answer").await.unwrap();
        ours.flush().await.unwrap();
        let count = ours.read(&mut buf).await.unwrap();
        assert_eq!(&buf[..count], b"first");
        let mut answer = [0; 6];
        peer.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"answer");
    });
}

/// Mutant: leaving the position behind bytes that were not written.
#[test]
fn a_write_that_fails_in_flight_does_not_move_the_position() {
    on_both_flavours(|| async {
        // SAFETY: the name is a string with a NUL byte at its end.
        let fd = unsafe { libc::memfd_create(c"sealed".as_ptr(), libc::MFD_ALLOW_SEALING) };
        assert!(fd >= 0);
        // SAFETY: the descriptor was just made, and nobody else has it.
        let memory = unsafe { std::fs::File::from_raw_fd(fd) };
        memory.set_len(100).unwrap();
        let path = format!("/proc/self/fd/{fd}");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .await
            .unwrap();
        file.seek(SeekFrom::Start(7)).await.unwrap();
        // SAFETY: no pointer is passed.
        let sealed = unsafe { libc::fcntl(fd, libc::F_ADD_SEALS, libc::F_SEAL_WRITE) };
        assert_eq!(sealed, 0);
        let error = match file.write_all(b"too late").await {
            Ok(()) => file.flush().await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert_eq!(position(&mut file).await, 7);
    });
}

/// Mutant: cancelling the write in flight when the file is dropped, instead of detaching it.
#[test]
fn what_a_dropped_file_has_taken_still_arrives() {
    on_both_flavours(|| async {
        let (reader, writer) = pipe();
        let bytes = pattern(300_000);
        let mut writer = File::from(writer);
        // More than the pipe holds, so it is in flight until somebody reads.
        let mut taken = writer.write(&bytes).await.unwrap();
        taken += poll_once(writer.write(&bytes[taken..]))
            .await
            .map_or(0, Result::unwrap);
        drop(writer);
        let mut reader = std::fs::File::from(reader);
        let read = ringway::task::spawn_blocking(move || {
            let mut read = Vec::new();
            reader.read_to_end(&mut read).unwrap();
            read
        });
        assert!(read.await.unwrap() == bytes[..taken]);
    });
}

/// Goal: however the shutdown and a write meet, its bytes are in the file. The test below has the mutant.
#[test]
fn what_was_taken_before_the_runtime_shut_down_is_in_the_file() {
    for folder in folders() {
        for round in 0..40 {
            let path = folder.path().join(format!("file{round}"));
            let runtime = ringway::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .unwrap();
            let count = runtime.block_on(within(async {
                let mut file = File::create(&path).await.unwrap();
                file.write(&pattern(100_000)).await.unwrap()
            }));
            drop(runtime);
            assert_eq!(
                std::fs::read(&path).unwrap(),
                pattern(100_000)[..count],
                "round {round}"
            );
        }
    }
}

/// Goal: as above, of a write that waits for a thread of the pool. Method: the only thread is busy until the runtime has
/// begun to end.
///
/// Mutant: a job that is not mandatory in `Way::start` of `fs/src/file/traffic.rs`, so that the shutdown cancels it.
#[test]
fn what_was_taken_while_the_pool_was_busy_is_in_the_file() {
    for folder in folders() {
        let path = folder.path().join("file");
        let runtime = ringway::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let count = runtime.block_on(within(async {
            let mut file = File::create(&path).await.unwrap();
            drop(ringway::task::spawn_blocking(move || released.recv()));
            file.write(&pattern(100_000)).await.unwrap()
        }));
        runtime.shutdown_background();
        drop(release);
        wait_until("the bytes are in the file", || {
            std::fs::read(&path).unwrap() == pattern(100_000)[..count]
        });
    }
}

/// Mutant: dropping the error of a write in flight.
#[test]
fn a_write_that_fails_is_reported_by_the_write_or_the_flush() {
    on_both_flavours(|| async {
        let mut full = full_device().await;
        let error = match full.write_all(b"too much").await {
            Ok(()) => full.flush().await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        full.flush().await.expect("the error is reported once");
    });
}

/// Mutant: `Gate::admits` that always does.
#[test]
fn a_task_that_reads_what_is_in_memory_lets_others_run() {
    on_this_thread(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, pattern(4096)).unwrap();
        let mut file = File::open(&path).await.unwrap();
        // From here on nothing but reading can give it its turn.
        let ran = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&ran);
        let other = ringway::spawn(async move { flag.store(true, Ordering::Relaxed) });
        let mut rounds = 0u64;
        while !ran.load(Ordering::Relaxed) {
            file.rewind().await.unwrap();
            file.read_exact(&mut [0; 4096]).await.unwrap();
            rounds += 1;
            assert!(rounds < 1_000_000, "the other task never ran");
        }
        other.await.unwrap();
    });
}

#[test]
fn an_empty_read_is_done_at_once_and_is_not_the_end() {
    on_both_flavours(|| async {
        let (reader, writer) = pipe();
        let mut reader = File::from(reader);
        assert_eq!(poll_once(reader.read(&mut [])).await.unwrap().unwrap(), 0);
        std::fs::File::from(writer).write_all(b"x").unwrap();
        assert_eq!(reader.read(&mut [0; 8]).await.unwrap(), 1);
    });
}

/// Mutant: into_std without moving the kernel's position.
#[test]
fn a_file_of_std_goes_on_where_ours_was() {
    on_both_flavours(|| async {
        for folder in folders() {
            let path = folder.path().join("file");
            std::fs::write(&path, b"0123456789").unwrap();
            let mut file = File::open(&path).await.unwrap();
            file.read_exact(&mut [0; 4]).await.unwrap();
            let mut std = file.into_std().await;
            assert_eq!(std.stream_position().unwrap(), 4);
            std.seek_relative(1).unwrap();
            let mut file = File::from_std(std);
            let mut two = [0; 2];
            file.read_exact(&mut two).await.unwrap();
            assert_eq!(&two, b"56");
            let mut std = file.try_into_std().expect("nothing is in flight");
            std.read_exact(&mut two).unwrap();
            assert_eq!(&two, b"78");

            let mut file = File::open(&path).await.unwrap();
            file.read_exact(&mut [0; 4]).await.unwrap();
            let mut std = file.try_into_std().expect("nothing is in flight");
            assert_eq!(std.stream_position().unwrap(), 4);
        }
    });
}

#[test]
fn a_file_with_a_write_in_flight_is_no_file_of_std_yet() {
    on_both_flavours(|| async {
        let (reader, writer) = pipe();
        let mut writer = File::from(writer);
        let mut taken = 0;
        // Until the pipe is full and a write is in flight.
        while let Some(count) = poll_once(writer.write(&[1; 50_000])).await {
            taken += count.unwrap();
        }
        let writer = writer.try_into_std().expect_err("a write is in flight");
        let draining = ringway::task::spawn_blocking(move || {
            let mut read = Vec::new();
            std::fs::File::from(reader).read_to_end(&mut read).unwrap();
            read.len()
        });
        drop(writer.into_std().await);
        assert_eq!(draining.await.unwrap(), taken);
    });
}

/// Mutant: a clone with a position of its own.
#[test]
fn a_clone_shares_the_position() {
    on_both_flavours(|| async {
        for folder in folders() {
            let path = folder.path().join("file");
            std::fs::write(&path, b"0123456789").unwrap();
            let mut file = File::open(&path).await.unwrap();
            file.read_exact(&mut [0; 2]).await.unwrap();
            let mut clone = file.try_clone().await.unwrap();
            let mut three = [0; 3];
            clone.read_exact(&mut three).await.unwrap();
            assert_eq!(&three, b"234");
            file.read_exact(&mut three).await.unwrap();
            assert_eq!(&three, b"567");
            assert_eq!(position(&mut clone).await, 8);
        }
    });
}

#[test]
fn a_descriptor_of_another_owner_keeps_its_position_shared() {
    on_both_flavours(|| async {
        for folder in folders() {
            let path = folder.path().join("file");
            let mut std = std::fs::File::create(&path).unwrap();
            std.write_all(b"before ").unwrap();
            let mut ours = File::from_std(std.try_clone().unwrap());
            ours.write_all(b"ours ").await.unwrap();
            ours.flush().await.unwrap();
            std.write_all(b"after").unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"before ours after");
        }
    });
}

/// Mutant: keeping O_NONBLOCK on a regular file; then it would be taken for a stream, and be read on the spot.
#[test]
fn a_regular_file_opened_with_nonblock_is_read_as_any_other() {
    on_both_flavours(|| async {
        for folder in folders() {
            let path = folder.path().join("file");
            let contents = pattern(100_000);
            std::fs::write(&path, &contents).unwrap();
            let mut options = OpenOptions::new();
            options.read(true).custom_flags(libc::O_NONBLOCK);
            let opened = options.open(&path).await.unwrap();
            let mut options = std::fs::File::options();
            let std = options
                .read(true)
                .custom_flags(libc::O_NONBLOCK)
                .open(&path)
                .unwrap();
            for mut file in [opened, File::from_std(std)] {
                // SAFETY: no pointer is passed.
                let flags = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) };
                assert_eq!(flags & libc::O_NONBLOCK, 0);
                evict(&path);
                let mut read = Vec::new();
                file.read_to_end(&mut read).await.unwrap();
                assert!(read == contents);
            }
        }
    });
}

#[test]
fn one_read_and_one_write_move_at_most_the_maximum() {
    on_both_flavours(|| async {
        for folder in folders() {
            let path = folder.path().join("file");
            let mut file = read_write(&path).await;
            assert_eq!(file.max_buf_size(), 2 * 1024 * 1024);
            file.set_max_buf_size(3);
            assert_eq!(file.write(b"abcdef").await.unwrap(), 3);
            let slices = [
                std::io::IoSlice::new(b""),
                std::io::IoSlice::new(b"de"),
                std::io::IoSlice::new(b"fg"),
            ];
            let count = file.write_vectored(&slices).await.unwrap();
            assert!((1..=3).contains(&count), "{count}");
            file.rewind().await.unwrap();
            assert_eq!(file.read(&mut [0; 16]).await.unwrap(), 3);
            assert_eq!(file.try_clone().await.unwrap().max_buf_size(), 3);
        }
    });
}

#[test]
#[should_panic(expected = "`max_buf_size` must be greater than 0")]
fn a_maximum_of_nothing_is_a_mistake() {
    let file = tempfile::tempfile().unwrap();
    File::from_std(file).set_max_buf_size(0);
}

#[test]
fn vectored_writes_are_gathered() {
    on_both_flavours(|| async {
        for folder in folders() {
            let path = folder.path().join("file");
            let mut file = File::create(&path).await.unwrap();
            assert!(ringway::io::AsyncWrite::is_write_vectored(&file));
            let slices = [
                std::io::IoSlice::new(b"abc"),
                std::io::IoSlice::new(b""),
                std::io::IoSlice::new(b"de"),
            ];
            assert_eq!(file.write_vectored(&slices).await.unwrap(), 5);
            file.shutdown().await.unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"abcde");
        }
    });
}

/// How far that is depends on the file system: what std is told counts, and where a file was stays where it was.
///
/// Mutant: taking every position for one that can be had.
#[test]
fn a_seek_to_where_no_file_can_be_fails() {
    on_both_flavours(|| async {
        for folder in folders() {
            let path = folder.path().join("file");
            let mut file = read_write(&path).await;
            let mut std = std::fs::File::open(&path).unwrap();
            for bits in 30..=63 {
                for target in [(1_u64 << bits) - 1, 1 << bits] {
                    let to = SeekFrom::Start(target);
                    let (ours, theirs) = (file.seek(to).await, std.seek(to));
                    let kinds = (
                        ours.map_err(|error| error.kind()),
                        theirs.map_err(|error| error.kind()),
                    );
                    assert_eq!(kinds.0, kinds.1, "{to:?}");
                    let position = file.stream_position().await.unwrap();
                    assert_eq!(position, std.stream_position().unwrap(), "{to:?}");
                }
            }
        }
    });
}

#[test]
fn a_seek_during_a_write_asks_for_patience() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let mut file = File::create(folder.path().join("file")).await.unwrap();
        // On a file system that writes nothing at once, the write is now in flight.
        file.write_all(&pattern(1_000_000)).await.unwrap();
        match start_seek(&mut file, SeekFrom::Start(0)) {
            Ok(()) => {}
            Err(error) => assert!(
                error
                    .to_string()
                    .starts_with("other file operation is pending")
            ),
        }
        assert_eq!(file.seek(SeekFrom::End(0)).await.unwrap(), 1_000_000);
    });
}
