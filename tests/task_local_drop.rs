//! The end of local sets, and handles of local tasks on other threads: what is dropped where.

mod support;

use std::cell::{Cell, RefCell};
use std::future::{Future, pending};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::thread::{self, ThreadId};

use ringway::sync::oneshot;
use ringway::task::{AbortHandle, JoinHandle, LocalEnterGuard, LocalSet, spawn_local, yield_now};

use support::{
    CountDrop, WATCHDOG, count, current_thread, panic_text, wait_until, within, workers,
};

/// Counts its drops on the thread that made it; aborts on any other. Not `Send`, as `Rc` is not.
struct Homebody {
    home: ThreadId,
    drops: Rc<Cell<usize>>,
}

impl Homebody {
    fn new(drops: &Rc<Cell<usize>>) -> Self {
        Self {
            home: thread::current().id(),
            drops: Rc::clone(drops),
        }
    }
}

impl Drop for Homebody {
    fn drop(&mut self) {
        if thread::current().id() != self.home {
            // A panic would be contained.
            std::process::abort();
        }
        self.drops.set(self.drops.get() + 1);
    }
}

#[test]
fn dropping_a_set_drops_its_futures_there_and_resolves_their_handles() {
    within(WATCHDOG, || {
        let drops = Rc::new(Cell::new(0));
        let set = LocalSet::new();
        let polled = Homebody::new(&drops);
        let polled = set.spawn_local(async move {
            let _polled = polled;
            pending::<()>().await;
        });
        set.block_on(&current_thread(), yield_now());
        let unpolled = Homebody::new(&drops);
        let unpolled = set.spawn_local(async move { drop(unpolled) });
        assert_eq!(drops.get(), 0);
        drop(set);
        assert_eq!(drops.get(), 2);
        current_thread().block_on(async {
            assert!(polled.await.expect_err("cancelled").is_cancelled());
            assert!(unpolled.await.expect_err("cancelled").is_cancelled());
        });
    });
}

/// Mutant: `LocalSet::drop` does not enter the set.
#[test]
fn what_a_drop_spawns_during_the_end_of_a_set_is_the_sets_and_cancelled() {
    struct SpawnOnDrop(Rc<RefCell<Option<JoinHandle<()>>>>);

    impl Drop for SpawnOnDrop {
        fn drop(&mut self) {
            *self.0.borrow_mut() = Some(spawn_local(async { unreachable!("the set ends") }));
        }
    }

    within(WATCHDOG, || {
        let spawned = Rc::new(RefCell::new(None));
        let set = LocalSet::new();
        let on_drop = SpawnOnDrop(Rc::clone(&spawned));
        set.spawn_local(async move {
            let _on_drop = on_drop;
            pending::<()>().await;
        });
        set.block_on(&current_thread(), yield_now());
        drop(set);
        let spawned = spawned.take().expect("the drop has spawned");
        let ended = current_thread().block_on(spawned);
        assert!(ended.expect_err("cancelled").is_cancelled());
    });
}

#[test]
fn what_an_entered_set_is_given_after_its_drop_is_cancelled() {
    within(WATCHDOG, || {
        let set = LocalSet::new();
        let guard: LocalEnterGuard = set.enter();
        drop(set);
        let handle = spawn_local(async {});
        drop(guard);
        let ended = current_thread().block_on(handle);
        assert!(ended.expect_err("cancelled").is_cancelled());
    });
}

/// Mutants: the mailbox takes tasks after it was closed; the owned set is not closed.
#[test]
fn wakes_and_aborts_from_other_threads_during_the_end_of_a_set_leave_nothing_behind() {
    let rounds = count("RINGWAY_LOCAL_ENDS", 300);
    within(WATCHDOG, move || {
        let drops = Rc::new(Cell::new(0));
        let memory = Arc::new(AtomicUsize::new(0));
        for _ in 0..rounds {
            end_of_a_set(&drops, &memory);
        }
        assert_eq!(drops.get(), 8 * rounds);
        assert_eq!(memory.load(Ordering::SeqCst), 8 * rounds);
    });
}

fn end_of_a_set(drops: &Rc<Cell<usize>>, memory: &Arc<AtomicUsize>) {
    let set = LocalSet::new();
    let mut told = Vec::new();
    for _ in 0..8 {
        let (tell, is_told) = oneshot::channel::<()>();
        let homebody = Homebody::new(drops);
        let counted = CountDrop(Arc::clone(memory));
        let handle = set.spawn_local(async move {
            let _kept = (homebody, counted);
            let _ = is_told.await;
        });
        told.push((tell, handle));
    }
    set.block_on(&current_thread(), yield_now());
    let go = Arc::new(AtomicBool::new(false));
    let may_go = Arc::clone(&go);
    let other = thread::spawn(move || {
        while !may_go.load(Ordering::SeqCst) {
            std::hint::spin_loop();
        }
        for (number, (tell, handle)) in told.into_iter().enumerate() {
            if number % 2 == 0 {
                // The task may have been dropped.
                let _ = tell.send(());
            } else {
                handle.abort();
            }
        }
    });
    go.store(true, Ordering::SeqCst);
    drop(set);
    other.join().expect("the other thread");
}

/// Mutant: `AbortHandle::abort` drops the future itself.
#[test]
fn an_abort_from_another_thread_drops_the_future_on_its_own() {
    within(WATCHDOG, || {
        let drops = Rc::new(Cell::new(0));
        LocalSet::new().block_on(&workers(1), async {
            let homebody = Homebody::new(&drops);
            let task = spawn_local(async move {
                let _kept = homebody;
                pending::<()>().await;
            });
            yield_now().await;
            let aborts: AbortHandle = task.abort_handle();
            let other = thread::spawn(move || {
                aborts.abort();
                wait_until("the task is gone", || aborts.is_finished());
            });
            assert!(task.await.expect_err("aborted").is_cancelled());
            assert_eq!(drops.get(), 1);
            other.join().expect("the other thread");
        });
    });
}

#[test]
fn a_handle_whose_output_is_send_is_awaited_and_dropped_anywhere() {
    within(WATCHDOG, || {
        let runtime = workers(1);
        let dropped = Arc::new(AtomicUsize::new(0));
        let set = LocalSet::new();
        let kept = Rc::new(5);
        set.block_on(&runtime, async {
            let awaited = spawn_local(async move { *kept });
            let elsewhere = ringway::spawn(awaited);
            assert_eq!(
                elsewhere.await.expect("the task").expect("the local task"),
                5
            );
            let output = CountDrop(Arc::clone(&dropped));
            let finished = spawn_local(async move { output });
            while !finished.is_finished() {
                yield_now().await;
            }
            assert_eq!(dropped.load(Ordering::SeqCst), 0);
            let drops = ringway::spawn(async move { drop(finished) });
            drops.await.expect("the task");
            assert_eq!(dropped.load(Ordering::SeqCst), 1);
        });
    });
}

#[test]
fn an_output_that_nobody_wants_is_dropped_on_its_thread() {
    within(WATCHDOG, || {
        let drops = Rc::new(Cell::new(0));
        LocalSet::new().block_on(&workers(1), async {
            // Dropped by the task, which has no handle any more when it completes.
            let output = Homebody::new(&drops);
            drop(spawn_local(async move { output }));
            yield_now().await;
            assert_eq!(drops.get(), 1);
            // Dropped by the handle; wakers on another thread are the last to go.
            let output = Homebody::new(&drops);
            let (tell, told) = oneshot::channel();
            let task = spawn_local(async move {
                told.await.expect("it is told");
                output
            });
            let aborts = task.abort_handle();
            tell.send(()).expect("the task waits");
            while !task.is_finished() {
                yield_now().await;
            }
            let other = thread::spawn(move || wait_until("it is done", || aborts.is_finished()));
            drop(task);
            assert_eq!(drops.get(), 2);
            other.join().expect("the other thread");
        });
    });
}

/// What is called in the test is a function of whichever trait the type has: were it `Send`, of both, which does not
/// compile.
trait NotSendIf<A> {
    fn check() {}
}

struct IsSend;

impl<T: ?Sized> NotSendIf<()> for T {}
impl<T: ?Sized + Send> NotSendIf<IsSend> for T {}

#[test]
fn what_belongs_to_a_thread_is_not_send() {
    <LocalSet as NotSendIf<_>>::check();
    <LocalEnterGuard as NotSendIf<_>>::check();
    <ringway::runtime::LocalRuntime as NotSendIf<_>>::check();
    <ringway::runtime::LocalOptions as NotSendIf<_>>::check();
    <JoinHandle<Rc<()>> as NotSendIf<_>>::check();
}

/// Mutants: the polls, or the drop, of a set do not say that the thread has local tasks.
#[test]
fn block_in_place_is_refused_where_the_thread_has_local_tasks_also_in_their_drops() {
    struct Blocks(Rc<Cell<u32>>);

    impl Blocks {
        fn block(&self) {
            let text = panic_text(|| ringway::task::block_in_place(|| {}));
            assert_eq!(
                text,
                "can call blocking only when running on the multi-threaded runtime"
            );
            self.0.set(self.0.get() + 1);
        }
    }

    impl Drop for Blocks {
        fn drop(&mut self) {
            self.block();
        }
    }

    within(WATCHDOG, || {
        let refused = Rc::new(Cell::new(0));
        let runtime = workers(1);
        let set = LocalSet::new();
        let blocks = Blocks(Rc::clone(&refused));
        runtime.block_on(async {
            set.spawn_local(async move {
                blocks.block();
                pending::<()>().await;
            });
            set.run_until(async {
                Blocks(Rc::clone(&refused)).block();
                yield_now().await;
            })
            .await;
            // The task's, the root's, and the drop of what the root made.
            assert_eq!(refused.get(), 3);
            drop(set);
            assert_eq!(refused.get(), 4);
            // Outside of a set it may.
            ringway::task::block_in_place(|| {});
        });
    });
}

/// Numbers of sets are used again at once, so a wake that comes too late finds another set under its set's number.
///
/// Mutant: a set gives its number back and leaves its tasks uncancelled.
#[test]
fn sets_that_come_and_go_on_many_threads_get_no_task_of_another() {
    const THREADS: usize = 4;
    let rounds = count("RINGWAY_LOCAL_SETS", 500);
    within(WATCHDOG, move || {
        let (send, wakes) = std::sync::mpsc::channel::<(oneshot::Sender<()>, AbortHandle)>();
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let send = send.clone();
                thread::spawn(move || {
                    let drops = Rc::new(Cell::new(0));
                    for round in 0..rounds {
                        let set = LocalSet::new();
                        let (tell, told) = oneshot::channel();
                        let homebody = Homebody::new(&drops);
                        let task = set.spawn_local(async move {
                            let _kept = homebody;
                            let _ = told.await;
                        });
                        let waits = set.run_until(yield_now());
                        let mut waits = pin!(waits);
                        let mut cx = Context::from_waker(Waker::noop());
                        assert!(waits.as_mut().poll(&mut cx).is_pending());
                        send.send((tell, task.abort_handle()))
                            .expect("the waker waits");
                        if round % 2 == 0 {
                            thread::yield_now();
                            let _ = waits.as_mut().poll(&mut cx);
                        }
                    }
                    drops.get()
                })
            })
            .collect();
        drop(send);
        for (number, (tell, aborts)) in wakes.into_iter().enumerate() {
            if number % 3 == 0 {
                aborts.abort();
            }
            // Gone, if its set is.
            let _ = tell.send(());
        }
        for thread in threads {
            assert_eq!(thread.join().expect("a thread"), rounds);
        }
    });
}
