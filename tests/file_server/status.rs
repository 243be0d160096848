//! The status page: what its readings say, who may see it, and when it ends.

use std::net::SocketAddr;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Client, Folder, PATIENCE, Response, Server, binary, pattern, wait_until};

const STATUS: [&str; 2] = ["--status", "127.0.0.1:0"];

/// As many as may watch at a time.
const WATCHERS_MAX: usize = 16;

fn site() -> Folder {
    let folder = Folder::new();
    folder.write("a", "A");
    folder.write("large.bin", pattern(16 << 20));
    folder
}

/// Where the status page is, which the server says in its second line.
fn place(server: &Server) -> SocketAddr {
    let said = || {
        let log = server.log();
        let line = log
            .iter()
            .find_map(|line| line.strip_prefix("Status at http://"))?;
        Some(line.trim_end_matches('/').parse().expect("an address"))
    };
    wait_until("the server says where its status is", || said().is_some());
    said().expect("as before")
}

/// Asks as a browser on this machine would.
fn ask(place: SocketAddr, request: &str) -> Client {
    let mut client = Client::connect(place);
    client.send(format!(
        "{request} HTTP/1.1\r\nHost: localhost:8081\r\n\r\n"
    ));
    client
}

fn get(place: SocketAddr, target: &str) -> Response {
    ask(place, &format!("GET {target}")).response()
}

fn sample(place: SocketAddr) -> Value {
    let response = get(place, "/sample");
    assert_eq!(response.field("Content-Type"), Some("application/json"));
    serde_json::from_slice(&response.body).expect("JSON")
}

/// Mutants: count nothing in `Connection::log`; count an answer by the wrong class.
#[test]
fn a_reading_tells_of_requests_connections_workers_and_rings() {
    let folder = site();
    let server = Server::start_with(&folder.root(), &STATUS);
    let place = place(&server);
    let mut client = server.connect();
    for target in ["/a", "/a", "/none"] {
        client.get(target);
    }
    wait_until("a second has been gathered", || {
        sample(place)["latency_us"]["since_start"]["count"] == 3
    });
    let reading = sample(place);
    let requests = &reading["requests"];
    assert_eq!(requests["total"], 3);
    assert_eq!(
        (&requests["by_class"]["2xx"], &requests["by_class"]["4xx"]),
        (&2.into(), &1.into())
    );
    assert!(requests["body_bytes"].as_u64() > Some(2), "{requests}");
    let latency = &reading["latency_us"]["since_start"];
    assert!(latency["p50"].as_f64() > Some(0.0), "{latency}");
    assert!(
        latency["max"].as_f64() >= latency["p50"].as_f64(),
        "{latency}"
    );
    let connections = &reading["connections"];
    assert_eq!(
        (&connections["open"], &connections["accepted"]),
        (&1.into(), &1.into())
    );
    let workers = reading["workers"].as_array().expect("a list");
    assert_eq!(workers.len(), 2);
    let sum = |pick: fn(&Value) -> &Value| -> f64 {
        workers
            .iter()
            .filter_map(|worker| pick(worker).as_f64())
            .sum()
    };
    assert!(sum(|worker| &worker["polls"]) >= 3.0, "{workers:?}");
    assert!(sum(|worker| &worker["busy_s"]) > 0.0, "{workers:?}");
    assert!(
        sum(|worker| &worker["ring"]["submitted"]) > 0.0,
        "{workers:?}"
    );
    assert!(sum(|worker| &worker["ring"]["enters"]) > 0.0, "{workers:?}");
    assert_eq!(reading["blocked"], Value::Array(Vec::new()));
    let driver = reading["server"]["driver"].as_str().expect("a name");
    assert!(["io_uring", "poll"].contains(&driver), "{driver}");
    if std::env::var("RINGWAY_DRIVER").is_ok_and(|driver| driver == "poll") {
        assert_eq!(driver, "poll");
    }
    wait_until("the file was not changed lately, and is kept", || {
        assert_eq!(client.get("/a").text(), "A");
        sample(place)["requests"]["from_cache"].as_u64() > Some(0)
    });
    drop(client);
    wait_until("it is seen that a connection ends", || {
        sample(place)["connections"]["open"] == 0
    });
}

#[test]
fn the_page_runs_its_own_script_only_and_is_shown_to_this_machine() {
    let folder = site();
    let server = Server::start_with(&folder.root(), &STATUS);
    let place = place(&server);
    let page = get(place, "/");
    assert_eq!(page.status, 200);
    let policy = page.field("Content-Security-Policy").expect("a policy");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'nonce-"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(page.text().contains("new EventSource('/events')"));
    for (target, status) in [("/none", 404), ("//", 404), ("/../sample", 404)] {
        assert_eq!(get(place, target).status, status, "{target}");
    }
    assert_eq!(ask(place, "POST /").response().status, 405);
    assert_eq!(ask(place, "nonsense").response().status, 400);
    let head = ask(place, "HEAD /").rest();
    assert!(head.starts_with(b"HTTP/1.1 200") && head.ends_with(b"\r\n\r\n"));
    for (host, status) in [("evil.example", 403), ("127.0.0.1", 200), ("[::1]:80", 200)] {
        let mut client = Client::connect(place);
        client.send(format!("GET /sample HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(client.response().status, status, "{host}");
    }
    assert_eq!(
        server.get("/sample").status,
        404,
        "the files have no status among them"
    );
}

/// Mutants: refuse OPTIONS; one status for every head that is no head; a body for a HEAD that was refused.
#[test]
fn the_page_answers_other_methods_and_refused_heads_as_the_standard_says() {
    let folder = site();
    let server = Server::start_with(&folder.root(), &STATUS);
    let place = place(&server);
    for line in ["OPTIONS *", "OPTIONS /"] {
        let response = ask(place, line).response();
        let allowed = (response.status, response.field("Allow"));
        assert_eq!(allowed, (204, Some("GET, HEAD, OPTIONS")), "{line}");
    }
    let long = "a".repeat(20_000);
    for (head, status) in [
        ("HEAD / HTTP/1.1\nHost: localhost\n\n".to_owned(), 400),
        (format!("HEAD /{long} HTTP/1.1\r\n"), 414),
        (format!("HEAD / HTTP/1.1\r\nX: {long}\r\n"), 431),
        (
            "HEAD / HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_owned(),
            403,
        ),
        (
            "HEAD / HTTP/1.1\r\nHost: [::1]evil.example\r\n\r\n".to_owned(),
            400,
        ),
    ] {
        let mut client = Client::connect(place);
        client.send(head);
        let answer = client.rest();
        let begin = format!("HTTP/1.1 {status} ");
        assert!(
            answer.starts_with(begin.as_bytes()) && answer.ends_with(b"\r\n\r\n"),
            "{status}: {}",
            answer.escape_ascii()
        );
    }
}

/// Mutants: the beginning of a stream for who wants none; the text of a refusal for everybody.
#[test]
fn every_answer_has_a_date_and_none_to_head_has_a_body() {
    let folder = site();
    let server = Server::start_with(&folder.root(), &STATUS);
    let place = place(&server);
    for (target, status) in [("/", 200), ("/sample", 200), ("/events", 200), ("/a", 404)] {
        for method in ["HEAD", "GET"] {
            let mut client = ask(place, &format!("{method} {target}"));
            let head = client.read_head();
            assert_eq!(head.status, status, "{method} {target}");
            let date = head.field("Date").expect("a date");
            assert!(date.ends_with(" GMT"), "{date}");
            if method == "HEAD" {
                client.expect_close();
            }
        }
    }
}

/// Mutant: give the place back before the watcher leaves.
#[test]
fn watchers_get_readings_and_their_places_are_free_when_they_leave() {
    let folder = site();
    let server = Server::start_with(&folder.root(), &STATUS);
    let place = place(&server);
    let before = server.open_sockets();
    let watch = || {
        let mut watcher = ask(place, "GET /events");
        let head = watcher.read_head();
        (head, watcher)
    };
    let mut watchers: Vec<_> = (0..WATCHERS_MAX).map(|_| watch()).collect();
    for (head, _) in &watchers {
        assert_eq!(head.status, 200);
        assert_eq!(head.field("Content-Type"), Some("text/event-stream"));
    }
    assert_eq!(watch().0.status, 503, "one too many");
    let (_, mut watcher) = watchers.pop().expect("some");
    let events = watcher.read_until(|text| text.matches("\ndata: ").count() >= 3);
    assert!(events.starts_with("retry: 1000\n\n"), "{events}");
    for event in events
        .split("\n\n")
        .filter_map(|event| event.split_once("data: "))
        .take(2)
    {
        let reading: Value = serde_json::from_str(event.1).expect("JSON");
        assert_eq!(reading["workers"].as_array().map(Vec::len), Some(2));
    }
    drop(watcher);
    wait_until("its place is free", || watch().0.status == 200);
    drop(watchers);
    wait_until("no socket of them is left", || {
        server.open_sockets() <= before
    });
    // By now every worker has begun, and opened what it needs: nothing is left of others at all.
    let before = server.open_descriptors();
    drop((0..WATCHERS_MAX).map(|_| watch()).collect::<Vec<_>>());
    wait_until("nothing of them is left", || {
        server.open_descriptors() <= before
    });
}

#[test]
fn a_stop_is_shown_until_the_last_connection_has_ended() {
    let folder = site();
    let ten_minutes = ["--drain-timeout-ms", "600000"];
    let mut server = Server::start_with(&folder.root(), &[STATUS, ten_minutes].concat());
    let place = place(&server);
    let watcher = ask(place, "GET /events");
    let mut running = server.connect();
    running.send("GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(running.receive() > 0);
    assert_eq!(sample(place)["server"]["is_stopping"], false);
    server.signal(Signal::TERM);
    wait_until("the stop is shown", || {
        sample(place)["server"]["is_stopping"] == true
    });
    assert_eq!(sample(place)["connections"]["open"], 1);
    assert!(running.response().body == pattern(16 << 20));
    assert!(server.wait_for_end(PATIENCE).success());
    assert!(!watcher.rest().is_empty());
}

#[test]
fn an_address_that_is_taken_or_that_others_reach_ends_the_start() {
    let folder = site();
    let server = Server::start(&folder.root());
    let taken = server.address.to_string();
    for (address, expected) in [
        (taken.as_str(), "(--status)"),
        ("0.0.0.0:0", "--status-anywhere"),
        ("[::]:0", "--status-anywhere"),
    ] {
        let mut command = Command::new(binary());
        command
            .arg(folder.root())
            .args(["--addr", "127.0.0.1:0", "--status", address]);
        let output = command.output().expect("the example starts");
        assert_eq!(output.status.code(), Some(1), "{address}");
        let message = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(
            message.starts_with("file_server: ") && message.contains(expected),
            "{message}"
        );
    }
    let anywhere = ["--status", "0.0.0.0:0", "--status-anywhere"];
    let server = Server::start_with(&folder.root(), &anywhere);
    let port = place(&server).port();
    let mut client = Client::connect(SocketAddr::from(([127, 0, 0, 1], port)));
    assert_eq!(client.get("/sample").status, 200, "under any name");
}
