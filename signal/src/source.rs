//! One kind of signal in this process: its handler, its counts, and who waits for it.
//!
//! # The counts
//!
//! 1. The handler adds one to `delivered`, then rings the doorbell.
//! 2. Whoever finds the doorbell rung, or `delivered` ahead of `dispatched`, *dispatches*: under the
//!    lock, drain the doorbell, then read `delivered`, then set `dispatched` to it; outside the lock,
//!    wake all waiters if it has advanced.
//! 3. A listener has a signal to report when `dispatched` is not what it has `seen`. A new one has
//!    seen what is dispatched: not the signals that others were told of before it came, but any that
//!    nobody was told of yet.
//!
//! # Why no wake-up is lost
//!
//! A listener that reports nothing has put its waker on the list, under the lock, at a moment when
//! `dispatched` was what it had seen, and has a poll operation on the doorbell in flight. Take a signal
//! that comes after. Its ring comes after its count (1). If the ring finds the listener's operation
//! still armed, that operation completes and wakes it. If somebody drained the ring first, that one
//! read `delivered` after draining (2), found the signal in it, and woke the list.

use std::collections::BTreeMap;
use std::io;
use std::mem;
use std::sync::atomic::Ordering;
use std::task::Waker;

use ringway_runtime::loom::Mutex;
use ringway_runtime::loom::atomic::AtomicUsize;
use signal_hook_registry::FORBIDDEN;

use crate::doorbell::{Doorbell, Ring, Watch};

/// All sources of the process, by number. None is ever removed: a handler may be in one at any time.
static SOURCES: parking_lot::Mutex<BTreeMap<i32, &'static Source>> =
    parking_lot::Mutex::new(BTreeMap::new());

/// A kind of signal that somebody listens or has listened to.
#[derive(Debug)]
pub(crate) struct Source<D: 'static = Doorbell> {
    /// How many signals the handler has seen. It may wrap: it is only compared for equality.
    delivered: AtomicUsize,
    doorbell: D,
    board: Mutex<Board>,
}

#[derive(Debug, Default)]
struct Board {
    dispatched: usize,
    waiters: BTreeMap<Ticket, Waker>,
    next_ticket: Ticket,
}

/// The name of a listener on the board.
type Ticket = u64;

/// A listener's place in what its source has to tell.
#[derive(Debug)]
pub(crate) struct Listener<D: Ring + 'static = Doorbell> {
    source: &'static Source<D>,
    ticket: Ticket,
    /// The signals up to here have been reported.
    seen: usize,
    /// The waker that was put on the board last. It is there unless `dispatched` has moved.
    waiting: Option<Waker>,
}

/// What a listener is to do.
#[derive(Debug, PartialEq)]
#[must_use]
pub(crate) enum Next {
    /// Report a signal.
    Report,
    /// Wait: the waker is on the board.
    Wait,
}

/// The source of signal `number`, with its handler installed.
pub(crate) fn source(number: i32) -> io::Result<&'static Source> {
    if number <= 0 || FORBIDDEN.contains(&number) {
        return Err(io::Error::other(format!(
            "Refusing to register signal {number}"
        )));
    }
    if number > libc::SIGRTMAX() {
        return Err(io::Error::other("signal too large"));
    }
    let mut sources = SOURCES.lock();
    if let Some(source) = sources.get(&number) {
        return Ok(source);
    }
    let source = Source::leaked()?;
    source.install(number)?;
    sources.insert(number, source);
    Ok(source)
}

impl Source {
    /// Lives as long as the process, as its handler will. If installing that fails, what is lost is
    /// one small allocation and two descriptors.
    fn leaked() -> io::Result<&'static Self> {
        Ok(Self::with(Doorbell::new()?))
    }

    fn install(&'static self, number: i32) -> io::Result<()> {
        // SAFETY: `deliver` is async-signal-safe: it allocates nothing, takes no lock, cannot panic,
        // and what it refers to is never freed. The registry keeps errno as it was.
        unsafe { signal_hook_registry::register(number, || self.deliver()) }?;
        Ok(())
    }
}

impl<D: Ring> Source<D> {
    /// With this doorbell, and without a handler.
    pub(crate) fn with(doorbell: D) -> &'static Self {
        Box::leak(Box::new(Self {
            delivered: AtomicUsize::new(0),
            doorbell,
            board: Mutex::default(),
        }))
    }

    /// The handler.
    pub(crate) fn deliver(&self) {
        // Release: pairs with the Acquire in `dispatch` and in `Listener::is_up_to_date`. What this
        // thread did before the signal came is seen by whoever is told of it.
        self.delivered.fetch_add(1, Ordering::Release);
        self.doorbell.ring();
    }

    /// A new listener, which has seen what the others were told of.
    pub(crate) fn listen(&'static self) -> Listener<D> {
        let mut board = self.board.lock();
        let ticket = board.next_ticket;
        board.next_ticket += 1;
        Listener {
            source: self,
            ticket,
            seen: board.dispatched,
            waiting: None,
        }
    }

    /// Step 2 above, except for the waking, which is the caller's to do outside the lock.
    #[must_use]
    fn dispatch(&self, board: &mut Board) -> BTreeMap<Ticket, Waker> {
        self.doorbell.drain();
        // Acquire: pairs with the Release in `deliver`.
        let delivered = self.delivered.load(Ordering::Acquire);
        if mem::replace(&mut board.dispatched, delivered) == delivered {
            return BTreeMap::new();
        }
        mem::take(&mut board.waiters)
    }
}

impl Listener {
    /// An operation that completes when a signal has come, perhaps.
    pub(crate) fn watch(&self) -> Watch {
        self.source.doorbell.watch()
    }
}

impl<D: Ring> Listener<D> {
    /// Reports a signal that has been delivered, or else waits for one. `rung` says that the doorbell
    /// was found to be rung.
    pub(crate) fn advance(&mut self, rung: bool, waker: &Waker) -> Next {
        if !rung && self.is_up_to_date(waker) {
            return Next::Wait;
        }
        // Wakers are foreign code: they are cloned, dropped and woken outside the lock.
        let mine = waker.clone();
        let mut board = self.source.board.lock();
        let mut others = self.source.dispatch(&mut board);
        let (next, stale) = if board.dispatched == self.seen {
            (Next::Wait, board.waiters.insert(self.ticket, mine))
        } else {
            self.seen = board.dispatched;
            let stale = board.waiters.remove(&self.ticket);
            (Next::Report, stale.or(others.remove(&self.ticket)))
        };
        drop(board);
        self.waiting = (next == Next::Wait).then(|| waker.clone());
        drop(stale);
        others.into_values().for_each(Waker::wake);
        next
    }

    /// Whether nothing has come and this waker is on the board already. It is the case whenever a
    /// listener is polled because of something else, as in a loop around `select!`.
    fn is_up_to_date(&self, waker: &Waker) -> bool {
        let known = self
            .waiting
            .as_ref()
            .is_some_and(|waiting| waiting.will_wake(waker));
        // Acquire: pairs with the Release in `deliver`. The waker leaves the board only when
        // `dispatched` moves, and that only follows `delivered`.
        known && self.source.delivered.load(Ordering::Acquire) == self.seen
    }
}

/// What models look at.
#[cfg(feature = "models")]
impl<D: Ring> Source<D> {
    pub(crate) fn doorbell(&self) -> &D {
        &self.doorbell
    }

    pub(crate) fn waiters(&self) -> usize {
        self.board.lock().waiters.len()
    }
}

#[cfg(feature = "models")]
impl<D: Ring> Listener<D> {
    pub(crate) fn seen(&self) -> usize {
        self.seen
    }
}

impl<D: Ring> Drop for Listener<D> {
    fn drop(&mut self) {
        let stale = self.source.board.lock().waiters.remove(&self.ticket);
        drop(stale);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;
    use std::{hint, thread};

    use super::*;

    /// Counts how often it was woken.
    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    struct Task {
        listener: Listener,
        woken: Arc<Count>,
    }

    impl Task {
        fn new(source: &'static Source) -> Self {
            Self {
                listener: source.listen(),
                woken: Arc::default(),
            }
        }

        fn poll(&mut self) -> Next {
            self.listener
                .advance(false, &Arc::clone(&self.woken).into())
        }

        /// As after a completed operation: at the doorbell, not at the count alone.
        fn look(&mut self) -> Next {
            self.listener.advance(true, &Arc::clone(&self.woken).into())
        }

        fn woken(&self) -> usize {
            self.woken.0.load(Ordering::Relaxed)
        }
    }

    fn waiters(source: &Source) -> usize {
        source.board.lock().waiters.len()
    }

    #[test]
    fn signals_between_two_looks_are_reported_as_one() {
        let source = Source::leaked().unwrap();
        let mut task = Task::new(source);
        assert_eq!(task.poll(), Next::Wait);
        source.deliver();
        source.deliver();
        assert_eq!(task.poll(), Next::Report);
        assert_eq!(task.poll(), Next::Wait);
        source.deliver();
        assert_eq!(task.poll(), Next::Report);
    }

    /// Kills the mutant that wakes nobody in `advance`: only the first of several listeners whose
    /// operation completes finds the doorbell rung.
    #[test]
    fn the_listener_that_finds_a_signal_wakes_the_others_which_report_it_too() {
        let source = Source::leaked().unwrap();
        let mut tasks: Vec<Task> = (0..3).map(|_| Task::new(source)).collect();
        for task in &mut tasks {
            assert_eq!(task.poll(), Next::Wait);
        }
        source.deliver();
        assert_eq!(tasks[1].poll(), Next::Report);
        assert_eq!(tasks.iter().map(Task::woken).collect::<Vec<_>>(), [1, 0, 1]);
        assert_eq!(tasks[0].poll(), Next::Report);
        assert_eq!(tasks[2].poll(), Next::Report);
        assert_eq!(tasks.iter().map(Task::woken).sum::<usize>(), 2);
    }

    #[test]
    fn a_new_listener_is_told_of_what_nobody_was_told_of_and_of_nothing_else() {
        let source = Source::leaked().unwrap();
        source.deliver();
        let mut first = Task::new(source);
        assert_eq!(first.poll(), Next::Report);
        let mut second = Task::new(source);
        assert_eq!(second.poll(), Next::Wait);
    }

    #[test]
    fn a_listener_that_waits_under_a_new_waker_is_woken_by_that_one() {
        let source = Source::leaked().unwrap();
        let (mut task, mut other) = (Task::new(source), Task::new(source));
        assert_eq!(task.poll(), Next::Wait);
        let before = mem::take(&mut task.woken);
        assert_eq!(task.poll(), Next::Wait);
        source.deliver();
        assert_eq!(other.poll(), Next::Report);
        assert_eq!((before.0.load(Ordering::Relaxed), task.woken()), (0, 1));
    }

    #[test]
    fn a_ring_without_a_signal_wakes_nobody() {
        let source = Source::leaked().unwrap();
        let (mut task, mut other) = (Task::new(source), Task::new(source));
        assert_eq!(task.poll(), Next::Wait);
        source.doorbell.ring();
        assert_eq!(
            other
                .listener
                .advance(true, &Arc::clone(&other.woken).into()),
            Next::Wait
        );
        assert_eq!(task.woken(), 0);
        assert_eq!(waiters(source), 2);
    }

    /// Kills the mutant that reads the count before it drains the doorbell: a signal between the two
    /// would be neither reported nor ring for anybody.
    #[test]
    fn a_signal_that_comes_during_a_look_is_reported_or_leaves_the_doorbell_rung() {
        const ROUNDS: usize = 20_000;
        let source = Source::leaked().unwrap();
        let mut task = Task::new(source);
        let (begun, over) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..=ROUNDS {
                    while begun.load(Ordering::SeqCst) < round {
                        hint::spin_loop();
                    }
                    source.deliver();
                    over.store(round, Ordering::SeqCst);
                }
            });
            let lost = (1..=ROUNDS).find(|round| {
                begun.store(*round, Ordering::SeqCst);
                let mut reported = false;
                while over.load(Ordering::SeqCst) < *round {
                    reported |= task.look() == Next::Report;
                }
                let lost = !reported && !source.doorbell.drain();
                let _ = task.look();
                lost
            });
            begun.store(ROUNDS, Ordering::SeqCst);
            assert_eq!(lost, None, "round in which a signal was lost");
        });
    }

    #[test]
    fn a_listener_that_is_gone_or_has_reported_leaves_no_waker_behind() {
        let source = Source::leaked().unwrap();
        let (mut gone, mut done) = (Task::new(source), Task::new(source));
        assert_eq!(gone.poll(), Next::Wait);
        drop(gone);
        assert_eq!(waiters(source), 0);
        assert_eq!(done.poll(), Next::Wait);
        source.deliver();
        assert_eq!(done.poll(), Next::Report);
        assert_eq!(waiters(source), 0);
    }

    #[test]
    fn signals_that_must_not_be_handled_are_refused_in_tokios_words() {
        for number in [-1, 0, libc::SIGKILL, libc::SIGSTOP, libc::SIGSEGV] {
            let error = source(number).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::Other);
            assert_eq!(
                error.to_string(),
                format!("Refusing to register signal {number}")
            );
        }
        let error = source(libc::SIGRTMAX() + 1).unwrap_err();
        assert_eq!(error.to_string(), "signal too large");
    }
}
