//! What the driver allocates for operations in the steady state: nothing. Alone in its process, because the allocator
//! counts for all threads.

#[path = "support/counting.rs"]
mod counting;

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use counting::allocations;
use ringway::fs::File;
use ringway::net::TcpListener;
use ringway::runtime::Builder;

const ROUNDS: u64 = 1_000;

/// Reads of a file at a position, syncs and accepts, after as many that are not counted. (Echoes are in `net_memory.rs`, and the
/// two are one test, for each would count the other's work.) An accepted connection is one allocation, the share of its
/// descriptor; its operation is none.
///
/// Mutant: `Payload::fits` in `runtime/src/driver/payload.rs` says no, so that operations are boxed.
#[test]
fn file_reads_and_accepts_allocate_nothing_for_their_operations() {
    /// Timers of the test itself, and growth of queues that happens to come late.
    const SPARE: u64 = ROUNDS / 50;
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let reads = runtime.block_on(bounded(reads()));
    // Without a ring reads and syncs are jobs of the blocking pool, which are allocated.
    let jobs = match std::env::var_os("RINGWAY_DRIVER") {
        Some(driver) if driver == "poll" => 8 * ROUNDS,
        _ => 0,
    };
    assert!(
        reads <= SPARE + jobs,
        "{reads} allocations in {ROUNDS} reads and syncs"
    );
    let accepts = runtime.block_on(bounded(accepts()));
    assert!(
        accepts <= ROUNDS + SPARE,
        "{accepts} allocations in {ROUNDS} accepts"
    );
}

async fn bounded<F: Future>(future: F) -> F::Output {
    ringway::time::timeout(Duration::from_secs(60), future)
        .await
        .expect("the test hangs")
}

/// Allocations in the second half of the reads.
async fn reads() -> u64 {
    const BYTES: usize = 512;
    let mut written = tempfile::NamedTempFile::new().expect("a file");
    written.write_all(&[7; BYTES]).expect("room on the disk");
    let file = File::open(written.path()).await.expect("it was just made");
    let mut buffer = vec![0; BYTES];
    let mut before = 0;
    for round in 0..2 * ROUNDS {
        if round == ROUNDS {
            before = allocations();
        }
        let (count, returned) = file.read_at(buffer, 0).await;
        assert_eq!(count.expect("a read"), BYTES);
        buffer = returned;
        // A cached block is read at once; this one is always an operation.
        file.sync_data().await.expect("a sync");
    }
    allocations() - before
}

/// Allocations in the second half of the accepts, each of which waits for its client.
async fn accepts() -> u64 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    // The clients are let go one by one by a channel of fixed size, which allocates nothing either.
    let (next, turns) = std::sync::mpsc::sync_channel::<()>(1);
    let clients = std::thread::spawn(move || {
        while turns.recv().is_ok() {
            drop(TcpStream::connect(address).expect("room in the queue"));
        }
    });
    let mut before = 0;
    for round in 0..2 * ROUNDS {
        if round == ROUNDS {
            before = allocations();
        }
        next.send(()).expect("the clients live");
        listener.accept().await.expect("a connection");
    }
    let allocations = allocations() - before;
    drop(next);
    clients.join().expect("no panic");
    allocations
}
