//! A runtime with nothing to do does nothing. In a program of its own, for the figures are the process's.

mod support;

use std::time::Duration;

use ringway::io::AsyncReadExt;
use ringway::net::{TcpListener, TcpStream};
use ringway::time::sleep;

use support::{WATCHDOG, within, workers};

/// How long nothing may happen.
const QUIET: Duration = Duration::from_secs(2);
/// A runtime that just worked calms down within this time.
const SETTLE: Duration = Duration::from_millis(300);

/// Tasks wait for a timer and for bytes; the threads sleep and are not woken: neither a context switch nor processor
/// time.
///
/// Mutants: the monitor goes on ticking; a worker wakes by a timeout to look around.
#[test]
fn an_idle_runtime_makes_no_system_call() {
    within(WATCHDOG, || {
        let runtime = workers(2);
        let (held, stream) = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
            let address = listener.local_addr().expect("an address");
            let stream = TcpStream::connect(address).await.expect("a connection");
            let (held, _) = listener.accept().await.expect("a connection");
            (held, stream)
        });
        runtime.spawn(async move {
            let mut stream = stream;
            let _ = stream.read_u8().await;
        });
        for _ in 0..100 {
            runtime.spawn(async { sleep(Duration::from_secs(3600)).await });
        }
        let job = runtime.spawn_blocking(|| ());
        runtime.block_on(job).expect("the job");
        std::thread::sleep(SETTLE);
        let before = switches();
        std::thread::sleep(QUIET);
        let after = switches();
        // The thread that runs this test slept once.
        let others: Vec<_> = after
            .iter()
            .filter(|(thread, count)| {
                **thread != this_thread() && before.get(thread) != Some(count)
            })
            .collect();
        assert!(
            others.is_empty(),
            "woke meanwhile: {others:?}, before: {before:?}"
        );
        assert_eq!(before.len(), after.len(), "no thread came or went");
        drop((held, runtime));
    });
}

/// Context switches of each thread of this process so far.
fn switches() -> std::collections::BTreeMap<i32, u64> {
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

fn this_thread() -> i32 {
    // SAFETY: the call takes no argument.
    unsafe { libc::gettid() }
}
