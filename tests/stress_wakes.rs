//! Wakes by the million: none is lost, on whatever thread it happens.

mod support;

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use ringway::sync::{Notify, mpsc, oneshot};
use ringway::task::yield_now;

use support::{count, current_thread, within, workers};

/// A stall is seen after this time, or after [`EACH`] for each wake if those are many.
const STALL: Duration = Duration::from_secs(100);

/// No wake takes as long, all being well.
const EACH: Duration = Duration::from_micros(10);

/// No falling asleep and being woken takes as long, on the average.
const CYCLE: Duration = Duration::from_millis(1);

/// A single wake that takes longer was lost.
const LOST: Duration = Duration::from_secs(20);

fn stall(wakes: usize) -> Duration {
    STALL.max(EACH * wakes as u32)
}

/// Mutants of the idle protocol: the queue is looked at before the sleeper is counted; a fence is missing.
#[test]
fn a_million_messages_between_tasks_on_different_workers_all_arrive() {
    let messages = count("RINGWAY_TEST_MESSAGES", 1_000_000);
    within(stall(messages), move || {
        workers(2).block_on(async move {
            const PAIRS: usize = 8;
            let tasks: Vec<_> = (0..PAIRS)
                .map(|_| ringway::spawn(ping_pong(messages / PAIRS / 2)))
                .collect();
            for task in tasks {
                task.await.expect("the pair");
            }
        });
    });
}

async fn ping_pong(rounds: usize) {
    let (to, mut from) = mpsc::channel(1);
    let (answer, mut answered) = mpsc::channel(1);
    let partner = ringway::spawn(async move {
        while let Some(number) = from.recv().await {
            if answer.send(number).await.is_err() {
                return;
            }
        }
    });
    for round in 0..rounds {
        to.send(round).await.expect("the partner lives");
        assert_eq!(answered.recv().await, Some(round));
    }
    drop(to);
    partner.await.expect("the partner");
}

/// One message at a time, so that workers fall asleep between two.
#[test]
fn a_token_that_wanders_among_sleeping_workers_is_never_lost() {
    let rounds = count("RINGWAY_TEST_TOKEN", 100_000);
    within(stall(rounds), move || {
        workers(2).block_on(async move {
            let notifies: Arc<Vec<_>> = Arc::new((0..4).map(|_| Notify::new()).collect());
            let tasks: Vec<_> = (0..4)
                .map(|place| {
                    let notifies = Arc::clone(&notifies);
                    ringway::spawn(async move {
                        for _ in 0..rounds / 4 {
                            notifies[place].notified().await;
                            notifies[(place + 1) % 4].notify_one();
                        }
                    })
                })
                .collect();
            notifies[0].notify_one();
            for task in tasks {
                task.await.expect("it has had the token");
            }
        });
    });
}

/// Each wake comes from another thread, and goes to a worker that is falling asleep, asleep, or waking.
///
/// Mutants: the park word's swap is a store; the doorbell is rung before the sleep was announced.
#[test]
fn a_hundred_thousand_wakes_from_other_threads_all_arrive() {
    let wakes = count("RINGWAY_TEST_FOREIGN_WAKES", 100_000);
    for runtime in [workers(1), workers(2), current_thread()] {
        within(stall(wakes), move || {
            let slot = Arc::new(Mutex::new(None::<Waker>));
            let count = Arc::new(AtomicUsize::new(0));
            let (woken, waker) = (Arc::clone(&count), Arc::clone(&slot));
            let task = runtime.spawn(poll_fn(move |cx| {
                *waker.lock().expect("nobody panics with it") = Some(cx.waker().clone());
                if woken.load(Ordering::Acquire) >= wakes {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            }));
            let thread = thread::spawn(move || wake_until(&slot, &count, wakes));
            runtime.block_on(task).expect("the last wake arrives");
            thread.join().expect("the thread that wakes");
        });
    }
}

/// Wakes, and waits until the task has been polled for it, which is seen by its new waker.
fn wake_until(slot: &Mutex<Option<Waker>>, count: &AtomicUsize, wakes: usize) {
    for wake in 1..=wakes {
        let waker = loop {
            let waker = slot.lock().expect("nobody panics with it").take();
            match waker {
                Some(waker) => break waker,
                None if wake % 64 == 0 => thread::yield_now(),
                None => std::hint::spin_loop(),
            }
        };
        count.store(wake, Ordering::Release);
        waker.wake();
    }
}

/// Workers fall asleep and are woken, at every moment on their way: a thread wakes one of some tasks, waits until that was
/// polled, and then for up to 30 µs, so that the next wake finds the worker lingering, on its way to sleep, or asleep.
///
/// Mutants: as above.
#[test]
fn wakes_at_every_moment_of_falling_asleep_all_arrive() {
    let cycles = count("RINGWAY_TEST_PARKS", 10_000);
    for runtime in [workers(1), workers(2)] {
        let wakes = within(STALL.max(CYCLE * cycles as u32), move || {
            let sleepers = Arc::new([(); 4].map(|()| Sleeper::default()));
            for sleeper in 0..sleepers.len() {
                let sleepers = Arc::clone(&sleepers);
                runtime.spawn(async move {
                    loop {
                        sleepers[sleeper].notify.notified().await;
                        sleepers[sleeper].polled.fetch_add(1, Ordering::Release);
                    }
                });
            }
            let mut wakes = 0;
            while parks(&runtime) < cycles as u64 {
                let sleeper = &sleepers[wakes % sleepers.len()];
                let polled = sleeper.polled.load(Ordering::Acquire);
                sleeper.notify.notify_one();
                spin_until(LOST, || sleeper.polled.load(Ordering::Acquire) > polled);
                let pause = Duration::from_nanos((wakes as u64 * 7_919) % 30_000);
                let start = Instant::now();
                while start.elapsed() < pause {
                    std::hint::spin_loop();
                }
                wakes += 1;
            }
            wakes
        });
        println!("{wakes} wakes, {cycles} times asleep");
    }
}

#[derive(Default)]
struct Sleeper {
    notify: Notify,
    polled: AtomicUsize,
}

/// How often workers have fallen asleep.
fn parks(runtime: &ringway::runtime::Runtime) -> u64 {
    let metrics = runtime.metrics();
    (0..metrics.num_workers())
        .map(|worker| metrics.worker_park_count(worker))
        .sum()
}

fn spin_until(bound: Duration, condition: impl Fn() -> bool) {
    let start = Instant::now();
    for spins in 0_u64.. {
        if condition() {
            return;
        }
        if spins % 1_000 == 999 {
            assert!(start.elapsed() < bound, "a wake was lost");
            thread::yield_now();
        }
        std::hint::spin_loop();
    }
}

/// Tasks spawn, join and abort each other from both workers and two other threads.
#[test]
fn spawns_joins_and_aborts_from_everywhere_at_once_leave_nothing_behind() {
    let rounds = count("RINGWAY_TEST_MIX", 20_000);
    within(STALL, move || {
        let runtime = workers(2);
        let alive = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..2)
            .map(|seed| {
                let handle = runtime.handle().clone();
                let alive = Arc::clone(&alive);
                thread::spawn(move || {
                    for round in 0..rounds / 4 {
                        let task = handle.spawn(mixed(round + seed, Alive::new(&alive)));
                        match round % 4 {
                            0 => task.abort(),
                            1 => drop(handle.block_on(task)),
                            _ => drop(task),
                        }
                    }
                })
            })
            .collect();
        runtime.block_on(async {
            for round in 0..rounds / 2 {
                let task = ringway::spawn(mixed(round, Alive::new(&alive)));
                if round % 2 == 0 {
                    drop(task.await);
                }
            }
        });
        for thread in threads {
            thread.join().expect("the thread");
        }
        support::wait_until("every task is gone", || alive.load(Ordering::SeqCst) == 0);
    });
}

struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn mixed(round: usize, alive: Alive) {
    let _alive = alive;
    match round % 5 {
        0 => yield_now().await,
        1 => {
            let (tell, told) = oneshot::channel();
            drop(ringway::spawn(async move { tell.send(()) }));
            let _ = told.await;
        }
        2 => {
            let child = ringway::spawn(std::future::pending::<()>());
            child.abort();
            assert!(child.await.expect_err("aborted").is_cancelled());
        }
        3 => drop(ringway::task::spawn_blocking(|| ()).await),
        _ => {}
    }
}

/// A future is never polled by two threads at once, however many wakers hammer at it.
#[test]
fn a_task_is_polled_by_one_thread_at_a_time_and_never_after_its_end() {
    let polls = count("RINGWAY_TEST_POLLS", 200_000);
    within(STALL, move || {
        let runtime = workers(2);
        let (inside, done) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicBool::new(false)),
        );
        let slot = Arc::new(Mutex::new(None::<Waker>));
        let (now_inside, at_end, waker) =
            (Arc::clone(&inside), Arc::clone(&done), Arc::clone(&slot));
        let mut left = polls;
        let task = runtime.spawn(poll_fn(move |cx| {
            assert!(
                !now_inside.swap(true, Ordering::Acquire),
                "polled twice at once"
            );
            assert!(!at_end.load(Ordering::Relaxed), "polled after its end");
            let mut stored = waker.lock().expect("nobody panics with it");
            if stored.is_none() {
                *stored = Some(cx.waker().clone());
            }
            drop(stored);
            left -= 1;
            at_end.store(left == 0, Ordering::Relaxed);
            now_inside.store(false, Ordering::Release);
            if left == 0 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }));
        let hammers: Vec<_> = (0..3)
            .map(|_| {
                let (slot, done) = (Arc::clone(&slot), Arc::clone(&done));
                let handle = runtime.handle().clone();
                thread::spawn(move || hammer(&handle, &slot, &done))
            })
            .collect();
        runtime.block_on(task).expect("no rule was broken");
        for hammer in hammers {
            hammer.join().expect("the hammer");
        }
    });
}

fn hammer(handle: &ringway::runtime::Handle, slot: &Mutex<Option<Waker>>, done: &AtomicBool) {
    let waker = loop {
        let waker = slot.lock().expect("nobody panics with it").clone();
        match waker {
            Some(waker) => break waker,
            None => thread::yield_now(),
        }
    };
    while !done.load(Ordering::Relaxed) {
        // One from a worker, and many from here meanwhile.
        let wake = waker.clone();
        let from_worker = handle.spawn(async move { wake.wake() });
        while !from_worker.is_finished() {
            waker.wake_by_ref();
        }
    }
}
