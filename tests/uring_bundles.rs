//! Bundles: one answer of the kernel that has filled several provided buffers.

mod net_support;

use std::io::{Read, Write};
use std::os::unix::net as std_unix;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use net_support::*;
use ringway::net::{UdpSocket, UnixStream};
use ringway::runtime::{Builder, Handle, Runtime};
use ringway::uring::{self, ProvidedBuf, RecvMulti};
use ringway_runtime::driver::{Feature, Script, features, is_lost};
use ringway_runtime::internals::mismatches;

/// Bytes of a provided buffer.
const ROOM: usize = 4096;
/// Buffers of a worker, unless the environment says otherwise.
const POOL: usize = 256;
/// Buffers of one request, and one that is filled in part at either end of what was sent.
const UNREAD_MAX: usize = 32 + 2;

/// Whether this runtime's kernel fills several buffers at once.
fn has_bundles() -> bool {
    features().has(Feature::Bundles)
}

fn current_thread() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
}

fn answers() -> u64 {
    let metrics = Handle::current().metrics();
    let workers = 0..metrics.num_workers();
    workers
        .map(|worker| metrics.ring(worker).answer_count())
        .sum()
}

/// Takes from the stream until there are so many bytes, and checks them.
async fn take(
    stream: &mut RecvMulti,
    salt: u64,
    position: &mut u64,
    until: u64,
) -> Vec<ProvidedBuf> {
    let mut bufs = Vec::new();
    while *position < until {
        let buf = stream.next().await.expect("no end yet").expect("no error");
        check_pattern(salt, *position, &buf);
        *position += buf.len() as u64;
        bufs.push(buf);
    }
    bufs
}

/// Mutant: `receive::many` in place of `receive::bundles`.
#[test]
fn one_answer_fills_many_buffers_where_the_kernel_can() {
    const TOTAL: u64 = 4 << 20;
    on_both_flavours(|| async {
        let (client, server) = pair().await;
        let sender = ringway::spawn(async move {
            for part in 0..TOTAL >> 16 {
                let bytes = pattern_from(1, part << 16, 1 << 16);
                uring::send_all(&client, bytes).await.0.expect("room");
            }
            client
        });
        let mut received = uring::recv_multi(&server);
        let before = answers();
        let (mut position, mut bufs) = (0, 0);
        while position < TOTAL {
            let next = position + 1;
            bufs += take(&mut received, 1, &mut position, next).await.len();
        }
        let answers = answers() - before;
        println!("{bufs} buffers by at most {answers} answers");
        assert!(bufs as u64 >= TOTAL / ROOM as u64);
        if has_bundles() {
            assert!(
                answers < bufs as u64 / 2,
                "{answers} answers for {bufs} buffers"
            );
        }
        drop(sender.await.expect("no panic"));
    });
}

/// Streams that are dropped when they have given out a part of a bundle, while the next is on its way, on this thread and
/// on another one, more often than there are buffers. Mutants: `ProvidedBufs` has no drop; `put_bundle` puts the first back
/// alone; `finish_of` in `driver/payload.rs` makes nothing of the earlier answers.
#[test]
fn a_stream_that_is_dropped_within_a_bundle_gives_all_buffers_back() {
    const ROUNDS: usize = 400;
    let before = mismatches();
    on_both_flavours(|| async {
        let mut numbers = Numbers::new(3);
        for round in 0..ROUNDS {
            let (one, two) = UnixStream::pair().expect("a pair");
            let mut received = uring::recv_multi(&two);
            if numbers.below(2) == 0 {
                assert!(poll_once(|cx| received.poll_next(cx)).is_pending());
            }
            let sent = numbers.below(100_000);
            let sender = ringway::spawn(async move {
                // In two parts, which are two answers if nobody takes them in between.
                for (begin, end) in [(0, sent / 2), (sent / 2, sent)] {
                    let part = pattern_from(7, begin as u64, end - begin);
                    let sending = uring::send_all(&one, part);
                    let _ = sending.cancel_after(Duration::from_millis(5)).await;
                    ringway::time::sleep(Duration::from_micros(100)).await;
                }
                one
            });
            if numbers.below(4) == 0 {
                ringway::time::sleep(Duration::from_millis(1)).await;
            }
            let mut position = 0;
            let wanted = numbers.below(sent + 1) as u64;
            let kept = within(take(&mut received, 7, &mut position, wanted.min(1 << 15))).await;
            if numbers.below(3) == 0 {
                thread::spawn(move || drop((received, kept)))
                    .join()
                    .expect("no panic");
            } else {
                drop(received);
            }
            drop(two);
            drop(sender.await.expect("no panic"));
            if round % 50 == 49 {
                assert!(
                    is_lent_to_somebody().await || !has_bundles(),
                    "round {round}"
                );
            }
        }
    });
    assert_eq!(mismatches(), before, "the ledger is even");
}

/// Whether a new stream finds a buffer in the pool, within some tries: cancels take their time.
async fn is_lent_to_somebody() -> bool {
    let (one, two) = UnixStream::pair().expect("a pair");
    let mut received = uring::recv_multi(&two);
    for _ in 0..100 {
        uring::send_all(&one, "word").await.0.expect("room");
        let buf = received.next().await.expect("no end").expect("no error");
        if buf.is_lent() {
            return true;
        }
        ringway::time::sleep(Duration::from_millis(1)).await;
    }
    false
}

/// What was received before the stop is given out, a bundle whole, and the rest is left to the socket.
#[test]
fn a_stream_that_is_stopped_within_a_bundle_loses_no_byte() {
    const TOTAL: u64 = 150_000;
    on_both_flavours(|| async {
        for round in 0..60 {
            let (one, two) = pair().await;
            let sender = ringway::spawn(async move {
                uring::send_all(&one, pattern_from(round, 0, TOTAL as usize))
                    .await
                    .0
                    .expect("room");
                one
            });
            let mut received = uring::recv_multi(&two);
            let mut position = 0;
            drop(take(&mut received, round, &mut position, 1 + round * 1000).await);
            received.stop();
            while let Some(buf) = received.next().await {
                let buf = buf.expect("no error");
                check_pattern(round, position, &buf);
                position += buf.len() as u64;
            }
            assert!(
                position <= 60 * 1000 + UNREAD_MAX as u64 * ROOM as u64,
                "{position}"
            );
            let (result, rest) =
                uring::recv_exact(&two, Vec::with_capacity((TOTAL - position) as usize)).await;
            assert_eq!(result.expect("no error") as u64, TOTAL - position);
            check_pattern(round, position, &rest);
            drop(sender.await.expect("no panic"));
        }
    });
}

/// Another reader takes bytes from the socket that the kernel has counted for the stream, in whole buffers, for the others are
/// where it stops. Each byte comes to one of the two, and every buffer is back in the end.
///
/// Mutant: `receive::bundles` in `runtime/src/driver/provided/receive.rs` does not bound one answer. The kernel must be met at
/// the right moment: of 20 runs of 20,000 rounds 8 to 14 failed.
#[test]
fn a_stream_that_others_read_too_loses_no_byte_and_no_buffer() {
    const ROUNDS: usize = 40_000;
    let before = mismatches();
    let runtime = current_thread();
    runtime.block_on(within(async {
        let (near, far) = UnixStream::pair().expect("a pair");
        let other = std_unix::UnixStream::from(rustix::io::dup(&far).expect("a descriptor"));
        let near = near.into_std().expect("the socket");
        let both = thread::spawn(move || write_and_read(&near, &other, ROUNDS));
        let mut received = uring::recv_multi(&far);
        let mut bytes = 0;
        while let Some(buf) = received.next().await {
            bytes += buf.expect("no error").len();
        }
        let (sent, taken) = both.join().expect("no panic");
        println!("{sent} bytes: {bytes} came to the stream, {taken} to the other");
        assert!(bytes > 0 && taken > 0);
        assert_eq!(bytes + taken, sent);
    }));
    drop(runtime);
    assert_eq!(mismatches(), before, "the ledger is even");
}

/// Writes some buffers to one end, and takes from the other what is there, or leaves it to others; how many bytes each.
fn write_and_read(
    mut near: &std_unix::UnixStream,
    mut far: &std_unix::UnixStream,
    rounds: usize,
) -> (usize, usize) {
    let mut numbers = Numbers::new(5);
    let (mut sent, mut taken) = (0, 0);
    let mut room = vec![0; 1 << 18];
    for _ in 0..rounds {
        // What they answer does not matter: there is no room, or nothing to read.
        for _ in 0..=numbers.below(6) {
            sent += near.write(&[7; ROOM]).unwrap_or(0);
        }
        for _ in 0..numbers.below(3) {
            taken += far.read(&mut room).unwrap_or(0);
        }
        (0..numbers.below(300)).for_each(|_| std::hint::spin_loop());
    }
    (sent, taken)
}

/// As many bytes wait in a socket as fit there when the stream begins, and nobody takes any. What the kernel takes out of the
/// pool for them at once, before the runtime has seen an answer, is bounded, and the others' buffers are there.
/// Mutant: `RecvMany::entry` in `uring/src/op/receive.rs` allows a gigabyte.
#[test]
fn a_flood_takes_a_part_of_the_pool_and_no_more() {
    on_this_thread(async {
        let (one, flooded) = UnixStream::pair().expect("a pair");
        one.writable().await.expect("room");
        let mut sent = 0;
        while let Ok(count) = one.try_write(&[7; 1 << 14]) {
            sent += count;
        }
        assert!(sent > (UNREAD_MAX + 4) * ROOM, "only {sent} bytes had room");
        let mut unread = uring::recv_multi(&flooded);
        assert!(poll_once(|cx| unread.poll_next(cx)).is_pending());
        ringway::time::sleep(Duration::from_millis(2)).await;
        let (near, far) = UnixStream::pair().expect("a pair");
        let mut other = uring::recv_multi(&far);
        uring::send_all(&near, "word").await.0.expect("room");
        let buf = other.next().await.expect("no end").expect("no error");
        assert!(buf.is_lent() || !has_bundles(), "the flood has all buffers");
        unread.stop();
        let mut waiting = Vec::new();
        while let Some(Ok(buf)) = unread.next().await {
            waiting.push(buf);
        }
        let count = waiting.len();
        let taken: usize = waiting.iter().map(|buf| buf.len()).sum();
        println!("{sent} bytes waited, and {count} buffers were taken");
        if has_bundles() {
            assert!(count > 0 && count <= UNREAD_MAX, "{count} buffers");
        }
        // It was stopped, not ended: the next receive goes on.
        drop(waiting);
        let rest = Vec::with_capacity(sent - taken);
        let (result, rest) = uring::recv_exact(&flooded, rest).await;
        assert_eq!(result.expect("no error"), sent - taken);
        assert!(rest.iter().all(|&byte| byte == 7));
    });
}

/// Everybody keeps what he got: whoever comes then gets memory of its own, and buffers again when some are back.
/// Mutant: `Order::put` does not count down what is lent.
#[test]
fn a_pool_whose_buffers_are_all_kept_starves_nobody() {
    on_this_thread(async {
        let (one, two) = pair().await;
        let mut received = uring::recv_multi(&two);
        let (mut position, mut kept) = (0, Vec::new());
        let total = 2 * (POOL * ROOM) as u64;
        let sender = ringway::spawn(async move {
            uring::send_all(&one, pattern_from(4, 0, total as usize))
                .await
                .0
                .expect("room");
            one
        });
        kept.extend(take(&mut received, 4, &mut position, total).await);
        let one = sender.await.expect("no panic");
        let lent = kept.iter().filter(|buf| buf.is_lent()).count();
        if has_bundles() {
            assert_eq!(lent, POOL, "all that there are, and memory for the rest");
        }
        let before = answers();
        uring::send_all(&one, "own").await.0.expect("room");
        let own = received.next().await.expect("no end").expect("no error");
        assert_eq!((&own[..], own.is_lent()), (&b"own"[..], false));
        assert!(
            answers() - before < 20,
            "{} answers for three bytes",
            answers() - before
        );
        let mut position = 0;
        for buf in kept.drain(..) {
            check_pattern(4, position, &buf);
            position += buf.len() as u64;
        }
        uring::send_all(&one, "lent").await.0.expect("room");
        // The wait that had begun without a buffer ends without.
        let first = received.next().await.expect("no end").expect("no error");
        uring::send_all(&one, "lent").await.0.expect("room");
        let second = received.next().await.expect("no end").expect("no error");
        assert_eq!((&first[..], &second[..]), (&b"lent"[..], &b"lent"[..]));
        assert!(second.is_lent() || !has_bundles());
    });
}

/// Bytes arrive in pieces of all sizes, in and out of step with requests and buffers; buffers come back in another order.
/// Mutant: in `provided/order.rs`, `put` does not note which buffer comes behind.
#[test]
fn a_stream_in_pieces_of_all_sizes_arrives_whole() {
    const TOTAL: u64 = 8 << 20;
    on_both_flavours(|| async {
        let mut tasks = Vec::new();
        for salt in 0..4 {
            let (client, server) = pair().await;
            ringway::spawn(async move {
                let mut numbers = Numbers::new(salt);
                let mut sent = 0;
                while sent < TOTAL / 4 {
                    let most = [10, 3000, 5000, 70_000][numbers.below(4)];
                    let count = (1 + numbers.below(most)).min((TOTAL / 4 - sent) as usize);
                    let bytes = pattern_from(salt, sent, count);
                    uring::send_all(&client, bytes).await.0.expect("room");
                    sent += count as u64;
                    if numbers.below(3) == 0 {
                        ringway::task::yield_now().await;
                    }
                }
            });
            tasks.push(ringway::spawn(async move {
                let mut numbers = Numbers::new(salt + 10);
                let mut received = uring::recv_multi(&server);
                let (mut position, mut kept) = (0, Vec::new());
                while let Some(buf) = received.next().await {
                    let buf = buf.expect("no error");
                    let begin = position;
                    position += buf.len() as u64;
                    kept.push((begin, buf));
                    while kept.len() > 12 + numbers.below(8) {
                        let (begin, buf) = kept.swap_remove(numbers.below(kept.len()));
                        check_pattern(salt, begin, &buf);
                    }
                }
                for (begin, buf) in kept {
                    check_pattern(salt, begin, &buf);
                }
                assert_eq!(position, TOTAL / 4);
            }));
        }
        for task in tasks {
            task.await.expect("no panic");
        }
    });
}

/// A request that may bring little more has the kernel cut the buffer that it looks at. Messages have buffers of their own,
/// which are not cut. Mutant: `RecvMulti::pool` has messages use `Use::Bundles`, too.
#[test]
fn a_message_beside_streams_is_not_cut() {
    const MESSAGE: usize = 4000;
    on_this_thread(async {
        let one = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let two = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let target = two.local_addr().expect("an address");
        let mut messages = uring::recv_multi(&two);
        let (near, far) = pair().await;
        let mut stream = uring::recv_multi(&far);
        for round in 0..200 {
            // All that the request may bring but for some bytes.
            let bytes = pattern_from(round, 0, (32 * ROOM) - 1 - round as usize);
            let len = bytes.len() as u64;
            let sender = async { uring::send_all(&near, bytes).await.0.expect("room") };
            let mut position = 0;
            let receiver = take(&mut stream, round, &mut position, len);
            let (_, bufs) = ringway::join!(sender, receiver);
            drop(bufs);
            ringway::task::yield_now().await;
            let message = pattern_from(round, 0, MESSAGE);
            uring::send_to(&one, message, target).await.0.expect("room");
            let buf = messages.next().await.expect("no end").expect("no error");
            assert_eq!(buf.len(), MESSAGE, "round {round}");
            check_pattern(round, 0, &buf);
        }
    });
}

/// Threads drop buffers of bundles while their runtime ends, and after it. Mutants, under AddressSanitizer: the pool is freed
/// with the shard; and by the ledger: `ProvidedBuf` has no drop (it names the line of `recv_multi` below).
#[test]
fn buffers_of_bundles_are_dropped_by_other_threads_while_the_runtime_ends() {
    let before = mismatches();
    for round in 0..30 {
        let runtime = current_thread();
        let (give, taken) = mpsc::channel();
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (give, bufs) = mpsc::channel::<(u64, ProvidedBuf)>();
                let thread = thread::spawn(move || {
                    for (position, buf) in bufs {
                        check_pattern(9, position, &buf);
                    }
                });
                (give, thread)
            })
            .collect();
        let stream = runtime.block_on(async {
            let (one, two) = pair().await;
            let mut received = uring::recv_multi(&two);
            let total = 200_000;
            ringway::spawn(async move {
                let _ = uring::send_all(&one, pattern_from(9, 0, total)).await;
                give.send(one).expect("the test waits");
            });
            let mut position = 0;
            while position < total as u64 / 2 {
                let buf = received.next().await.expect("no end").expect("no error");
                let len = buf.len() as u64;
                let to = &threads[position as usize / ROOM % threads.len()].0;
                to.send((position, buf)).expect("it waits");
                position += len;
            }
            received
        });
        let drop_stream_first = round % 2 == 0;
        if drop_stream_first {
            drop(stream);
            drop(runtime);
        } else {
            drop(runtime);
            drop(stream);
        }
        drop(taken);
        for (give, thread) in threads {
            drop(give);
            thread.join().expect("no panic");
        }
    }
    assert_eq!(mismatches(), before, "the ledger is even");
}

/// Answers that name buffers are dropped, as by a kernel without memory, until the pool has none left. Each is an error, what
/// it named is gone, and receiving goes on in memory of its own.
///
/// Mutants: `RecvMulti::judge` in `uring/src/receive.rs` takes ENOBUFS for an error; `Pools::excuse` excuses nobody (the ledger).
#[test]
fn a_pool_whose_buffers_are_lost_with_their_answers_starves_nobody() {
    const OWN: usize = 20;
    let before = mismatches();
    let mut builder = Builder::new_current_thread();
    let script = Script::new(11).drop_answers(300);
    let runtime = builder.enable_all().ring_script(script).build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(within(async {
        let (near, far) = UnixStream::pair().expect("a pair");
        let is_enough = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_enough);
        let writer = thread::spawn(move || send_until(near, &told));
        let mut received = uring::recv_multi(&far);
        let (mut bytes, mut lost, mut own) = (0, 0, 0);
        while let Some(result) = received.next().await {
            match result {
                Ok(buf) => {
                    assert!(buf.iter().all(|&byte| byte == 7));
                    bytes += buf.len();
                    own += usize::from(!buf.is_lent());
                }
                Err(error) => {
                    assert!(is_lost(&error), "{error}");
                    lost += 1;
                }
            }
            is_enough.store(own >= OWN, Ordering::Relaxed);
        }
        let sent = writer.join().expect("no panic");
        println!("{bytes} of {sent} bytes, {lost} answers lost, {own} buffers of our own");
        assert!(own >= OWN && bytes <= sent);
        assert!(lost > 0 || !has_bundles());
    }));
    drop(runtime);
    assert_eq!(mismatches(), before, "the ledger is even");
}

/// Sends by calls that wait, until it is enough; how many bytes.
fn send_until(near: UnixStream, is_enough: &AtomicBool) -> usize {
    let mut near = near.into_std().expect("the socket");
    near.set_nonblocking(false).expect("an option");
    let mut sent = 0;
    while !is_enough.load(Ordering::Relaxed) {
        near.write_all(&[7; 1 << 14]).expect("a reader");
        sent += 1 << 14;
    }
    sent
}
