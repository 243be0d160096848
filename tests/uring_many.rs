//! Streams of the completion face: multishot accepts and receives.

mod net_support;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use net_support::*;
use ringway::net::{TcpStream, UdpSocket, UnixStream};
use ringway::uring::{self, RecvMulti};

/// Connects `count` clients, each of which sends its number, and keeps them.
async fn clients(address: SocketAddr, count: u32) -> Vec<TcpStream> {
    let mut clients = Vec::new();
    for number in 0..count {
        let client = TcpStream::connect(address).await.unwrap();
        let number = number.to_le_bytes().to_vec();
        uring::send_all(&client, number).await.0.unwrap();
        clients.push(client);
    }
    clients
}

/// The number that the client of this connection has sent.
async fn number_of(server: &TcpStream) -> u32 {
    let (result, number) = uring::recv_exact(server, vec![0; 4]).await;
    assert_eq!(result.unwrap(), 4);
    u32::from_le_bytes(number.try_into().unwrap())
}

/// Streams of connections that are dropped after some, and accepts of tokio's face in between. Mutants: `Parcel::drop`
/// closes; `Stash::put` wakes nobody.
#[test]
fn a_stream_of_connections_that_is_dropped_loses_none() {
    const CLIENTS: u32 = 900;
    on_both_flavours(|| async {
        let listener = listener().await;
        let clients = ringway::spawn(clients(listener.local_addr().unwrap(), CLIENTS));
        let mut numbers = Numbers::new(11);
        let mut seen = HashSet::new();
        while seen.len() < CLIENTS as usize {
            let mut connections = uring::accept_multi(&listener);
            for _ in 0..1 + numbers.below(5) {
                if seen.len() == CLIENTS as usize {
                    break;
                }
                let server = connections.next().await.unwrap();
                assert!(seen.insert(number_of(&server).await), "one came twice");
                // Others are taken by the kernel meanwhile.
                if numbers.below(2) == 0 {
                    ringway::task::yield_now().await;
                }
            }
            drop(connections);
            if seen.len() < CLIENTS as usize {
                let (server, _) = listener.accept().await.unwrap();
                assert!(seen.insert(number_of(&server).await), "one came twice");
            }
        }
        drop(clients.await.unwrap());
    });
}

/// The request is paused after 64 that nobody takes.
#[test]
fn connections_that_nobody_takes_for_a_while_are_all_there_later() {
    const CLIENTS: u32 = 500;
    on_both_flavours(|| async {
        let listener = listener().await;
        let address = listener.local_addr().unwrap();
        let mut connections = uring::accept_multi(&listener);
        let first = ringway::spawn(async move { clients(address, 1).await });
        drop(connections.next().await.unwrap());
        first.await.unwrap();
        let clients = ringway::spawn(clients(address, CLIENTS)).await.unwrap();
        let mut seen = HashSet::new();
        for _ in 0..CLIENTS {
            let server = connections.next().await.unwrap();
            assert!(seen.insert(number_of(&server).await));
        }
        drop(clients);
    });
}

/// The bytes of one that sends at random intervals, received at random intervals: the request is paused and goes on.
/// Mutant: buffers are given back before they are read (`Pool::adopt` gives back at once).
#[test]
fn a_stream_of_buffers_brings_every_byte_in_its_order() {
    const TOTAL: u64 = 6 << 20;
    on_both_flavours(|| async {
        let (client, server) = pair().await;
        let sender = ringway::spawn(async move {
            let mut numbers = Numbers::new(5);
            let mut sent = 0;
            while sent < TOTAL {
                let count = (1 + numbers.below(60_000)).min((TOTAL - sent) as usize);
                uring::send_all(&client, pattern_from(2, sent, count))
                    .await
                    .0
                    .unwrap();
                sent += count as u64;
                if numbers.below(8) == 0 {
                    ringway::time::sleep(Duration::from_micros(numbers.below(400) as u64)).await;
                }
            }
        });
        let mut numbers = Numbers::new(6);
        let mut received = uring::recv_multi(&server);
        let (mut position, mut lent, mut kept) = (0, 0, Vec::new());
        while let Some(buf) = received.next().await {
            let buf = buf.unwrap();
            assert!(!buf.is_empty() && buf.len() <= 4096);
            lent += usize::from(buf.is_lent());
            let begin = position;
            position += buf.len() as u64;
            kept.push((begin, buf));
            if kept.len() > numbers.below(30) {
                for (begin, buf) in kept.drain(..) {
                    check_pattern(2, begin, &buf);
                }
            }
            if numbers.below(40) == 0 {
                ringway::time::sleep(Duration::from_micros(numbers.below(2000) as u64)).await;
            }
        }
        for (begin, buf) in kept {
            check_pattern(2, begin, &buf);
        }
        assert_eq!(position, TOTAL);
        assert!(lent > 0 || !has_pool(), "the shard's buffers were used");
        sender.await.unwrap();
    });
}

/// Whether receives use provided buffers here: not on an old kernel, and not without io_uring.
fn has_pool() -> bool {
    std::env::var_os("RINGWAY_DRIVER").is_none() && std::env::var_os("RINGWAY_MASK").is_none()
}

/// Mutant: `RecvMulti::stop` drops the request.
#[test]
fn a_stream_that_is_stopped_gives_what_it_has_and_leaves_the_rest() {
    on_both_flavours(|| async {
        for round in 0..200_u64 {
            let (one, two) = UnixStream::pair().unwrap();
            let mut received = uring::recv_multi(&two);
            let sender = ringway::spawn(async move {
                for part in 0..10 {
                    let buf = pattern_from(round, part * 300, 300);
                    uring::send_all(&one, buf).await.0.unwrap();
                }
                one
            });
            let mut position = 0;
            for _ in 0..1 + round % 4 {
                let buf = received.next().await.unwrap().unwrap();
                check_pattern(round, position, &buf);
                position += buf.len() as u64;
                if position == 3000 {
                    break;
                }
            }
            received.stop();
            while let Some(buf) = received.next().await {
                let buf = buf.unwrap();
                check_pattern(round, position, &buf);
                position += buf.len() as u64;
            }
            assert!(received.next().await.is_none(), "it stays at its end");
            let rest = Vec::with_capacity(3000 - position as usize);
            let (result, rest) = uring::recv_exact(&two, rest).await;
            assert_eq!(result.unwrap() as u64, 3000 - position);
            check_pattern(round, position, &rest);
            drop(sender.await.unwrap());
        }
    });
}

/// Mutant: `RecvMulti::judge` takes no bytes for an end whatever the socket is.
#[test]
fn an_empty_message_is_a_message() {
    on_both_flavours(|| async {
        let one = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let two = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut received = uring::recv_multi(&two);
        for message in [&b"one"[..], b"", b"two", b"", b""] {
            let target = two.local_addr().unwrap();
            uring::send_to(&one, message, target).await.0.unwrap();
            let buf = received.next().await.unwrap().unwrap();
            assert_eq!(&buf[..], message);
        }
    });
}

/// More connections than buffers wait at once. Mutant: `RecvMulti::begin` holds a buffer while it waits.
#[test]
fn a_connection_that_is_idle_holds_no_buffer() {
    const CONNECTIONS: usize = 600;
    on_both_flavours(|| async {
        let mut pairs = Vec::new();
        for _ in 0..CONNECTIONS {
            let (one, two) = UnixStream::pair().unwrap();
            let mut received = uring::recv_multi(&two);
            assert!(poll_once(|cx| received.poll_next(cx)).is_pending());
            pairs.push((one, received));
        }
        ringway::time::sleep(Duration::from_millis(5)).await;
        for (one, received) in &mut pairs {
            uring::send_all(one, "there").await.0.unwrap();
            let buf = received.next().await.unwrap().unwrap();
            assert_eq!(&buf[..], b"there");
            assert!(buf.is_lent() || !has_pool());
        }
    });
}

/// Mutant: the pool is freed with the runtime, or a buffer is given back to memory that is gone (under AddressSanitizer).
#[test]
fn buffers_outlive_their_runtime_and_are_dropped_anywhere() {
    let bufs = on_two_workers(async {
        let (one, two) = UnixStream::pair().unwrap();
        let mut received = uring::recv_multi(&two);
        let mut bufs = Vec::new();
        for word in ["one", "two", "three"] {
            uring::send_all(&one, word).await.0.unwrap();
            bufs.push(received.next().await.unwrap().unwrap());
        }
        bufs
    });
    std::thread::spawn(move || {
        let words: Vec<&[u8]> = bufs.iter().map(|buf| &buf[..]).collect();
        assert_eq!(words, [&b"one"[..], b"two", b"three"]);
    })
    .join()
    .unwrap();
}

/// One socket is flooded and nobody takes its bytes; a hundred others exchange small messages on the same worker. They are
/// neither stopped nor held up. Mutants: no way on after ENOBUFS (`RecvMulti::judge` hands it out as an error, or waits for a
/// buffer); `UNREAD_MAX` of 10,000 shows in the count of buffers that the flood has.
#[test]
fn a_flood_that_nobody_takes_starves_no_other_socket() {
    const BOUND: Duration = Duration::from_millis(200);
    // The machine may hold up all of them, but not each time.
    assert!(
        (0..3).any(|_| others_wait_beside_a_flood() < BOUND),
        "each time another waited for {BOUND:?} or more"
    );
}

/// For how long the slowest of a hundred waits for its answer.
fn others_wait_beside_a_flood() -> Duration {
    const OTHERS: usize = 100;
    const MESSAGES: usize = 30;
    on_this_thread(async {
        let (flood, flooded) = pair().await;
        let mut unread = uring::recv_multi(&flooded);
        assert!(poll_once(|cx| unread.poll_next(cx)).is_pending());
        let flood = ringway::spawn(async move {
            while uring::send(&flood, vec![7; 1 << 16]).await.0.is_ok() {}
        });
        let mut others = Vec::new();
        for _ in 0..OTHERS {
            let (one, two) = pair().await;
            let echo = ringway::spawn(async move {
                let mut received = uring::recv_multi(&two);
                while let Some(buf) = received.next().await {
                    uring::send_all(&two, buf.unwrap()).await.0.unwrap();
                }
            });
            let asker = ringway::spawn(async move {
                let mut answers = uring::recv_multi(&one);
                let mut worst = Duration::ZERO;
                for _ in 0..MESSAGES {
                    let begin = Instant::now();
                    uring::send_all(&one, vec![1; 64]).await.0.unwrap();
                    let mut missing = 64;
                    while missing > 0 {
                        missing -= answers.next().await.unwrap().unwrap().len();
                    }
                    worst = worst.max(begin.elapsed());
                    ringway::time::sleep(Duration::from_millis(1)).await;
                }
                worst
            });
            others.push((echo, asker));
        }
        let mut worst = Duration::ZERO;
        for (echo, asker) in others {
            worst = worst.max(asker.await.unwrap());
            echo.await.unwrap();
        }
        let waiting = unread_buffers(&mut unread).await;
        println!("the flood had {waiting} buffers unread; the others waited up to {worst:?}");
        assert!(waiting <= 128, "{waiting} of 256 buffers are unread");
        assert!(waiting > 0 || !has_pool(), "the flood came nowhere");
        flood.abort();
        worst
    })
}

/// How many buffers a stream holds that nobody has taken.
async fn unread_buffers(stream: &mut RecvMulti) -> usize {
    stream.stop();
    let mut count = 0;
    while let Some(Ok(_)) = stream.next().await {
        count += 1;
    }
    count
}

/// Sets the size of the pool for a process of its own.
const POOL: &str = "RINGWAY_PROVIDED_BUFFERS";

/// Mutants: `RecvMulti::judge` asks for a buffer again at once after ENOBUFS (the processor's time shows it while both
/// buffers are kept), or ends.
#[test]
fn a_thousand_connections_share_two_buffers_and_every_byte_arrives() {
    if std::env::var_os(POOL).is_none() {
        let name = "a_thousand_connections_share_two_buffers_and_every_byte_arrives";
        let test = std::env::current_exe().expect("this program");
        let mut child = Command::new(test);
        let status = child.args(["--exact", name]).env(POOL, "2").status();
        assert!(status.expect("the test again").success());
        return;
    }
    const CONNECTIONS: u64 = 1000;
    const EACH: u64 = 20_000;
    on_both_flavours(|| async {
        let mut tasks = Vec::new();
        for salt in 0..CONNECTIONS {
            let (one, two) = UnixStream::pair().unwrap();
            tasks.push(ringway::spawn(async move {
                for part in 0..5 {
                    let buf = pattern_from(salt, part * EACH / 5, EACH as usize / 5);
                    uring::send_all(&one, buf).await.0.unwrap();
                    ringway::task::yield_now().await;
                }
            }));
            tasks.push(ringway::spawn(async move {
                let mut received = uring::recv_multi(&two);
                let mut position = 0;
                while let Some(buf) = received.next().await {
                    let buf = buf.unwrap();
                    ringway::task::yield_now().await;
                    check_pattern(salt, position, &buf);
                    position += buf.len() as u64;
                }
                assert_eq!(position, EACH);
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
    on_this_thread(keep_both_buffers());
}

/// Two buffers are kept, and a third connection has bytes and then none: who waits does not spin.
async fn keep_both_buffers() {
    let mut kept = Vec::new();
    let (one, two) = UnixStream::pair().unwrap();
    let mut received = uring::recv_multi(&two);
    for _ in 0..2 {
        uring::send_all(&one, "kept").await.0.unwrap();
        kept.push(received.next().await.unwrap().unwrap());
    }
    assert!(kept.iter().all(uring::ProvidedBuf::is_lent) || !has_pool());
    uring::send_all(&one, "own").await.0.unwrap();
    let own = received.next().await.unwrap().unwrap();
    assert_eq!((&own[..], own.is_lent()), (&b"own"[..], false));
    let before = thread_time();
    let waited = ringway::time::timeout(Duration::from_millis(300), received.next()).await;
    assert!(waited.is_err(), "there is nothing");
    let used = thread_time() - before;
    assert!(used < Duration::from_millis(60), "waiting took {used:?}");
    drop(kept);
    uring::send_all(&one, "later").await.0.unwrap();
    assert_eq!(&received.next().await.unwrap().unwrap()[..], b"later");
}
