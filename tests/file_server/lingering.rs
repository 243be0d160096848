//! The ends of connections whose clients read late and go on talking: every byte of every answer arrives.
//!
//! Each client's kernel receives little before its client reads, so that the tail of what it is sent lies in the server's
//! kernel long after the server has handed it over. Then it sends what nobody asked for, which a socket that was closed too early
//! answers with a reset: that tail is gone.

use std::fs::File;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{Client, Folder, PATIENCE, Server, pattern, uninterrupted, wait_until};

/// More than a client's kernel takes that does not read, and less than the server's does.
const LARGE_BYTES: usize = 500_000;

/// A file that is sent from memory, and is more than a client's kernel takes.
const SMALL_BYTES: usize = 64 * 1024;

/// What the server waits for at most when its client has everything.
const LINGER_TIME: Duration = Duration::from_secs(2);

const MORE: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

fn site() -> Folder {
    let folder = Folder::new();
    folder.write("a", "A");
    folder.write("large.bin", pattern(LARGE_BYTES));
    folder.write("small.bin", pattern(SMALL_BYTES));
    folder
}

/// What a client sends, in how many answers that results, and the end of the last of them.
struct Case {
    sent: String,
    answers: usize,
    end: Vec<u8>,
}

/// All the ways to come to an end, each with a large answer as or before the last one.
fn cases() -> Vec<Case> {
    let large = "GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n";
    let one = |sent: &str, end: &[u8]| Case {
        sent: sent.to_owned(),
        answers: 1,
        end: end.to_owned(),
    };
    let behind_large = |sent: &str, end: &[u8]| Case {
        sent: format!("{large}{sent}"),
        answers: 2,
        end: end.to_owned(),
    };
    let (large_end, small_end) = (pattern(LARGE_BYTES), pattern(SMALL_BYTES));
    let close = "Host: a\r\nConnection: close\r\n\r\n";
    vec![
        one(&format!("GET /large.bin HTTP/1.1\r\n{close}"), &large_end),
        one(&format!("GET /small.bin HTTP/1.1\r\n{close}"), &small_end),
        one("GET /large.bin HTTP/1.0\r\n\r\n", &large_end),
        one(
            &format!("GET /large.bin HTTP/1.1\r\nRange: bytes=0-9,20-450000\r\n{close}"),
            b"--\r\n",
        ),
        behind_large(&format!("GET /a HTTP/1.1\r\n{close}"), b"A"),
        behind_large(&format!("GET /a HTTP/1.1\r\n{close}{MORE}"), b"A"),
        behind_large("broken\r\n\r\n", b"understood.\n"),
        behind_large(
            &format!("POST /a HTTP/1.1\r\n{close}{MORE}"),
            b"read here.\n",
        ),
        behind_large(
            "GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n",
            b"body here.\n",
        ),
        // It takes too long to be complete.
        behind_large("GET /a HTTP/1.1\r\n", b"to arrive.\n"),
    ]
}

/// Mutants: look for what follows in the connection's own buffer, or in the kernel, alone; end when the time is over in
/// which the client should have ended, whether or not it has everything.
#[test]
fn every_answer_is_whole_though_its_client_reads_late_and_goes_on_talking() {
    let folder = site();
    let arguments = ["--head-timeout-ms", "300"];
    let server = Server::start_with(&folder.root(), &arguments);
    // Those who talk soon, and those who do so when others would have ended long ago.
    for late in [Duration::ZERO, LINGER_TIME + Duration::from_millis(700)] {
        let answers: usize = cases().iter().map(|case| case.answers).sum();
        let logged = server.log().len();
        let clients: Vec<_> = cases()
            .into_iter()
            .map(|case| {
                let mut client = server.connect_narrowly();
                client.send(&case.sent);
                (client, case)
            })
            .collect();
        wait_until("everything is handed over", || {
            server.log().len() >= logged + answers
        });
        std::thread::sleep(late);
        std::thread::scope(|scope| {
            for (client, case) in clients {
                scope.spawn(move || expect_whole(client, &case));
            }
        });
    }
}

/// Goes on talking, and reads slowly to the end, which is an orderly one behind all that was expected.
#[track_caller]
fn expect_whole(mut client: Client, case: &Case) {
    let sent = &case.sent;
    for _ in 0..3 {
        client.send(MORE);
        std::thread::sleep(Duration::from_millis(20));
    }
    let received = read_slowly(&mut client);
    let received = received.unwrap_or_else(|error| panic!("{error} after {sent:?}"));
    let length = received.len();
    assert!(received.ends_with(&case.end), "{length} bytes of {sent:?}");
    if case.answers > 1 {
        let head = received.windows(4).position(|four| four == b"\r\n\r\n");
        let body = &received[head.expect("a head") + 4..];
        let is_whole = body.starts_with(&pattern(LARGE_BYTES));
        assert!(is_whole, "{length} bytes of {sent:?}");
    }
}

/// Everything until the end, by small pieces with some time between them.
fn read_slowly<S: Read + Write>(client: &mut Client<S>) -> io::Result<Vec<u8>> {
    let (mut received, mut room) = (Vec::new(), vec![0; 16 * 1024]);
    loop {
        match uninterrupted(|| client.stream.read(&mut room))? {
            0 => return Ok(received),
            count => received.extend_from_slice(&room[..count]),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A connection on which nothing is asked for any more ends too, and its client, which does not know that yet, asks.
///
/// Mutants: linger only after an answer that ends its connection; keep the line of a body that was sent by itself until the next is.
#[test]
fn an_answer_is_whole_though_its_connection_is_idle_too_long_or_the_server_stops() {
    let folder = site();
    let case = Case {
        sent: "GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        answers: 1,
        end: pattern(LARGE_BYTES),
    };
    for stops in [false, true] {
        let idle = if stops { "600000" } else { "200" };
        let mut server = Server::start_with(&folder.root(), &["--idle-timeout-ms", idle]);
        let mut client = server.connect_narrowly();
        client.send(&case.sent);
        wait_until("it is handed over", || !server.log().is_empty());
        if stops {
            server.signal(Signal::TERM);
        }
        std::thread::sleep(Duration::from_millis(500));
        expect_whole(client, &case);
        if stops {
            assert!(server.wait_for_end(PATIENCE).success());
        }
    }
}

/// An answer that cannot be completed ends the connection, behind another that the client has not read yet.
///
/// Mutant: close when an answer cannot be completed.
#[test]
fn an_answer_is_whole_though_the_next_one_is_cut_off() {
    /// Less than the server's kernel takes, but more than half of it: the server goes on when it has sent half of what it has.
    const BEFORE_BYTES: usize = 800_000;
    const CUT_BYTES: usize = 8 << 20;
    let folder = site();
    folder.write("before.bin", pattern(BEFORE_BYTES));
    let cut = folder.write("cut.bin", pattern(CUT_BYTES));
    let server = Server::start(&folder.root());
    let mut client = server.connect_narrowly();
    let get = |name| format!("GET /{name} HTTP/1.1\r\nHost: a\r\n\r\n");
    client.send(get("before.bin") + &get("cut.bin"));
    wait_until("the first is handed over", || !server.log().is_empty());
    std::thread::sleep(Duration::from_millis(300));
    let cut = File::options().write(true).open(cut).expect("opens");
    cut.set_len(1).expect("cuts");
    let is_aborted = || server.log().iter().any(|line| line.ends_with(" aborted"));
    let mut received = Vec::new();
    while !is_aborted() {
        assert!(received.len() < BEFORE_BYTES, "read to its end");
        let mut room = [0; 4 * 1024];
        let count = uninterrupted(|| client.stream.read(&mut room)).expect("reads");
        received.extend_from_slice(&room[..count]);
        std::thread::sleep(Duration::from_millis(2));
    }
    for _ in 0..3 {
        client.send(MORE);
        std::thread::sleep(Duration::from_millis(20));
    }
    received.extend(read_slowly(&mut client).expect("an orderly end"));
    let head = received.windows(4).position(|four| four == b"\r\n\r\n");
    let body = &received[head.expect("a head") + 4..];
    assert!(body.starts_with(&pattern(BEFORE_BYTES)));
    let behind = &body[BEFORE_BYTES..];
    assert!(behind.starts_with(b"HTTP/1.1 200 OK\r\n"));
    assert!(behind.len() < CUT_BYTES, "it is visibly cut off");
}

/// What is read and forgotten is bounded, and what is not read harms nothing.
///
/// Mutant: close when so much was read as is read at most.
#[test]
fn an_answer_is_whole_though_its_client_floods_the_server_before_it_reads() {
    let folder = site();
    let server = Server::start(&folder.root());
    let mut client = server.connect_narrowly();
    let short = Some(Duration::from_millis(300));
    client.stream.set_write_timeout(short).expect("sets");
    client.send("GET /large.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    wait_until("it is handed over", || !server.log().is_empty());
    let mut taken = 0;
    while let Ok(count) = client.stream.write(&[b'x'; 64 * 1024]) {
        taken += count;
        assert!(taken < 64 << 20, "the sender is slowed down");
    }
    assert!(taken > 256 * 1024, "{taken}");
    let (mut received, mut room) = (Vec::new(), vec![0; 16 * 1024]);
    // The end is a reset, for it did not stop talking.
    while let Ok(count @ 1..) = uninterrupted(|| client.stream.read(&mut room)) {
        received.extend_from_slice(&room[..count]);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(received.ends_with(&pattern(LARGE_BYTES)));
}

/// Mutants: no bound for a client that receives nothing; let a stop wait for it.
#[test]
fn a_client_that_never_reads_the_tail_is_let_go_in_time_and_at_a_stop() {
    let folder = site();
    for stops in [false, true] {
        let stall = if stops { "600000" } else { "400" };
        let mut server = Server::start_with(&folder.root(), &["--stall-timeout-ms", stall]);
        let mut client = server.connect_narrowly();
        client.send("GET /large.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        wait_until("it is handed over", || !server.log().is_empty());
        let (begin, sockets) = (Instant::now(), server.open_sockets());
        if stops {
            server.signal(Signal::TERM);
            assert!(server.wait_for_end(PATIENCE).success());
        } else {
            wait_until("its socket is closed", || server.open_sockets() < sockets);
        }
        assert!(begin.elapsed() < 3 * LINGER_TIME, "{:?}", begin.elapsed());
        drop(client);
    }
}

/// A connection that lingers is one: for the server, and for its address.
///
/// Mutant: give the places back before the linger.
#[test]
fn who_lingers_has_a_place() {
    let folder = site();
    let server = Server::start_with(&folder.root(), &["--max-connections-per-address", "1"]);
    let mut client = server.connect_narrowly();
    client.send("GET /large.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    wait_until("it is handed over", || !server.log().is_empty());
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(server.get("/a").status, 503);
    assert!(client.rest().ends_with(&pattern(LARGE_BYTES)));
    wait_until("the place is free", || server.get("/a").status == 200);
}

/// The server has their requests when it turns them away, and nobody reads those.
///
/// Mutants: close at once; let as many linger as come.
#[test]
fn who_is_turned_away_is_told_and_only_some_are_waited_for() {
    let folder = site();
    let arguments = ["--max-connections-per-address", "1", "--max-connections"];
    let server = Server::start_with(&folder.root(), &[&arguments[..], &["32"]].concat());
    let mut first = server.connect();
    assert_eq!(first.get("/a").text(), "A");
    server.signal(Signal::STOP);
    let mut crowd: Vec<_> = (0..20).map(|_| server.connect()).collect();
    crowd.iter_mut().for_each(|client| client.send(MORE));
    server.signal(Signal::CONT);
    assert_eq!(first.get("/a").text(), "A");
    let mut other = server.connect_from("127.0.0.2".parse().expect("an address"));
    assert_eq!(other.get("/a").text(), "A");
    let mut orderly = 0;
    for mut client in crowd {
        let mut received = Vec::new();
        orderly += usize::from(client.stream.read_to_end(&mut received).is_ok());
        assert!(received.starts_with(b"HTTP/1.1 503"));
    }
    // The others are reset.
    assert!(
        (2..20).contains(&orderly),
        "{orderly} ended in an orderly way"
    );
}
