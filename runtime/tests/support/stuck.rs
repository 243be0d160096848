//! A thread that is stuck in user code while it owes something to a task.
//!
//! The one who gets stuck, the *starter*, first polls the future of another task, the *victim*, with the victim's
//! waker: so the operation, timer or wake that the victim waits for belongs to the worker that gets stuck.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::future::{Future, poll_fn};
use std::io::Write;
use std::pin::Pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use ringway_runtime::Handle;
use ringway_runtime::driver::Op;
use ringway_timer::sleep;

use super::ops::{Nop, PollIn, pipe};

/// How long the starter is stuck.
pub(crate) const STUCK: Duration = Duration::from_millis(400);
/// What others are delayed by at most.
pub(crate) const DELAY_MAX: Duration = Duration::from_millis(10);

/// What the stuck worker owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Debt {
    /// The task in its next-task slot.
    NextTask,
    /// An operation that it has queued and not submitted.
    Submission,
    /// The completion of an operation that it has submitted.
    Completion,
    /// A timer in its wheel.
    Timer,
}

impl Debt {
    pub(crate) const ALL: [Self; 4] = [
        Self::NextTask,
        Self::Submission,
        Self::Completion,
        Self::Timer,
    ];
}

/// How the starter is stuck.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trap {
    /// It computes, and makes no system call.
    Spin,
    /// It waits in the kernel.
    Block,
}

impl Trap {
    pub(crate) fn spring(self) {
        let start = Instant::now();
        match self {
            Self::Spin => while start.elapsed() < STUCK {},
            Self::Block => thread::sleep(STUCK),
        }
    }
}

/// What a trial found.
#[derive(Debug)]
pub(crate) struct Found {
    /// Who was stuck.
    pub(crate) thread: ThreadId,
    /// How much later than it should the victim went on.
    pub(crate) delay: Duration,
    /// How long another thread waited for a processor meanwhile: what the machine is to blame for.
    pub(crate) noise: Duration,
}

type Wanted = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What the victim waits for, with its waker.
struct Meeting {
    wanted: Option<Wanted>,
    waker: Option<Waker>,
}

/// Has `run_starter` run the starter somewhere, and measures what the victim suffers. `None`: the starter moved to
/// another worker before it was stuck, so nothing was found.
pub(crate) fn trial(
    handle: &Handle,
    debt: Debt,
    trap: Trap,
    run_starter: impl FnOnce(Pin<Box<dyn Future<Output = ()> + Send>>),
) -> Option<Found> {
    let meeting = Arc::new(Mutex::new(Meeting {
        wanted: None,
        waker: None,
    }));
    let (tell, told) = mpsc::channel();
    let (report, reported) = mpsc::channel();
    let victim = handle.spawn(victim(Arc::clone(&meeting), tell));
    super::wait_until("the victim waits", || {
        meeting
            .lock()
            .expect("nobody panics with it")
            .waker
            .is_some()
    });
    // So that whoever looks after stuck workers has gone to sleep, and has to be woken for this one.
    thread::sleep(CALM_DOWN);
    let (wanted, mut due) = wanted(handle, debt);
    let (began, has_begun) = mpsc::channel();
    let writer = due.writer.take();
    let write = thread::spawn(move || {
        let stuck_since = has_begun.recv().ok()?;
        writer.map(|mut writer| {
            thread::sleep(STUCK / 8);
            let now = Instant::now();
            writer
                .write_all(b".")
                .expect("the victim has the other end");
            let _: Instant = stuck_since;
            now
        })
    });
    let noise = Noise::listen();
    run_starter(Box::pin(async move {
        let found = starter(meeting, wanted, debt, trap, began).await;
        let _ = report.send(found);
    }));
    let started = reported.recv().expect("the starter reports");
    let went_on = told
        .recv_timeout(super::WATCHDOG)
        .expect("the victim goes on");
    drop(victim);
    let written = write.join().expect("the writer");
    let noise = noise.stop();
    let (thread, at) = started?;
    let due = match debt {
        Debt::NextTask | Debt::Submission => at,
        Debt::Completion => written.expect("something was written"),
        Debt::Timer => due.deadline,
    };
    Some(Found {
        thread,
        delay: went_on.saturating_duration_since(due),
        noise,
    })
}

/// A runtime with nothing to do is entirely asleep after this time.
const CALM_DOWN: Duration = Duration::from_millis(100);

struct Due {
    writer: Option<std::fs::File>,
    deadline: Instant,
}

fn wanted(handle: &Handle, debt: Debt) -> (Wanted, Due) {
    let mut due = Due {
        writer: None,
        deadline: Instant::now() + TIMER,
    };
    let wanted: Wanted = match debt {
        Debt::NextTask => {
            let mut polled = false;
            Box::pin(poll_fn(move |_| {
                if std::mem::replace(&mut polled, true) {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            }))
        }
        Debt::Submission => Box::pin(async {
            Op::new(Nop).await.expect("a nop does not fail");
        }),
        Debt::Completion => {
            let (read, write) = pipe();
            due.writer = Some(write);
            Box::pin(async move {
                Op::new(PollIn(read)).await.expect("something to read");
            })
        }
        Debt::Timer => {
            let _entered = handle.enter();
            let timer = sleep(TIMER);
            due.deadline = timer.deadline().into_std();
            Box::pin(timer)
        }
    };
    (wanted, due)
}

/// When the timer is due, from before the starter runs: long enough for the starter to begin, and within its trap.
const TIMER: Duration = Duration::from_millis(60);

/// Waits for whatever the starter has begun for it, and tells when it went on.
async fn victim(meeting: Arc<Mutex<Meeting>>, tell: mpsc::Sender<Instant>) {
    poll_fn(|cx| {
        let mut meeting = meeting.lock().expect("nobody panics with it");
        match &mut meeting.wanted {
            Some(wanted) => wanted.as_mut().poll(cx),
            None => {
                meeting.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    })
    .await;
    let _ = tell.send(Instant::now());
}

/// Begins what the victim waits for and gets stuck. Says where and since when, unless it has moved in between.
async fn starter(
    meeting: Arc<Mutex<Meeting>>,
    mut wanted: Wanted,
    debt: Debt,
    trap: Trap,
    began: mpsc::Sender<Instant>,
) -> Option<(ThreadId, Instant)> {
    let waker = meeting.lock().expect("nobody panics with it").waker.take();
    let waker = waker.expect("the victim waits");
    let begun_on = thread::current().id();
    let polled = wanted.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending(), "the victim has to wait");
    meeting.lock().expect("nobody panics with it").wanted = Some(wanted);
    if debt == Debt::Completion {
        // Until the owner has submitted it.
        sleep(Duration::from_millis(2)).await;
    }
    if debt == Debt::NextTask {
        waker.wake();
    }
    let at = Instant::now();
    let _ = began.send(at);
    trap.spring();
    let here = thread::current().id();
    (here == begun_on).then_some((here, at))
}

/// Judges trial after trial.
#[derive(Debug, Default)]
pub(crate) struct Jury {
    delays: Vec<Duration>,
    disturbed: usize,
    unexplained: usize,
}

/// Trials that may be late though the machine is calm as far as can be seen: one in a thousand may, and it may be this one. What
/// the mutants do is late each time.
const UNEXPLAINED_MAX: usize = 1;
/// A thread waits this long at most on a machine that has a processor for it.
const CALM: Duration = Duration::from_millis(1);
/// A machine that disturbs this many trials in a row will not become calm.
const DISTURBED_MAX: usize = 10;
/// A delay goes through this many threads that the machine may keep waiting: monitor, worker, and both again.
const HOPS: u32 = 4;

impl Jury {
    /// Asserts that others suffer no more than they may. `false` if they did and the machine is to blame, as far as it
    /// kept ordinary threads waiting too: then the trial says little, and another one is due.
    #[track_caller]
    pub(crate) fn hear(&mut self, found: &Found, what: &str) -> bool {
        if found.delay > DELAY_MAX {
            let is_machines = found.noise > CALM && found.delay <= DELAY_MAX + HOPS * found.noise;
            if !is_machines {
                self.unexplained += 1;
                println!(
                    "{what}: {:?} late, and the machine {:?}",
                    found.delay, found.noise
                );
                assert!(self.unexplained <= UNEXPLAINED_MAX, "{what}: late again");
                return false;
            }
            self.disturbed += 1;
            if self.disturbed < DISTURBED_MAX {
                return false;
            }
        }
        self.delays.push(found.delay);
        true
    }

    /// The delays that were found.
    pub(crate) fn delays(mut self) -> Vec<Duration> {
        self.delays.sort();
        self.delays
    }
}

/// How long the machine kept threads of this process waiting for a processor, the stuck one apart.
#[derive(Debug)]
pub(crate) struct Noise {
    threads: HashMap<OsString, Scheduled>,
    canary: Canary,
}

/// A thread that sleeps for a millisecond, again and again, and notes by how much it was late: also when the kernel does
/// not count it, because the machine's own processors were given to others, and timers came late with them.
#[derive(Debug)]
struct Canary {
    stop: mpsc::Sender<()>,
    thread: thread::JoinHandle<Duration>,
}

impl Canary {
    fn begin() -> Self {
        const NAP: Duration = Duration::from_millis(1);
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut worst = Duration::ZERO;
            loop {
                let begin = Instant::now();
                let nap = stopped.recv_timeout(NAP);
                worst = worst.max(begin.elapsed().saturating_sub(NAP));
                if nap != Err(mpsc::RecvTimeoutError::Timeout) {
                    return worst;
                }
            }
        });
        Self { stop, thread }
    }

    fn stop(self) -> Duration {
        drop(self.stop);
        self.thread.join().expect("no panic")
    }
}

/// What the kernel says of a thread.
#[derive(Clone, Copy, Debug, Default)]
struct Scheduled {
    ran: Duration,
    waited: Duration,
}

impl Noise {
    pub(crate) fn listen() -> Self {
        Self {
            threads: Self::threads(),
            canary: Canary::begin(),
        }
    }

    /// The longest that a thread waited since.
    pub(crate) fn stop(self) -> Duration {
        self.stop_but(STUCK / 2)
    }

    /// The longest that a thread waited since that has run for less than `busy`.
    pub(crate) fn stop_but(self, busy: Duration) -> Duration {
        let since = Self::threads().into_iter().map(|(thread, now)| {
            let before = self.threads.get(&thread).copied().unwrap_or_default();
            (
                now.ran.saturating_sub(before.ran),
                now.waited.saturating_sub(before.waited),
            )
        });
        let waits = since
            .filter(|(ran, _)| *ran < busy)
            .map(|(_, waited)| waited);
        waits.max().unwrap_or_default().max(self.canary.stop())
    }

    fn threads() -> HashMap<OsString, Scheduled> {
        let threads = fs::read_dir("/proc/self/task").expect("the kernel lists threads");
        let threads = threads.filter_map(|thread| {
            let thread = thread.ok()?;
            // Gone, if it cannot be read.
            let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            let mut times = text
                .split(' ')
                .map(|ns| ns.trim().parse().map(Duration::from_nanos));
            let (ran, waited) = (times.next()?.ok()?, times.next()?.ok()?);
            Some((thread.file_name(), Scheduled { ran, waited }))
        });
        threads.collect()
    }
}
