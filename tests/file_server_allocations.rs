//! What the example `file_server` allocates for a request on a connection that goes on: nothing. The server runs here, of
//! the same modules as the example, in a process of its own, because the allocator counts for all threads.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use counting::allocations;
use ringway::net::TcpListener;
use ringway::runtime::Builder;

#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/file_server/args.rs"]
mod args;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/file_server/cache.rs"]
mod cache;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/file_server/clock.rs"]
mod clock;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/file_server/coding.rs"]
mod coding;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/file_server/conditional.rs"]
mod conditional;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/file_server/connection.rs"]
mod connection;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/file_server/content.rs"]
mod content;
#[path = "support/counting.rs"]
mod counting;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/file_server/entity.rs"]
mod entity;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/file_server/fields.rs"]
mod fields;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/file_server/input.rs"]
mod input;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/file_server/journal.rs"]
mod journal;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/file_server/limits.rs"]
mod limits;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/file_server/linger.rs"]
mod linger;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/file_server/listener.rs"]
mod listener;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/file_server/listing/mod.rs"]
mod listing;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/file_server/media.rs"]
mod media;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/file_server/multipart.rs"]
mod multipart;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/file_server/notice.rs"]
mod notice;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/file_server/page.rs"]
mod page;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/file_server/path.rs"]
mod path;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/file_server/peers.rs"]
mod peers;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/file_server/policy.rs"]
mod policy;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/file_server/range.rs"]
mod range;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/file_server/reply.rs"]
mod reply;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/file_server/request.rs"]
mod request;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/file_server/server.rs"]
mod server;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/file_server/site.rs"]
mod site;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/file_server/spare.rs"]
mod spare;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/file_server/status/mod.rs"]
mod status;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/file_server/terms.rs"]
mod terms;
#[allow(dead_code, reason = "the example uses all of it")]
#[cfg_attr(feature = "tls", path = "../examples/file_server/tls.rs")]
#[cfg_attr(not(feature = "tls"), path = "../examples/file_server/no_tls.rs")]
mod tls;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/file_server/transport.rs"]
mod transport;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../examples/file_server/waits.rs"]
mod waits;

const REQUESTS: u64 = 1_000;

/// Once a second the time is written anew, on each connection, and growth of queues may come late.
const SPARE: u64 = REQUESTS / 20;

/// Set in the process in which no other test runs.
const ALONE: &str = "RINGWAY_TEST_ALONE";

/// Small files from memory, by one request and by several at once (whose answers fit into the buffer that a worker
/// keeps), a part, an answer without a body, and a file of 64 KiB.
///
/// Mutants: parse the path before looking for what is kept; give the output buffer back after each flush; copy a
/// body of 64 KiB behind its head.
#[test]
fn a_request_on_a_connection_that_goes_on_allocates_nothing() {
    const NAME: &str = "a_request_on_a_connection_that_goes_on_allocates_nothing";
    if std::env::var_os(ALONE).is_some() {
        return count_all();
    }
    let program = std::env::current_exe().expect("this program");
    let status = std::process::Command::new(program)
        .args(["--exact", NAME])
        .env(ALONE, "1")
        .status();
    assert!(status.expect("it runs").success());
}

fn count_all() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("small"), [7; 4096]).expect("a file");
    std::fs::write(folder.path().join("tiny"), [7; 200]).expect("a file");
    std::fs::write(folder.path().join("large"), vec![7; 64 * 1024]).expect("a file");
    // A file that was changed just now is not kept.
    std::thread::sleep(limits::CLOCK_GRAIN + Duration::from_millis(100));
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let root = folder.path().to_str().expect("UTF-8");
    let arguments = ["file_server", root, "--quiet", "--cache-ms", "86400000"];
    let arguments = args::Args::parse_from(arguments);
    let address = runtime.block_on(start(&arguments));
    let get =
        |target: &str, field: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n{field}\r\n");
    for (what, request) in [
        ("a small file", get("/small", "")),
        (
            "an encoded path",
            get("/small?query", "User-Agent: test\r\n"),
        ),
        ("eight at once", get("/tiny", "").repeat(8)),
        ("a part", get("/small", "Range: bytes=0-99\r\n")),
        (
            "a head",
            "HEAD /small HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        ),
        ("a file of 64 KiB", get("/large", "")),
    ] {
        let count = count_allocations(address, request.as_bytes());
        assert!(
            count <= SPARE,
            "{what}: {count} allocations in {REQUESTS} rounds"
        );
    }
    runtime.shutdown_background();
}

async fn start(arguments: &args::Args) -> SocketAddr {
    let journal = Arc::new(journal::Journal::start(false).expect("a thread"));
    let limits = arguments.limits();
    let root = &arguments.directory;
    let opening = site::Site::open_root(
        root,
        arguments.policy(),
        &limits.cache,
        Arc::clone(&journal),
    );
    let site = opening.await.expect("a directory");
    let signals = server::StopSignals::listen().expect("signals");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("bound");
    // With a status page more is counted for each request.
    let gauges = Some(Arc::new(status::Gauges::new(2)));
    let server = server::Server::new(site, limits, journal).with_gauges(gauges);
    let server = Arc::new(server);
    ringway::spawn(server.run(vec![listener::Listener::Tcp(listener)], signals));
    address
}

/// Sends the request again and again, and counts in the second half.
fn count_allocations(address: SocketAddr, request: &[u8]) -> u64 {
    let mut client = TcpStream::connect(address).expect("connects");
    client.set_nodelay(true).expect("sets");
    client
        .set_read_timeout(Some(Duration::from_secs(60)))
        .expect("sets");
    // The first answer says how long all are: the time in it is always as long.
    client.write_all(request).expect("the server receives");
    let mut answer = vec![0; 1 << 20];
    std::thread::sleep(Duration::from_millis(200));
    let length = client.read(&mut answer).expect("the server sends");
    let mut before = 0;
    for round in 0..2 * REQUESTS {
        if round == REQUESTS {
            before = allocations();
        }
        client.write_all(request).expect("the server receives");
        client
            .read_exact(&mut answer[..length])
            .expect("the server sends");
    }
    allocations() - before
}
