//! Task-local values: scopes, their nesting, and what is seen where.

use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use ringway::task::yield_now;

ringway::task_local! {
    static NUMBER: u32;
    /// A second one, without a semicolon behind it.
    pub static NAME: String
}

ringway::task_local! {}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn text_of(panic: Box<dyn std::any::Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => (*panic.downcast::<&str>().expect("a text")).to_string(),
    }
}

/// Mutant: do not swap back after a poll.
#[test]
fn tasks_that_take_turns_see_each_its_own_value() {
    let runtime = ringway::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let task = |number| {
            let body = async move {
                for _ in 0..10 {
                    assert_eq!(NUMBER.get(), number);
                    yield_now().await;
                }
            };
            ringway::spawn(NUMBER.scope(number, body))
        };
        let tasks: Vec<_> = (0..10).map(task).collect();
        for task in tasks {
            assert!(NUMBER.try_get().is_err());
            task.await.expect("no task sees another's value");
        }
    });
}

#[test]
fn scopes_nest_and_give_back_what_they_covered() {
    let inner = || NUMBER.sync_scope(2, || NUMBER.get());
    let sums = NUMBER.sync_scope(1, || (NUMBER.get(), inner(), NUMBER.get()));
    assert_eq!(sums, (1, 2, 1));
    let mut both = pin!(NUMBER.scope(1, async {
        let before = NUMBER.get();
        let within = NUMBER.scope(2, async {
            yield_now().await;
            NUMBER.get()
        });
        (before, within.await, NUMBER.get())
    }));
    assert!(poll(both.as_mut()).is_pending());
    assert_eq!(NUMBER.try_get().ok(), None);
    assert_eq!(poll(both), Poll::Ready((1, 2, 1)));
}

/// What a future sees of the key while it is dropped.
struct Drops(Arc<Mutex<Vec<Option<u32>>>>);

impl Drop for Drops {
    fn drop(&mut self) {
        let seen = NUMBER.try_get().ok();
        self.0.lock().expect("no test panics here").push(seen);
    }
}

/// Mutant: leave the drop of the future to the fields; drop it after the poll that made it ready.
#[test]
fn a_future_is_dropped_inside_its_scope_whether_it_is_ready_or_not() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (kept, given) = (Drops(seen.clone()), Drops(seen.clone()));
    let waiting = NUMBER.scope(1, async move {
        let _kept = kept;
        std::future::pending::<()>().await;
    });
    drop(waiting);
    let mut ready = Box::pin(NUMBER.scope(2, async move {
        let _given = given;
    }));
    assert!(poll(ready.as_mut()).is_ready());
    assert_eq!(*seen.lock().expect("unbroken"), [Some(1), Some(2)]);
}

#[test]
fn an_aborted_task_drops_its_future_inside_its_scope() {
    let runtime = ringway::runtime::Runtime::new().expect("a runtime");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let drops = Drops(seen.clone());
    runtime.block_on(async move {
        let (started, starts) = ringway::sync::oneshot::channel();
        let task = ringway::spawn(NUMBER.scope(7, async move {
            let _drops = drops;
            started.send(()).expect("somebody waits");
            std::future::pending::<()>().await;
        }));
        starts.await.expect("the task starts");
        task.abort();
        assert!(task.await.expect_err("it never ends").is_cancelled());
    });
    assert_eq!(*seen.lock().expect("unbroken"), [Some(7)]);
}

/// Mutant: swap back behind the call instead of in a drop.
#[test]
fn a_panic_leaves_the_scope() {
    let panicked = catch_unwind(|| NUMBER.sync_scope(1, || panic!("inside")));
    assert!(panicked.is_err());
    assert!(NUMBER.try_get().is_err());
    let mut future = Box::pin(NUMBER.scope(1, async { panic!("inside") }));
    assert!(catch_unwind(AssertUnwindSafe(|| poll(future.as_mut()))).is_err());
    assert!(NUMBER.try_get().is_err());
    assert_eq!(future.as_mut().take_value(), Some(1));
}

#[test]
fn a_value_can_be_taken_out_of_its_scope() {
    let mut future = Box::pin(NAME.scope("ada".to_string(), async { NAME.try_get().ok() }));
    assert_eq!(format!("{future:?}"), "TaskLocalFuture { value: \"ada\" }");
    assert_eq!(future.as_mut().take_value().as_deref(), Some("ada"));
    assert_eq!(
        format!("{future:?}"),
        "TaskLocalFuture { value: <missing> }"
    );
    assert_eq!(future.as_mut().take_value(), None);
    assert_eq!(poll(future.as_mut()), Poll::Ready(None));
}

#[test]
fn a_value_comes_back_when_its_future_is_ready() {
    ringway::task_local! { static COUNT: Cell<u32> }
    let mut future = Box::pin(COUNT.scope(Cell::new(1), async {
        COUNT.with(|count| count.set(count.get() + 1));
    }));
    assert!(poll(future.as_mut()).is_ready());
    assert_eq!(future.as_mut().take_value(), Some(Cell::new(2)));
}

#[test]
fn misuse_is_told_in_tokios_words() {
    let outside = catch_unwind(|| NUMBER.get()).expect_err("no scope");
    assert_eq!(
        text_of(outside),
        "cannot access a task-local storage value without setting it first"
    );
    let borrowed = catch_unwind(|| {
        NUMBER.sync_scope(1, || NUMBER.with(|_| NUMBER.sync_scope(2, || ())));
    });
    assert_eq!(
        text_of(borrowed.expect_err("the cell is borrowed")),
        "cannot enter a task-local scope while the task-local storage is borrowed"
    );
    let mut future = Box::pin(NUMBER.scope(1, async {}));
    assert!(poll(future.as_mut()).is_ready());
    let again = catch_unwind(AssertUnwindSafe(|| poll(future.as_mut())));
    assert_eq!(
        text_of(again.expect_err("it is over")),
        "`TaskLocalFuture` polled after completion"
    );
    let error = NUMBER.try_get().expect_err("no scope");
    assert_eq!(error.to_string(), "task-local value not set");
    assert_eq!(
        format!("{error:?} {NUMBER:?}"),
        "AccessError LocalKey { .. }"
    );
}
