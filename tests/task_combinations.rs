//! Every way in which a task can live, end and be given up, in product: 11,520 combinations.
//!
//! A combination says which runtime, whether the task is in a local set, what panics, and at which point of the task's
//! life its join handle is polled and dropped, its abort handle is dropped, and it is aborted, and by which of the two.
//! Some contradict themselves (an abort by a handle that is gone) and are left out; none is left out because two panics
//! meet in it. For each of the others: the handle says what became of the task, future and output are dropped exactly
//! once, nothing stays in memory, and nothing hangs.
//!
//! Mutants: `complete` that does not discard the output when the handle is gone (an abort handle keeps it);
//! `begin_poll` that polls a cancelled task (a poll too many);
//! `drop_future` without `catch_unwind` (a worker is lost, and the rest hangs).

use std::fmt::Debug;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use ringway::runtime::{Builder, Runtime};
use ringway::sync::oneshot;
use ringway::task::{AbortHandle, JoinError, JoinHandle, LocalSet, yield_now};

/// More than any step takes on a machine that is busy with other things.
const STEP_MAX: Duration = Duration::from_secs(30);

/// Points in a task's life, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Point {
    Spawned,
    Polled,
    Ended,
    Joined,
}

const POINTS: [Point; 4] = [Point::Spawned, Point::Polled, Point::Ended, Point::Joined];

/// Who aborts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aborter {
    /// The join handle, while an abort handle exists up to the point, or never existed.
    JoinHandle {
        other_until: Option<Point>,
    },
    AbortHandle,
}

#[derive(Clone, Copy, Debug)]
struct Combination {
    runtime: usize,
    in_local_set: bool,
    run_panics: bool,
    drop_panics: bool,
    output_panics: bool,
    handle_is_polled: bool,
    handle_until: Point,
    abort_at: Option<Point>,
    aborter: Aborter,
}

impl Combination {
    fn all() -> Vec<Self> {
        let mut all = vec![Self {
            runtime: 0,
            in_local_set: false,
            run_panics: false,
            drop_panics: false,
            output_panics: false,
            handle_is_polled: false,
            handle_until: Point::Joined,
            abort_at: None,
            aborter: Aborter::AbortHandle,
        }];
        multiply(&mut all, [0, 1, 2], |c, to| c.runtime = to);
        multiply(&mut all, BOTH, |c, to| c.in_local_set = to);
        multiply(&mut all, BOTH, |c, to| c.run_panics = to);
        multiply(&mut all, BOTH, |c, to| c.drop_panics = to);
        multiply(&mut all, BOTH, |c, to| c.output_panics = to);
        multiply(&mut all, BOTH, |c, to| c.handle_is_polled = to);
        multiply(&mut all, POINTS, |c, to| c.handle_until = to);
        multiply(&mut all, never_or_at(), |c, to| c.abort_at = to);
        let by_join_handle = never_or_at().map(|other_until| Aborter::JoinHandle { other_until });
        let aborters = by_join_handle.chain([Aborter::AbortHandle]);
        multiply(&mut all, aborters, |c, to| c.aborter = to);
        all
    }

    /// Whether the aborter is there when it is to abort.
    fn is_possible(&self) -> bool {
        matches!(self.aborter, Aborter::AbortHandle)
            || self.abort_at.is_none_or(|point| point <= self.handle_until)
    }

    /// Whether the task is aborted before it could have ended.
    fn is_aborted(&self) -> bool {
        self.abort_at.is_some_and(|point| point < Point::Ended)
    }

    fn has_output(&self) -> bool {
        !self.is_aborted() && !self.run_panics
    }

    fn abort_handle_until(&self) -> Option<Point> {
        match self.aborter {
            Aborter::JoinHandle { other_until } => other_until,
            Aborter::AbortHandle => Some(self.abort_at.unwrap_or(Point::Joined)),
        }
    }
}

const BOTH: [bool; 2] = [false, true];

fn never_or_at() -> impl Iterator<Item = Option<Point>> + Clone {
    std::iter::once(None).chain(POINTS.into_iter().map(Some))
}

/// Takes each combination once with each of the values.
fn multiply<T: Copy>(
    all: &mut Vec<Combination>,
    values: impl IntoIterator<Item = T>,
    set: impl Fn(&mut Combination, T),
) {
    let former = std::mem::take(all);
    for value in values {
        all.extend(former.iter().copied().map(|mut combination| {
            set(&mut combination, value);
            combination
        }));
    }
}

/// What is thrown on purpose.
struct Planned;

/// What happened to a task.
#[derive(Debug, Default)]
struct Life {
    polls: AtomicU32,
    future_drops: AtomicU32,
    output_drops: AtomicU32,
}

struct Output {
    life: Arc<Life>,
    panics: bool,
}

impl Drop for Output {
    fn drop(&mut self) {
        self.life.output_drops.fetch_add(1, Ordering::Relaxed);
        if self.panics {
            panic_any(Planned);
        }
    }
}

/// The task's future: waits for the gate, lets an abort come in between, and ends.
struct Body<F> {
    body: Pin<Box<F>>,
    life: Arc<Life>,
    drop_panics: bool,
}

impl<F: Future> Future for Body<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.life.polls.fetch_add(1, Ordering::Relaxed);
        self.body.as_mut().poll(cx)
    }
}

impl<F> Drop for Body<F> {
    fn drop(&mut self) {
        self.life.future_drops.fetch_add(1, Ordering::Relaxed);
        if self.drop_panics {
            panic_any(Planned);
        }
    }
}

/// One task with its handles, and where it runs.
struct Trial<'a> {
    combination: Combination,
    runtime: &'a Runtime,
    local: Option<LocalSet>,
    life: Arc<Life>,
    gate: Option<oneshot::Sender<()>>,
    handle: Option<JoinHandle<Output>>,
    abort_handle: Option<AbortHandle>,
}

impl<'a> Trial<'a> {
    fn spawn(combination: Combination, runtime: &'a Runtime) -> Self {
        let life = Arc::new(Life::default());
        let (gate, opens) = oneshot::channel();
        let local = combination.in_local_set.then(LocalSet::new);
        let kept = life.clone();
        let body = async move {
            let _ = opens.await;
            yield_now().await;
            if combination.run_panics {
                panic_any(Planned);
            }
            Output {
                life: kept,
                panics: combination.output_panics,
            }
        };
        let body = Body {
            body: Box::pin(body),
            life: life.clone(),
            drop_panics: combination.drop_panics,
        };
        let handle = match &local {
            Some(local) => local.spawn_local(body),
            None => runtime.spawn(body),
        };
        let abort_handle = combination.abort_handle_until();
        let abort_handle = abort_handle.map(|_| handle.abort_handle());
        Self {
            combination,
            runtime,
            local,
            life,
            gate: Some(gate),
            handle: Some(handle),
            abort_handle,
        }
    }

    fn run(mut self) {
        self.pass(Point::Spawned);
        let may_stay_unpolled = self.combination.abort_at == Some(Point::Spawned);
        self.wait("the first poll", |trial| {
            may_stay_unpolled || trial.life.polls.load(Ordering::Relaxed) > 0
        });
        self.pass(Point::Polled);
        if let Some(gate) = self.gate.take() {
            // If the task is gone, nobody waits.
            let _ = gate.send(());
        }
        self.wait("the end", Self::has_ended);
        self.check_polls();
        self.pass(Point::Ended);
        if let Some(mut handle) = self.handle.take() {
            self.join(&mut handle);
            self.handle = Some(handle);
        } else {
            // An abort handle that still keeps the task does not keep the output.
            self.wait("the drop of the output", Self::has_dropped_outputs);
        }
        self.pass(Point::Joined);
        self.check_drops();
    }

    /// What the combination wants at this point.
    fn pass(&mut self, point: Point) {
        if point == Point::Spawned && self.combination.handle_is_polled {
            assert!(self.poll_handle().is_pending());
        }
        if self.combination.abort_at == Some(point) {
            self.abort();
        }
        if self.combination.handle_until == point {
            drop(self.handle.take());
        }
        if self.combination.abort_handle_until() == Some(point) {
            drop(self.abort_handle.take());
        }
    }

    fn poll_handle(&mut self) -> Poll<Result<Output, JoinError>> {
        let handle = self.handle.as_mut().expect("it is there at first");
        Pin::new(handle).poll(&mut Context::from_waker(Waker::noop()))
    }

    fn abort(&self) {
        match self.combination.aborter {
            Aborter::AbortHandle => self.abort_handle.as_ref().map(AbortHandle::abort),
            Aborter::JoinHandle { .. } => self.handle.as_ref().map(JoinHandle::abort),
        }
        .expect("possible combinations have their aborter");
    }

    fn has_ended(&self) -> bool {
        let handles = self.handle.as_ref().map(JoinHandle::is_finished);
        let aborts = self.abort_handle.as_ref().map(AbortHandle::is_finished);
        self.life.future_drops.load(Ordering::Relaxed) > 0
            && handles.unwrap_or(true)
            && aborts.unwrap_or(true)
    }

    /// Whoever is aborted is not polled any more. On other threads a poll may be under way meanwhile.
    fn check_polls(&self) {
        let alone = self.combination.in_local_set || self.combination.runtime == 0;
        let expected = match self.combination.abort_at {
            Some(Point::Spawned) => 0,
            Some(Point::Polled) => 1,
            _ => return,
        };
        let polls = self.life.polls.load(Ordering::Relaxed);
        assert!(polls == expected || !alone && polls <= 1, "{polls} polls");
    }

    /// Awaits the handle, and checks what it says.
    fn join(&self, handle: &mut JoinHandle<Output>) {
        let combination = &self.combination;
        match self.block_on(handle) {
            Ok(output) => {
                assert!(combination.has_output() && !combination.drop_panics);
                let dropped = catch_unwind(AssertUnwindSafe(|| drop(output)));
                assert_eq!(dropped.is_err(), combination.output_panics);
            }
            Err(error) if error.is_cancelled() => {
                assert!(combination.is_aborted() && !combination.drop_panics);
            }
            Err(error) => {
                assert!(error.into_panic().is::<Planned>());
                let ran = !combination.is_aborted();
                assert!(combination.drop_panics || ran && combination.run_panics);
            }
        }
    }

    fn check_drops(mut self) {
        (self.handle, self.abort_handle) = (None, None);
        self.wait("the last reference to go", |trial| {
            Arc::strong_count(&trial.life) == 1
        });
        assert_eq!(self.life.future_drops.load(Ordering::Relaxed), 1);
        assert!(self.has_dropped_outputs());
    }

    fn has_dropped_outputs(&self) -> bool {
        let outputs = u32::from(self.combination.has_output());
        self.life.output_drops.load(Ordering::Relaxed) == outputs
    }

    /// Lets tasks run until `is_so`.
    fn wait(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !is_so(self) {
            assert!(start.elapsed() < STEP_MAX, "waited in vain for {what}");
            self.block_on(yield_now());
        }
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        match &self.local {
            Some(local) => local.block_on(self.runtime, future),
            None => self.runtime.block_on(future),
        }
    }
}

#[test]
fn every_combination_ends_as_it_should_and_drops_everything_once() {
    keep_quiet_about_planned_panics();
    let runtimes = [
        Builder::new_current_thread().build(),
        Builder::new_multi_thread().worker_threads(1).build(),
        Builder::new_multi_thread().worker_threads(2).build(),
    ];
    let runtimes = runtimes.map(|runtime| runtime.expect("a runtime"));
    let all = Combination::all();
    assert_eq!(all.len(), 11_520);
    let possible: Vec<_> = all.into_iter().filter(Combination::is_possible).collect();
    assert_eq!(possible.len(), 8_640);
    for combination in possible {
        let told = Told(&combination);
        Trial::spawn(combination, &runtimes[combination.runtime]).run();
        std::mem::forget(told);
    }
}

/// Says which combination it was when a panic leaves it.
struct Told<'a, T: Debug>(&'a T);

impl<T: Debug> Drop for Told<'_, T> {
    fn drop(&mut self) {
        eprintln!("{:#?}", self.0);
    }
}

fn keep_quiet_about_planned_panics() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !info.payload().is::<Planned>() {
            report(info);
        }
    }));
}
