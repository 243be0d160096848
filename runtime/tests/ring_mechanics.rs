//! Full queues, overflows, bad entries and refusals on the kernel's own rings, some of them as small as can be.

mod support;

use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ringway_runtime::driver::{
    Completion, Many, Op, Operation, RingMetrics, Script, SharedFd, opcode, squeue,
};
use ringway_runtime::{Builder, Runtime, spawn, task};

use support::alone::{OLD, TINY, under};
use support::ops::{AcceptMany, Nop, PollIn, Readiness, pipe};
use support::{current_thread, wait_until, within, workers};

const BOUND: Duration = Duration::from_secs(60);
/// Operations that are done at once in a completion queue with room for four.
const BURST: usize = 1000;

fn sum(runtime: &Runtime, of: impl Fn(&RingMetrics) -> u64) -> u64 {
    let metrics = runtime.handle().metrics();
    (0..metrics.num_workers())
        .map(|worker| of(&metrics.ring(worker)))
        .sum()
}

/// A multishot accept and a multishot poll, which an overflow ends, and what has come of them.
struct Streams {
    accepted: Arc<AtomicUsize>,
    readied: Arc<AtomicUsize>,
    listener: std::net::SocketAddr,
    bell: std::fs::File,
}

impl Streams {
    fn start(runtime: &Runtime) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("an address");
        let listener = SharedFd::from(OwnedFd::from(listener));
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        runtime.spawn(async move {
            loop {
                let mut connections = Many::new(AcceptMany(listener.clone()));
                while let Some(connection) = connections.next().await {
                    connection.expect("a connection");
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let (read, bell) = pipe();
        let readied = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&readied);
        runtime.spawn(async move {
            loop {
                let mut readiness = Readiness::of(read.clone());
                while let Some(events) = readiness.next().await {
                    events.expect("readiness");
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Self {
            accepted,
            readied,
            listener: address,
            bell,
        }
    }

    /// Connects and writes, and waits until the runtime has seen it.
    fn use_each(&mut self, rounds: usize) {
        for _ in 0..rounds {
            let accepted = self.accepted.load(Ordering::Relaxed);
            let readied = self.readied.load(Ordering::Relaxed);
            let _client = TcpStream::connect(self.listener).expect("a connection");
            self.bell.write_all(b"!").expect("room");
            wait_until("a connection is accepted", || {
                self.accepted.load(Ordering::Relaxed) > accepted
            });
            wait_until("readiness is told", || {
                self.readied.load(Ordering::Relaxed) > readied
            });
        }
    }
}

fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// The owner computes while a thousand operations are done, for which the completion queue has no room. The kernel keeps
/// their answers, and ends every multishot for which it had to.
///
/// Mutant: `queue` drops what the ring has no room for.
#[test]
fn a_burst_that_overflows_loses_nothing_and_leaves_nobody_deaf() {
    let name = "a_burst_that_overflows_loses_nothing_and_leaves_nobody_deaf";
    under(name, &[&[TINY], &[TINY, OLD]], || {
        within(BOUND, || {
            let runtime = workers(1);
            let mut streams = Streams::start(&runtime);
            streams.use_each(1);
            let (read, mut write) = pipe();
            let polls: Vec<_> = (0..BURST)
                .map(|_| runtime.spawn(Op::new(PollIn(read.clone()))))
                .collect();
            wait_until("the worker sleeps, and the kernel has all", || {
                operations_in_flight(&runtime) >= BURST as u64 && is_asleep(&runtime)
            });
            let owner = runtime.spawn(async move {
                write.write_all(b"!").expect("room");
                spin(Duration::from_millis(50));
                write
            });
            let _open = runtime.block_on(owner).expect("the owner");
            for poll in polls {
                let events = runtime.block_on(poll).expect("a task").expect("a poll");
                assert_eq!(events, libc::POLLIN as u32);
            }
            assert!(sum(&runtime, RingMetrics::overflow_count) > 0);
            assert_eq!(sum(&runtime, RingMetrics::lost_count), 0);
            streams.use_each(10);
        });
    });
}

/// A burst overflows the completion queue while the worker sleeps in its ring and is called: of the bell's poll, too, the
/// kernel makes an end.
///
/// Mutant: the doorbell's poll is taken for armed when its last answer has come (`doorbell_down` stays false).
#[test]
fn a_burst_at_the_moment_of_a_wake_leaves_the_bell_in_order() {
    let name = "a_burst_at_the_moment_of_a_wake_leaves_the_bell_in_order";
    under(name, &[&[TINY], &[TINY, OLD]], || {
        within(BOUND, || {
            let runtime = workers(1);
            for _ in 0..50 {
                let (read, mut write) = pipe();
                let polls: Vec<_> = (0..20)
                    .map(|_| runtime.spawn(Op::new(PollIn(read.clone()))))
                    .collect();
                wait_until("the worker sleeps, and the kernel has all", || {
                    operations_in_flight(&runtime) == 20 && is_asleep(&runtime)
                });
                write.write_all(b"!").expect("room");
                runtime.block_on(runtime.spawn(async {})).expect("a wake");
                for poll in polls {
                    runtime.block_on(poll).expect("a task").expect("a poll");
                }
                wait_until("the worker sleeps", || is_asleep(&runtime));
                runtime.block_on(runtime.spawn(async {})).expect("a wake");
            }
            assert!(sum(&runtime, RingMetrics::overflow_count) > 0);
        });
    });
}

/// Whether the runtime's one worker has stopped to look at its ring.
fn is_asleep(runtime: &Runtime) -> bool {
    let parks = || runtime.handle().metrics().worker_park_unpark_count(0);
    let before = parks();
    std::thread::sleep(Duration::from_millis(1));
    // Odd: parked.
    before % 2 == 1 && parks() == before
}

/// An entry that the kernel refuses when it takes it over.
#[derive(Debug)]
struct Bad;

// SAFETY: the request names no memory and no descriptor.
unsafe impl Operation for Bad {
    type Output = io::Result<u32>;

    fn entry(&mut self) -> squeue::Entry {
        opcode::Nop::new().build().personality(u16::MAX)
    }

    fn complete(self, completion: Completion) -> Self::Output {
        completion.result
    }
}

async fn yield_for_ever() {
    loop {
        task::yield_now().await;
    }
}

/// Kernels before 5.18 stop at a bad entry, and leave those behind it to the next system call.
///
/// Mutant: `flush` takes a short submit for a full one.
#[test]
fn a_bad_entry_in_the_middle_fails_alone() {
    let name = "a_bad_entry_in_the_middle_fails_alone";
    under(name, &[&[], &[OLD], &[TINY], &[TINY, OLD]], || {
        within(BOUND, || {
            for runtime in [workers(2), current_thread()] {
                runtime.block_on(async {
                    // Nobody sleeps, which would submit what was left over.
                    let busy = [(); 2].map(|()| spawn(yield_for_ever()));
                    let tasks = (0..300).map(|number| {
                        spawn(async move {
                            match number % 3 {
                                1 => (number, Op::new(Bad).await),
                                _ => (number, Op::new(Nop).await),
                            }
                        })
                    });
                    for task in tasks.collect::<Vec<_>>() {
                        match task.await.expect("a task") {
                            (_, Ok(result)) => assert_eq!(result, 0),
                            (number, Err(error)) => {
                                assert_eq!(number % 3, 1);
                                assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
                            }
                        }
                    }
                    busy.iter().for_each(|task| task.abort());
                });
                let is_old = std::env::var_os(OLD.0).is_some();
                let is_tiny = std::env::var_os(TINY.0).is_some();
                if is_old && !is_tiny {
                    assert!(sum(&runtime, RingMetrics::short_submit_count) > 0);
                }
            }
        });
    });
}

/// The queue is full in a poll, in a drop, in a wake and when the runtime ends.
///
/// Mutants: `queue` drops what the ring has no room for; `abandon` queues no cancel where there is no room.
#[test]
fn a_full_queue_delays_and_loses_nothing() {
    let name = "a_full_queue_delays_and_loses_nothing";
    under(name, &[&[TINY], &[TINY, OLD]], || {
        within(BOUND, || {
            for runtime in [workers(2), current_thread()] {
                let (read, _write) = pipe();
                runtime.block_on(async {
                    let waiting = (0..BURST).map(|_| spawn(Op::new(PollIn(read.clone()))));
                    let waiting: Vec<_> = waiting.collect();
                    for _ in 0..BURST {
                        Op::new(Nop).await.expect("a nop");
                    }
                    for task in &waiting {
                        task.abort();
                    }
                    for task in waiting {
                        assert!(task.await.expect_err("nothing was written").is_cancelled());
                    }
                });
                runtime.block_on(async {
                    while operations_in_flight(&runtime) > 0 {
                        Op::new(Nop).await.expect("a nop");
                    }
                });
                assert!(sum(&runtime, RingMetrics::full_count) > 0);
                for _ in 0..BURST {
                    runtime.spawn(Op::new(PollIn(read.clone())));
                }
                let start = Instant::now();
                drop(runtime);
                let took = start.elapsed();
                assert!(took < Duration::from_secs(5), "{took:?}");
            }
        });
    });
}

fn operations_in_flight(runtime: &Runtime) -> u64 {
    sum(runtime, |ring| ring.operations_in_flight() as u64)
}

/// Mutant: the cancel of an operation names its slot without its generation.
#[test]
fn operations_and_cancels_go_on_where_generations_wrap() {
    let name = "operations_and_cancels_go_on_where_generations_wrap";
    let near_the_end = ("RINGWAY_FIRST_GENERATION", "4294967290");
    under(name, &[&[near_the_end], &[near_the_end, TINY]], || {
        within(BOUND, || {
            let runtime = current_thread();
            runtime.block_on(async {
                let (read, mut write) = pipe();
                for _ in 0..20 {
                    let mut dropped = Box::pin(Op::new(PollIn(read.clone())));
                    let kept = spawn(Op::new(PollIn(read.clone())));
                    poll_once(&mut dropped).await;
                    Op::new(Nop).await.expect("a nop");
                    drop(dropped);
                    while operations_in_flight(&runtime) > 1 {
                        Op::new(Nop).await.expect("a nop");
                    }
                    write.write_all(b"!").expect("room");
                    let events = kept.await.expect("a task").expect("a poll");
                    assert_eq!(events, libc::POLLIN as u32);
                    let mut byte = [0];
                    assert_eq!(rustix::io::read(&read, &mut byte).expect("a byte"), 1);
                }
            });
            assert_eq!(sum(&runtime, RingMetrics::stray_count), 0);
        });
    });
}

/// Polls once, which submits.
async fn poll_once(operation: &mut std::pin::Pin<Box<Op<PollIn>>>) {
    std::future::poll_fn(|cx| {
        assert!(operation.as_mut().poll(cx).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
}

/// Mutant: `note_refusal` does not tell a signal from a refusal.
#[test]
fn each_refusal_of_an_enter_is_survived_and_counted() {
    for errno in [
        libc::EINTR,
        libc::EAGAIN,
        libc::EBUSY,
        libc::ENOMEM,
        libc::EBADR,
    ] {
        let mut script = Script::new(1);
        for number in [0, 1, 2, 5, 6, 11] {
            script = script.refuse_enter(number, errno);
        }
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .ring_script(script.clone())
            .build()
            .expect("a runtime");
        within(BOUND, move || {
            for _ in 0..20 {
                let nop = runtime.block_on(runtime.spawn(async { Op::new(Nop).await }));
                assert_eq!(nop.expect("a task").expect("a nop"), 0);
            }
            let refused = script.played().refused;
            assert!(refused > 0);
            let counted = match errno {
                libc::EINTR => sum(&runtime, RingMetrics::interrupted_count),
                _ => sum(&runtime, RingMetrics::refused_count),
            };
            assert_eq!(counted, refused, "{}", io::Error::from_raw_os_error(errno));
        });
    }
}
