//! Each status, and what becomes of the connection after it.

use crate::support::{Folder, Server};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    GoesOn,
    Closes,
}

fn site() -> Folder {
    let folder = Folder::new();
    folder.write("file.txt", "content");
    folder.write("dir/index.html", "<p>index");
    folder.write("plain/file.bin", [0, 1, 2]);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        folder.path("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .expect("a FIFO");
    folder
}

fn request(line: &str, fields: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

/// Requests with the status of their answer, and what becomes of the connection.
fn requests() -> Vec<(String, u16, Then)> {
    let mut requests = well_formed();
    requests.extend(odd());
    requests.extend(excessive());
    requests
}

/// Requests that any client may make.
fn well_formed() -> Vec<(String, u16, Then)> {
    use Then::{Closes, GoesOn};
    vec![
        (request("GET /file.txt", ""), 200, GoesOn),
        (request("HEAD /file.txt", ""), 200, GoesOn),
        (request("OPTIONS *", ""), 204, GoesOn),
        (request("OPTIONS /file.txt", ""), 204, GoesOn),
        (
            request("GET /file.txt", "Expect: 100-continue\r\n"),
            200,
            GoesOn,
        ),
        (request("GET /file.txt", "Expect:\r\n"), 200, GoesOn),
        (
            request("GET /file.txt", "Content-Length: 0\r\n"),
            200,
            GoesOn,
        ),
        (request("GET /dir/", ""), 200, GoesOn),
        (request("GET /plain/", ""), 200, GoesOn),
        (request("GET http://other/file.txt", ""), 200, GoesOn),
        (request("GET /file.txt?query", ""), 200, GoesOn),
        (
            request("GET /file.txt", "Connection: close\r\n"),
            200,
            Closes,
        ),
        (
            request("GET /file.txt", "Range: bytes=1-2\r\n"),
            206,
            GoesOn,
        ),
        (request("GET /dir", ""), 301, GoesOn),
        (
            request("GET /file.txt", "If-None-Match: *\r\n"),
            304,
            GoesOn,
        ),
    ]
}

/// Requests that no client should make, or for what is not there.
fn odd() -> Vec<(String, u16, Then)> {
    use Then::{Closes, GoesOn};
    vec![
        (request("GET /%00", ""), 400, GoesOn),
        (request("GET /..", ""), 400, GoesOn),
        (request("GET relative", ""), 400, Closes),
        (request("GET /file.txt", "Host: b\r\n"), 400, Closes),
        (
            "GET /file.txt HTTP/1.1\r\nHost: a:b\r\n\r\n".to_owned(),
            400,
            Closes,
        ),
        (request("GET http://:80/file.txt", ""), 400, Closes),
        ("GET /file.txt HTTP/1.1\r\n\r\n".to_owned(), 400, Closes),
        (
            "GET /file.txt HTTP/1.1\nHost: a\n\n".to_owned(),
            400,
            Closes,
        ),
        ("nonsense\r\n\r\n".to_owned(), 400, Closes),
        ("\u{16}\u{3}\u{1}\0\0\n".to_owned(), 400, Closes),
        (request("GET /fifo", ""), 403, GoesOn),
        (request("GET /missing", ""), 404, GoesOn),
        (request("GET /missing/", ""), 404, GoesOn),
        (request("GET /file.txt/", ""), 404, GoesOn),
        (request("GET /file.txt/below", ""), 404, GoesOn),
        (
            request(&format!("GET /{}", "a".repeat(256)), ""),
            404,
            GoesOn,
        ),
        (
            request("POST /file.txt", "Content-Length: 0\r\n"),
            405,
            Closes,
        ),
        (request("BREW /file.txt", ""), 501, Closes),
        (request("GET *", ""), 400, Closes),
        (request("GET /file.txt", "Expect: tea\r\n"), 417, Closes),
        (
            request("GET /file.txt", "Content-Length: 1\r\n"),
            413,
            Closes,
        ),
        (request("GET /file.txt", "If-Match: \"x\"\r\n"), 412, GoesOn),
    ]
}

/// Requests that ask for more than there is, or than the server bears.
fn excessive() -> Vec<(String, u16, Then)> {
    use Then::{Closes, GoesOn};
    let long_target = format!("GET /{}", "a".repeat(8 * 1024));
    let many_fields = "A: b\r\n".repeat(100);
    let long_field = format!("A: {}\r\n", "a".repeat(16 * 1024));
    vec![
        (request(&long_target, ""), 414, Closes),
        (long_target.repeat(2), 414, Closes),
        (request("GET /file.txt", "Range: bytes=7-\r\n"), 416, GoesOn),
        (request("GET /file.txt", &many_fields), 431, Closes),
        (request("GET /file.txt", &long_field), 431, Closes),
        (
            "GET /file.txt HTTP/2.0\r\nHost: a\r\n\r\n".to_owned(),
            505,
            Closes,
        ),
    ]
}

#[test]
fn every_status_comes_where_it_should_and_says_what_becomes_of_the_connection() {
    let folder = site();
    let server = Server::start(&folder.root());
    for (sent, status, then) in requests() {
        let shown = &sent[..sent.len().min(100)];
        let mut client = server.connect();
        client.send(&sent);
        let is_head = sent.starts_with("HEAD");
        let response = if is_head {
            client.read_head()
        } else {
            client.response()
        };
        assert_eq!(response.status, status, "{shown:?}: {}", response.head);
        assert!(
            response
                .field("Date")
                .is_some_and(|date| date.ends_with(" GMT"))
        );
        assert_eq!(response.field("X-Content-Type-Options"), Some("nosniff"));
        assert_eq!(
            response.field("Allow"),
            matches!(status, 204 | 405).then_some("GET, HEAD, OPTIONS"),
            "{shown:?}"
        );
        let closes = response.field("Connection") == Some("close");
        assert_eq!(closes, then == Then::Closes, "{shown:?}: {}", response.head);
        if closes {
            client.expect_close();
        } else {
            assert_eq!(client.get("/file.txt").text(), "content", "after {shown:?}");
        }
    }
}

#[test]
fn error_pages_are_short_text_and_reveal_no_path() {
    let folder = site();
    let server = Server::start(&folder.root());
    let root = folder.root().display().to_string();
    for target in ["/missing", "/%00", "/fifo", "/dir", "/file.txt/x"] {
        let response = server.get(target);
        assert!(response.status >= 300, "{target}");
        assert_eq!(
            response.field("Content-Type"),
            Some("text/plain; charset=utf-8")
        );
        let text = response.text();
        assert!(
            text.len() < 100 && text.starts_with(&response.status.to_string()),
            "{text}"
        );
        assert!(
            !response.head.contains(&root) && !text.contains("missing"),
            "{text}"
        );
    }
}

#[test]
fn a_file_that_is_shorter_than_its_size_is_a_500_and_no_padded_200() {
    // sysfs says 4096 for every attribute, and has a few bytes.
    let server = Server::start("/sys/kernel".as_ref());
    let mut client = server.connect();
    let response = client.get("/mm/transparent_hugepage/enabled");
    assert_eq!(response.status, 500, "{}", response.head);
    assert_eq!(response.field("Connection"), Some("close"));
    client.expect_close();
}

#[test]
fn head_says_what_get_says_and_sends_no_body() {
    let folder = site();
    folder.write("large.bin", vec![7; 200_000]);
    let server = Server::start(&folder.root());
    let mut client = server.connect();
    for target in [
        "/file.txt",
        "/large.bin",
        "/dir/",
        "/dir",
        "/plain/",
        "/missing",
        "/fifo",
    ] {
        let without_date = |head: &str| {
            head.lines()
                .filter(|line| !line.starts_with("Date"))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let (get, head) = (client.get(target), client.head(target));
        assert_eq!(
            without_date(&get.head),
            without_date(&head.head),
            "{target}"
        );
    }
    // Had any of these sent a body, this response would not be found where it is.
    assert_eq!(client.get("/file.txt").text(), "content");
}

#[test]
fn a_redirect_to_a_directory_keeps_the_query_and_names_no_other_host() {
    let folder = Folder::new();
    folder.write("evil.example/index.html", "");
    folder.write("a b/index.html", "");
    let server = Server::start(&folder.root());
    for (target, location) in [
        ("/a%20b", "/a%20b/"),
        ("/a%20b?x=y&z", "/a%20b/?x=y&z"),
        ("//evil.example", "/evil.example/"),
        ("///evil.example?q", "/evil.example/?q"),
        ("http://other//evil.example", "/evil.example/"),
    ] {
        let response = server.get(target);
        assert_eq!(response.status, 301, "{target}");
        assert_eq!(response.field("Location"), Some(location), "{target}");
        assert_eq!(server.get(location).status, 200, "{location}");
    }
}
