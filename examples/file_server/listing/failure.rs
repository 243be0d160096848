//! A directory that cannot be read to its end, as its client sees it: an error in place of a page that has not begun, and
//! a page that is visibly cut off if it has. And one that is read slowly, for which its client is not blamed.

use std::io::{ErrorKind, Read, Write};
use std::iter;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use ringway::net::TcpListener;
use ringway::runtime::Builder;
use ringway::sync::Semaphore;
use ringway::task::spawn_blocking;
use rustix::io::Errno;
use socket2::{Domain, SockRef, Socket, Type};

use super::reader::{Names, open_names};
use super::{BLOCK_BYTES, Lister, OpenNames};
use crate::args::Args;
use crate::connection;
use crate::journal::Journal;
use crate::limits::{LISTING_PAGE_ENTRIES, LISTING_TURN_ENTRIES, LISTINGS_SORTED_BYTES_MAX};
use crate::listener::Peer;
use crate::page;
use crate::server::Server;
use crate::site::Site;
use crate::transport::Transport;

/// How long a client waits for something that should happen at once.
const PATIENCE: Duration = Duration::from_secs(20);

/// Entries before the error: fewer than a page in one piece has, as many as come before the first row of a page in pieces,
/// and more.
const FEW: usize = 10;
const SOME: usize = LISTING_PAGE_ENTRIES + 10;
const MANY: usize = LISTING_TURN_ENTRIES + 10;

fn fails_after<const ENTRIES: usize>(directory: &ringway::fs::File) -> std::io::Result<Names> {
    let all = open_names(directory)?;
    // The directory itself and the one above are entries, too.
    let some = all.take(ENTRIES + 2);
    Ok(Box::new(some.chain(iter::once(Err(Errno::IO)))))
}

/// As a disk that takes longer for the entries behind some than a client may for what it is sent.
fn rests_after_some(directory: &ringway::fs::File) -> std::io::Result<Names> {
    let all = open_names(directory)?.enumerate();
    Ok(Box::new(all.map(|(index, entry)| {
        if index == SOME {
            std::thread::sleep(CLIENT_STALL * 5 / 4);
        }
        entry
    })))
}

/// For a part of the page to leave: longer than a busy machine lets a client wait.
const CLIENT_STALL: Duration = Duration::from_secs(4);

/// Bytes that the kernel takes on either side, and how long the client rests before it takes some of them: so the pieces of
/// a page wait for each other.
const KERNEL_BYTES: u32 = 16 * 1024;
const CLIENT_REST: Duration = Duration::from_millis(2);

/// What a client sees: all bytes, and how they end.
struct Seen {
    text: String,
    is_reset: bool,
}

/// Serves one connection over a folder of so many entries, whose lister is `lister`, to a client that says `request`.
fn ask(entries: usize, lister: Lister, request: &'static str) -> Seen {
    let folder = tempfile::tempdir().expect("temporary folder");
    for number in 0..entries {
        std::fs::write(folder.path().join(format!("{number:05}")), "").expect("file");
    }
    std::fs::create_dir(folder.path().join("empty")).expect("a directory");
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let stall = CLIENT_STALL.as_millis().to_string();
        let args = Args::try_parse_from(["file_server", "--stall-timeout-ms", &stall]);
        let args = args.expect("valid");
        let (limits, journal) = (args.limits(), Journal::start(false).expect("a thread"));
        let journal = Arc::new(journal);
        let site = Site::open_root(
            folder.path(),
            args.policy(),
            &limits.cache,
            Arc::clone(&journal),
        );
        let site = site.await.expect("opens").with_lister(lister);
        let server = Server::new(site, limits, journal);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("bound");
        let client = spawn_blocking(move || converse(&connect(address), request));
        let (stream, peer) = listener.accept().await.expect("accepts");
        let bounded = SockRef::from(&stream).set_tcp_notsent_lowat(KERNEL_BYTES);
        bounded.expect("sets");
        connection::serve(&server, Transport::Plain(stream), Peer::Address(peer)).await;
        client.await.expect("no panic")
    })
}

fn connect(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let bounded = socket.set_recv_buffer_size(KERNEL_BYTES as usize);
    bounded.expect("sets");
    socket.set_read_timeout(Some(PATIENCE)).expect("sets");
    socket.connect(&address.into()).expect("connects");
    socket
}

fn converse(mut stream: &Socket, request: &str) -> Seen {
    stream
        .write_all(request.as_bytes())
        .expect("the server receives");
    let (mut bytes, mut room) = (Vec::new(), [0; KERNEL_BYTES as usize]);
    let is_reset = loop {
        match stream.read(&mut room) {
            Ok(0) => break false,
            Ok(count) => bytes.extend_from_slice(&room[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break true,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => panic!("{error}"),
        }
        std::thread::sleep(CLIENT_REST);
    };
    let text = String::from_utf8(bytes).expect("UTF-8");
    Seen { text, is_reset }
}

/// With room for an order, or without.
fn lister(names: OpenNames, has_room: bool) -> Lister {
    let blocks = if has_room {
        LISTINGS_SORTED_BYTES_MAX / BLOCK_BYTES
    } else {
        0
    };
    Lister {
        room: Arc::new(Semaphore::new(blocks)),
        names,
        ..Lister::new()
    }
}

const BY_HTTP_1_1: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const BY_HTTP_1_0: &str = "GET / HTTP/1.0\r\n\r\n";

/// Mutant: an error is taken for the end of the directory.
#[test]
fn a_page_that_has_not_begun_gives_way_to_an_error_and_the_connection_goes_on() {
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n\
        GET /00000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let seen = ask(FEW + 1, lister(fails_after::<FEW>, true), request);
    assert!(seen.text.starts_with("HTTP/1.1 500 "), "{}", seen.text);
    assert!(seen.text.contains("\r\n\r\n500 Internal"), "{}", seen.text);
    assert!(!seen.text.contains("<html"), "{}", seen.text);
    assert_eq!(
        seen.text.matches("HTTP/1.1 200 OK").count(),
        1,
        "{}",
        seen.text
    );
    assert!(!seen.is_reset);
}

/// Mutants: an error is taken for the end of the directory; the last chunk in spite of an error.
#[test]
fn a_page_in_chunks_that_cannot_go_on_never_gets_its_last_chunk() {
    for has_room in [true, false] {
        for (entries, names) in [
            (SOME + 1, fails_after::<SOME> as OpenNames),
            (MANY + 1, fails_after::<MANY>),
        ] {
            let seen = ask(entries, lister(names, has_room), BY_HTTP_1_1);
            let case = format!("{entries} entries, room for an order: {has_room}");
            assert!(
                seen.text.starts_with("HTTP/1.1 200 "),
                "{case}: {}",
                seen.text
            );
            assert!(
                seen.text.contains("Transfer-Encoding: chunked\r\n"),
                "{case}"
            );
            assert!(seen.text.contains("<h1>"), "{case}: it has begun");
            assert!(!seen.text.contains("\r\n0\r\n"), "{case}");
            assert!(!seen.text.contains(page::END), "{case}");
            assert_eq!(
                seen.text.matches("HTTP/1.1").count(),
                1,
                "{case}: that was all"
            );
        }
    }
    // What was there of the entries has left.
    let seen = ask(MANY + 1, lister(fails_after::<MANY>, false), BY_HTTP_1_1);
    assert!(seen.text.contains("<bdi>"), "rows came before the error");
}

/// Mutant: close the connection in place of resetting it.
#[test]
fn a_page_that_the_end_of_the_connection_ends_is_cut_off_by_a_reset() {
    let whole = ask(SOME, lister(open_names, true), BY_HTTP_1_0);
    assert!(!whole.is_reset && whole.text.ends_with(page::END));
    for has_room in [true, false] {
        let seen = ask(MANY + 1, lister(fails_after::<MANY>, has_room), BY_HTTP_1_0);
        assert!(seen.is_reset, "room for an order: {has_room}");
        assert!(!seen.text.contains(page::END));
    }
}

/// Mutant: count the time that a piece takes to be made as the client's.
#[test]
fn a_page_whose_entries_come_slowly_is_whole() {
    let seen = ask(MANY, lister(rests_after_some, true), BY_HTTP_1_0);
    assert!(!seen.is_reset, "{} bytes", seen.text.len());
    assert!(seen.text.ends_with(page::END));
    assert_eq!(seen.text.matches("<bdi>").count(), MANY + 1);
}
