//! A panic in user code, wherever the runtime calls it, costs no worker.

mod support;

use std::future::Future;
use std::io;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use ringway_runtime::driver::{
    Completion, Op, Operation, Script, SharedFd, is_lost, opcode, squeue,
};
use ringway_runtime::{Builder, Runtime};

use support::ops::{Nop, PollIn, pipe};
use support::{WATCHDOG, wait_until, within, workers};

/// Panics when it is dropped, with a payload that does so too if `deep`.
struct Bomb {
    deep: bool,
}

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.deep {
            panic_any(Bomb { deep: false });
        }
        panic!("on purpose: a drop");
    }
}

/// Pending for a while, then ready with `output` or a panic; its drop panics too.
struct Mine<T> {
    polls_left: u32,
    /// Not dropped with the future: two drops of one value that both panic abort the process.
    output: ManuallyDrop<Option<T>>,
    panics: bool,
    _bomb: Option<Bomb>,
}

impl<T> Unpin for Mine<T> {}

impl<T> Future for Mine<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        if self.polls_left > 0 {
            self.polls_left -= 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.panics {
            panic_any(Bomb { deep: true });
        }
        Poll::Ready(self.output.take().expect("ready once"))
    }
}

/// Panics when it is woken, and when it is dropped if `in_drop`.
struct BadWaker {
    _bomb: Option<Bomb>,
}

impl Wake for BadWaker {
    fn wake(self: Arc<Self>) {
        panic!("on purpose: a wake");
    }
}

/// Drops what may panic when it is dropped.
fn discard<T>(value: T) {
    let mut caught = catch_unwind(AssertUnwindSafe(|| drop(value)));
    while let Err(payload) = caught {
        caught = catch_unwind(AssertUnwindSafe(|| drop(payload)));
    }
}

/// Both workers still run tasks, side by side.
fn assert_workers_live(runtime: &Runtime) {
    let meet = Arc::new(std::sync::Barrier::new(2));
    let tasks: Vec<_> = (0..2)
        .map(|_| {
            let meet = Arc::clone(&meet);
            runtime.spawn(async move {
                meet.wait();
            })
        })
        .collect();
    for task in tasks {
        wait_until("both workers run a task", || task.is_finished());
    }
}

/// Panics are on purpose here by the hundred: their messages would hide others.
fn silence_panics_on_purpose() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let former = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let text = info.payload_as_str();
            let on_purpose = text.is_some_and(|text| text.starts_with("on purpose"));
            if !on_purpose && !info.payload().is::<Bomb>() {
                former(info);
            }
        }));
    });
}

/// Every mixture of a panic in the poll, in the future's drop, in the output's drop, in the joiner's waker, and of
/// what becomes of the handle.
///
/// Mutant: the first payload is dropped outside of `catch_unwind` when the future's drop panics as well.
#[test]
fn panics_of_future_output_payload_and_waker_stay_in_their_task() {
    silence_panics_on_purpose();
    let runtime = within(WATCHDOG, || {
        let runtime = workers(2);
        for mixture in 0..1 << 7 {
            let [
                in_poll,
                in_future_drop,
                in_output_drop,
                bad_waker,
                abort,
                late,
                deep,
            ] = std::array::from_fn(|bit| mixture & (1 << bit) != 0);
            let mut handle = runtime.spawn(Mine {
                polls_left: if late { 3 } else { 0 },
                output: ManuallyDrop::new(Some(in_output_drop.then(|| Bomb { deep }))),
                panics: in_poll,
                _bomb: in_future_drop.then(|| Bomb { deep }),
            });
            if bad_waker {
                let waker = Waker::from(Arc::new(BadWaker { _bomb: None }));
                let polled = Pin::new(&mut handle).poll(&mut Context::from_waker(&waker));
                if let Poll::Ready(result) = polled {
                    discard(result);
                    continue;
                }
            }
            if abort {
                handle.abort();
            }
            if late {
                wait_until("the task is done", || handle.is_finished());
            }
            drop(handle);
        }
        runtime
    });
    assert_workers_live(&runtime);
}

/// An operation whose output panics when it is dropped.
struct Explosive(PollIn);

// SAFETY: as for the operation inside.
unsafe impl Operation for Explosive {
    type Output = Bomb;

    fn entry(&mut self) -> squeue::Entry {
        self.0.entry()
    }

    fn complete(self, _: Completion) -> Bomb {
        Bomb { deep: true }
    }
}

/// The future is gone, so the driver drops the output when the kernel has answered.
///
/// Mutant: `act` finishes orphans outside of `catch_unwind`.
#[test]
fn the_panicking_output_of_a_dropped_operation_costs_no_worker() {
    silence_panics_on_purpose();
    let runtime = within(WATCHDOG, || {
        let runtime = workers(2);
        for _ in 0..8 {
            let (read, write) = pipe();
            let task = runtime.spawn(poll_once_and_drop(read));
            wait_until("the task is done", || task.is_finished());
            drop(write);
        }
        runtime
    });
    assert_workers_live(&runtime);
}

async fn poll_once_and_drop(read: SharedFd) {
    let mut operation = Op::new(Explosive(PollIn(read)));
    std::future::poll_fn(|cx| {
        assert!(Pin::new(&mut operation).poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}

/// The waker of an operation is whatever the user polls it with.
///
/// Mutant: `wake_all` without `catch_unwind`.
#[test]
fn a_panicking_waker_of_an_operation_or_timer_costs_no_worker_and_wakes_the_others() {
    silence_panics_on_purpose();
    let runtime = within(WATCHDOG, || {
        let runtime = workers(2);
        for _ in 0..8 {
            let (read, write) = pipe();
            let bad = runtime.spawn(wait_with_a_bad_waker(read.clone()));
            let good = runtime.spawn(async move { Op::new(PollIn(read)).await });
            std::thread::sleep(Duration::from_millis(2));
            drop(write);
            wait_until("the good one is woken", || good.is_finished());
            bad.abort();
            wait_until("the bad one is gone", || bad.is_finished());
        }
        runtime
    });
    assert_workers_live(&runtime);
}

async fn wait_with_a_bad_waker(read: SharedFd) -> io::Result<()> {
    let waker = Waker::from(Arc::new(BadWaker { _bomb: None }));
    let mut operation = Op::new(PollIn(read));
    let mut timer = Box::pin(ringway_timer::sleep(Duration::from_millis(1)));
    {
        let mut cx = Context::from_waker(&waker);
        assert!(Pin::new(&mut operation).poll(&mut cx).is_pending());
        assert!(timer.as_mut().poll(&mut cx).is_pending());
    }
    std::future::pending().await
}

/// An operation whose SQE is built so often, and then not.
struct BadEntry {
    entries_left: u32,
}

// SAFETY: it names no memory and no descriptor.
unsafe impl Operation for BadEntry {
    type Output = io::Result<u32>;

    fn entry(&mut self) -> squeue::Entry {
        let left = self.entries_left.checked_sub(1);
        self.entries_left = left.expect("on purpose: an entry");
        opcode::Nop::new().build()
    }

    fn complete(self, completion: Completion) -> io::Result<u32> {
        completion.result
    }
}

fn scripted(script: Script) -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder
        .ring_script(script)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Answers are dropped, so that the driver searches all slots for whose they were.
///
/// Mutant: `insert` takes the slot off the free list, and fills it, before it has called `entry`.
#[test]
fn an_operation_whose_entry_panics_is_none() {
    silence_panics_on_purpose();
    let runtime = within(WATCHDOG, || {
        let runtime = scripted(Script::new(7).drop_answers(300));
        runtime.block_on(async {
            for _ in 0..100 {
                let bad = catch_unwind(AssertUnwindSafe(|| {
                    let mut operation = Op::new(BadEntry { entries_left: 0 });
                    let mut cx = Context::from_waker(Waker::noop());
                    let _ = Pin::new(&mut operation).poll(&mut cx);
                }));
                assert!(bad.is_err(), "the panic is the caller's");
                match Op::new(Nop).await {
                    Ok(result) => assert_eq!(result, 0),
                    Err(error) => assert!(is_lost(&error), "{error}"),
                }
            }
        });
        runtime
    });
    let ring = runtime.handle().metrics().ring(0);
    assert!(ring.lost_count() > 0, "the test is about those");
    assert_eq!(ring.operations_in_flight(), 0);
}

/// The first answer says that the thread has gone that had submitted the operation.
///
/// Mutant: `end` calls `entry` without containing its panic.
#[test]
fn an_operation_whose_entry_panics_when_it_is_submitted_again_is_cancelled() {
    silence_panics_on_purpose();
    within(WATCHDOG, || {
        let runtime = scripted(Script::new(0).fail_call(0, libc::ECANCELED));
        let result = runtime.block_on(Op::new(BadEntry { entries_left: 1 }));
        let error = result.expect_err("it was cancelled");
        assert_eq!(error.raw_os_error(), Some(libc::ECANCELED));
        assert_eq!(runtime.block_on(Op::new(Nop)).expect("a ring"), 0);
    });
}
