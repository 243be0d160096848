//! Who holds a worker for too long is named, and nobody else is.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use ringway_runtime::task::{JoinHandle, yield_now};
use ringway_runtime::{BlockedWorker, Builder, Runtime, block_in_place, spawn, task_builder};

use support::WATCHDOG;

const THRESHOLD: Duration = Duration::from_millis(30);

/// Set by a callback.
type Flag = Arc<AtomicBool>;

fn watched(mut builder: Builder, threshold: Duration) -> (Runtime, Receiver<BlockedWorker>, Flag) {
    let (tell, told) = mpsc::channel();
    let flag = Flag::default();
    let set = Arc::clone(&flag);
    let runtime = builder
        .worker_threads(2)
        .enable_all()
        .on_blocked_worker(threshold, move |blocked| {
            // The receiver is gone when the test is over.
            let _ = tell.send(blocked.clone());
            set.store(true, Ordering::SeqCst);
        })
        .build()
        .unwrap();
    (runtime, told, flag)
}

/// Spins until the callback was called, and for some thresholds more.
fn spin_until(flag: &AtomicBool) {
    let begin = Instant::now();
    while !flag.load(Ordering::SeqCst) {
        assert!(begin.elapsed() < WATCHDOG, "nobody was told");
        std::hint::spin_loop();
    }
    let told = Instant::now();
    while told.elapsed() < 3 * THRESHOLD {
        std::hint::spin_loop();
    }
}

/// Mutants: the monitor does not look; it compares the threshold with the task's age; a poll is reported at every tick;
/// the task is looked up in the first list only.
#[test]
fn a_task_that_spins_is_named_once_while_it_spins() {
    for builder in [Builder::new_multi_thread(), Builder::new_current_thread()] {
        let (runtime, told, flag) = watched(builder, THRESHOLD);
        let begin = Instant::now();
        let spinner = move || {
            let task = async move {
                spin_until(&flag);
                (thread::current().id(), yield_now().await)
            };
            task_builder::Builder::new()
                .name("spinner")
                .spawn(task)
                .unwrap()
        };
        let (id, thread) = runtime.block_on(async {
            let task = spinner();
            (task.id(), task.await.unwrap().0)
        });
        let blocked = told.recv_timeout(WATCHDOG).unwrap();
        assert_eq!(blocked.task_id(), Some(id));
        assert_eq!(blocked.name(), Some("spinner"));
        assert!(blocked.location().unwrap().file().ends_with("watchdog.rs"));
        assert_eq!(blocked.thread_id(), Some(thread));
        assert!((THRESHOLD..begin.elapsed()).contains(&blocked.held_for()));
        let text = blocked.to_string();
        assert!(text.contains("\"spinner\", spawned at "), "{text}");
        drop(runtime);
        assert!(told.recv().is_err(), "it is told once");
    }
}

/// A thread of an ordinary priority is kept waiting by others now and then, and that is no false alarm: the worker is
/// held. So the alarm is set to what no machine does.
const NEVER_HELD: Duration = Duration::from_millis(200);

/// A task that is always ready, so that the monitor looks, for as long as `flag` is not set.
fn keep_awake(runtime: &Runtime, flag: &Flag) -> JoinHandle<()> {
    let flag = Arc::clone(flag);
    runtime.spawn(async move {
        while !flag.load(Ordering::SeqCst) {
            yield_now().await;
        }
    })
}

fn texts(told: &Receiver<BlockedWorker>) -> Vec<String> {
    told.try_iter().map(|told| told.to_string()).collect()
}

/// First a storm on both workers, always with the same task on each; then on one, and the other sleeps.
///
/// Mutants: polls that follow one another are taken for one; what a worker polled last counts while it sleeps
/// (`WorkerMetrics::end_poll` is empty).
#[test]
fn tasks_that_await_and_storms_of_short_polls_raise_no_alarm() {
    let (runtime, told, _) = watched(Builder::new_multi_thread(), NEVER_HELD);
    let _sleeper = runtime.spawn(std::future::pending::<()>());
    let flags = [Flag::default(), Flag::default()];
    let storm = flags.each_ref().map(|flag| keep_awake(&runtime, flag));
    for (flag, task) in flags.into_iter().zip(storm) {
        thread::sleep(2 * NEVER_HELD);
        flag.store(true, Ordering::SeqCst);
        runtime.block_on(task).unwrap();
    }
    drop(runtime);
    assert_eq!(texts(&told), [""; 0]);
}

/// Mutant: the root's polls are not published.
#[test]
fn a_root_that_blocks_is_told_of_and_has_no_id() {
    let (runtime, told, flag) = watched(Builder::new_current_thread(), THRESHOLD);
    runtime.block_on(async { spin_until(&flag) });
    let blocked = told.recv_timeout(WATCHDOG).unwrap();
    assert_eq!(blocked.task_id(), None);
    assert_eq!(blocked.thread_id(), Some(thread::current().id()));
    assert!(blocked.to_string().contains("the root future"), "{blocked}");
}

/// Mutant: the monitor calls the callback itself.
#[test]
fn a_callback_that_never_returns_holds_up_nothing() {
    let flag = Flag::default();
    let set = Arc::clone(&flag);
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .on_blocked_worker(THRESHOLD, move |_| {
            assert!(!set.swap(true, Ordering::SeqCst), "the first call goes on");
            loop {
                thread::park();
            }
        })
        .build()
        .unwrap();
    let spinner = runtime.spawn(async move { spin_until(&flag) });
    runtime.block_on(spinner).unwrap();
    // The next task of a stuck worker is the monitor's to rescue.
    let rescued = runtime.spawn(async {
        let (done, is_done) = mpsc::channel();
        spawn(async move { done.send(()).unwrap() });
        is_done.recv_timeout(WATCHDOG).unwrap();
    });
    runtime.block_on(rescued).unwrap();
}

/// Mutant: the callback's panic ends the thread.
#[test]
fn a_callback_that_panics_is_called_again() {
    let flag = Flag::default();
    let set = Arc::clone(&flag);
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .on_blocked_worker(THRESHOLD, move |_| {
            set.store(true, Ordering::SeqCst);
            std::panic::resume_unwind(Box::new("on purpose"));
        })
        .build()
        .unwrap();
    for _ in 0..2 {
        let told = Arc::clone(&flag);
        let spinner = runtime.spawn(async move { spin_until(&told) });
        runtime.block_on(spinner).unwrap();
        flag.store(false, Ordering::SeqCst);
    }
}

/// Who gives the core up says that its poll is over, and so does whoever parks with it, or looks at the ring. The first
/// is for what lies in between, which is too short for this test: it does not see whether `give_up` says so.
///
/// Mutant: nobody says so (`WorkerMetrics::end_poll` is empty).
#[test]
fn a_task_inside_block_in_place_holds_no_worker() {
    let (runtime, told, _) = watched(Builder::new_multi_thread(), NEVER_HELD);
    let flag = Flag::default();
    let busy = keep_awake(&runtime, &flag);
    let (done, is_done) = mpsc::channel();
    let task = runtime.spawn(async move {
        block_in_place(|| is_done.recv_timeout(WATCHDOG).unwrap());
    });
    thread::sleep(2 * NEVER_HELD);
    done.send(()).unwrap();
    flag.store(true, Ordering::SeqCst);
    runtime.block_on(task).unwrap();
    runtime.block_on(busy).unwrap();
    drop(runtime);
    assert_eq!(texts(&told), [""; 0]);
}
