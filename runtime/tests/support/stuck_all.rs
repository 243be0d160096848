//! A worker that is stuck while it owes everything that a worker can owe, each to a task of its own.
//!
//! As in [`super::stuck`], with the four debts at once and short traps, so that thousands of trials take minutes.

use std::fs::File;
use std::future::{Future, poll_fn};
use std::io::Write;
use std::pin::Pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use ringway_runtime::Handle;
use ringway_runtime::driver::Op;
use ringway_timer::sleep;

use super::ops::{Nop, PollIn, pipe};
use super::stuck::{Debt, Noise};

/// How long the worker is stuck: several times what others may be delayed by.
pub(crate) const STUCK: Duration = Duration::from_millis(50);
/// A runtime with nothing to do is entirely asleep after this time, so that whoever looks after stuck workers has to be
/// woken in each trial.
const CALM_DOWN: Duration = Duration::from_millis(40);
/// The timer is due, and the bytes come, in the middle of the trap.
const DUE: Duration = Duration::from_millis(15);

/// How a worker is stuck.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trap {
    /// It computes, and makes no system call.
    Spin,
    /// It sleeps in the kernel.
    Sleep,
    /// It computes in the kernel, in long system calls.
    SystemCall,
}

impl Trap {
    pub(crate) const ALL: [Self; 3] = [Self::Spin, Self::Sleep, Self::SystemCall];

    fn spring(self) {
        let start = Instant::now();
        match self {
            Self::Spin => while start.elapsed() < STUCK {},
            Self::Sleep => thread::sleep(STUCK),
            Self::SystemCall => {
                let mut bytes = vec![0; 4 << 20];
                while start.elapsed() < STUCK {
                    File::open("/dev/urandom")
                        .and_then(|mut random| std::io::Read::read(&mut random, &mut bytes))
                        .expect("random bytes");
                }
            }
        }
    }
}

/// What one trial found.
#[derive(Debug)]
pub(crate) struct Found {
    /// How much later than it should each victim went on, in the order of [`Debt::ALL`].
    pub(crate) delays: [Duration; Debt::ALL.len()],
    /// How long another thread waited for a processor meanwhile.
    pub(crate) noise: Duration,
}

type Wanted = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a victim waits for, with its waker.
#[derive(Default)]
struct Meeting {
    wanted: Option<Wanted>,
    waker: Option<Waker>,
}

type Meetings = [Arc<Mutex<Meeting>>; Debt::ALL.len()];

/// One trial; `None` if the starter moved to another worker before it was stuck.
pub(crate) fn trial(handle: &Handle, trap: Trap) -> Option<Found> {
    let meetings: Meetings = std::array::from_fn(|_| Arc::default());
    let (tell, told) = mpsc::channel();
    for (debt, meeting) in meetings.iter().enumerate() {
        handle.spawn(victim(debt, Arc::clone(meeting), tell.clone()));
    }
    super::wait_until("the victims wait", || {
        let is_waiting = |meeting: &Arc<Mutex<Meeting>>| {
            let meeting = meeting.lock().expect("nobody panics with it");
            meeting.waker.is_some()
        };
        meetings.iter().all(is_waiting)
    });
    thread::sleep(CALM_DOWN);
    let (read, mut write) = pipe();
    let (began, has_begun) = mpsc::channel();
    let writer = thread::spawn(move || {
        let _: Instant = has_begun.recv().ok()?;
        thread::sleep(DUE);
        let now = Instant::now();
        write.write_all(b".").expect("the victim has the other end");
        Some(now)
    });
    let noise = Noise::listen();
    let (report, reported) = mpsc::channel();
    let starter = starter(meetings, read, trap, began);
    handle.spawn(async move {
        let _ = report.send(starter.await);
    });
    let started = reported.recv().expect("the starter reports");
    let written = writer.join().expect("the writer");
    let (at, deadline) = started?;
    let mut delays = [Duration::ZERO; Debt::ALL.len()];
    for _ in Debt::ALL {
        let (debt, went_on): (usize, Instant) = told
            .recv_timeout(super::WATCHDOG)
            .expect("a victim goes on");
        let due = match Debt::ALL[debt] {
            Debt::NextTask | Debt::Submission => at,
            Debt::Completion => written.expect("something was written"),
            Debt::Timer => deadline,
        };
        delays[debt] = went_on.saturating_duration_since(due);
    }
    // The kernel counts how long a thread has waited when it runs again.
    thread::sleep(CALM_DOWN);
    let noise = noise.stop_but(STUCK / 2);
    Some(Found { delays, noise })
}

/// Waits for whatever the starter has begun for it, and tells when it went on.
async fn victim(debt: usize, meeting: Arc<Mutex<Meeting>>, tell: mpsc::Sender<(usize, Instant)>) {
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
    let _ = tell.send((debt, Instant::now()));
}

/// Begins what the victims wait for, each with the victim's waker, and gets stuck. Says since when, and when the timer was
/// due, unless it has moved in between.
async fn starter(
    meetings: Meetings,
    read: ringway_runtime::driver::SharedFd,
    trap: Trap,
    began: mpsc::Sender<Instant>,
) -> Option<(Instant, Instant)> {
    let begun_on = thread::current().id();
    begin(&meetings, Debt::Completion, async move {
        Op::new(PollIn(read)).await.expect("something to read");
    });
    // Until the owner has submitted it.
    sleep(Duration::from_millis(2)).await;
    let timer = sleep(DUE);
    let deadline = timer.deadline().into_std();
    begin(&meetings, Debt::Timer, timer);
    begin(&meetings, Debt::Submission, async {
        Op::new(Nop).await.expect("a nop does not fail");
    });
    let mut polled = false;
    let waker = begin(
        &meetings,
        Debt::NextTask,
        poll_fn(move |_| match std::mem::replace(&mut polled, true) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }),
    );
    waker.wake();
    let at = Instant::now();
    if thread::current().id() != begun_on {
        return None;
    }
    let _ = began.send(at);
    trap.spring();
    Some((at, deadline))
}

/// Polls `wanted` with the victim's waker, and leaves it to the victim.
fn begin(
    meetings: &Meetings,
    debt: Debt,
    wanted: impl Future<Output = ()> + Send + 'static,
) -> Waker {
    let place = Debt::ALL.iter().position(|other| *other == debt);
    let mut meeting = meetings[place.expect("one of all")]
        .lock()
        .expect("nobody panics with it");
    let waker = meeting.waker.take().expect("the victim waits");
    let mut wanted: Wanted = Box::pin(wanted);
    let polled = wanted.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending(), "the victim has to wait");
    meeting.wanted = Some(wanted);
    waker
}
