//! Listings of directories that are large, or that change while they are listed.
//!
//! `RINGWAY_TEST_LISTING_ENTRIES` says how many entries are large; 20,000 if it says nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::support::{Client, Folder, Server, SetOnDrop, assert_lists_entries, wait_until};

/// What all listings together may have in memory to put entries in order, in KiB.
const SORTED_KIB_MAX: u64 = 64 * 1024;

fn entries() -> usize {
    let text = std::env::var("RINGWAY_TEST_LISTING_ENTRIES");
    text.map_or(20_000, |text| text.parse().expect("a number"))
}

/// A folder that those tests share which run at the same time, because it takes time to make; the last one removes it.
fn large() -> Arc<Folder> {
    static LARGE: Mutex<Weak<Folder>> = Mutex::new(Weak::new());
    let mut large = LARGE.lock().unwrap_or_else(PoisonError::into_inner);
    large.upgrade().unwrap_or_else(|| {
        let folder = Arc::new(make_large());
        *large = Arc::downgrade(&folder);
        folder
    })
}

fn make_large() -> Folder {
    let folder = Folder::new();
    folder.write_entries("large", entries());
    folder.write("small/file", "content");
    folder
}

#[track_caller]
fn assert_is_complete(page: &[u8], descends: bool) {
    assert_lists_entries(page, entries(), descends);
}

fn says_unsorted(page: &[u8]) -> bool {
    String::from_utf8_lossy(page).contains("as the disk has them")
}

/// What is held of a listing is less than its page.
///
/// Mutants: gather the pieces and send them as one; put the rows in order in place of the entries.
#[test]
fn a_large_listing_comes_in_order_and_in_bounded_memory() {
    let folder = large();
    let server = Server::start(&folder.root());
    let mut client = server.connect();
    assert_eq!(client.get("/small/").status, 200);
    let before = server.most_memory_kib();
    let page = client.get("/large/");
    assert_eq!(page.status, 200);
    assert_is_complete(&page.body, false);
    let turned = client.get("/large/?sort=name&order=desc");
    assert_is_complete(&turned.body, true);
    let grown = server.most_memory_kib() - before;
    let page_kib = page.body.len() as u64 / 1024;
    assert!(grown < page_kib * 3 / 4, "{grown} of {page_kib} KiB");
    assert_eq!(client.get("/small/file").text(), "content");
}

/// Judged by the best of several tries: the first byte needs no entry, the first row needs all.
///
/// Mutant: gather before the first piece.
#[test]
fn the_first_byte_of_a_large_listing_comes_before_its_entries_are_read() {
    let folder = large();
    let server = Server::start(&folder.root());
    let (mut to_byte, mut to_row) = (Duration::MAX, Duration::MAX);
    for _ in 0..5 {
        let mut client = server.connect();
        client.send("GET /large/ HTTP/1.1\r\nHost: a\r\n\r\n");
        let begin = Instant::now();
        let head = client.read_head();
        assert_eq!(head.field("Transfer-Encoding"), Some("chunked"));
        assert_eq!(
            head.field("ETag"),
            None,
            "nothing is known of what is to come"
        );
        let first = client.read_chunk().expect("a chunk");
        to_byte = to_byte.min(begin.elapsed());
        let first = String::from_utf8(first).expect("UTF-8");
        assert!(
            first.contains("<h1>") && !first.contains("<table"),
            "{first}"
        );
        client.read_chunk().expect("rows");
        to_row = to_row.min(begin.elapsed());
    }
    assert!(to_byte < to_row / 4, "{to_byte:?} and {to_row:?}");
}

/// Mutant: keep the leave for memory when the connection ends.
#[test]
fn clients_that_leave_in_the_middle_leave_nothing_behind() {
    let folder = large();
    let server = start_patiently(&folder);
    let mut honest = server.connect();
    assert_is_complete(&honest.get("/large/").body, false);
    // At 20,000 entries each takes 2.7 MiB: more than all may have together.
    let begin_and_leave = || drop((0..28).map(|_| begin_listing(&server)).collect::<Vec<_>>());
    let sockets = server.open_sockets();
    begin_and_leave();
    wait_until("their sockets are closed", || {
        server.open_sockets() <= sockets
    });
    // By now every worker has begun, and opened what it needs.
    let descriptors = server.open_descriptors();
    begin_and_leave();
    wait_until("their descriptors are closed", || {
        server.open_descriptors() <= descriptors
    });
    // Had they kept their memory, there would be none left for an order.
    assert_is_complete(&honest.get("/large/").body, false);
    let used = server.processor_time();
    std::thread::sleep(Duration::from_millis(300));
    let more = server.processor_time() - used;
    assert!(
        more < Duration::from_millis(150),
        "nothing goes on: {more:?}"
    );
}

/// A server that waits longer for its clients than this machine may take for all of them.
fn start_patiently(folder: &Folder) -> Server {
    let patience = [
        "--stall-timeout-ms",
        "600000",
        "--idle-timeout-ms",
        "600000",
    ];
    Server::start_with(&folder.root(), &patience)
}

/// Asks for the listing, and receives some rows.
fn begin_listing(server: &Server) -> Client {
    let mut client = server.connect();
    client.send("GET /large/ HTTP/1.1\r\nHost: a\r\n\r\n");
    client.read_head();
    client.read_chunk().expect("the beginning");
    client.read_chunk().expect("rows");
    client
}

/// Mutants: no bound for all together; wait for room in place of going on without; hold a thread for each listing.
#[test]
fn listings_that_nobody_reads_share_a_bounded_memory_and_keep_nobody_waiting() {
    // At 20,000 entries each takes 2.7 MiB.
    const IDLE: usize = 32;
    let folder = large();
    let server = start_patiently(&folder);
    let mut honest = server.connect();
    assert_eq!(honest.get("/small/").status, 200);
    let (before, threads) = (server.memory_kib(), server.threads());
    let idle: Vec<Client> = (0..IDLE).map(|_| begin_listing(&server)).collect();
    let grown = server.memory_kib() - before;
    // Beside the entries each has two pieces, and what the allocator keeps.
    assert!(
        grown < SORTED_KIB_MAX * 5 / 4 + 128 * IDLE as u64,
        "{grown} KiB"
    );
    wait_until("no thread is held for each of them", || {
        server.threads() < threads + IDLE as u64 / 2
    });
    assert_eq!(honest.get("/small/file").text(), "content");
    let page = honest.get("/large/");
    assert!(says_unsorted(&page.body));
    let rows = page.text().matches("href=\"./entry%20number").count();
    assert_eq!(rows, entries(), "all of them all the same");
    drop(idle);
    wait_until("there is room again", || {
        !says_unsorted(&honest.get("/large/").body)
    });
}

/// Mutant: a 304 of a page without a tag that says nothing about caches.
#[test]
fn head_of_a_large_listing_says_what_get_says_and_the_connection_goes_on() {
    let folder = large();
    let server = Server::start(&folder.root());
    let mut client = server.connect();
    let head = client.head("/large/");
    assert_eq!(head.field("Transfer-Encoding"), Some("chunked"));
    assert_eq!(head.field("Content-Length"), None);
    // What is asked for at once is answered in order.
    client
        .send("GET /large/ HTTP/1.1\r\nHost: a\r\n\r\nGET /small/file HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_is_complete(&client.response().body, false);
    assert_eq!(client.response().text(), "content");
    for (fields, status) in [
        ("If-None-Match: *\r\n", 304),
        ("If-None-Match: \"x\"\r\n", 200),
        ("If-Match: \"x\"\r\n", 412),
    ] {
        client.send(format!("HEAD /large/ HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
        let head = client.read_head();
        assert_eq!(head.status, status, "{fields}");
        // RFC 9110, 15.4.5: a 304 has it if the 200 had.
        assert_eq!(head.field("Cache-Control"), Some("no-cache"), "{fields}");
    }
}

/// Mutant: chunks for everybody.
#[test]
fn a_client_of_http_1_0_gets_a_large_listing_until_the_connection_ends() {
    let folder = large();
    let server = Server::start(&folder.root());
    let mut client = server.connect();
    client.send("GET /large/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let head = client.read_head();
    assert_eq!(head.field("Transfer-Encoding"), None);
    assert_eq!(head.field("Content-Length"), None);
    assert_eq!(head.field("Connection"), Some("close"));
    assert_is_complete(&client.rest(), false);
    let mut client = server.connect();
    client.send("GET /small/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(client.response().field("Connection"), Some("keep-alive"));
}

/// Mutant: an entry that cannot be looked at fails the listing.
#[test]
fn entries_that_vanish_while_they_are_listed_are_left_out_and_all_others_are_there() {
    let folder = Folder::new();
    for number in 0..1_000 {
        folder.write(&format!("stays {number}"), "");
    }
    let server = Server::start(&folder.root());
    let stops = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let flag = SetOnDrop(&stops);
        scope.spawn(|| {
            while !stops.load(Ordering::Relaxed) {
                for number in 0..200 {
                    let path = folder.path(&format!("goes {number}"));
                    std::fs::write(&path, "").expect("a file");
                    std::fs::remove_file(&path).expect("removes");
                }
            }
        });
        let mut client = server.connect();
        for _ in 0..50 {
            let page = client.get("/");
            assert_eq!(page.status, 200);
            assert_eq!(page.text().matches("href=\"./stays%20").count(), 1_000);
        }
        drop(flag);
    });
}
