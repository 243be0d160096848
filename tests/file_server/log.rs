//! The access log.

use std::process::Command;

use crate::support::{Folder, Server, binary, wait_until};

#[test]
fn each_request_is_one_line_that_no_client_can_forge() {
    let folder = Folder::new();
    folder.write("a", "A");
    let server = Server::start(&folder.root());
    let mut client = server.connect();
    client.get("/a");
    client.get("/missing?\"quoted\"");
    client.head("/a");
    client.send(b"\x1b[2J\"forged\" 200 1 1us\xff\r\r\n\r\n");
    assert_eq!(client.response().status, 400);
    wait_until("four lines", || server.log().len() >= 4);
    let log = server.log();
    assert_eq!(log.len(), 4, "{log:?}");
    assert!(log[0].starts_with("127.0.0.1:") && log[0].contains("] \"GET /a HTTP/1.1\" 200 1 "));
    assert!(
        log[1].contains("] \"GET /missing?\\\"quoted\\\" HTTP/1.1\" 404 "),
        "{}",
        log[1]
    );
    assert!(
        log[2].contains("] \"HEAD /a HTTP/1.1\" 200 0 "),
        "{}",
        log[2]
    );
    assert!(
        log[3].contains("] \"\\x1b[2J\\\"forged\\\" 200 1 1us\\xff\" 400 "),
        "{}",
        log[3]
    );
    assert!(log.iter().all(|line| line.ends_with("us")), "{log:?}");
}

#[test]
fn the_last_lines_are_written_before_the_process_ends() {
    let folder = Folder::new();
    folder.write("a", "A");
    let mut server = Server::start(&folder.root());
    let mut client = server.connect();
    for _ in 0..500 {
        client.get("/a");
    }
    server.signal(rustix::process::Signal::TERM);
    assert!(server.wait_for_end(crate::support::PATIENCE).success());
    wait_until("500 lines", || server.log().len() == 500);
}

#[test]
fn quiet_logs_nothing() {
    let folder = Folder::new();
    folder.write("a", "A");
    let mut server = Server::start_with(&folder.root(), &["--quiet"]);
    assert_eq!(server.get("/a").text(), "A");
    server.signal(rustix::process::Signal::TERM);
    assert!(server.wait_for_end(crate::support::PATIENCE).success());
    assert_eq!(server.log(), Vec::<String>::new());
}

#[test]
fn an_output_that_nobody_reads_or_that_is_closed_delays_no_request() {
    let folder = Folder::new();
    folder.write("a", "A");
    let target = format!("/a?{}", "x".repeat(900));
    for is_closed in [false, true] {
        let mut command = Command::new(binary());
        command.arg(folder.root());
        let (mut server, output) = Server::launch(command);
        // Either the pipe is full after some 60 lines, or it is gone.
        let output = (!is_closed).then_some(output);
        let mut client = server.connect();
        for _ in 0..3_000 {
            assert_eq!(client.get(&target).text(), "A");
        }
        server.signal(rustix::process::Signal::TERM);
        assert!(server.wait_for_end(crate::support::PATIENCE).success());
        drop(output);
    }
}
