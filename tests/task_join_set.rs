//! Join sets: every task that is put in comes out once, in the order of completion, whatever becomes of it.

use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use ringway::runtime::{Builder, Runtime};
use ringway::sync::oneshot;
use ringway::task::{self, JoinSet, coop, yield_now};
use ringway::time::timeout;

/// Longer than anything here takes on a machine that is busy with other things.
const LONG: Duration = Duration::from_secs(60);

fn current_thread() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Mutant: forget the keys of tasks that complete before their waker is set.
#[test]
fn every_task_comes_out_once_while_workers_complete_them() {
    const TASKS: usize = 20_000;
    Runtime::new().expect("a runtime").block_on(async {
        let mut set = JoinSet::new();
        let mut seen = vec![false; TASKS];
        for number in 0..TASKS {
            set.spawn(async move {
                if number % 3 == 0 {
                    yield_now().await;
                }
                number
            });
            if number % 7 == 0
                && let Some(output) = set.try_join_next()
            {
                let output = output.expect("no task fails");
                assert!(!std::mem::replace(&mut seen[output], true));
            }
        }
        let left = set.len();
        let mut joined = 0;
        while let Some(output) = timeout(LONG, set.join_next())
            .await
            .expect("no task is lost")
        {
            let output = output.expect("no task fails");
            assert!(!std::mem::replace(&mut seen[output], true));
            joined += 1;
        }
        assert_eq!(joined, left);
        assert!(seen.iter().all(|seen| *seen) && set.is_empty());
    });
}

#[test]
fn tasks_come_out_in_the_order_in_which_they_complete() {
    current_thread().block_on(async {
        let mut set = JoinSet::new();
        let mut gates = Vec::new();
        for number in 0..5 {
            let (gate, opens) = oneshot::channel::<()>();
            gates.push(gate);
            set.spawn(async move {
                opens.await.expect("the gate opens");
                number
            });
        }
        let order = [3, 0, 4, 1, 2];
        let mut gates: Vec<_> = gates.into_iter().map(Some).collect();
        for number in order {
            let gate = gates[number].take().expect("each once");
            gate.send(()).expect("the task waits");
            yield_now().await;
        }
        assert_eq!(set.join_all().await, order);
    });
}

/// Mutant: wake the waiter of the first call only.
#[test]
fn a_task_that_waits_is_woken_by_the_next_completion_and_only_the_last_to_ask() {
    #[derive(Default)]
    struct Wakes(AtomicUsize);
    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    current_thread().block_on(async {
        let mut set = JoinSet::new();
        let (gate, opens) = oneshot::channel::<()>();
        set.spawn(opens);
        let (first, last) = (Arc::new(Wakes::default()), Arc::new(Wakes::default()));
        for wakes in [&first, &last, &last] {
            let waker = Waker::from(wakes.clone());
            let polled = set.poll_join_next(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
        }
        gate.send(()).expect("the task waits");
        yield_now().await;
        assert_eq!(first.0.load(Ordering::Relaxed), 0);
        assert_eq!(last.0.load(Ordering::Relaxed), 1);
        assert!(matches!(set.try_join_next(), Some(Ok(Ok(())))));
        assert!(set.join_next().await.is_none());
    });
}

/// Mutant: leave out the drop.
#[test]
fn dropping_a_set_aborts_its_tasks() {
    let drops = Arc::new(AtomicUsize::new(0));
    current_thread().block_on(async {
        let mut set = JoinSet::new();
        let mut watches = Vec::new();
        for _ in 0..10 {
            let counted = Counted(drops.clone());
            watches.push(set.spawn(async move {
                let _counted = counted;
                pending::<()>().await;
            }));
        }
        yield_now().await;
        drop(set);
        while !watches.iter().all(task::AbortHandle::is_finished) {
            yield_now().await;
        }
    });
    assert_eq!(drops.load(Ordering::Relaxed), 10);
}

#[test]
fn tasks_that_are_aborted_stay_until_they_are_awaited() {
    current_thread().block_on(async {
        let mut set = JoinSet::new();
        let ids: Vec<_> = (0..3).map(|_| set.spawn(pending::<()>()).id()).collect();
        set.abort_all();
        assert_eq!(set.len(), 3);
        let mut joined = Vec::new();
        while let Some(output) = set.join_next_with_id().await {
            let error = output.expect_err("they never end");
            assert!(error.is_cancelled());
            joined.push(error.id());
        }
        assert_eq!(joined.len(), 3);
        assert!(ids.iter().all(|id| joined.contains(id)));
        set.spawn(pending());
        set.shutdown().await;
        assert!(set.is_empty());
    });
}

/// A detached task completes into a place that another task has by then.
///
/// Mutant: take the output without asking the handle whether it is there.
#[test]
fn a_detached_task_runs_on_and_is_not_taken_for_another() {
    current_thread().block_on(async {
        let mut set = JoinSet::new();
        let (gate, opens) = oneshot::channel::<()>();
        let (ended, ends) = oneshot::channel();
        set.spawn(async move {
            opens.await.expect("the gate opens");
            ended.send(()).expect("somebody waits");
            1
        });
        // This one completes before, and leaves its key.
        let done = set.spawn(async { 3 });
        while !done.is_finished() {
            yield_now().await;
        }
        set.detach_all();
        assert!(set.is_empty() && set.join_next().await.is_none());
        let (second_gate, second_opens) = oneshot::channel();
        set.spawn(pending());
        set.spawn(async move { second_opens.await.expect("the gate opens") });
        gate.send(()).expect("the task waits");
        ends.await.expect("the detached task runs on");
        yield_now().await;
        assert!(set.try_join_next().is_none());
        second_gate.send(2).expect("the task waits");
        assert_eq!(
            set.join_next().await.expect("two tasks").expect("it ends"),
            2
        );
    });
}

#[test]
fn panics_come_out_as_errors_and_join_all_passes_them_on() {
    let runtime = current_thread();
    runtime.block_on(async {
        let mut set = JoinSet::new();
        let id = set.spawn(async { panic!("inside") }).id();
        let error = set.join_next_with_id().await.expect("one task");
        let error: task::JoinError = error.map(|(_, ())| ()).expect_err("it panics");
        assert!(error.is_panic() && error.id() == id);
    });
    let panicked = std::panic::catch_unwind(|| {
        runtime.block_on(async {
            let mut set = JoinSet::new();
            set.spawn(async { panic!("inside") });
            set.join_all().await
        })
    });
    let text = panicked.expect_err("it panics");
    assert_eq!(text.downcast_ref::<&str>(), Some(&"inside"));
    let cancelled = std::panic::catch_unwind(|| {
        runtime.block_on(async {
            let mut set = JoinSet::new();
            set.spawn(pending::<()>()).abort();
            set.join_all().await
        })
    });
    let text = cancelled.expect_err("it panics");
    let text = text.downcast_ref::<String>().expect("a text");
    assert!(text.ends_with("was cancelled"), "{text}");
}

/// Mutant: take the output before the unit.
#[test]
fn a_loop_over_tasks_that_are_done_lets_others_run_and_loses_none() {
    current_thread().block_on(async {
        let mut set: JoinSet<_> = [async { 0 }].into_iter().map(Box::pin).collect();
        set.extend([async { 1 }]);
        let tasks: Vec<_> = (2..1_000)
            .map(|number| set.spawn(async move { number }))
            .collect();
        while !tasks.iter().all(task::AbortHandle::is_finished) {
            yield_now().await;
        }
        let polls = AtomicUsize::new(0);
        let mut all = pin!(set.join_all());
        let joined = std::future::poll_fn(|cx| {
            polls.fetch_add(1, Ordering::Relaxed);
            all.as_mut().poll(cx)
        });
        assert_eq!(joined.await.len(), 1_000);
        assert_eq!(polls.into_inner(), 1_000_usize.div_ceil(128));
    });
}

#[test]
fn without_a_budget_an_empty_set_and_a_try_still_answer() {
    current_thread().block_on(async {
        let mut set = JoinSet::new();
        set.spawn(async {});
        yield_now().await;
        while coop::has_budget_remaining() {
            coop::consume_budget().await;
        }
        let mut cx = Context::from_waker(Waker::noop());
        assert!(set.poll_join_next(&mut cx).is_pending());
        assert!(set.try_join_next_with_id().is_some());
        assert!(matches!(
            set.poll_join_next_with_id(&mut cx),
            Poll::Ready(None)
        ));
    });
}

#[test]
fn jobs_and_tasks_of_another_runtime_may_be_in_a_set() {
    let other = Runtime::new().expect("a runtime");
    current_thread().block_on(async {
        let mut set = JoinSet::default();
        set.spawn_blocking(|| 1);
        set.spawn_blocking_on(|| 2, other.handle());
        set.spawn_on(async { 3 }, other.handle());
        let mut outputs = timeout(LONG, set.join_all()).await.expect("they end");
        outputs.sort_unstable();
        assert_eq!(outputs, [1, 2, 3]);
    });
    other.shutdown_background();
}

#[test]
fn a_set_says_how_many_tasks_it_has() {
    current_thread().block_on(async {
        let mut set = JoinSet::new();
        assert_eq!((set.len(), set.is_empty()), (0, true));
        set.spawn(async {});
        assert_eq!(format!("{set:?}"), "JoinSet { len: 1 }");
        let builder = set.build_task().name("a");
        assert_eq!(
            format!("{builder:?}"),
            "join_set::Builder { joinset: JoinSet { len: 1 }, builder: Builder { name: Some(\"a\") } }"
        );
    });
}

#[test]
fn tasks_that_stay_on_their_thread_may_be_in_a_set() {
    let number = std::rc::Rc::new(1);
    let local = task::LocalSet::new();
    let mut set = JoinSet::new();
    let outside = number.clone();
    set.spawn_local_on(async move { *outside }, &local);
    local.block_on(&current_thread(), async {
        let inside = number.clone();
        set.spawn_local(async move { *inside + 1 });
        let named = set.build_task().name("local");
        named
            .spawn_local(async move { *number + 2 })
            .expect("it is spawned");
        let onto = set.build_task().name("onto");
        onto.spawn_local_on(async { 4 }, &local)
            .expect("it is spawned");
        let mut outputs = set.join_all().await;
        outputs.sort_unstable();
        assert_eq!(outputs, [1, 2, 3, 4]);
    });
}
