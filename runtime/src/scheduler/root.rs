//! `block_on`: the root future runs on a worker's core.
//!
//! The process's main thread takes the core of a sleeping worker and runs it, the root future and tasks in
//! turn, so that the root's wakes, spawns and operations are local. Only the main thread does so in a
//! multi-thread runtime: an operation dies with the thread that submitted it, and the main thread's end is the
//! process's. On every other thread, and when no core is free, the root is polled from outside: its operations
//! go to some worker's shard, and the thread parks between polls.
//!
//! In a current-thread runtime there is one core and no worker thread: whoever blocks on it first runs the
//! core, on any thread; others poll their roots from outside and take over when the core is free. The root has its turn between
//! two *rounds* of tasks there ([`super::rounds`]).

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::fence;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use super::root_wake::RootWake;
use super::shared::Shared;
use super::worker::{Core, Turn, WorkerContext};
use crate::compat;
use crate::context;
use crate::runtime::RuntimeFlavor;
use crate::task::{coop, take_yielded};
use crate::trace;

/// Turns that tasks get after the root has yielded.
const TURNS_AFTER_YIELD: u32 = 61;

/// What wakes the root future.
#[derive(Debug)]
pub(super) struct Root {
    wake: RootWake,
    thread: Thread,
    shared: Arc<Shared>,
}

impl Root {
    /// Whether its thread runs a core, whose park word tells whether it sleeps.
    pub(super) fn is_on_core(&self) -> bool {
        self.wake.is_on_core()
    }

    /// Whether it is to be polled.
    pub(super) fn is_woken(&self) -> bool {
        self.wake.is_woken()
    }
}

impl Wake for Root {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        match self.wake.wake() {
            None => self.thread.unpark(),
            Some(worker) => self.shared.workers[worker].shard.unpark(),
        }
    }
}

/// Runs `future` on this thread until it is ready.
///
/// # Panics
///
/// If a task's panic has ended the runtime, or does so meanwhile.
#[track_caller]
pub(crate) fn block_on<F: Future>(shared: &Arc<Shared>, future: F) -> F::Output {
    let mut future = pin!(trace::root(future));
    let root = Arc::new(Root {
        wake: RootWake::new(),
        thread: thread::current(),
        shared: Arc::clone(shared),
    });
    let waker = Waker::from(Arc::clone(&root));
    let mut cx = Context::from_waker(&waker);
    let may_hold = may_hold_core(shared);
    let in_root = shared.begin_root(&root);
    let poll = || {
        while !shared.shutdown.is_by_panic() {
            shared.assert_is_here();
            let output = match take_core(shared, may_hold) {
                Some((worker, core)) => poll_on_core(worker, core, &root, future.as_mut(), &mut cx),
                None => {
                    let wait = || match &in_root {
                        Some(in_root) => in_root.wait(thread::park),
                        None => thread::park(),
                    };
                    poll_from_outside(shared, may_hold, &root, future.as_mut(), &mut cx, wait)
                }
            };
            if output.is_some() {
                return output;
            }
        }
        None
    };
    let output = shared.tokio.run(|| coop::scope(poll));
    let Some(output) = output else {
        panic!(
            "a spawned task panicked and the runtime is configured to shut down on unhandled panic"
        )
    };
    output
}

fn may_hold_core(shared: &Shared) -> bool {
    match shared.config.flavor {
        RuntimeFlavor::CurrentThread => shared.may_run_here(),
        RuntimeFlavor::MultiThread => is_main_thread(),
    }
}

/// Whether this is the thread whose end is the process's.
fn is_main_thread() -> bool {
    // SAFETY: the call takes no argument.
    let thread = unsafe { libc::gettid() };
    // SAFETY: as above.
    thread == unsafe { libc::getpid() }
}

/// Takes over the core of a worker that sleeps.
fn take_core(shared: &Arc<Shared>, may_hold: bool) -> Option<(WorkerContext, Box<Core>)> {
    if !may_hold || shared.shutdown.has_begun() || context::with_worker(|worker| worker.is_some()) {
        return None;
    }
    let taken = shared.workers[..shared.config.workers]
        .iter()
        .enumerate()
        .find_map(|(index, worker)| worker.slot.take().map(|core| (index, core)));
    let (index, core) = taken?;
    Some((WorkerContext::new(Arc::clone(shared), index), core))
}

/// Polls the root on a core; `None` if the runtime shuts down first, or the core is lost in `block_in_place`.
fn poll_on_core<F: Future>(
    worker: WorkerContext,
    core: Box<Core>,
    root: &Root,
    mut future: Pin<&mut F>,
    cx: &mut Context<'_>,
) -> Option<F::Output> {
    let _entered = context::enter_worker(&worker);
    root.wake.move_to(Some(worker.index()));
    let mut core = worker.wake(core);
    let mut has_turn = true;
    let (output, core) = loop {
        if worker.shared().shutdown.has_begun() {
            break (None, Some(core));
        }
        if has_turn && root.wake.take() {
            worker.stop_searching(&mut core);
            // What tasks have yielded since is not the root's.
            take_yielded();
            let mut polled = Ok(Poll::Pending);
            worker.set_polls_root(true);
            let began_ms = worker.shared().coarse.ms();
            worker.metrics().begin_root_poll(began_ms);
            coop::refill();
            let left = worker.lend_to_task(core, || {
                polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
            });
            if left.is_some() {
                worker.metrics().end_poll();
                worker.set_polls_root(false);
            }
            match (polled, left) {
                (Ok(Poll::Ready(output)), left) => break (Some(Ok(output)), left),
                (Err(panic), left) => {
                    compat::explain(&*panic);
                    break (Some(Err(panic)), left);
                }
                (Ok(Poll::Pending), None) => break (None, None),
                (Ok(Poll::Pending), Some(left)) => core = left,
            }
            if take_yielded() {
                match give_turns(&worker, core) {
                    Some(left) => core = left,
                    None => break (None, None),
                }
            }
        }
        (has_turn, core) = match worker.turn(core) {
            Turn::NothingToDo(core) if !root.wake.is_woken() => {
                (true, worker.sleep_as_guest(core, || root.wake.is_woken()))
            }
            // In rounds, the root waits for the end of this one.
            Turn::Ran(core) => (core.rounds.is_none(), core),
            Turn::NothingToDo(core) | Turn::EndedRound(core) => (true, core),
            Turn::LostCore => break (None, None),
        };
    };
    root.wake.move_to(None);
    match core {
        // Who has yielded in the last poll of the root may be of a set of tasks that goes on elsewhere.
        Some(core) => worker.give_back(worker.wake_yielded(core)),
        // The child of a fork in the root goes on with what the root returned.
        None if !worker.shared().process().is_current() => {}
        None => worker.end_away(),
    }
    output.map(|output| output.unwrap_or_else(|panic| resume_unwind(panic)))
}

/// The root has yielded. `None`: the core is lost in `block_in_place`.
fn give_turns(worker: &WorkerContext, mut core: Box<Core>) -> Option<Box<Core>> {
    if let Some(rounds) = &mut core.rounds {
        rounds.note_yield_of_root();
        return Some(core);
    }
    for _ in 0..TURNS_AFTER_YIELD {
        core = match worker.turn(core) {
            Turn::Ran(core) | Turn::EndedRound(core) => core,
            Turn::NothingToDo(core) => return Some(worker.service(core)),
            Turn::LostCore => return None,
        };
    }
    Some(core)
}

/// Polls the root without a core; `None` if one may be free now.
fn poll_from_outside<F: Future>(
    shared: &Arc<Shared>,
    may_hold: bool,
    root: &Root,
    mut future: Pin<&mut F>,
    cx: &mut Context<'_>,
    wait: impl Fn(),
) -> Option<F::Output> {
    let _entered = context::enter(Arc::clone(shared));
    let _waiting = Waiting(shared);
    loop {
        if root.wake.take() {
            coop::refill();
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Some(output);
            }
            shared.assert_is_here();
            if take_yielded() {
                thread::yield_now();
            }
            continue;
        }
        if may_hold && !shared.shutdown.has_begun() && wait_for_free_core(shared) {
            return None;
        }
        // After the fence in `wait_for_free_core`: who ends the runtime so gives a core back afterwards.
        if shared.shutdown.is_by_panic() {
            return None;
        }
        wait();
    }
}

/// When dropped, this thread waits for a core no longer.
struct Waiting<'a>(&'a Shared);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let this = thread::current().id();
        let mut waiting = self.0.waiting_for_core.lock();
        waiting.retain(|thread| thread.id() != this);
    }
}

/// Has this thread unparked when a core is given back; `true` if one is free.
fn wait_for_free_core(shared: &Shared) -> bool {
    let this = thread::current();
    let mut waiting = shared.waiting_for_core.lock();
    if !waiting.iter().any(|thread| thread.id() == this.id()) {
        waiting.push(this);
    }
    drop(waiting);
    // Partner of the fence in `give_back`: either we see the core, or the giver sees us.
    fence(SeqCst);
    let workers = &shared.workers[..shared.config.workers];
    workers.iter().any(|worker| !worker.slot.is_empty())
}

impl WorkerContext {
    /// Gives up a core that was taken over.
    pub(super) fn give_back(&self, mut core: Box<Core>) {
        let current_thread = self.shared().config.flavor == RuntimeFlavor::CurrentThread;
        // A core that is laid down at the end of the runtime, of which this thread was told, nobody would take up.
        let ends = self.shared().shutdown.has_begun();
        if current_thread || (self.is_at_rest(&core) && !ends) {
            self.lay_down(core);
        } else {
            self.hand_over(&mut core);
            self.remote().slot.put(core);
            self.remote().shard.start_thread();
        }
        self.wake_waiting_for_core();
        if current_thread && self.shared().shutdown.has_begun() {
            // Who ends the runtime may have found the slot empty, and waits for us to do it.
            self.shared().shut_down_here();
        }
    }

    /// Nothing is left on this worker that its thread would have to look after.
    pub(super) fn is_at_rest(&self, core: &Core) -> bool {
        !self.has_local_work(core) && self.remote().shard.is_idle()
    }

    /// The core goes into its slot; the worker's thread takes it when it is notified.
    fn lay_down(&self, mut core: Box<Core>) {
        let remote = self.remote();
        let has_timer = self.begin_sleep_for_timers().is_some();
        if !self.begin_lay_down(&mut core) || has_timer {
            // Notified meanwhile: the thread takes over, and finds that out by itself.
            let _ = remote.shard.word().unpark();
        }
        if remote.slot.lay_down(core, remote.shard.word()) {
            remote.shard.start_thread();
        }
    }

    /// The worker's thread goes on with the core, as one that was notified: it counts as searching, unless it is the spare
    /// worker's and that is not needed.
    fn hand_over(&self, core: &mut Core) {
        let shared = self.shared();
        let counted = std::mem::take(&mut core.searching);
        let takes_calls = self.takes_calls();
        if shared.idle.hand_over(self.index(), counted, takes_calls) && shared.has_stealable_work()
        {
            shared.notify();
        }
        let _ = self.remote().shard.word().unpark();
    }

    fn wake_waiting_for_core(&self) {
        // Partner of the fences in `wait_for_free_core` and `shut_down_here`.
        fence(SeqCst);
        for thread in std::mem::take(&mut *self.shared().waiting_for_core.lock()) {
            thread.unpark();
        }
    }
}
