//! The cap, a lack of descriptors, stopping, and that nothing is left behind.

use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};

use crate::support::{Client, Folder, PATIENCE, Server, pattern, uninterrupted, wait_until};

fn site() -> Folder {
    let folder = Folder::new();
    folder.write("a", "A");
    folder.write("large.bin", pattern(LARGE_BYTES));
    folder
}

/// A time for running downloads that no test can wait for.
const LONG_DRAIN: [&str; 2] = ["--drain-timeout-ms", "600000"];

/// Larger than what the kernel's buffers between server and client hold.
const LARGE_BYTES: usize = 16 << 20;

/// Begins a download that cannot end before it is read.
fn begin_download(server: &Server) -> Client {
    let mut client = server.connect();
    client.send("GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.receive() > 0);
    client
}

#[test]
fn beyond_the_cap_a_connection_waits_until_another_ends() {
    let folder = site();
    let server = Server::start_with(&folder.root(), &["--max-connections", "2"]);
    let mut first = server.connect();
    let mut second = server.connect();
    assert_eq!(first.get("/a").text(), "A");
    assert_eq!(second.get("/a").text(), "A");
    let mut third = server.connect();
    third.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
    third
        .stream
        .set_read_timeout(Some(Duration::from_millis(300)))
        .expect("sets");
    let before = server.processor_time();
    let mut byte = [0];
    let read = uninterrupted(|| std::io::Read::read(&mut third.stream, &mut byte));
    assert!(read.is_err(), "it has to wait");
    let used = server.processor_time() - before;
    assert!(
        used < Duration::from_millis(100),
        "waiting took {used:?} of the processor"
    );
    drop(first);
    third.stream.set_read_timeout(Some(PATIENCE)).expect("sets");
    assert_eq!(third.response().text(), "A");
    assert_eq!(second.get("/a").text(), "A");
}

#[test]
fn a_lack_of_descriptors_is_survived_without_spinning() {
    let folder = site();
    let server = Server::start(&folder.root());
    let mut honest = server.connect();
    assert_eq!(honest.get("/a").text(), "A");
    // Room for a few descriptors more than are open now.
    let limit = server.open_descriptors() as u64 + 8;
    let limits = Rlimit {
        current: Some(limit),
        maximum: Some(limit),
    };
    let pid = Pid::from_raw(server.pid() as i32);
    prlimit(pid, Resource::Nofile, limits).expect("our child");
    let crowd: Vec<_> = (0..40).map(|_| server.connect()).collect();
    wait_until("no descriptor is left", || {
        server.open_descriptors() as u64 >= limit - 1
    });
    let before = server.processor_time();
    std::thread::sleep(Duration::from_millis(1_000));
    let used = server.processor_time() - before;
    assert!(
        used <= Duration::from_millis(100),
        "{used:?} of the processor in one second"
    );
    let status = honest.get("/a").status;
    assert!(
        matches!(status, 200 | 503),
        "an old connection is answered: {status}"
    );
    drop(crowd);
    let started = Instant::now();
    wait_until("it recovers", || server.get("/a").status == 200);
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(honest.get("/a").text(), "A");
}

/// With 300 descriptors there are a few dozen for transfers: the others copy. The stalled clients are patient, and so is
/// the server: on a slow machine the last of them reads late.
///
/// Mutant: a copy that goes on behind the part.
#[test]
fn where_descriptors_are_short_large_bodies_are_copied() {
    let folder = site();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 300; exec \"$0\" \"$@\""]);
    command.arg(crate::support::binary()).arg(folder.root());
    command.args(["--stall-timeout-ms", "600000"]);
    let (server, _output) = Server::launch(command);
    // Who does not read holds what it has.
    let stalled: Vec<_> = (0..60).map(|_| begin_download(&server)).collect();
    let content = pattern(LARGE_BYTES);
    let mut client = server.connect();
    assert!(client.get("/large.bin").body == content);
    let part = client.get_with("/large.bin", "Range: bytes=7-1000006\r\n");
    assert!(part.body == content[7..=1_000_006]);
    assert_eq!(client.get("/a").text(), "A", "in step");
    for mut client in stalled {
        assert!(client.response().body == content);
        assert_eq!(client.get("/a").text(), "A");
    }
}

#[test]
fn a_stop_finishes_running_downloads_and_closes_idle_connections_at_once() {
    for signal in [Signal::TERM, Signal::INT] {
        let folder = site();
        let mut server = Server::start_with(&folder.root(), &LONG_DRAIN);
        let mut idle = server.connect();
        assert_eq!(idle.get("/a").text(), "A");
        let mut running = begin_download(&server);
        // A head of which a part has arrived is a request, too.
        let mut partial = server.connect();
        assert_eq!(partial.get("/a").text(), "A");
        partial.send("GET /a HTTP/1.1\r\n");
        std::thread::sleep(Duration::from_millis(100));
        server.signal(signal);
        idle.expect_close();
        wait_until("nobody is accepted any more", || {
            TcpStream::connect(server.address).is_err()
        });
        assert!(server.is_running(), "a download is running");
        partial.send("Host: a\r\n\r\n");
        let response = partial.response();
        assert_eq!(
            (response.text().as_str(), response.field("Connection")),
            ("A", Some("close"))
        );
        partial.expect_close();
        assert!(
            running.response().body == pattern(LARGE_BYTES),
            "it is finished"
        );
        running.expect_close();
        let status = server.wait_for_end(PATIENCE);
        assert!(status.success(), "{status}");
    }
}

#[test]
fn a_stop_waits_no_longer_than_it_is_told_to() {
    let folder = site();
    let mut server = Server::start_with(&folder.root(), &["--drain-timeout-ms", "500"]);
    let stuck = begin_download(&server);
    let started = Instant::now();
    server.signal(Signal::TERM);
    let status = server.wait_for_end(PATIENCE);
    assert_eq!(
        status.code(),
        Some(1),
        "it says that a download was cut off"
    );
    assert!(
        started.elapsed() >= Duration::from_millis(500),
        "{:?}",
        started.elapsed()
    );
    assert!(stuck.rest().len() < LARGE_BYTES);
}

#[test]
fn a_second_signal_ends_at_once() {
    let folder = site();
    let mut server = Server::start_with(&folder.root(), &LONG_DRAIN);
    let _stuck = begin_download(&server);
    server.signal(Signal::TERM);
    wait_until("the first signal is heeded", || {
        TcpStream::connect(server.address).is_err()
    });
    assert!(server.is_running());
    server.signal(Signal::INT);
    let status = server.wait_for_end(PATIENCE);
    assert_eq!(status.code(), Some(1));
}

#[test]
fn a_stop_without_connections_is_immediate() {
    let folder = site();
    let mut server = Server::start_with(&folder.root(), &LONG_DRAIN);
    server.signal(Signal::TERM);
    assert!(server.wait_for_end(PATIENCE).success());
}

#[test]
fn no_descriptor_is_left_open_by_any_kind_of_request_or_end() {
    let folder = site();
    folder.write("dir/file", "");
    folder.symlink("dir", "link");
    let server = Server::start_with(&folder.root(), &["--head-timeout-ms", "300"]);
    let round = || {
        let mut client = server.connect();
        for target in [
            "/a",
            "/large.bin",
            "/",
            "/dir",
            "/dir/",
            "/link/",
            "/missing",
            "/%00",
        ] {
            client.get(target);
            client.head(target);
            client.get_with(target, "Range: bytes=0-0\r\nIf-Match: *\r\n");
        }
        client.send("broken\r\n\r\n");
        drop(client.rest());
        // Those who leave in the middle: of a head, of a download, of a pipeline, and with a reset.
        let mut partial = server.connect();
        partial.send("GET /a HT");
        drop(partial);
        drop(begin_download(&server));
        let mut flood = server.connect();
        flood.send("GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n".repeat(50));
        assert!(flood.receive() > 0);
        drop(flood);
    };
    let settled = || {
        let mut last = (usize::MAX, Instant::now());
        wait_until("what is still going on has ended", || {
            let open = server.open_descriptors();
            if open != last.0 {
                last = (open, Instant::now());
            }
            last.1.elapsed() > Duration::from_millis(1_500)
        });
        last.0
    };
    // The first rounds open what stays open: pipes that are used again, and files that are kept.
    let mut after_round = Vec::new();
    let are_the_last_two_equal = |open: &[usize]| matches!(open, [.., one, two] if one == two);
    while !are_the_last_two_equal(&after_round) {
        assert!(
            after_round.len() < 8,
            "open after each round: {after_round:?}"
        );
        std::thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(round))));
        after_round.push(settled());
    }
    assert_eq!(server.get("/a").text(), "A");
}

#[test]
fn a_client_that_resets_its_connections_harms_nobody() {
    let folder = site();
    let server = Server::start(&folder.root());
    for _ in 0..200 {
        let mut client = server.connect();
        client.send("GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n");
        let linger = socket2::SockRef::from(&client.stream);
        linger.set_linger(Some(Duration::ZERO)).expect("sets");
    }
    assert_eq!(server.get("/a").text(), "A");
}

/// 1,500 connections need more descriptors than many systems give at first: the server raises its
/// soft limit by itself.
#[test]
fn the_soft_limit_of_descriptors_is_raised() {
    let folder = site();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -Sn 64; exec \"$0\" \"$@\""]);
    command.arg(crate::support::binary()).arg(folder.root());
    let (server, _output) = Server::launch(command);
    let mut crowd: Vec<_> = (0..200).map(|_| server.connect()).collect();
    for client in &mut crowd {
        assert_eq!(client.get("/a").text(), "A");
    }
}
