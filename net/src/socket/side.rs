//! One side of a socket: a locked state, the waker that its operations know, and places for futures.

use std::fmt;
use std::mem;
use std::sync::{Arc, Weak};
use std::task::{Context, Wake, Waker};

use ringway_runtime::driver::Tell;
use ringway_runtime::loom::{Mutex, MutexGuard};
use ringway_runtime::{Offer, Unprepared};

use super::{Waiters, Who};
use crate::socket::waiters::Ticket;

/// The state that a side guards. Its default is the state of a closed side: no operation, nobody waits.
pub(crate) trait SideState: Default + Send + 'static {
    /// Who is woken when an operation of this side has ended.
    const WAKES: Wakes;

    /// Those who wait at this side.
    fn waiters(&mut self) -> &mut Waiters;

    /// The waker of the side's operations was called.
    fn note_news(&mut self);

    /// An operation that goes on has told these `POLL…` bits.
    fn note_told(&mut self, events: u32);
}

/// What a side lends to its operations: the context in which they are polled, and whom they tell.
pub(crate) struct Lent<'a> {
    pub(crate) cx: Context<'a>,
    side: &'a dyn Teller,
}

impl Lent<'_> {
    /// Whom an operation tells that goes on: the side.
    pub(crate) fn teller(&self) -> Arc<dyn Tell> {
        self.side.teller()
    }
}

/// A side without its type.
trait Teller {
    fn teller(&self) -> Arc<dyn Tell>;
}

impl<S: SideState> Teller for Side<S> {
    fn teller(&self) -> Arc<dyn Tell> {
        self.shared.clone()
    }
}

/// Who is woken by an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wakes {
    /// Everybody: the event is for all, as readiness is.
    All,
    /// The last `poll_…` caller and the first future: one of them can use the event, as with an accept. A
    /// future that was woken and is dropped without asking again hands the wake on.
    One,
}

/// A side of a socket. Dropping it drops its operations, which cancels them, and forgets its waiters.
pub(crate) struct Side<S: SideState> {
    shared: Arc<Shared<S>>,
    /// The waker made of `shared`, kept so that a poll costs no reference count.
    waker: Waker,
}

/// Has `who` woken with the next event, and gives up the lock. `false`: the waker had to be cloned, which is not done under
/// a lock; lock and look again.
pub(crate) fn wait<S: SideState>(
    mut state: MutexGuard<'_, S>,
    who: Who<'_>,
    offer: &mut Offer<'_>,
) -> bool {
    let registered = state.waiters().register(who, offer);
    drop(state);
    match registered {
        Ok(replaced) => {
            drop(replaced);
            true
        }
        Err(Unprepared) => {
            offer.prepare();
            false
        }
    }
}

/// What the side and the wakers of its operations share.
struct Shared<S> {
    state: Mutex<S>,
}

impl<S: SideState> Side<S> {
    pub(crate) fn new(state: S) -> Side<S> {
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
        });
        let waker = Waker::from(shared.clone());
        Side { shared, waker }
    }

    /// The side's state. Wakers that come out of it are dropped after the guard.
    pub(crate) fn lock(&self) -> MutexGuard<'_, S> {
        self.shared.state.lock()
    }

    /// What this side's operations need, whoever asks.
    pub(crate) fn lend(&self) -> Lent<'_> {
        Lent {
            cx: Context::from_waker(&self.waker),
            side: self,
        }
    }

    /// Wakes those whom an event would wake.
    pub(crate) fn hand_on(&self) {
        self.shared.wake_waiters(S::note_news);
    }

    /// The side for somebody who may outlive it.
    pub(crate) fn downgrade(&self) -> WeakSide<S> {
        WeakSide(Arc::downgrade(&self.shared))
    }

    /// A place for one future among those who wait at this side.
    pub(crate) fn place(&self) -> Place<'_, S> {
        Place {
            side: self,
            ticket: None,
        }
    }
}

impl<S: SideState> Drop for Side<S> {
    fn drop(&mut self) {
        // The operations' wakers own `shared`, and `shared` owns the operations: this breaks the circle.
        let state = mem::take(&mut *self.lock());
        drop(state);
    }
}

impl<S: SideState> fmt::Debug for Side<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Side").finish_non_exhaustive()
    }
}

/// A side that may be gone. If it was only just dropped, its state is the default.
pub(crate) struct WeakSide<S>(Weak<Shared<S>>);

impl<S: SideState> WeakSide<S> {
    /// Calls `change` with the state, under the lock, and then wakes those whom an event would wake, if that says so.
    pub(crate) fn change(&self, change: impl FnOnce(&mut S) -> bool) {
        let Some(shared) = self.0.upgrade() else {
            return;
        };
        let is_event = change(&mut shared.state.lock());
        if is_event {
            shared.wake_waiters(S::note_news);
        }
    }
}

impl<S> Clone for WeakSide<S> {
    fn clone(&self) -> Self {
        WeakSide(Weak::clone(&self.0))
    }
}

impl<S> fmt::Debug for WeakSide<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakSide").finish_non_exhaustive()
    }
}

impl<S: SideState> Wake for Shared<S> {
    fn wake(self: Arc<Self>) {
        self.wake_waiters(S::note_news);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_waiters(S::note_news);
    }
}

impl<S: SideState> Tell for Shared<S> {
    fn tell(self: Arc<Self>, mask: u32) {
        self.wake_waiters(|state| state.note_told(mask));
    }
}

impl<S: SideState> Shared<S> {
    fn wake_waiters(&self, note: impl FnOnce(&mut S)) {
        let mut state = self.state.lock();
        note(&mut state);
        let waiters = state.waiters();
        let limit = waiters.next_ticket();
        let last = waiters.take_last();
        let mut first = waiters.take_first(limit);
        drop(state);
        for waker in last.into_iter().flatten() {
            waker.wake();
        }
        while let Some(waker) = first {
            waker.wake();
            first = match S::WAKES {
                Wakes::All => self.state.lock().waiters().take_first(limit),
                Wakes::One => None,
            };
        }
    }
}

/// A future's place among those who wait at a side, given up when the future is dropped.
#[derive(Debug)]
pub(crate) struct Place<'a, S: SideState> {
    side: &'a Side<S>,
    ticket: Option<Ticket>,
}

impl<S: SideState> Place<'_, S> {
    /// The future that holds this place, as one who asks.
    pub(crate) fn who(&mut self) -> Who<'_> {
        Who::Future(&mut self.ticket)
    }

    /// Gives the place up after the future has got what it waited for, so that no wake is handed on.
    pub(crate) fn leave(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let waker = self.side.lock().waiters().remove(ticket);
            drop(waker);
        }
    }
}

impl<S: SideState> Drop for Place<'_, S> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let waker = self.side.lock().waiters().remove(ticket);
        if waker.is_none() && S::WAKES == Wakes::One {
            self.side.hand_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use ringway_runtime::Offer;

    use super::{Side, SideState, Wakes};
    use crate::socket::{Waiters, Who};

    #[derive(Default)]
    struct Event(Waiters);

    impl SideState for Event {
        const WAKES: Wakes = Wakes::All;

        fn waiters(&mut self) -> &mut Waiters {
            &mut self.0
        }

        fn note_news(&mut self) {}

        fn note_told(&mut self, _events: u32) {}
    }

    #[derive(Default)]
    struct Turn(Waiters);

    impl SideState for Turn {
        const WAKES: Wakes = Wakes::One;

        fn waiters(&mut self) -> &mut Waiters {
            &mut self.0
        }

        fn note_news(&mut self) {}

        fn note_told(&mut self, _events: u32) {}
    }

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Count {
        fn get(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn register<S: SideState>(side: &Side<S>, mut who: Who<'_>, waker: &Waker) {
        let replaced = Offer::until_served(waker, |offer| {
            side.lock().waiters().register(who.again(), offer)
        });
        assert!(replaced.is_none());
    }

    fn fire<S: SideState>(side: &Side<S>) {
        side.lend().cx.waker().wake_by_ref();
    }

    #[test]
    fn an_event_wakes_everybody_once() {
        let side = Side::new(Event::default());
        let counts: Vec<Arc<Count>> = (0..3).map(|_| Arc::default()).collect();
        let mut places: Vec<_> = counts.iter().map(|_| side.place()).collect();
        for (place, count) in places.iter_mut().zip(&counts) {
            let waker = Waker::from(count.clone());
            register(&side, place.who(), &waker);
        }
        let last = Arc::new(Count::default());
        register(&side, Who::Last, &Waker::from(last.clone()));
        fire(&side);
        fire(&side);
        assert_eq!(
            counts.iter().map(|count| count.get()).collect::<Vec<_>>(),
            [1, 1, 1]
        );
        assert_eq!(last.get(), 1);
    }

    /// Mutant: leave out the hand-on in `Place::drop`.
    #[test]
    fn a_woken_future_that_is_dropped_hands_its_turn_on() {
        let side = Side::new(Turn::default());
        let counts: Vec<Arc<Count>> = (0..3).map(|_| Arc::default()).collect();
        let mut places: Vec<_> = counts.iter().map(|_| side.place()).collect();
        for (place, count) in places.iter_mut().zip(&counts) {
            let waker = Waker::from(count.clone());
            register(&side, place.who(), &waker);
        }
        fire(&side);
        assert_eq!(
            counts.iter().map(|count| count.get()).collect::<Vec<_>>(),
            [1, 0, 0]
        );
        drop(places.remove(0));
        assert_eq!(
            counts.iter().map(|count| count.get()).collect::<Vec<_>>(),
            [1, 1, 0]
        );
        places[0].leave();
        drop(places.remove(0));
        assert_eq!(
            counts.iter().map(|count| count.get()).collect::<Vec<_>>(),
            [1, 1, 0]
        );
    }

    #[test]
    fn a_waiting_future_that_is_dropped_is_forgotten() {
        let side = Side::new(Turn::default());
        let gone = Arc::new(Count::default());
        let stays = Arc::new(Count::default());
        let mut first = side.place();
        let mut second = side.place();
        for (place, count) in [(&mut first, &gone), (&mut second, &stays)] {
            let waker = Waker::from(count.clone());
            register(&side, place.who(), &waker);
        }
        drop(first);
        fire(&side);
        assert_eq!((gone.get(), stays.get()), (0, 1));
    }

    #[test]
    fn a_dropped_side_keeps_no_waker() {
        let side = Side::new(Event::default());
        let count = Arc::new(Count::default());
        register(&side, Who::Last, &Waker::from(count.clone()));
        let operation = side.lend().cx.waker().clone();
        drop(side);
        assert_eq!(Arc::strong_count(&count), 1);
        operation.wake();
        assert_eq!(count.get(), 0);
    }
}
