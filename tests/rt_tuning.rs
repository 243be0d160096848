//! The options of a worker's pace, each seen at work: an option that does nothing fails here.

mod support;

use std::future::Future;
use std::io::Write;
use std::net::TcpStream as Peer;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use ringway::io::AsyncReadExt;
use ringway::net::TcpListener;
use ringway::runtime::{Builder, RngSeed, Runtime};
use ringway::task::{JoinHandle, yield_now};
use ringway::time::sleep;

use support::{WATCHDOG, panic_text, within};

fn current_thread(options: impl FnOnce(&mut Builder)) -> Runtime {
    let mut builder = Builder::new_current_thread();
    options(builder.enable_all());
    builder.build().unwrap()
}

/// A task that yields for ever and counts its polls.
fn spin(runtime: &Runtime) -> Arc<AtomicUsize> {
    let polls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&polls);
    runtime.spawn(async move {
        loop {
            count.fetch_add(1, Ordering::Relaxed);
            yield_now().await;
        }
    });
    polls
}

/// The distances between neighbours, in polls.
fn distances(at: &[usize]) -> Vec<usize> {
    at.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// Timers are looked at with the ring: one that is always due fires once a look.
///
/// Mutant: the option is not handed to `Pace`, which then looks as often as it likes.
#[test]
fn event_interval_is_the_number_of_polls_between_two_looks() {
    within(WATCHDOG, || {
        for interval in [5, 1_000] {
            let runtime = current_thread(|builder| _ = builder.event_interval(interval));
            let polls = spin(&runtime);
            let task = runtime.spawn(async move {
                let mut fired = Vec::new();
                for _ in 0..20 {
                    sleep(Duration::from_nanos(1)).await;
                    fired.push(polls.load(Ordering::Relaxed));
                }
                fired
            });
            let fired = runtime.block_on(task).unwrap();
            let interval = interval as usize;
            for distance in distances(&fired) {
                // A look that comes before the clock has moved on by a tick finds nothing due.
                let looks = (distance + 2) / interval;
                assert!(
                    looks >= 1 && distance.abs_diff(looks * interval) <= 2 * looks,
                    "{interval}: {fired:?}"
                );
            }
        }
    });
}

/// Mutant: the option is not handed to the core.
#[test]
fn global_queue_interval_is_the_number_of_polls_between_two_tasks_from_outside() {
    within(WATCHDOG, || {
        for interval in [10, 5_000] {
            let runtime = current_thread(|builder| _ = builder.global_queue_interval(interval));
            let polls = spin(&runtime);
            let handle = runtime.handle().clone();
            // Spawned outside of the runtime's threads.
            let tasks: Vec<_> = (0..10)
                .map(|_| {
                    let polls = Arc::clone(&polls);
                    handle.spawn(async move { polls.load(Ordering::Relaxed) })
                })
                .collect();
            let ran = runtime.block_on(async {
                let mut ran = Vec::new();
                for task in tasks {
                    ran.push(task.await.unwrap());
                }
                ran
            });
            let interval = interval as usize;
            // The spinner itself comes from outside: the first ones may be taken with it.
            for distance in distances(&ran).split_off(2) {
                assert!(distance.abs_diff(interval) <= 2, "{interval}: {ran:?}");
            }
        }
    });
}

/// Mutant: `schedule` does not mind the option.
#[test]
fn without_the_next_task_slot_tasks_run_in_the_order_in_which_they_were_spawned() {
    within(WATCHDOG, || {
        let order = |runtime: Runtime| {
            let order = Arc::new(Mutex::new(Vec::new()));
            let spawner = {
                let order = Arc::clone(&order);
                runtime.spawn(async move {
                    let spawn = |number| {
                        let order = Arc::clone(&order);
                        ringway::spawn(async move { order.lock().unwrap().push(number) })
                    };
                    for task in (0..4).map(spawn).collect::<Vec<_>>() {
                        task.await.unwrap();
                    }
                })
            };
            runtime.block_on(spawner).unwrap();
            Arc::into_inner(order).unwrap().into_inner().unwrap()
        };
        let disabled = |builder: &mut Builder| _ = builder.disable_lifo_slot();
        assert_eq!(order(current_thread(disabled)), [0, 1, 2, 3]);
        assert_eq!(order(current_thread(|_| ())), [3, 0, 1, 2]);
        let mut one_worker = Builder::new_multi_thread();
        one_worker.worker_threads(1).disable_lifo_slot();
        assert_eq!(order(one_worker.build().unwrap()), [0, 1, 2, 3]);
    });
}

/// Connections to peers on which tasks wait for one byte each. `woken` counts those that have it.
struct Readers {
    runtime: Runtime,
    peers: Vec<Peer>,
    tasks: Vec<JoinHandle<()>>,
    woken: Arc<AtomicUsize>,
}

const READERS: usize = 16;

impl Readers {
    fn new(runtime: Runtime) -> Self {
        let woken = Arc::new(AtomicUsize::new(0));
        let (peers, tasks) = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (mut peers, mut tasks) = (Vec::new(), Vec::new());
            for _ in 0..READERS {
                peers.push(Peer::connect(address).unwrap());
                let (mut stream, _) = listener.accept().await.unwrap();
                let woken = Arc::clone(&woken);
                tasks.push(ringway::spawn(async move {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).await.unwrap();
                    woken.fetch_add(1, Ordering::Relaxed);
                }));
            }
            // All have asked the kernel by then.
            sleep(Duration::from_millis(20)).await;
            (peers, tasks)
        });
        Self {
            runtime,
            peers,
            tasks,
            woken,
        }
    }

    /// Sends all bytes before the runtime goes on; then `watch` runs as a task until all have arrived.
    fn feed(self, mut watch: impl FnMut(usize) + Send + 'static) {
        let Self {
            runtime,
            mut peers,
            tasks,
            woken,
        } = self;
        let (fed, is_fed) = mpsc::channel();
        thread::spawn(move || {
            for peer in &mut peers {
                peer.write_all(b"!").unwrap();
            }
            fed.send(()).unwrap();
            peers
        });
        runtime.block_on(async move {
            is_fed.recv().unwrap();
            watch(woken.load(Ordering::Relaxed));
            for task in tasks {
                task.await.unwrap();
                watch(woken.load(Ordering::Relaxed));
            }
        });
    }
}

/// How many readers went on at most between two polls of a task that yields.
fn largest_batch(runtime: Runtime) -> usize {
    let readers = Readers::new(runtime);
    let woken = Arc::clone(&readers.woken);
    let largest = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&largest);
    readers.runtime.spawn(async move {
        let mut before = woken.load(Ordering::Relaxed);
        while before < READERS {
            yield_now().await;
            let now = woken.load(Ordering::Relaxed);
            seen.fetch_max(now - before, Ordering::Relaxed);
            before = now;
        }
    });
    readers.feed(|_| ());
    largest.load(Ordering::Relaxed)
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

/// Each look of an idle worker is a sleep, from which it wakes at once as long as something is left in the ring.
///
/// Mutant: `service_idle` serves without a limit.
#[test]
fn an_idle_worker_delivers_no_more_completions_at_once_than_it_is_allowed() {
    within(WATCHDOG, || {
        let sleeps = |limit: usize| {
            let sleeps = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&sleeps);
            let runtime = current_thread(|builder| {
                builder
                    .max_io_events_per_tick(limit)
                    .on_thread_park(move || _ = count.fetch_add(1, Ordering::Relaxed));
            });
            let readers = Readers::new(runtime);
            sleeps.store(0, Ordering::Relaxed);
            readers.feed(|_| ());
            sleeps.load(Ordering::Relaxed)
        };
        let one_by_one = sleeps(1);
        assert!(one_by_one >= READERS, "{one_by_one}");
        let at_once = sleeps(1_024);
        assert!(at_once < READERS / 2, "{at_once}");
    });
}

/// What a limit leaves in the ring comes before the time that a test's clock jumps over.
///
/// Mutant: `advance_paused_clock` does not look at the ring.
#[test]
fn a_clock_that_stands_does_not_jump_past_completions_that_a_limit_has_held_back() {
    within(WATCHDOG, || {
        let runtime = current_thread(|builder| _ = builder.max_io_events_per_tick(1));
        let readers = Readers::new(runtime);
        let woken = Arc::clone(&readers.woken);
        let task = readers.runtime.spawn(async move {
            ringway::time::pause();
            sleep(Duration::from_secs(60)).await;
            woken.load(Ordering::Relaxed)
        });
        // Polls the sleep, and with it pauses the clock, before the bytes are sent.
        readers.runtime.block_on(async {
            let mut yielded = pin!(yield_now());
            let _ = yielded
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
            yield_now().await;
        });
        let handle = readers.runtime.handle().clone();
        let waits = thread::spawn(move || handle.block_on(task).unwrap());
        readers.feed(|_| ());
        assert_eq!(waits.join().unwrap(), READERS, "the clock has jumped");
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
            Arc::into_inner(order).unwrap().into_inner().unwrap()
        };
        let first = order();
        assert_eq!(first.len(), 28);
        for _ in 0..10 {
            assert_eq!(order(), first);
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
