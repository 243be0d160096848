//! A timer source for tests: the runtimes and the clock of the calling thread, moved by hand.
//!
//! Every thread has its own world, so tests in one process do not meet.

use std::cell::RefCell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use ringway_timer::seam::{Registration, TimerSource, install};
use ringway_timer::wheel::{Progress, Update, Wheel};

pub(crate) const NO_RUNTIME: &str =
    "there is no reactor running, must be called from the context of a Tokio 1.x runtime";
pub(crate) const NO_TIMERS: &str = "A Tokio 1.x context was found, but timers are disabled.";
pub(crate) const SHUT_DOWN: &str = "A Tokio 1.x context was found, but it is being shutdown.";
pub(crate) const IS_PAUSED: &str = "time is already frozen";
pub(crate) const IS_RUNNING: &str = "time is not frozen";

/// The budget of one poll.
pub(crate) const FULL_BUDGET: usize = 128;

/// What the calling thread sees of time and runtimes.
struct World {
    epoch: Instant,
    now: Instant,
    /// The runtime that the thread is in; or why it has none.
    runtime: Result<u32, &'static str>,
    /// One wheel for each runtime, `None` after its end.
    wheels: Vec<Option<Wheel>>,
    is_paused: bool,
    registered: usize,
    /// How many timers may be ready before the next poll.
    budget: usize,
}

impl World {
    fn new() -> World {
        let epoch = Instant::now();
        World {
            epoch,
            now: epoch,
            runtime: Ok(0),
            wheels: vec![Some(Wheel::new())],
            is_paused: false,
            registered: 0,
            budget: FULL_BUDGET,
        }
    }

    fn wheel(&mut self, runtime: u32) -> Option<&mut Wheel> {
        self.wheels[runtime as usize].as_mut()
    }

    fn nanos(&self, instant: Instant) -> u64 {
        u64::try_from(instant.duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX)
    }
}

thread_local!(static WORLD: RefCell<World> = RefCell::new(World::new()));

fn with<R>(f: impl FnOnce(&mut World) -> R) -> R {
    WORLD.with_borrow_mut(f)
}

/// Puts the calling thread into runtime 0 of its world, with timers and a clock that only `pass` moves.
pub(crate) fn enter() {
    install(&Hand);
    with(|world| world.runtime = Ok(0));
}

/// Uses up the budget of the poll that the calling thread is in, but for `left`.
pub(crate) fn leave_budget(left: usize) {
    with(|world| world.budget = left);
}

/// Lets the calling thread begin another poll.
pub(crate) fn refill_budget() {
    leave_budget(FULL_BUDGET);
}

/// Takes the calling thread out of its runtime, for the given reason.
pub(crate) fn leave(reason: &'static str) {
    install(&Hand);
    with(|world| world.runtime = Err(reason));
}

/// Puts the calling thread into a runtime of its own, and says which.
pub(crate) fn enter_another() -> u32 {
    with(|world| {
        world.wheels.push(Some(Wheel::new()));
        let runtime = world.wheels.len() as u32 - 1;
        world.runtime = Ok(runtime);
        runtime
    })
}

/// Ends a runtime: all its timers fire.
pub(crate) fn shut_down(runtime: u32) {
    let mut fired = Vec::new();
    with(|world| {
        world.wheels[runtime as usize]
            .take()
            .unwrap()
            .drain(&mut fired)
    });
    fired.into_iter().for_each(Waker::wake);
}

/// Moves the clock on, and fires what is due.
pub(crate) fn pass(by: Duration) {
    stand(by);
    fire();
}

/// Moves the clock on while everybody who could fire a timer is busy.
pub(crate) fn stand(by: Duration) {
    with(|world| world.now += by);
}

fn fire() {
    let mut fired = Vec::new();
    with(|world| {
        let now_ns = world.nanos(world.now);
        for wheel in world.wheels.iter_mut().flatten() {
            while wheel.advance_exact(now_ns, &mut fired) == Progress::More {}
        }
    });
    fired.into_iter().for_each(Waker::wake);
}

/// The timers of a runtime.
pub(crate) fn timers(runtime: u32) -> usize {
    with(|world| world.wheel(runtime).map_or(0, |wheel| wheel.len()))
}

/// How often a timer was registered on this thread.
pub(crate) fn registered() -> usize {
    with(|world| world.registered)
}

struct Hand;

impl TimerSource for Hand {
    fn check(&self) -> Result<u32, &'static str> {
        with(|world| world.runtime)
    }

    fn now(&self) -> Instant {
        with(|world| world.now)
    }

    fn register(
        &self,
        runtime: u32,
        deadline: Instant,
        waker: &Waker,
    ) -> Result<Registration, &'static str> {
        with(|world| {
            let deadline_ns = world.nanos(deadline);
            world.registered += 1;
            let wheel = world.wheel(runtime).ok_or(SHUT_DOWN)?;
            let key = wheel.insert(deadline_ns, waker.clone());
            Ok(Registration {
                runtime,
                shard: 0,
                key,
            })
        })
    }

    fn update(&self, registration: &Registration, waker: &Waker) -> bool {
        let update = with(|world| {
            world
                .wheel(registration.runtime)
                .map(|wheel| wheel.update(registration.key, waker))
        });
        !matches!(update, None | Some(Update::Gone))
    }

    fn reset(&self, registration: &Registration, deadline: Instant) -> bool {
        with(|world| {
            let deadline_ns = world.nanos(deadline);
            let wheel = world.wheel(registration.runtime);
            wheel.is_some_and(|wheel| wheel.reset(registration.key, deadline_ns))
        })
    }

    fn deregister(&self, registration: Registration) {
        let waker = with(|world| world.wheel(registration.runtime)?.remove(registration.key));
        drop(waker);
    }

    fn poll_charge(&self, cx: &mut Context<'_>) -> Poll<()> {
        if with(|world| world.budget.checked_sub(1).map(|left| world.budget = left)).is_some() {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn has_budget(&self) -> bool {
        with(|world| world.budget > 0)
    }

    fn pause(&self) -> Result<(), &'static str> {
        with(
            |world| match std::mem::replace(&mut world.is_paused, true) {
                true => Err(IS_PAUSED),
                false => Ok(()),
            },
        )
    }

    fn resume(&self) -> Result<(), &'static str> {
        with(
            |world| match std::mem::replace(&mut world.is_paused, false) {
                true => Ok(()),
                false => Err(IS_RUNNING),
            },
        )
    }

    fn advance(&self, by: Duration) -> Result<(), &'static str> {
        if !with(|world| world.is_paused) {
            return Err(IS_RUNNING);
        }
        pass(by);
        Ok(())
    }
}

/// A future and the task that it runs in, polled by hand.
pub(crate) struct Task<F> {
    pub(crate) future: Pin<Box<F>>,
    wakes: Arc<Wakes>,
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        // Relaxed: a count, read by the thread that wakes.
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl<F> Task<F> {
    pub(crate) fn new(future: F) -> Task<F> {
        Task {
            future: Box::pin(future),
            wakes: Arc::default(),
        }
    }

    /// How often the task was woken since the last question.
    pub(crate) fn wakes(&self) -> usize {
        self.wakes.0.swap(0, Ordering::Relaxed)
    }

    /// Calls `f` with the context of this task.
    pub(crate) fn with_context<R>(
        &mut self,
        f: impl FnOnce(Pin<&mut F>, &mut Context<'_>) -> R,
    ) -> R {
        let waker = Waker::from(self.wakes.clone());
        f(self.future.as_mut(), &mut Context::from_waker(&waker))
    }

    /// A task without a future that counts the same wake-ups.
    pub(crate) fn witness(&self) -> Task<()> {
        Task {
            future: Box::pin(()),
            wakes: self.wakes.clone(),
        }
    }

    /// The same future in another task.
    pub(crate) fn move_to_another_task(self) -> Task<F> {
        Task {
            future: self.future,
            wakes: Arc::default(),
        }
    }
}

impl<F: Future> Task<F> {
    /// Polls with a full budget.
    pub(crate) fn poll(&mut self) -> Poll<F::Output> {
        refill_budget();
        self.with_context(|future, cx| future.poll(cx))
    }
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What `f` panics with, and the file that is blamed.
pub(crate) fn panic_of(f: impl FnOnce()) -> (String, String) {
    thread_local!(static BLAMED: RefCell<String> = const { RefCell::new(String::new()) });
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let default = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let file = info
                .location()
                .map_or("nowhere", |location| location.file());
            // An error means that the thread is ending: then it is not one of ours.
            let _ = BLAMED.try_with(|blamed| file.clone_into(&mut blamed.borrow_mut()));
            default(info);
        }));
    });
    let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("did not panic");
    let text = match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload
            .downcast::<&str>()
            .expect("panics have a text")
            .to_string(),
    };
    (text, BLAMED.take())
}
