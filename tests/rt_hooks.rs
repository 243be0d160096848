//! The hooks into tasks and threads: called when they should be, with the right task, and harmless when they panic.

mod support;

use std::collections::HashMap;
use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ringway::runtime::{Builder, Runtime, TaskMeta};
use ringway::sync::Notify;
use ringway::task::{self, Id, yield_now};
use ringway::time::sleep;

use support::{WATCHDOG, panic_text, wait_until, within};

/// Long enough for a thread to go to sleep.
const MOMENT: Duration = Duration::from_millis(1);

/// What happened to a task, in order.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Spawned,
    Before,
    After,
    Terminated,
}

/// What the hooks have heard, by task.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<HashMap<Id, Vec<Event>>>>);

impl Log {
    fn hook(&self, event: Event) -> impl Fn(&TaskMeta<'_>) + Send + Sync + 'static {
        let log = self.clone();
        move |task| {
            assert_eq!(task.spawned_at().file(), file!(), "{event:?}");
            log.0
                .lock()
                .unwrap()
                .entry(task.id())
                .or_default()
                .push(event);
        }
    }

    /// Hears of everything in the runtimes that `builder` makes.
    fn listen(&self, builder: &mut Builder) {
        builder
            .on_task_spawn(self.hook(Event::Spawned))
            .on_before_task_poll(self.hook(Event::Before))
            .on_after_task_poll(self.hook(Event::After))
            .on_task_terminate(self.hook(Event::Terminated));
    }

    fn of(&self, task: Id) -> Vec<Event> {
        self.0
            .lock()
            .unwrap()
            .get(&task)
            .cloned()
            .unwrap_or_default()
    }
}

fn builders() -> [Builder; 2] {
    let mut multi_thread = Builder::new_multi_thread();
    multi_thread.worker_threads(2);
    [multi_thread, Builder::new_current_thread()].map(|mut builder| {
        builder.enable_all();
        builder
    })
}

/// Mutants: any one of the hooks is not called; `run` does not ask whether polls are watched.
#[test]
fn a_task_is_announced_from_its_spawn_through_each_poll_to_its_end() {
    use Event::{After, Before, Spawned, Terminated};
    for mut builder in builders() {
        let log = Log::default();
        log.listen(&mut builder);
        let runtime = builder.build().unwrap();
        let task = runtime.spawn(async {
            yield_now().await;
            yield_now().await;
        });
        let id = task.id();
        assert_eq!(log.of(id)[0], Spawned);
        runtime.block_on(task).unwrap();
        assert!(
            log.of(id).contains(&Terminated),
            "the joiner heard of the end before the hook"
        );
        // Joins the workers, and with them the last call.
        drop(runtime);
        let polled = [Before, After];
        let expected = [
            &[Spawned][..],
            &polled,
            &polled,
            &[Before, Terminated, After],
        ]
        .concat();
        assert_eq!(log.of(id), expected);
    }
}

/// Mutant: `terminated` is called only for tasks that return.
#[test]
fn panics_aborts_and_the_runtimes_end_terminate_tasks_too() {
    for mut builder in builders() {
        let log = Log::default();
        log.listen(&mut builder);
        let runtime = builder.build().unwrap();
        let panics = runtime.spawn(async { panic!("expected by the test") });
        let aborted = runtime.spawn(pending::<()>());
        let cancelled = runtime.spawn(pending::<()>());
        let ids = [panics.id(), aborted.id(), cancelled.id()];
        aborted.abort();
        runtime.block_on(async {
            assert!(panics.await.unwrap_err().is_panic());
            assert!(aborted.await.unwrap_err().is_cancelled());
        });
        let handle = runtime.handle().clone();
        drop(runtime);
        let late = handle.spawn(async {});
        for id in ids.into_iter().chain([late.id()]) {
            let ends = log.of(id);
            let count = ends
                .iter()
                .filter(|event| **event == Event::Terminated)
                .count();
            assert_eq!(count, 1, "{ends:?}");
            assert_eq!(ends[0], Event::Spawned);
        }
    }
}

/// A root is no task, and a blocking job is none either.
#[test]
fn roots_and_blocking_jobs_are_not_announced() {
    for mut builder in builders() {
        let log = Log::default();
        log.listen(&mut builder);
        let runtime = builder.build().unwrap();
        runtime.block_on(async {
            yield_now().await;
            task::spawn_blocking(|| ()).await.unwrap();
        });
        drop(runtime);
        assert!(log.0.lock().unwrap().is_empty());
    }
}

/// Mutant: `call` does not contain the panic.
#[test]
fn a_hook_that_panics_harms_neither_the_task_nor_the_worker() {
    within(WATCHDOG, || {
        for mut builder in builders() {
            let runtime = builder
                .on_before_task_poll(|_| panic!("expected by the test: before"))
                .on_after_task_poll(|_| panic!("expected by the test: after"))
                .on_task_terminate(|_| panic!("expected by the test: terminate"))
                .build()
                .unwrap();
            for _ in 0..4 {
                let task = runtime.spawn(async {
                    yield_now().await;
                    1
                });
                assert_eq!(runtime.block_on(task).unwrap(), 1);
            }
        }
    });
}

#[test]
fn a_panic_of_the_spawn_hook_is_the_spawners_and_the_task_is_not_spawned() {
    within(WATCHDOG, || {
        for mut builder in builders() {
            let runtime = builder
                .on_task_spawn(|_| panic!("expected by the test"))
                .build()
                .unwrap();
            let dropped = Arc::new(());
            let held = Arc::clone(&dropped);
            let text = panic_text(|| {
                runtime.spawn(async move {
                    let _held = held;
                    unreachable!("the task was not spawned");
                });
            });
            assert_eq!(text, "expected by the test");
            assert_eq!(Arc::strong_count(&dropped), 1, "the future was leaked");
            assert_eq!(runtime.metrics().num_alive_tasks(), 0);
        }
    });
}

/// What a hook does is done in the runtime; a task that it spawns is announced as well, and not without end.
#[test]
fn a_hook_may_spawn() {
    within(WATCHDOG, || {
        for mut builder in builders() {
            let (spawned, ran) = (
                Arc::new(AtomicBool::new(false)),
                Arc::new(AtomicUsize::new(0)),
            );
            let runs = Arc::clone(&ran);
            let runtime = builder
                .on_task_terminate(move |_| {
                    if !spawned.swap(true, Ordering::SeqCst) {
                        let runs = Arc::clone(&runs);
                        ringway::spawn(async move { _ = runs.fetch_add(1, Ordering::SeqCst) });
                    }
                })
                .build()
                .unwrap();
            runtime.block_on(runtime.spawn(async {})).unwrap();
            runtime.block_on(async {
                while ran.load(Ordering::SeqCst) == 0 {
                    yield_now().await;
                }
            });
        }
    });
}

fn parking(park: impl Fn() + Send + Sync + 'static) -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .on_thread_park(park)
        .build()
        .unwrap()
}

/// Mutant: the hook is called after the worker has decided to sleep for good.
#[test]
fn what_the_park_hook_wakes_or_spawns_runs_before_the_worker_sleeps() {
    within(WATCHDOG, || {
        let notify = Arc::new(Notify::new());
        let waker = Arc::clone(&notify);
        parking(move || waker.notify_one()).block_on(notify.notified());

        let notify = Arc::new(Notify::new());
        let waker = Arc::clone(&notify);
        let runtime = parking(move || {
            let waker = Arc::clone(&waker);
            ringway::spawn(async move { waker.notify_one() });
        });
        runtime.block_on(notify.notified());
    });
}

/// The same in workers that have their own threads, which sleep in another way.
#[test]
fn what_the_park_hook_of_a_worker_spawns_runs() {
    within(WATCHDOG, || {
        let ran = Arc::new(AtomicUsize::new(0));
        let runs = Arc::clone(&ran);
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .on_thread_park(move || {
                if runs.load(Ordering::SeqCst) == 0 {
                    let runs = Arc::clone(&runs);
                    ringway::spawn(async move { _ = runs.fetch_add(1, Ordering::SeqCst) });
                }
            })
            .build()
            .unwrap();
        runtime.block_on(runtime.spawn(async {})).unwrap();
        wait_until("the task of the hook has run", || {
            ran.load(Ordering::SeqCst) > 0
        });
    });
}

/// A root that the hook wakes each time the thread would sleep keeps neither timers nor operations from being served.
///
/// Mutant: a worker that is woken by its own hook does not look at its shard.
#[test]
fn a_park_hook_that_always_wakes_the_root_stalls_no_timer() {
    within(WATCHDOG, || {
        let notify = Arc::new(Notify::new());
        let waker = Arc::clone(&notify);
        let runtime = parking(move || waker.notify_waiters());
        let slept = runtime.spawn(async { sleep(MOMENT).await });
        while !slept.is_finished() {
            runtime.block_on(notify.notified());
        }
    });
}

/// Mutant: `call_hook` takes one hook for the other.
#[test]
fn each_park_is_followed_by_an_unpark() {
    within(WATCHDOG, || {
        for mut builder in builders() {
            let state = Arc::new(Mutex::new(HashMap::new()));
            let (parks, unparks) = (Arc::clone(&state), Arc::clone(&state));
            let count = Arc::new(AtomicUsize::new(0));
            let parked = Arc::clone(&count);
            let runtime = builder
                .on_thread_park(move || {
                    let former = parks
                        .lock()
                        .unwrap()
                        .insert(std::thread::current().id(), true);
                    assert_ne!(former, Some(true), "parked twice");
                    parked.fetch_add(1, Ordering::SeqCst);
                })
                .on_thread_unpark(move || {
                    let former = unparks
                        .lock()
                        .unwrap()
                        .insert(std::thread::current().id(), false);
                    assert_eq!(former, Some(true), "unparked without a park");
                })
                .build()
                .unwrap();
            for _ in 0..20 {
                runtime
                    .block_on(runtime.spawn(async { sleep(MOMENT).await }))
                    .unwrap();
            }
            drop(runtime);
            assert!(count.load(Ordering::SeqCst) >= 20);
            // Whoever was parked at the end was woken to leave.
            assert!(state.lock().unwrap().values().all(|parked| !parked));
        }
    });
}
