//! Local sets: where their tasks run, who wakes them, and what others get beside them.

mod support;

use std::cell::Cell;
use std::future::{Future, pending, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use ringway::runtime::{LocalRuntime, UnhandledPanic};
use ringway::sync::{mpsc, oneshot};
use ringway::task::{self, LocalSet, spawn_local, yield_now};
use ringway::time::sleep;

use support::{WATCHDOG, count, current_thread, panic_text, within, workers};

/// Runs `body` with a set in the root of a multi-thread, a current-thread and a local runtime, and in another set.
#[track_caller]
fn in_every_root<F: Future<Output = ()> + 'static>(
    body: impl Fn(Rc<LocalSet>) -> F + Send + 'static,
) {
    let run = move |runtime: &dyn Fn(std::pin::Pin<&mut dyn Future<Output = ()>>)| {
        let set = Rc::new(LocalSet::new());
        runtime(pin!(set.run_until(body(Rc::clone(&set)))));
    };
    within(WATCHDOG, move || {
        run(&|root| workers(2).block_on(root));
        run(&|root| current_thread().block_on(root));
        run(&|root| LocalRuntime::new().expect("a runtime").block_on(root));
        run(&|root| current_thread().block_on(LocalSet::new().run_until(root)));
    });
}

#[test]
fn local_tasks_run_on_their_thread_whoever_wakes_them() {
    in_every_root(|set| async move {
        let here = thread::current().id();
        let polls = Rc::new(Cell::new(0));
        let mut tasks = Vec::new();
        for round in 0..100 {
            let polls = Rc::clone(&polls);
            let task = async move {
                if round % 2 == 0 {
                    sleep(Duration::from_micros(200)).await;
                } else {
                    // Woken by a thread of the pool.
                    task::spawn_blocking(thread::yield_now)
                        .await
                        .expect("a job");
                }
                yield_now().await;
                polls.set(polls.get() + 1);
                thread::current().id()
            };
            // Both ways lead to tasks of this thread.
            let handle = if round < 50 {
                set.spawn_local(task)
            } else {
                spawn_local(task)
            };
            tasks.push(handle);
        }
        for task in tasks {
            assert_eq!(task.await.expect("a task"), here);
        }
        assert_eq!(polls.get(), 100);
    });
}

#[test]
fn a_set_is_ready_when_its_tasks_and_theirs_are_done() {
    within(WATCHDOG, || {
        current_thread().block_on(async {
            LocalSet::new().await;
            let set = LocalSet::new();
            let done = Rc::new(Cell::new(0));
            let counted = Rc::clone(&done);
            set.spawn_local(async move {
                for _ in 0..10 {
                    let counted = Rc::clone(&counted);
                    spawn_local(async move {
                        sleep(Duration::from_micros(300)).await;
                        counted.set(counted.get() + 1);
                    });
                }
            });
            set.await;
            assert_eq!(done.get(), 10);
        });
    });
}

#[test]
fn a_spawn_and_a_wake_outside_a_poll_wake_who_polls_the_set() {
    in_every_root(|_| async {
        let set = LocalSet::new();
        let (tell, told) = oneshot::channel();
        // The set is polled first and has nothing to do; then this future spawns, and later wakes, from outside of it.
        let from_outside = async {
            yield_now().await;
            let first = set.spawn_local(async { told.await.expect("it is told") });
            yield_now().await;
            yield_now().await;
            tell.send(5).expect("the task waits");
            assert_eq!(first.await.expect("the task"), 5);
        };
        ringway::select! {
            biased;
            () = set.run_until(pending()) => unreachable!("it never ends"),
            () = from_outside => {}
        }
    });
}

/// Mutants: mark the mailbox after the pollers are woken; clear its mark without the lock; register after the tasks
/// have run.
#[test]
fn no_wake_from_another_thread_is_lost() {
    let messages = count("RINGWAY_LOCAL_WAKES", 20_000);
    within(WATCHDOG, move || {
        let (tell, mut told) = mpsc::channel::<usize>(1);
        let (answer, mut answered) = mpsc::channel::<usize>(1);
        let other = thread::spawn(move || {
            current_thread().block_on(async {
                for number in 0..messages {
                    tell.send(number).await.expect("the set's task waits");
                    assert_eq!(answered.recv().await, Some(number));
                }
            });
        });
        LocalSet::new().block_on(&workers(1), async {
            let echo = spawn_local(async move {
                while let Some(number) = told.recv().await {
                    answer.send(number).await.expect("the other waits");
                }
            });
            echo.await.expect("the task");
        });
        other.join().expect("the other thread");
    });
}

/// Mutant: run tasks until none is ready.
#[test]
fn tasks_that_wake_themselves_leave_room_for_what_shares_their_thread() {
    in_every_root(|_| async {
        let set = LocalSet::new();
        let stop = Rc::new(Cell::new(false));
        let turns = Rc::new(Cell::new(0));
        let until = Rc::clone(&stop);
        set.spawn_local(async move {
            while !until.get() {
                yield_now().await;
            }
        });
        let beside = async {
            for _ in 0..100 {
                turns.set(turns.get() + 1);
                yield_now().await;
            }
            stop.set(true);
        };
        ringway::join!(set, beside);
        assert_eq!(turns.get(), 100);
    });
}

/// Mutant: look into the mailbox only when the queue is empty.
#[test]
fn tasks_that_wake_themselves_do_not_shut_out_those_that_other_threads_wake() {
    in_every_root(|set| async move {
        let (tell, told) = oneshot::channel();
        let woken = set.spawn_local(async move { told.await.expect("it is told") });
        let stop = Rc::new(Cell::new(false));
        let waits = Arc::new(AtomicBool::new(false));
        for _ in 0..200 {
            let until = Rc::clone(&stop);
            let waits = Arc::clone(&waits);
            set.spawn_local(async move {
                // The other task came first.
                waits.store(true, Ordering::SeqCst);
                while !until.get() {
                    yield_now().await;
                }
            });
        }
        let other = thread::spawn(move || {
            while !waits.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            tell.send(3).expect("the task waits");
        });
        assert_eq!(woken.await.expect("the task"), 3);
        stop.set(true);
        other.join().expect("the other thread");
    });
}

/// Mutant: do not fill the budget before a local task's poll.
#[test]
fn each_local_task_has_a_budget_of_its_own() {
    in_every_root(|set| async move {
        let (fill, mut filled) = mpsc::unbounded_channel();
        for number in 0..1_000 {
            fill.send(number).expect("the channel is open");
        }
        let stop = Rc::new(Cell::new(false));
        let turns = Rc::new(Cell::new(0));
        let (until, counted) = (Rc::clone(&stop), Rc::clone(&turns));
        set.spawn_local(async move {
            while !until.get() {
                counted.set(counted.get() + 1);
                yield_now().await;
            }
        });
        let reader = set.spawn_local(async move {
            for number in 0..1_000 {
                assert_eq!(filled.recv().await, Some(number));
            }
            turns.get()
        });
        let turns = reader.await.expect("the reader");
        stop.set(true);
        // 128 messages in each poll.
        assert!((7..=10).contains(&turns), "{turns} turns beside the reader");
    });
}

#[test]
fn a_task_spawns_onto_the_set_that_runs_it_and_wakes_those_of_outer_sets() {
    within(WATCHDOG, || {
        let outer = LocalSet::new();
        outer.block_on(&current_thread(), async {
            let (tell, told) = oneshot::channel();
            let waits = spawn_local(async move { told.await.expect("it is told") });
            let inner = LocalSet::new();
            let detached = Rc::new(Cell::new(false));
            let ran = Rc::clone(&detached);
            inner.spawn_local(async move {
                // The inner set waits for it: it is the inner set's.
                spawn_local(async move {
                    yield_now().await;
                    ran.set(true);
                });
                tell.send(1).expect("the outer task waits");
            });
            inner.await;
            assert!(detached.get());
            assert_eq!(waits.await.expect("the outer task"), 1);
        });
    });
}

/// A waker that says whether it was woken.
struct Told(AtomicBool);

impl Wake for Told {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Mutants: `Mailbox::register` replaces every poller; the drop of `Poller` wakes nobody.
#[test]
fn of_two_who_poll_a_set_each_is_woken_for_its_tasks_also_when_the_other_goes() {
    let set = LocalSet::new();
    let [first, second] = [(), ()].map(|()| Arc::new(Told(AtomicBool::new(false))));
    let was_told = |told: &Told| told.0.swap(false, Ordering::SeqCst);
    let wakers = [&first, &second].map(|told| Waker::from(Arc::clone(told)));
    let [mut first_cx, mut second_cx] = wakers.each_ref().map(Context::from_waker);

    let mut stays = Box::pin(set.run_until(pending::<()>()));
    let mut goes = Box::pin(set.run_until(pending::<()>()));
    assert!(stays.as_mut().poll(&mut first_cx).is_pending());
    assert!(goes.as_mut().poll(&mut second_cx).is_pending());
    drop(set.spawn_local(async {}));
    assert!(was_told(&first) && was_told(&second), "both are woken");

    assert!(stays.as_mut().poll(&mut first_cx).is_pending());
    assert!(goes.as_mut().poll(&mut second_cx).is_pending());
    drop(goes);
    assert!(!was_told(&first), "nothing is left to do");
    let mut goes_at_once = Box::pin(set.run_until(poll_fn(|_| {
        spawn_local(async {});
        Poll::Ready(())
    })));
    assert!(goes_at_once.as_mut().poll(&mut second_cx).is_ready());
    assert!(was_told(&first), "who is left runs the task");
}

/// It goes on in the next poll of the set, whoever polls.
///
/// Mutant: `has_work` does not ask who has yielded.
#[test]
fn a_local_task_that_has_yielded_goes_on_though_he_who_polled_it_goes() {
    within(WATCHDOG, || {
        current_thread().block_on(async {
            let set = LocalSet::new();
            let (tell, told) = oneshot::channel();
            let task = set.spawn_local(async move {
                told.await.expect("it is told");
                yield_now().await;
            });
            let woken = Arc::new(Told(AtomicBool::new(false)));
            let waker = Waker::from(Arc::clone(&woken));
            let mut stays = Box::pin(set.run_until(task));
            assert!(
                stays
                    .as_mut()
                    .poll(&mut Context::from_waker(&waker))
                    .is_pending()
            );
            let mut goes = Box::pin(set.run_until(async {
                tell.send(()).expect("the task lives");
                pending::<()>().await;
            }));
            assert!(
                goes.as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()))
                    .is_pending()
            );
            assert!(!woken.0.load(Ordering::SeqCst));
            drop(goes);
            assert!(woken.0.load(Ordering::SeqCst), "who is left is to poll");
            stays.await.expect("the task is done");
        });
    });
}

/// A set that was ended in the midst of a poll runs no tasks, and who yields beside it does not wait for it.
///
/// Mutant: a panic out of the poll leaves the mark behind that the set's tasks run.
#[test]
fn who_yields_beside_a_set_that_a_panic_has_ended_goes_on() {
    within(WATCHDOG, || {
        let runtime = current_thread();
        let mut set = LocalSet::new();
        set.unhandled_panic(UnhandledPanic::ShutdownRuntime);
        set.spawn_local(async { panic!("of a local task") });
        let ends = || runtime.block_on(set.run_until(pending::<()>()));
        std::panic::catch_unwind(AssertUnwindSafe(ends)).expect_err("it ends the set");
        let _entered = set.enter();
        let yielding = runtime.spawn(yield_now());
        runtime.block_on(yielding).expect("it goes on");
    });
}

#[test]
fn a_local_task_that_panics_leaves_the_set_as_it_is() {
    in_every_root(|set| async move {
        let panics = set.spawn_local(async { panic!("on purpose") });
        assert!(panics.await.expect_err("a panic").is_panic());
        assert_eq!(set.spawn_local(async { 4 }).await.expect("a task"), 4);
    });
}

#[test]
fn an_entered_set_is_current_until_its_guard_goes() {
    let [outer, inner] = [LocalSet::new(), LocalSet::new()];
    let ran = Rc::new(Cell::new(""));
    let spawn = |name: &'static str| {
        let ran = Rc::clone(&ran);
        spawn_local(async move { ran.set(name) });
    };
    {
        let _outer = outer.enter();
        {
            let _inner = inner.enter();
            spawn("inner");
        }
        spawn("outer");
    }
    let text = panic_text(|| spawn("none"));
    assert_eq!(
        text,
        "`spawn_local` called from outside of a `task::LocalSet` or `runtime::LocalRuntime`"
    );
    current_thread().block_on(inner);
    assert_eq!(ran.get(), "inner");
    current_thread().block_on(outer);
    assert_eq!(ran.get(), "outer");
}

#[test]
fn sets_on_many_threads_wake_each_other() {
    const THREADS: usize = 4;
    let rounds = count("RINGWAY_LOCAL_ROUNDS", 2_000);
    within(WATCHDOG, move || {
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..THREADS).map(|_| mpsc::channel::<usize>(1)).unzip();
        let seen = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = receivers
            .into_iter()
            .enumerate()
            .map(|(index, mut receiver)| {
                let next = senders[(index + 1) % THREADS].clone();
                let seen = Arc::clone(&seen);
                thread::spawn(move || {
                    LocalSet::new().block_on(&current_thread(), async move {
                        let token = spawn_local(async move {
                            while let Some(round) = receiver.recv().await {
                                seen.fetch_add(1, Ordering::SeqCst);
                                // Gone, if the token has made its rounds.
                                let _ = next.send(round + 1).await;
                                if round + THREADS >= rounds {
                                    return;
                                }
                            }
                        });
                        token.await.expect("the task");
                    });
                })
            })
            .collect();
        senders[0].blocking_send(0).expect("a set waits");
        for thread in threads {
            thread.join().expect("a thread");
        }
        assert_eq!(seen.load(Ordering::SeqCst), rounds);
    });
}

#[test]
fn a_set_ends_at_a_panic_if_it_is_told_to() {
    let text = panic_text(|| {
        let mut set = LocalSet::new();
        set.unhandled_panic(UnhandledPanic::ShutdownRuntime);
        let waits = set.spawn_local(pending::<()>());
        let panics = set.spawn_local(async { panic!("on purpose") });
        current_thread().block_on(async {
            let mut polled = pin!(set.run_until(pending::<()>()));
            let polls = std::panic::catch_unwind(AssertUnwindSafe(|| {
                let _pending = polled
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()));
            }));
            assert!(panics.await.expect_err("a panic").is_panic());
            assert!(waits.await.expect_err("cancelled").is_cancelled());
            std::panic::resume_unwind(polls.expect_err("the poll panics"));
        });
    });
    assert_eq!(
        text,
        "a spawned task panicked and the LocalSet is configured to shutdown on unhandled panic"
    );
}

#[test]
fn what_a_set_does_at_a_panic_is_told_before_it_starts() {
    let mut set = LocalSet::new();
    drop(set.spawn_local(async {}));
    let text = panic_text(|| {
        set.unhandled_panic(UnhandledPanic::Ignore);
    });
    assert_eq!(
        text,
        "Unhandled Panic behavior modified after starting LocalSet"
    );
}

#[test]
fn ids_of_sets_and_runtimes_are_different() {
    let (one, other) = (LocalSet::new(), LocalSet::new());
    let runtime = current_thread();
    let ids = [one.id(), other.id(), runtime.handle().id()];
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[2] != ids[0]);
    drop(one);
    assert!(!ids.contains(&LocalSet::new().id()));
}
