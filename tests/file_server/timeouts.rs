//! Deadlines: for a head, for idleness, for a client that does not read.

use std::time::{Duration, Instant};

use crate::support::{Folder, PATIENCE, Server, wait_until};

fn site() -> Folder {
    let folder = Folder::new();
    folder.write("a", "A");
    std::fs::File::create(folder.path("huge"))
        .and_then(|file| file.set_len(1 << 30))
        .expect("huge");
    folder
}

const SHORT: Duration = Duration::from_millis(400);

/// Mutant: a deadline per read instead of one for the whole head.
#[test]
fn a_slow_head_is_answered_with_408_at_its_deadline_even_if_bytes_keep_coming() {
    let folder = site();
    let server = Server::start_with(&folder.root(), &["--head-timeout-ms", "400"]);
    for drip in [false, true] {
        let mut client = server.connect();
        let started = Instant::now();
        client.send("GET /a HTTP/1.1\r\nX: ");
        let sender = client.stream.try_clone().expect("clones");
        let dripping = std::thread::spawn(move || {
            while drip && started.elapsed() < PATIENCE {
                if std::io::Write::write_all(&mut &sender, b"x").is_err() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let response = client.response();
        assert_eq!(response.status, 408);
        assert!(
            started.elapsed() >= SHORT,
            "too early: {:?}",
            started.elapsed()
        );
        assert!(
            started.elapsed() < PATIENCE / 2,
            "too late: {:?}",
            started.elapsed()
        );
        assert_eq!(response.field("Connection"), Some("close"));
        drop(client.rest());
        dripping.join().expect("no panic");
    }
}

#[test]
fn the_deadline_of_a_head_begins_with_its_first_byte() {
    let folder = site();
    let server = Server::start_with(&folder.root(), &["--head-timeout-ms", "600"]);
    let mut client = server.connect();
    for _ in 0..4 {
        assert_eq!(client.get("/a").text(), "A");
        std::thread::sleep(SHORT);
    }
    client.send("GET /a HTTP/1.1\r\n");
    assert_eq!(client.response().status, 408);
}

/// Mutant: the deadline of an empty line that is forgiven is also that of the head behind it.
#[test]
fn an_empty_line_before_a_head_takes_nothing_of_its_time() {
    let folder = site();
    let server = Server::start_with(&folder.root(), &["--head-timeout-ms", "600"]);
    let mut client = server.connect();
    for piece in ["\r", "\n", "GET /a HTTP/1.1\r\n"] {
        client.send(piece);
        std::thread::sleep(SHORT);
    }
    client.send("Host: a\r\n\r\n");
    assert_eq!(client.response().text(), "A");
}

#[test]
fn idle_connections_are_closed_without_a_word() {
    let folder = site();
    let arguments = ["--head-timeout-ms", "400", "--idle-timeout-ms", "400"];
    let server = Server::start_with(&folder.root(), &arguments);
    let never_used = server.connect();
    let mut used = server.connect();
    let started = Instant::now();
    assert_eq!(used.get("/a").text(), "A");
    used.expect_close();
    assert!(
        started.elapsed() >= SHORT,
        "too early: {:?}",
        started.elapsed()
    );
    never_used.expect_close();
    assert!(
        started.elapsed() < PATIENCE / 2,
        "too late: {:?}",
        started.elapsed()
    );
}

#[test]
fn a_client_that_does_not_read_is_let_go() {
    let folder = site();
    // Nothing is kept: on a slow day the file is old enough by then to stay open.
    let arguments = ["--stall-timeout-ms", "400", "--cache-ms", "0"];
    let server = Server::start_with(&folder.root(), &arguments);
    let mut client = server.connect();
    // Served, so that its socket is open.
    assert_eq!(client.get("/a").text(), "A");
    let with_client = server.open_files();
    client.send("GET /huge HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_until("the download is aborted", || {
        server.log().iter().any(|line| line.ends_with(" aborted"))
    });
    wait_until("its descriptors are closed", || {
        server.open_files() < with_client
    });
    assert!(client.rest().len() < 1 << 30);
}

/// Mutant: a deadline for the whole response instead of one for each part of it.
#[test]
fn a_slow_but_steady_client_is_served_to_the_end() {
    const STALL: Duration = Duration::from_millis(1_500);
    let folder = site();
    let content = vec![7; 10 << 20];
    folder.write("file.bin", &content);
    let server = Server::start_with(&folder.root(), &["--stall-timeout-ms", "1500"]);
    let mut client = server.connect();
    // What the kernel holds for a client is received from the server's point of view.
    socket2::SockRef::from(&client.stream)
        .set_recv_buffer_size(64 * 1024)
        .expect("sets");
    client.send("GET /file.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let started = Instant::now();
    client.read_head();
    let mut length = 0;
    let mut bytes = vec![0; 64 * 1024];
    while length < content.len() / 2 || started.elapsed() < 2 * STALL {
        match std::io::Read::read(&mut client.stream, &mut bytes).expect("the server sends") {
            0 => break,
            count => length += count,
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    let still_sending = server.log().is_empty();
    length += client.rest().len();
    // A few bytes may have come together with the head.
    assert!(
        length + 16 * 1024 >= content.len(),
        "{length} of {}",
        content.len()
    );
    assert!(
        still_sending || started.elapsed() > 2 * STALL,
        "{:?}",
        started.elapsed()
    );
}
