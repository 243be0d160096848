//! Keep-alive, pipelining, bodies, and what may not be smuggled.

use std::time::Duration;

use crate::support::{Folder, Server, pattern};

fn site() -> (Folder, Server) {
    let folder = Folder::new();
    folder.write("a", "A");
    folder.write("b", "BB");
    folder.write("large.bin", pattern(500_000));
    let server = Server::start(&folder.root());
    (folder, server)
}

#[test]
fn a_connection_serves_many_requests() {
    let (_folder, server) = site();
    let mut client = server.connect();
    for _ in 0..1_000 {
        assert_eq!(client.get("/a").text(), "A");
    }
}

#[test]
fn http_1_0_closes_unless_it_is_asked_to_stay() {
    let (_folder, server) = site();
    let mut client = server.connect();
    client.send("GET /a HTTP/1.0\r\n\r\n");
    let response = client.response();
    assert_eq!(
        (response.text().as_str(), response.field("Connection")),
        ("A", Some("close"))
    );
    client.expect_close();
    let mut client = server.connect();
    for _ in 0..3 {
        client.send("GET /a HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
        assert_eq!(client.response().field("Connection"), Some("keep-alive"));
    }
}

/// To close a socket that holds what was not read is to reset it, and what the kernel has not sent yet is gone.
///
/// Mutant: look for what follows in the connection's own buffer alone.
#[test]
fn an_answer_that_ends_the_connection_is_whole_though_its_client_goes_on_talking() {
    const LARGE_BYTES: usize = 4 << 20;
    let (folder, server) = site();
    folder.write("huge.bin", pattern(LARGE_BYTES));
    for more in ["\r\n", "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let mut client = server.connect_narrowly();
        client.send("GET /huge.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert_eq!(client.read_head().status, 200);
        client.send(more);
        let body = client.rest();
        assert!(body == pattern(LARGE_BYTES), "{} bytes", body.len());
    }
}

#[test]
fn a_request_may_arrive_byte_by_byte() {
    let (_folder, server) = site();
    let mut client = server.connect();
    for byte in b"GET /b HTTP/1.1\r\nHost: a\r\n\r\n" {
        client.send([*byte]);
    }
    assert_eq!(client.response().text(), "BB");
}

/// Mutant: go on with the scan behind the line where it was before it.
#[test]
fn one_empty_line_before_a_request_is_forgiven_and_two_are_not() {
    let (_folder, server) = site();
    let mut client = server.connect();
    client.send("\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().text(), "A");
    assert_eq!(client.response().text(), "BB");
    for (first, rest) in [("", "\r\n\r\n"), ("", "\r\n\n"), ("\r", "\n\n")] {
        let mut client = server.connect();
        client.send(first);
        std::thread::sleep(Duration::from_millis(50));
        client.send(format!("{rest}GET /a HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(client.response().status, 400, "{first:?} {rest:?}");
        client.expect_close();
    }
}

#[test]
fn pipelined_requests_are_answered_in_order_whatever_their_answers_are() {
    let (_folder, server) = site();
    let large = pattern(500_000);
    let mut client = server.connect();
    let round = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n\
         HEAD /b HTTP/1.1\r\nHost: a\r\n\r\n\
         GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n\
         GET /missing HTTP/1.1\r\nHost: a\r\n\r\n\
         GET /large.bin HTTP/1.1\r\nHost: a\r\nRange: bytes=100-60099\r\n\r\n\
         GET / HTTP/1.1\r\nHost: a\r\n\r\n\
         OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n\
         GET /b HTTP/1.1\r\nHost: a\r\n\r\n";
    const ROUNDS: usize = 20;
    let mut sender = client.stream.try_clone().expect("clones");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            std::io::Write::write_all(&mut sender, round.repeat(ROUNDS).as_bytes()).expect("sends");
        });
        for _ in 0..ROUNDS {
            assert_eq!(client.response().text(), "A");
            assert_eq!(client.read_head().field("Content-Length"), Some("2"));
            assert!(client.response().body == large);
            assert_eq!(client.response().status, 404);
            assert!(client.response().body == large[100..=60_099]);
            assert!(client.response().text().contains("large.bin"));
            assert_eq!(client.response().status, 204);
            assert_eq!(client.response().text(), "BB");
        }
    });
}

/// The server takes in no more than it answers: who never reads cannot make it hold much.
#[test]
fn a_flood_of_pipelined_requests_holds_little_memory() {
    let (_folder, server) = site();
    assert_eq!(server.get("/a").text(), "A");
    let before = server.memory_kib();
    let mut client = server.connect();
    client
        .stream
        .set_write_timeout(Some(Duration::from_millis(500)))
        .expect("sets");
    let batch = "GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1_000);
    let mut sent = 0;
    // Until the server stops reading, because we do not read what it answers.
    while sent < 400 << 20 {
        match std::io::Write::write(&mut client.stream, batch.as_bytes()) {
            Ok(count) => sent += count,
            Err(_) => break,
        }
    }
    assert!(
        sent < 100 << 20,
        "the sender is slowed down, but {sent} bytes were taken"
    );
    let grown = server.memory_kib().saturating_sub(before);
    assert!(grown < 16 * 1024, "{grown} KiB for one connection");
}

/// Who waits for "100 Continue" gets the refusal in its place, before it sends the body.
#[test]
fn a_body_is_refused_before_it_comes() {
    let (_folder, server) = site();
    for fields in [
        "Content-Length: 3\r\nExpect: 100-continue\r\n",
        "Content-Length: 20000\r\n",
    ] {
        let mut client = server.connect();
        let response = client.get_with("/a", fields);
        assert_eq!(response.status, 413, "{fields:?}");
        client.expect_close();
    }
}

#[test]
fn a_refusal_reaches_a_client_that_is_still_sending() {
    let (_folder, server) = site();
    for _ in 0..20 {
        let mut client = server.connect();
        client.send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n");
        client.send(vec![b'x'; 200_000]);
        assert_eq!(client.response().status, 405);
        client.end_sending();
        client.expect_close();
    }
}

/// Behind each ambiguous head hides a second request: whoever answers it was fooled.
///
/// Mutants: going on after a refusal; leaving a body of a GET to be read as the next request.
#[test]
fn nothing_is_smuggled_behind_an_ambiguous_head() {
    let (_folder, server) = site();
    let hidden = "GET /b HTTP/1.1\r\nHost: a\r\n\r\n";
    let length = hidden.len();
    let heads = [
        format!(
            "GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: {length}\r\n\r\n"
        ),
        format!(
            "GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\
             Content-Length: {length}\r\n\r\n"
        ),
        format!("GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0, {length}\r\n\r\n"),
        format!("GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: +{length}\r\n\r\n"),
        format!(
            "GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\
             Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        "GET /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
        "GET /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n".to_owned(),
        "GET /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n".to_owned(),
        "GET /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\u{b}chunked\r\n\r\n0\r\n\r\n".to_owned(),
        "GET /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
        format!("GET /a HTTP/1.1\r\nHost: a\r\nContent-Length : {length}\r\n\r\n"),
        format!("GET /a HTTP/1.1\r\nHost: a\r\nX: y\r\n Content-Length: {length}\r\n\r\n"),
        format!("GET /a HTTP/1.1\r\nHost: a\nContent-Length: {length}\r\n\r\n"),
        format!("GET /a HTTP/1.1\r\nHost: a\rContent-Length: {length}\r\n\r\n"),
        "GET /a HTTP/1.1\nHost: a\n\n".to_owned(),
        "GET /a HTTP/1.1\r\nHost: a\r\n\n".to_owned(),
        "GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(),
        "GET /a HTTP/1.1\r\nHost: a\0\r\n\r\n".to_owned(),
        "GET /a HTTP/1.1 x\r\nHost: a\r\n\r\n".to_owned(),
        format!("GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"),
        format!("HEAD /a HTTP/1.0\r\nContent-Length: {length}\r\n\r\n"),
        format!("OPTIONS /a HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"),
        format!("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"),
        "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
    ];
    for head in heads {
        let mut client = server.connect();
        client.send(format!("{head}{hidden}"));
        client.end_sending();
        let response = match head.starts_with("HEAD") {
            true => client.read_head(),
            false => client.response(),
        };
        assert!(
            matches!(response.status, 400 | 405 | 413),
            "{head:?}: {}",
            response.head
        );
        client.expect_close();
    }
}

#[test]
fn a_client_that_ends_its_side_still_gets_its_answer() {
    let (_folder, server) = site();
    let mut client = server.connect();
    client.send("GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n");
    client.end_sending();
    assert!(client.response().body == pattern(500_000));
    client.expect_close();
}
