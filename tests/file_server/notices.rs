//! The pages of errors: HTML for browsers, text for everybody else.

use crate::support::{Folder, Response, Server};

const BROWSER: &str =
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n";

#[track_caller]
fn assert_is_page(response: &Response, status: u16) {
    assert_eq!(response.status, status, "{}", response.head);
    assert_eq!(
        response.field("Content-Type"),
        Some("text/html; charset=utf-8")
    );
    let length = response.body.len().to_string();
    assert_eq!(response.field("Content-Length"), Some(length.as_str()));
    assert_eq!(response.field("X-Content-Type-Options"), Some("nosniff"));
    assert_eq!(response.field("Vary"), Some("Accept"));
    assert_eq!(response.field("Cache-Control"), Some("no-cache"));
    let policy = response.field("Content-Security-Policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    let text = response.text();
    assert!(text.starts_with("<!doctype html>") && text.ends_with("</html>\n"));
    assert!(text.contains(&format!("<title>{status} ")), "{text}");
}

#[test]
fn a_browser_gets_a_page_and_everybody_else_short_text() {
    let folder = Folder::new();
    folder.write("dir/file", "");
    let server = Server::start(&folder.root());
    let mut client = server.connect();
    for (target, fields, status) in [
        ("/missing", "", 404),
        ("/missing/", "", 404),
        ("/%00", "", 400),
        ("/dir", "", 301),
        ("/dir/file", "If-Match: \"x\"\r\n", 412),
        ("/dir/file", "Range: bytes=9-\r\n", 416),
    ] {
        let page = client.get_with(target, &format!("{fields}{BROWSER}"));
        assert_is_page(&page, status);
        for accept in ["", "Accept: */*\r\n", "Accept: application/json\r\n"] {
            let text = client.get_with(target, &format!("{fields}{accept}"));
            assert_eq!(text.status, status, "{target}");
            assert_eq!(
                text.field("Content-Type"),
                Some("text/plain; charset=utf-8"),
                "{target}: {accept}"
            );
            assert_eq!(text.field("Vary"), Some("Accept"));
            assert!(text.body.len() < 100 && text.text().starts_with(&status.to_string()));
        }
    }
}

#[test]
fn a_refused_head_is_answered_in_the_form_that_it_asked_for() {
    let folder = Folder::new();
    let server = Server::start(&folder.root());
    for (line, fields, status) in [
        ("POST / HTTP/1.1", String::new(), 405),
        ("BREW / HTTP/1.1", String::new(), 501),
        ("GET / HTTP/1.1", "Content-Length: 5\r\n".to_owned(), 413),
        (
            "GET / HTTP/1.1",
            format!("Cookie: {}\r\n", "x".repeat(20_000)),
            431,
        ),
    ] {
        let mut client = server.connect();
        client.send(format!("{line}\r\nHost: a\r\n{BROWSER}{fields}\r\n"));
        let page = client.response();
        assert_is_page(&page, status);
        assert_eq!(page.field("Connection"), Some("close"));
        client.expect_close();
    }
}

/// Mutant: show the path in the page.
#[test]
fn a_page_of_an_error_says_nothing_that_the_request_said() {
    let folder = Folder::new();
    let server = Server::start(&folder.root());
    let mut client = server.connect();
    let evil = "/zzyzx%3Cscript%3Ealert(1)%3C/script%3E?<zzyzx>";
    let fields = format!("{BROWSER}User-Agent: zzyzx\r\nReferer: http://zzyzx/\r\n");
    let page = client.get_with(evil, &fields);
    assert_is_page(&page, 404);
    assert!(!page.text().contains("zzyzx") && !page.text().contains("<script"));
    let root = folder.root().display().to_string();
    assert!(!page.text().contains(&root));
}

#[test]
fn head_of_an_error_says_how_long_its_page_would_be() {
    let folder = Folder::new();
    let server = Server::start(&folder.root());
    let mut client = server.connect();
    let page = client.get_with("/missing", BROWSER);
    client.send(format!(
        "HEAD /missing HTTP/1.1\r\nHost: a\r\n{BROWSER}\r\n"
    ));
    let head = client.read_head();
    assert_eq!(head.field("Content-Length"), page.field("Content-Length"));
    assert_eq!(
        client.get("/missing").status,
        404,
        "no body stood in the way"
    );
}
