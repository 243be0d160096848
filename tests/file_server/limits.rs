//! What the command line bounds, each bound from below and from above.

use std::io::Write;

use crate::support::{Client, Folder, Server, uninterrupted, wait_until};

fn site() -> Folder {
    let folder = Folder::new();
    folder.write("a", "A");
    std::fs::File::create(folder.path("huge"))
        .and_then(|file| file.set_len(1 << 30))
        .expect("huge");
    folder
}

/// A request for `/a` whose head has exactly so many bytes.
fn head_of(bytes: usize) -> String {
    let (start, end) = ("GET /a HTTP/1.1\r\nHost: a\r\nX: ", "\r\n\r\n");
    let filling = "x".repeat(bytes - start.len() - end.len());
    format!("{start}{filling}{end}")
}

/// Mutants: a bound that is a constant; a bound that is one too low or too high.
#[test]
fn heads_have_as_many_bytes_and_fields_as_they_may_and_no_more() {
    let folder = site();
    let fields = |count: usize| {
        let more = "A: b\r\n".repeat(count - 1);
        format!("GET /a HTTP/1.1\r\nHost: a\r\n{more}\r\n")
    };
    let target = |bytes: usize| {
        format!(
            "GET /a?{} HTTP/1.1\r\nHost: a\r\n\r\n",
            "q".repeat(bytes - 3)
        )
    };
    for (arguments, fitting, excessive, status) in [
        (["--max-head-bytes", "300"], head_of(300), head_of(301), 431),
        (
            ["--max-head-bytes", "100000"],
            head_of(100_000),
            head_of(100_001),
            431,
        ),
        (["--max-head-fields", "3"], fields(3), fields(4), 431),
        (["--max-head-fields", "256"], fields(256), fields(257), 431),
        (["--max-target-bytes", "50"], target(50), target(51), 414),
        (
            ["--max-target-bytes", "12000"],
            target(12_000),
            target(12_001),
            414,
        ),
    ] {
        let server = Server::start_with(&folder.root(), &arguments);
        let mut client = server.connect();
        client.send(fitting);
        assert_eq!(client.response().text(), "A", "{arguments:?}");
        client.send(excessive);
        assert_eq!(client.response().status, status, "{arguments:?}");
        client.expect_close();
    }
}

/// Mutant: a connection that is counted and never given back.
#[test]
fn an_address_has_no_more_connections_than_it_may_and_others_have_theirs() {
    let folder = site();
    let server = Server::start_with(&folder.root(), &["--max-connections-per-address", "3"]);
    for _ in 0..3 {
        let mut crowd = Vec::new();
        // The places of the round before are given back as soon as the server sees that they are.
        wait_until("there is room for three", || {
            crowd.clear();
            crowd.extend((0..3).map(|_| server.connect()));
            crowd.iter_mut().all(is_served)
        });
        let mut one_more = server.connect();
        let response = one_more.response();
        assert_eq!(response.status, 503);
        assert_eq!(response.field("Retry-After"), Some("1"));
        one_more.expect_close();
        let mut other = server.connect_from("127.0.0.2".parse().expect("an address"));
        assert_eq!(other.get("/a").text(), "A", "another address");
        assert_eq!(crowd[0].get("/a").text(), "A");
    }
}

/// Whether a client gets its file; if not, it was turned away.
fn is_served(client: &mut Client) -> bool {
    let asked = client
        .stream
        .write_all(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut start = [0; 12];
    let peek = || client.stream.peek(&mut start);
    let is_answered = asked.and_then(|()| uninterrupted(peek)).is_ok();
    is_answered && start.ends_with(b" 200") && client.response().text() == "A"
}

/// What the server took of a flood is what was sent, less what waits in the kernel on either side.
///
/// Mutant: a receive buffer of a mebibyte from the beginning.
#[test]
fn no_more_of_a_pipeline_is_received_than_may_be() {
    let folder = site();
    for (bytes, arguments) in [
        (
            4_096,
            ["--max-head-bytes", "1024", "--max-pipelined-bytes", "4096"],
        ),
        (
            65_536,
            ["--max-head-bytes", "1024", "--max-pipelined-bytes", "65536"],
        ),
    ] {
        let server = Server::start_with(&folder.root(), &arguments);
        let mut client = server.connect();
        // All in one piece, so that the server could take it at once.
        let huge = "GET /huge HTTP/1.1\r\nHost: a\r\n\r\n".to_owned();
        let flood = huge + &"GET /a HTTP/1.1\r\nHost: a\r\n\r\n".repeat(10_000);
        client.stream.set_nonblocking(true).expect("sets");
        let sent = client.stream.write(flood.as_bytes()).expect("some of it");
        assert!(sent > 100_000, "{sent}");
        client.stream.set_nonblocking(false).expect("sets");
        wait_until("the response begins", || client.receive() > 0);
        let ports = (
            client.stream.local_addr().expect("bound").port(),
            server.address.port(),
        );
        // What is neither here nor there is on its way or was received.
        let mut taken = usize::MAX;
        wait_until("the flood stands", || {
            let (before, waiting) = (taken, queued_bytes(ports));
            taken = sent - waiting.min(sent);
            std::thread::sleep(std::time::Duration::from_millis(50));
            taken == before
        });
        assert!(taken <= bytes, "{taken} of at most {bytes} bytes");
    }
}

/// Mutant: a listener without the bound, which its connections inherit.
#[test]
fn the_kernel_holds_no_more_for_who_does_not_read_than_its_share() {
    let folder = site();
    let held = |mebibytes: &str| {
        let arguments = ["--max-connections", "64", "--max-unsent-mib", mebibytes];
        let server = Server::start_with(&folder.root(), &arguments);
        let mut client = server.connect_narrowly();
        client.send("GET /huge HTTP/1.1\r\nHost: a\r\n\r\n");
        let ports = (
            server.address.port(),
            client.stream.local_addr().expect("bound").port(),
        );
        let mut held = 0;
        wait_until("the kernel takes no more", || {
            let before = held;
            held = queued_bytes(ports);
            std::thread::sleep(std::time::Duration::from_millis(200));
            held > 0 && held == before
        });
        held
    };
    // 64 KiB and a piece that the kernel takes whole; or 16 MiB, more than it takes anyhow.
    let (bounded, free) = (held("4"), held("1024"));
    assert!(
        bounded <= 256 * 1024 && 2 * bounded < free,
        "{bounded} and {free} bytes"
    );
}

/// Bytes from a client to a server that the kernel holds: sent and not acknowledged, and received
/// and not read.
fn queued_bytes((client, server): (u16, u16)) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's table");
    let mut queued = 0;
    for line in table.lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let port = |word: &str| {
            let digits = word.split(':').nth(1).expect("a port");
            u16::from_str_radix(digits, 16).expect("hexadecimal")
        };
        let (tx, rx) = words[4].split_once(':').expect("two queues");
        let bytes = |digits| usize::from_str_radix(digits, 16).expect("hexadecimal");
        match (port(words[1]), port(words[2])) {
            ports if ports == (client, server) => queued += bytes(tx),
            ports if ports == (server, client) => queued += bytes(rx),
            _ => {}
        }
    }
    queued
}
