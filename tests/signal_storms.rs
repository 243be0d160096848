//! Signals that come all the time, to all threads, and processes that are stopped and continued: no call fails of it.
//!
//! Each test works in a forked child, whose handlers and timers are its own.

mod net_support;
mod process_support;
mod support;

use std::io::Read;
use std::os::unix::net::UnixStream as StdStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use net_support::{check_pattern, pair, pattern_from};
use process_support::{Child, End};
use ringway::io::{AsyncReadExt, AsyncWriteExt};
use ringway::time::sleep;
use support::{count, workers};

/// Between two rounds of signals: ten thousand a second for each thread, and as many for the process.
const PERIOD: Duration = Duration::from_micros(100);
/// Bytes of one message.
const MESSAGE: usize = 3000;
/// Pairs of sockets, and readers of a file.
const PAIRS: usize = 4;

static SIGNALS: AtomicU64 = AtomicU64::new(0);

extern "C" fn count_signal(_: i32) {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

/// Handles `signal` so that system calls are interrupted by it and not begun again.
fn handle(signal: i32) {
    // SAFETY: all zeroes are a value of this structure: no flag, and so no SA_RESTART.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = count_signal as *const () as usize;
    // SAFETY: the structure lives through the call, and the handler touches an atomic only.
    let set = unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

/// Has the kernel send SIGALRM to the process all the time.
fn start_timer(period: Duration) {
    let period = libc::timeval {
        tv_sec: 0,
        tv_usec: period.as_micros() as libc::suseconds_t,
    };
    let timer = libc::itimerval {
        it_interval: period,
        it_value: period,
    };
    // SAFETY: the structure lives through the call.
    let set = unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

/// Sends SIGUSR1 to every thread of this process but this one, all the time.
fn pelt(stop: &AtomicBool) {
    let process = std::process::id();
    // SAFETY: the call takes no argument.
    let this = unsafe { libc::gettid() };
    while !stop.load(Ordering::Relaxed) {
        let threads = std::fs::read_dir("/proc/self/task").expect("procfs");
        let numbers = threads.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        for thread in numbers.filter(|thread: &libc::pid_t| *thread != this) {
            // SAFETY: the call takes no pointer. A thread that has ended is not found.
            unsafe { libc::syscall(libc::SYS_tgkill, process, thread, libc::SIGUSR1) };
        }
        std::thread::sleep(PERIOD);
    }
}

/// Exchanges bytes and reads files until told to stop, every result checked; how often.
async fn serve(stop: Arc<AtomicBool>) -> usize {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("file");
    ringway::fs::write(&path, pattern_from(99, 0, MESSAGE))
        .await
        .expect("a file");
    let mut tasks = Vec::new();
    for salt in 0..PAIRS as u64 {
        tasks.push(ringway::spawn(exchange(salt, Arc::clone(&stop))));
        let (path, stop) = (path.clone(), Arc::clone(&stop));
        tasks.push(ringway::spawn(async move {
            let mut reads = 0;
            while !stop.load(Ordering::Relaxed) {
                let bytes = ringway::fs::read(&path).await.expect("the file");
                assert_eq!(bytes.len(), MESSAGE);
                check_pattern(99, 0, &bytes);
                sleep(Duration::from_micros(300)).await;
                reads += 1;
            }
            reads
        }));
    }
    let mut done = 0;
    for task in tasks {
        done += task.await.expect("no call has failed");
    }
    done
}

async fn exchange(salt: u64, stop: Arc<AtomicBool>) -> usize {
    let (mut client, mut server) = pair().await;
    let (mut position, mut exchanges) = (0, 0);
    let mut bytes = vec![0; MESSAGE];
    while !stop.load(Ordering::Relaxed) {
        let message = pattern_from(salt, position, MESSAGE);
        client.write_all(&message).await.expect("room");
        server.read_exact(&mut bytes).await.expect("bytes");
        check_pattern(salt, position, &bytes);
        position += MESSAGE as u64;
        exchanges += 1;
        if exchanges % 16 == 0 {
            // So that workers sleep in their rings now and then, and are interrupted there.
            sleep(Duration::from_micros(200)).await;
        }
    }
    exchanges
}

/// `RINGWAY_TEST_STORM_SECONDS` asks for more than two.
#[test]
fn ten_thousand_signals_a_second_to_every_thread_make_no_call_fail() {
    let time = Duration::from_secs(count("RINGWAY_TEST_STORM_SECONDS", 2) as u64);
    let child = Child::fork(|| {
        // SAFETY: the call takes no pointer. A long run is no hang.
        unsafe { libc::alarm(0) };
        handle(libc::SIGUSR1);
        handle(libc::SIGALRM);
        let stop = Arc::<AtomicBool>::default();
        let runtime = workers(2);
        let served = runtime.spawn(serve(Arc::clone(&stop)));
        start_timer(PERIOD);
        let storm = {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || pelt(&stop))
        };
        let begin = Instant::now();
        while begin.elapsed() < time {
            std::thread::sleep(time / 20);
        }
        stop.store(true, Ordering::Relaxed);
        let served = runtime.block_on(served).expect("the server");
        storm.join().expect("the storm");
        start_timer(Duration::ZERO);
        let signals = SIGNALS.load(Ordering::Relaxed);
        eprintln!(
            "{signals} signals, {served} results in {:?}",
            begin.elapsed()
        );
        assert!(served > 100, "{served}");
        assert!(signals > 1000, "{signals}");
    });
    assert_eq!(child.wait(), End::Passed);
}

/// `RINGWAY_TEST_STOPS` asks for more than 200.
#[test]
fn a_process_that_is_stopped_and_continued_goes_on_where_it_was() {
    let stops = count("RINGWAY_TEST_STOPS", 200);
    let (told, teller) = StdStream::pair().expect("a pair");
    let child = Child::fork(|| {
        // SAFETY: the call takes no pointer. A long run is no hang.
        unsafe { libc::alarm(0) };
        // The parent's end, of which this process has a copy.
        // SAFETY: the parent's handle is never dropped here, for this process ends by `_exit`.
        unsafe { libc::close(std::os::fd::AsRawFd::as_raw_fd(&teller)) };
        let stop = Arc::<AtomicBool>::default();
        let runtime = workers(2);
        let served = runtime.spawn(serve(Arc::clone(&stop)));
        let end = (&told).read(&mut [0; 1]).expect("the end");
        assert_eq!(end, 0);
        stop.store(true, Ordering::Relaxed);
        let served = runtime.block_on(served).expect("the server");
        eprintln!("{stops} stops, {served} results");
        assert!(served > 10, "{served}");
    });
    for number in 0..stops {
        child.kill(libc::SIGSTOP);
        std::thread::sleep(Duration::from_micros(500 + 97 * (number as u64 % 20)));
        child.kill(libc::SIGCONT);
        std::thread::sleep(Duration::from_micros(500 + 131 * (number as u64 % 20)));
    }
    drop(teller);
    assert_eq!(child.wait(), End::Passed);
}
