//! The options of a worker's pace, each seen at work: an option that does nothing fails here.

mod support;

use std::future::Future;
use std::io::Write;
use std::net::TcpStream as Peer;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use ringway::io::AsyncReadExt;
use ringway::net::{TcpListener, TcpStream};
use ringway::runtime::{Builder, RngSeed, Runtime};
use ringway::sync::Notify;
use ringway::task::yield_now;
use ringway::time::sleep;

use support::{WATCHDOG, panic_text, wake_myself, within};

fn current_thread(options: impl FnOnce(&mut Builder)) -> Runtime {
    let mut builder = Builder::new_current_thread();
    options(builder.enable_all());
    builder.build().unwrap()
}

/// A task that is always ready and counts its polls.
fn spin(runtime: &Runtime) -> Arc<AtomicUsize> {
    let polls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&polls);
    runtime.spawn(async move {
        loop {
            count.fetch_add(1, Ordering::Relaxed);
            wake_myself().await;
        }
    });
    polls
}

/// The distances between neighbours, in polls.
fn distances(at: &[usize]) -> Vec<usize> {
    at.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// Timers are looked at with the ring: the distance between two that fire is a number of whole intervals.
///
/// Mutant: the option is not handed to `Pace`, which then looks as often as it likes.
#[test]
fn event_interval_is_the_number_of_polls_between_two_looks() {
    within(WATCHDOG, || {
        for interval in [1_000, 3_000] {
            let runtime = current_thread(|builder| _ = builder.event_interval(interval));
            let polls = spin(&runtime);
            let task = runtime.spawn(async move {
                let mut fired = Vec::new();
                for _ in 0..20 {
                    sleep(Duration::from_micros(50)).await;
                    fired.push(polls.load(Ordering::Relaxed));
                }
                fired
            });
            let fired = runtime.block_on(task).unwrap();
            let interval = interval as usize;
            // A timer that is due when it is first polled waits for no look.
            for distance in distances(&fired)
                .into_iter()
                .filter(|&distance| distance > 0)
            {
                // One turn of each interval in which the timer fired was the sleeper's own.
                let looks = (distance + 10) / interval;
                let expected = looks * interval;
                assert!(
                    looks >= 1 && (expected - 2..=expected).contains(&distance),
                    "{interval}: {fired:?}"
                );
            }
        }
    });
}

/// Between its own tasks, a worker looks at the queue of those from outside each so many turns, and not when it looks at
/// the ring: a task from there runs at one of these.
///
/// Mutants: the option is not handed to the core; the injector is looked at with the ring though the option is set.
#[test]
fn global_queue_interval_is_the_number_of_polls_between_two_looks_at_tasks_from_outside() {
    within(WATCHDOG, || {
        let interval = 5_000;
        let runtime = current_thread(|builder| {
            builder
                .global_queue_interval(interval)
                .event_interval(interval / 20 + 1);
        });
        let polls = spin(&runtime);
        let handle = runtime.handle().clone();
        let ran = runtime.block_on(async {
            while polls.load(Ordering::Relaxed) == 0 {
                yield_now().await;
            }
            let mut ran = Vec::new();
            for _ in 0..10 {
                let (handle, polls) = (handle.clone(), Arc::clone(&polls));
                // A thread that is not the runtime's.
                let task = thread::spawn(move || {
                    handle.spawn(async move { polls.load(Ordering::Relaxed) })
                });
                ran.push(task.join().unwrap().await.unwrap());
            }
            ran
        });
        let interval = interval as usize;
        for distance in distances(&ran) {
            // One turn was the task's own.
            assert_eq!((distance + 1) % interval, 0, "{ran:?}");
        }
    });
}

/// Long enough for what was spawned to have begun.
async fn sleep_shortly() {
    sleep(Duration::from_millis(1)).await;
}

/// Mutants: `schedule` does not mind the option; a current-thread runtime has the slot.
#[test]
fn without_the_next_task_slot_tasks_run_in_the_order_in_which_they_were_woken() {
    within(WATCHDOG, || {
        let order = |runtime: Runtime| {
            let order = Arc::new(Mutex::new(Vec::new()));
            let notes: Vec<_> = (0..4).map(|_| Arc::new(Notify::new())).collect();
            let (log, notes_of_tasks) = (Arc::clone(&order), notes.clone());
            runtime.block_on(async {
                let tasks = notes_of_tasks
                    .into_iter()
                    .enumerate()
                    .map(|(number, note)| {
                        let log = Arc::clone(&log);
                        ringway::spawn(async move {
                            note.notified().await;
                            log.lock().unwrap().push(number);
                        })
                    });
                let tasks: Vec<_> = tasks.collect();
                sleep_shortly().await;
                let waker = async move { notes.iter().for_each(|note| note.notify_one()) };
                ringway::spawn(waker).await.unwrap();
                for task in tasks {
                    task.await.unwrap();
                }
            });
            order.lock().unwrap().clone()
        };
        let one_worker = |options: fn(&mut Builder)| {
            let mut builder = Builder::new_multi_thread();
            options(builder.worker_threads(1).enable_all());
            builder.build().unwrap()
        };
        let disabled = |builder: &mut Builder| _ = builder.disable_lifo_slot();
        assert_eq!(order(one_worker(disabled)), [0, 1, 2, 3]);
        assert_eq!(order(one_worker(|_| ())), [3, 0, 1, 2]);
        // There is no such slot here, as in tokio.
        assert_eq!(order(current_thread(disabled)), [0, 1, 2, 3]);
        assert_eq!(order(current_thread(|_| ())), [0, 1, 2, 3]);
    });
}

/// Connections to peers on which tasks wait for one byte each.
struct Readers {
    runtime: Runtime,
    peers: Vec<Peer>,
    /// How many have their byte.
    served: Arc<AtomicUsize>,
    /// The last one has.
    all_served: Arc<Notify>,
}

const READERS: usize = 16;

impl Readers {
    fn new(runtime: Runtime) -> Self {
        let (served, all_served) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let peers = runtime.block_on(async {
            let mut peers = Vec::new();
            for (peer, mut stream) in connections().await {
                peers.push(peer);
                let (served, all_served) = (Arc::clone(&served), Arc::clone(&all_served));
                ringway::spawn(async move {
                    stream.read_exact(&mut [0]).await.unwrap();
                    if served.fetch_add(1, Ordering::Relaxed) == READERS - 1 {
                        all_served.notify_one();
                    }
                });
            }
            // All have asked the kernel by then.
            sleep(Duration::from_millis(20)).await;
            peers
        });
        Self {
            runtime,
            peers,
            served,
            all_served,
        }
    }

    fn served(&self) -> usize {
        self.served.load(Ordering::Relaxed)
    }

    /// Sends all bytes before the runtime goes on, and waits until all have arrived.
    fn feed(&mut self) {
        self.runtime.block_on(async {
            feed(&mut self.peers);
            self.all_served.notified().await;
        });
    }
}

async fn connections() -> Vec<(Peer, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut connections = Vec::new();
    for _ in 0..READERS {
        let peer = Peer::connect(address).unwrap();
        connections.push((peer, listener.accept().await.unwrap().0));
    }
    connections
}

fn feed(peers: &mut [Peer]) {
    for peer in peers {
        peer.write_all(b"!").unwrap();
    }
}

/// How many readers went on at most between two polls of a task that yields.
fn largest_batch(runtime: Runtime) -> usize {
    let mut readers = Readers::new(runtime);
    let served = Arc::clone(&readers.served);
    let spinner = readers.runtime.spawn(async move {
        let (mut largest, mut before) = (0, 0);
        while before < READERS {
            yield_now().await;
            let now = served.load(Ordering::Relaxed);
            largest = largest.max(now - before);
            before = now;
        }
        largest
    });
    readers.runtime.block_on(sleep_shortly());
    readers.feed();
    readers.runtime.block_on(spinner).unwrap()
}

/// Mutants: `turn` serves with the limit of an idle worker; `Shard::service` does not count down.
#[test]
fn a_busy_worker_delivers_no_more_completions_at_once_than_it_is_allowed() {
    within(WATCHDOG, || {
        let busy = |limit| {
            largest_batch(current_thread(|builder| {
                builder.event_interval(8);
                if let Some(limit) = limit {
                    builder.max_io_events_per_busy_tick(limit);
                }
            }))
        };
        assert_eq!(busy(Some(1)), 1);
        assert!(busy(Some(4)) <= 4);
        assert!(busy(None) > 8, "without a limit all come at once");
    });
}

/// Each look is a batch of completions, and runs whom it wakes before the next.
///
/// Mutant: `service_idle` serves without a limit.
#[test]
fn an_idle_worker_delivers_no_more_completions_at_once_than_it_is_allowed() {
    within(WATCHDOG, || {
        let mean_batch = |limit: usize| {
            let runtime = current_thread(|builder| _ = builder.max_io_events_per_tick(limit));
            let mut readers = Readers::new(runtime);
            readers.feed();
            readers.runtime.metrics().ring(0).mean_completion_batch()
        };
        let one_by_one = mean_batch(1);
        assert!(one_by_one <= 1.0, "{one_by_one}");
        let at_once = mean_batch(1_024);
        assert!(at_once > 1.5, "{at_once}");
    });
}

/// What a limit leaves in the ring comes before the time that a test's clock jumps over. First come the answers to
/// reads that were given up, which wake nobody.
///
/// Mutant: `advance_paused_clock` does not look at the ring.
#[test]
fn a_clock_that_stands_does_not_jump_past_completions_that_a_limit_has_held_back() {
    within(WATCHDOG, || {
        let runtime = current_thread(|builder| _ = builder.max_io_events_per_tick(1));
        let mut readers = Readers::new(runtime);
        let mut peers = std::mem::take(&mut readers.peers);
        readers.runtime.block_on(async {
            let mut given_up = connections().await;
            for (_, stream) in &mut given_up {
                let mut byte = [0];
                let mut read = pin!(stream.read(&mut byte));
                let first = read.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                assert!(first.is_pending());
            }
            sleep_shortly().await;
            drop(given_up);
            // So that the kernel is told, and answers, before the bytes are sent.
            thread::sleep(Duration::from_millis(1));
            yield_now().await;
            ringway::time::pause();
            feed(&mut peers);
            sleep(Duration::from_secs(60)).await;
        });
        assert_eq!(readers.served(), READERS, "the clock has jumped");
    });
}

/// As far as a program can see: with one worker the order does not depend on random numbers at all.
#[test]
fn with_a_seed_and_one_worker_tasks_run_in_the_same_order_every_time() {
    within(WATCHDOG, || {
        let order = || {
            let mut builder = Builder::new_multi_thread();
            let seed = RngSeed::from_bytes(b"the same");
            let runtime = builder.worker_threads(1).rng_seed(seed).build().unwrap();
            let order = Arc::new(Mutex::new(Vec::new()));
            let tree = {
                let order = Arc::clone(&order);
                runtime.spawn(async move {
                    let branches: Vec<_> = (0..8)
                        .map(|branch| {
                            let order = Arc::clone(&order);
                            ringway::spawn(async move {
                                for leaf in 0..branch {
                                    order.lock().unwrap().push((branch, leaf));
                                    yield_now().await;
                                }
                            })
                        })
                        .collect();
                    for branch in branches {
                        branch.await.unwrap();
                    }
                })
            };
            runtime.block_on(tree).unwrap();
            // A worker that the machine does not let run is taken for stuck, and its next task is queued elsewhere.
            let rescues = runtime.metrics().worker_next_task_rescue_count(0);
            let order = Arc::into_inner(order).unwrap().into_inner().unwrap();
            (rescues == 0).then_some(order)
        };
        let undisturbed = || (0..100).find_map(|_| order()).expect("a calm moment");
        let first = undisturbed();
        assert_eq!(first.len(), 28);
        for _ in 0..10 {
            assert_eq!(undisturbed(), first);
        }
    });
}

#[test]
fn limits_of_zero_are_refused_with_tokios_words() {
    type Misuse = fn(&mut Builder);
    let refusals: [(&str, Misuse); 2] = [
        ("max_io_events_per_tick must be non-zero", |builder| {
            builder.max_io_events_per_tick(0);
        }),
        ("max_io_events_per_busy_tick must be non-zero", |builder| {
            builder.max_io_events_per_busy_tick(0);
        }),
    ];
    for (words, refused) in refusals {
        assert_eq!(
            panic_text(|| refused(&mut Builder::new_multi_thread())),
            words
        );
    }
}
