//! A runtime with nothing to do does nothing. In a program of its own, for the figures are the process's.

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use ringway::io::AsyncReadExt;
use ringway::net::{TcpListener, TcpStream};
use ringway::sync::oneshot;
use ringway::time::sleep;

use support::{WATCHDOG, count, current_thread, within, workers};

/// How long nothing may happen, in seconds, unless `RINGWAY_TEST_IDLE_SECONDS` says otherwise.
const QUIET_SECONDS: usize = 2;
/// A runtime that just worked calms down within this time.
const SETTLE: Duration = Duration::from_millis(300);

/// Tasks wait for a connection, for bytes and for a timer far away; the threads sleep and are not woken. A thread that
/// sleeps makes no system call, and one that makes any has been woken first: so that no thread was switched to means that
/// none was made.
///
/// Mutants: the monitor goes on ticking; a worker wakes by a timeout to look around.
#[test]
fn an_idle_runtime_makes_no_system_call() {
    let quiet = Duration::from_secs(count("RINGWAY_TEST_IDLE_SECONDS", QUIET_SECONDS) as u64);
    within(WATCHDOG + 2 * quiet, move || {
        let outsiders = switches();
        let runtime = workers(2);
        let peer = runtime.block_on(occupy());
        let job = runtime.spawn_blocking(|| ());
        runtime.block_on(job).expect("the job");
        assert_no_switch(quiet, &outsiders);
        drop((peer, runtime));
        one_thread_is_as_idle(quiet, &outsiders);
    });
}

/// The same for a runtime on one thread, which sleeps in `block_on`.
fn one_thread_is_as_idle(quiet: Duration, outsiders: &Switches) {
    let (end, ended) = oneshot::channel::<()>();
    let runtime = std::thread::spawn(|| {
        current_thread().block_on(async {
            let peer = occupy().await;
            ended.await.expect("told");
            drop(peer);
        });
    });
    assert_no_switch(quiet, outsiders);
    end.send(()).expect("it waits");
    runtime.join().expect("the runtime");
}

/// Has tasks wait for all kinds of things. Returns what must be kept so that nothing comes.
async fn occupy() -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("an address");
    let peer = TcpStream::connect(address).await.expect("a connection");
    let (mut stream, _) = listener.accept().await.expect("a connection");
    ringway::spawn(async move { listener.accept().await.map(drop) });
    ringway::spawn(async move { stream.read_u8().await.map(drop) });
    for _ in 0..100 {
        ringway::spawn(async { sleep(Duration::from_secs(3600)).await });
    }
    peer
}

/// No thread but those of the test's harness is switched to for so long, after all have calmed down.
fn assert_no_switch(quiet: Duration, outsiders: &Switches) {
    std::thread::sleep(SETTLE);
    let before = switches();
    std::thread::sleep(quiet);
    let mut after = switches();
    after.retain(|thread, _| !outsiders.contains_key(thread));
    assert!(!after.is_empty(), "the runtime has threads");
    let woken: Vec<_> = after
        .iter()
        .filter(|(thread, count)| before.get(thread) != Some(count))
        .collect();
    assert!(
        woken.is_empty(),
        "woke meanwhile: {woken:?}, before: {before:?}"
    );
}

/// Context switches by thread.
type Switches = BTreeMap<i32, u64>;

/// Context switches of each thread of this process so far.
fn switches() -> Switches {
    let threads = std::fs::read_dir("/proc/self/task").expect("procfs");
    threads
        .map(|thread| {
            let thread = thread.expect("procfs");
            let status = std::fs::read_to_string(thread.path().join("status")).expect("procfs");
            let switches = status
                .lines()
                .filter(|line| line.contains("_ctxt_switches:"))
                .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
                .sum();
            let id = thread.file_name().into_string().expect("a number");
            (id.parse().expect("a number"), switches)
        })
        .collect()
}
