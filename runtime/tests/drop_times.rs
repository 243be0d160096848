//! The drop of a future does not wait, whatever its operation does, and may happen anywhere: on other threads, outside of
//! the runtime, in the destructors of thread-locals, after the runtime's end.

mod support;

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::path::Path;
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use ringway_runtime::Runtime;
use ringway_runtime::driver::Op;
use ringway_timer::{Sleep, sleep};
use support::kinds::{Kind, Scene, Waiting};
use support::{WATCHDOG, count, current_thread, wait_until, within, workers};

/// What a drop takes at most, on a thread that keeps its processor: a lock, a copy, and a wake of the worker.
const DROP_MAX: Duration = Duration::from_micros(50);
/// Under a sanitizer it takes this much longer.
const SLOW_BUILD: u32 = 4;
/// A thread loses its processor in one drop of so many at most, on a machine that others use too.
const DISTURBED_PERMILLE: usize = 50;

/// Operations that the kernel has, and timers in the wheel.
fn in_flight(runtime: &Runtime, scene: &Scene, operations: usize) -> Vec<Op<Waiting>> {
    runtime.block_on(async {
        let mut all = Vec::with_capacity(operations);
        for _ in 0..operations {
            let mut operation = Op::new(scene.operation());
            let polled = poll_fn(|cx| Poll::Ready(Pin::new(&mut operation).poll(cx).map(drop)));
            let _ = polled.await;
            all.push(operation);
        }
        sleep(Duration::from_millis(2)).await;
        all
    })
}

/// Asserts that all but a few drops are short; those few are the machine's.
#[track_caller]
fn assert_short(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let most = times[times.len() - 1 - times.len() * DISTURBED_PERMILLE / 1000];
    let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
    println!("{what}: median {median:?}, all but the disturbed {most:?}, longest {longest:?}");
    let slow = support::is_sanitized();
    let bound = DROP_MAX * if slow { SLOW_BUILD } else { 1 };
    assert!(most < bound, "{what}: {most:?}");
}

/// `RINGWAY_TEST_DROPS` asks for more than 200 of each kind.
///
/// Mutant: the drop waits for the operation's end.
#[test]
fn the_drop_of_any_operation_or_timer_takes_50_us_at_most() {
    let drops = count("RINGWAY_TEST_DROPS", 200);
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    within(WATCHDOG, move || {
        for make in [current_thread, || workers(2)] {
            let runtime = make();
            for kind in Kind::ALL {
                let scene = Scene::new(kind, directory);
                let operations = in_flight(&runtime, &scene, drops);
                // Inside of the runtime, as most futures are dropped.
                let times = runtime.block_on(async {
                    let drop_one = |operation| {
                        let begin = Instant::now();
                        drop(operation);
                        begin.elapsed()
                    };
                    operations.into_iter().map(drop_one).collect()
                });
                assert_short(&format!("{kind:?}"), times);
            }
            let timers = runtime.block_on(async { armed_timers(drops) });
            let times = timers.into_iter().map(|timer| {
                let begin = Instant::now();
                drop(timer);
                begin.elapsed()
            });
            assert_short("timers", times.collect());
        }
        support::probe::exhume(Duration::from_millis(300));
    });
}

fn armed_timers(timers: usize) -> Vec<Pin<Box<Sleep>>> {
    let arm = |_| {
        let mut timer = Box::pin(sleep(Duration::from_secs(3600)));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(timer.as_mut().poll(&mut cx).is_pending());
        timer
    };
    (0..timers).map(arm).collect()
}

/// What a thread leaves to its own end.
#[derive(Default)]
struct Left {
    operations: Vec<Op<Waiting>>,
    timers: Vec<Pin<Box<Sleep>>>,
    told: Option<mpsc::Sender<()>>,
}

impl Drop for Left {
    fn drop(&mut self) {
        self.operations.clear();
        self.timers.clear();
        if let Some(told) = &self.told {
            told.send(()).expect("the test waits");
        }
    }
}

thread_local! {
    static LEFT: RefCell<Left> = RefCell::default();
}

/// Mutants: a drop takes the thread's own place for granted (the process aborts: a panic in a thread-local's destructor);
/// it reaches for a shard that is gone.
#[test]
fn futures_may_be_dropped_anywhere_and_at_any_time() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    within(WATCHDOG, move || {
        for make in [current_thread, || workers(2)] {
            for kind in Kind::ALL {
                for after_the_end in [false, true] {
                    drop_anywhere(make(), &Scene::new(kind, directory), after_the_end);
                }
            }
        }
        support::probe::exhume(Duration::from_millis(300));
    });
}

fn drop_anywhere(runtime: Runtime, scene: &Scene, after_the_end: bool) {
    const EACH: usize = 4;
    let mut all = in_flight(&runtime, scene, 4 * EACH);
    let mut timers = runtime.block_on(async { armed_timers(4 * EACH) });
    let mut some = || {
        (
            all.split_off(all.len() - EACH),
            timers.split_off(timers.len() - EACH),
        )
    };
    let (here, there, inside, left) = (some(), some(), some(), some());
    if !after_the_end {
        runtime.block_on(async { drop(inside) });
        finish_outside(here, there, left);
        // Each is cancelled, and leaves its slot.
        runtime.block_on(async { sleep(Duration::from_millis(1)).await });
        wait_until("the kernel has let go", || {
            runtime.block_on(ringway_runtime::task::yield_now());
            scene.alive() == 0
        });
        drop(runtime);
    } else {
        drop(runtime);
        drop(inside);
        finish_outside(here, there, left);
    }
}

type Futures = (Vec<Op<Waiting>>, Vec<Pin<Box<Sleep>>>);

/// Drops futures on this thread, on another one, and in the destructor of a thread-local.
fn finish_outside(here: Futures, there: Futures, left: Futures) {
    drop(here);
    std::thread::spawn(move || drop(there))
        .join()
        .expect("a thread outside of the runtime");
    let (told, heard) = mpsc::channel();
    std::thread::spawn(move || {
        LEFT.with(|mine| {
            *mine.borrow_mut() = Left {
                operations: left.0,
                timers: left.1,
                told: Some(told),
            };
        });
    })
    .join()
    .expect("a thread whose locals have destructors");
    heard.recv().expect("the destructor has run to its end");
}

thread_local! {
    static RUNTIME: RefCell<Option<Runtime>> = const { RefCell::new(None) };
}

/// Its end comes in the thread's, when other thread-locals are gone already; one in a static never ends.
#[test]
fn a_runtime_may_live_in_a_thread_local_and_in_a_static() {
    static FOR_EVER: std::sync::OnceLock<Runtime> = std::sync::OnceLock::new();
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    within(WATCHDOG, move || {
        let forever = FOR_EVER.get_or_init(|| workers(1));
        for make in [current_thread, || workers(2)] {
            let scene = Scene::new(Kind::ReadPipe, directory);
            let operation = scene.operation();
            let thread = std::thread::spawn(move || {
                let runtime = make();
                runtime.spawn(async move { drop(Op::new(operation).await) });
                let timer = runtime.spawn(async { sleep(Duration::from_secs(3600)).await });
                runtime.block_on(async { sleep(Duration::from_millis(2)).await });
                RUNTIME.with(|mine| *mine.borrow_mut() = Some(runtime));
                timer
            });
            let timer = thread
                .join()
                .expect("a thread whose locals have destructors");
            assert!(timer.is_finished(), "the runtime has ended with its thread");
            let cancelled = forever
                .block_on(timer)
                .expect_err("nobody has slept for an hour");
            assert!(cancelled.is_cancelled());
            assert_eq!(scene.alive(), 0, "the operation is gone");
        }
        support::probe::exhume(Duration::from_millis(5));
    });
}
