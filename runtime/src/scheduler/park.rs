//! Going to sleep, and waking.
//!
//! Going to sleep, a worker
//!
//! 1. counts itself as asleep, and if it was the last searcher looks at all queues once more ([`super::idle`]);
//! 2. says in the shard's park word that it sleeps, unless it was notified since;
//! 3. tells the shard's timers how long it means to sleep;
//! 4. puts its core into the slot, from where the main thread may take it over (worker threads only);
//! 5. enters the kernel, which submits what is queued and waits for a completion, the doorbell or the deadline.
//!
//! If the next timer is near, and processors are busy, it does none of this and spins ([`super::doze`]). Nor does it at first
//! if the last sleep was over at once ([`crate::linger`]).
//!
//! Awake, it takes its core again (or waits for it), and by the park word and the list of sleepers finds out
//! whether it was notified, in which case it counts as searching.

use std::sync::atomic::Ordering::Acquire;
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

use super::doze;
use super::worker::{Core, WorkerContext};
use crate::contain::contain;
use crate::driver::{NextTimer, wake_all};
use crate::linger::{LINGER, look_out};

impl WorkerContext {
    /// A worker thread's sleep.
    /// `None`: the runtime has ended.
    pub(super) fn sleep_as_worker(&self, mut core: Box<Core>) -> Option<Box<Core>> {
        if self.waits_awake(&mut core) {
            return Some(self.service(core));
        }
        if !self.begin_sleep(&mut core) {
            return Some(self.wake(core));
        }
        self.call_hook(true);
        if let Some(due) = self.let_time_pass() {
            self.call_hook(false);
            return Some(self.wake_for(core, due));
        }
        let timeout = self.sleep_timeout(&mut core);
        let remote = self.remote();
        remote.slot.put(core);
        remote.shard.sleep_as_thread(timeout);
        let core = remote.slot.take().or_else(|| self.wait_for_core())?;
        self.call_hook(false);
        Some(self.wake(core))
    }

    /// The sleep of a thread that has taken the core over: it keeps the core. A clock that stands jumps to the
    /// next timer when nothing is left to do, also not for the root.
    pub(super) fn sleep_as_guest(
        &self,
        mut core: Box<Core>,
        root_is_woken: impl Fn() -> bool,
    ) -> Box<Core> {
        if self.waits_awake(&mut core) {
            return self.service(core);
        }
        if self.begin_sleep(&mut core) {
            self.call_hook(true);
            if let Some(due) = self.let_time_pass() {
                self.call_hook(false);
                return self.wake_for(core, due);
            }
            let timeout = self.sleep_timeout(&mut core);
            self.remote().shard.sleep(timeout);
            self.call_hook(false);
        }
        let core = self.wake(core);
        let shared = self.shared();
        if shared.clock.is_paused()
            && !shared.standstill.is_watched()
            && !self.has_local_work(&core)
            && !root_is_woken()
        {
            return self.advance_paused_clock(core);
        }
        core
    }

    /// Waits awake for a little, if that costs less than to fall asleep. `false`: the worker is to sleep; or it was notified,
    /// which it finds out as it falls asleep.
    fn waits_awake(&self, core: &mut Core) -> bool {
        let shared = self.shared();
        // What the kernel has not been told of does not come.
        if self.shard().has_unflushed() || shared.clock.is_paused() {
            return false;
        }
        let begin = Instant::now();
        let deadline_ns = self.shard().timers().next_deadline_ns();
        let left = Duration::from_nanos(deadline_ns.saturating_sub(shared.clock.at(begin).ns));
        if left <= doze::NEAR && shared.is_busy() {
            return self.spins(core, begin, begin + left);
        }
        left > LINGER && self.lingers(core, begin)
    }

    /// Waits awake for a timer that is due at `until`, or until something else is to be done.
    fn spins(&self, core: &mut Core, begin: Instant, until: Instant) -> bool {
        let (Ok(now) | Err(now)) = look_out(until, || self.sees_work(core));
        self.note_spun(core, begin, until, now);
        !self.shard().word().is_notified()
    }

    /// Waits awake for what has come soon lately. `false`: nothing has come but, maybe, a notification, which the next look
    /// out would find again.
    fn lingers(&self, core: &mut Core, begin: Instant) -> bool {
        let Some(until) = core.linger.begin(begin) else {
            return false;
        };
        let outcome = look_out(until, || self.sees_work(core));
        if outcome.is_ok() {
            core.linger.paid();
        }
        let (Ok(now) | Err(now)) = outcome;
        self.note_spun(core, begin, until, now);
        outcome.is_ok() && !self.shard().word().is_notified()
    }

    /// Whether there is something that ends a wait.
    fn sees_work(&self, core: &Core) -> bool {
        let shared = self.shared();
        // Who may not search leaves others' tasks to those who do.
        let has_task = match core.searching {
            true => shared.has_stealable_work(),
            false => !shared.inject.is_empty(),
        };
        has_task || self.shard().is_wanted()
    }

    fn note_spun(&self, core: &mut Core, begin: Instant, until: Instant, now: Instant) {
        core.doze.spun(begin, until, now);
        self.remote().note_work(core.doze.work_percent());
    }

    /// Steps 1 and 2. `false`: the worker must not sleep.
    fn begin_sleep(&self, core: &mut Core) -> bool {
        let now = self.fall_asleep(core);
        let sleeps = self.remote().shard.word().park();
        if sleeps {
            self.metrics().park(now);
        } else {
            // The shortest sleep of all.
            core.linger.paid();
        }
        sleeps
    }

    /// As `begin_sleep`, for a core that will lie in its slot without a thread.
    pub(super) fn begin_lay_down(&self, core: &mut Core) -> bool {
        let now = self.fall_asleep(core);
        self.metrics().park(now);
        self.remote().shard.word().vacate()
    }

    /// Step 1. Returns when.
    fn fall_asleep(&self, core: &mut Core) -> Instant {
        let shared = self.shared();
        let now = Instant::now();
        core.pace.fall_asleep();
        core.linger.fall_asleep(now);
        core.doze.fall_asleep(now);
        self.remote().heart.rest(shared.coarse.ns_of(now));
        let searching = std::mem::take(&mut core.searching);
        let look_again = if self.retires() {
            shared.idle.retire(searching)
        } else {
            shared.idle.fall_asleep(self.index(), searching)
        };
        if look_again && shared.has_stealable_work() {
            shared.notify();
        }
        now
    }

    /// Step 3: how long to sleep; `None` for ever. A clock that stands is moved to the next timer.
    fn sleep_timeout(&self, core: &mut Core) -> Option<Duration> {
        let shared = self.shared();
        let next = self.begin_sleep_for_timers();
        let timeout = match next {
            Some(_) if shared.clock.is_paused() => {
                // Others, or a completion, wake this worker when time may pass.
                let may_pass = !shared.standstill.is_watched() && self.may_time_pass();
                may_pass.then_some(Duration::ZERO)
            }
            next => next.map(|next| self.time_to(core, next)),
        };
        if timeout.is_none_or(|timeout| timeout > doze::WINDOW) {
            self.remote().note_work(0);
        }
        timeout
    }

    /// When nothing is left that this worker would have to take out of a wheel, its own or another's: its next timer.
    pub(super) fn begin_sleep_for_timers(&self) -> Option<NextTimer> {
        loop {
            self.shared().settle(self.shard());
            let next = self.shard().timers().begin_sleep();
            // A waker that was dropped may have owned other timers.
            if self.shard().debts().is_empty() {
                return next;
            }
        }
    }

    /// How long to sleep for the timer that comes next.
    fn time_to(&self, core: &mut Core, next: NextTimer) -> Duration {
        let now = Instant::now();
        let now_ns = self.shared().clock.at(now).ns;
        if next.deadline_ns <= now_ns {
            // One that has come waits for no other.
            return Duration::ZERO;
        }
        let left_ns = next.sleep_until_ns.saturating_sub(now_ns);
        core.doze.sleep_for(Duration::from_nanos(left_ns), now)
    }

    /// Whether nothing but this worker's own tasks may have something to do, in a current-thread runtime.
    fn may_time_pass(&self) -> bool {
        self.shared().pool.busy() == Some(0) && !self.shard().awaits_end()
    }

    /// As [`Self::wake`], for who has found that the timers of these wakers are due.
    fn wake_for(&self, core: Box<Core>, mut due: Vec<Waker>) -> Box<Core> {
        let core = self.wake(core);
        self.deliver(core, || wake_all(&mut due))
    }

    /// Awake with a core: finds out who was to blame, and looks at the shard.
    pub(super) fn wake(&self, mut core: Box<Core>) -> Box<Core> {
        let now = Instant::now();
        let called = self.rise(&mut core, now);
        let mut core = self.service_idle(core, now);
        core.searching = called && self.take_search();
        core.doze.pay(now, core.woken);
        core
    }

    /// The search to which this worker was called, unless the monitor has taken it meanwhile.
    pub(super) fn take_search(&self) -> bool {
        self.shared().idle.take_search(self.index())
    }

    /// Awake with a core: finds out who was to blame. `true`: it was called to search, and is to take that search.
    pub(super) fn rise(&self, core: &mut Core, now: Instant) -> bool {
        debug_assert!(!core.searching, "who sleeps does not search");
        self.remote().shard.word().wake();
        self.shared().standstill.pass();
        let for_work = self.was_called();
        if for_work || self.shard().has_news() {
            core.linger.wake(now);
        }
        core.doze.rise(now);
        self.remote().note_work(core.doze.work_percent());
        self.metrics().unpark(now, for_work);
        self.shared().monitor.note_awake();
        for_work
    }

    /// Nothing is left to do at the present time of a clock that stands: it jumps to the next timer.
    fn advance_paused_clock(&self, core: Box<Core>) -> Box<Core> {
        let shared = self.shared();
        // An answer that the limit of one look has left in the ring comes before any timer.
        if !self.may_time_pass() || self.shard().is_wanted() || self.shard().has_answers() {
            return core;
        }
        let timers = self.remote().shard.timers();
        timers.work_off_all();
        match timers.next_deadline_exact_ns() {
            Some(deadline_ns) => {
                shared.let_clock_jump(deadline_ns);
                self.service(core)
            }
            None => core,
        }
    }

    /// Waits, as a worker thread without a core, until it is given one. `None`: another thread has ended the worker.
    pub(super) fn wait_for_core(&self) -> Option<Box<Core>> {
        let remote = self.remote();
        loop {
            if let Some(core) = remote.slot.take_if_called(remote.shard.word()) {
                return Some(core);
            }
            // Acquire: pairs with the Release in `leave`.
            if remote.has_left.load(Acquire) {
                return None;
            }
            thread::park();
        }
    }

    fn call_hook(&self, parking: bool) {
        let config = &self.shared().config;
        let hook = if parking {
            &config.on_thread_park
        } else {
            &config.on_thread_unpark
        };
        if let Some(hook) = hook {
            contain(|| hook());
        }
    }
}
