//! Who waits at a side.
//!
//! Two kinds of callers wait. Those of the `poll_…` functions leave a waker and may never come back: only the
//! last one's is kept, as their contract says. Futures draw a ticket; they are woken in the order of their
//! tickets, and a future that is dropped takes its ticket back.
//!
//! A waker leaves this list when it is woken. A future whose ticket is not here any more therefore knows that
//! it has been woken.

use std::collections::VecDeque;
use std::task::Waker;

use ringway_runtime::{Offer, Unprepared};

/// A future's place in the list. Tickets only grow, so the list is sorted by them.
pub(crate) type Ticket = u64;

/// Who asks, and so where his waker goes.
#[derive(Debug)]
pub(crate) enum Who<'a> {
    /// A `poll_…` function: the last caller replaces the one before.
    Last,
    /// The same, for writing, at a side that serves both directions: each has a last caller of its own.
    LastWriter,
    /// A future, with the ticket that it has drawn, if it has.
    Future(&'a mut Option<Ticket>),
}

impl Who<'_> {
    /// The same, for one more call.
    pub(crate) fn again(&mut self) -> Who<'_> {
        match self {
            Who::Last => Who::Last,
            Who::LastWriter => Who::LastWriter,
            Who::Future(ticket) => Who::Future(ticket),
        }
    }
}

/// The tasks that wait at one side.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    last: Option<Waker>,
    last_writer: Option<Waker>,
    futures: VecDeque<(Ticket, Waker)>,
    next: Ticket,
}

impl Waiters {
    /// Sees to it that the waker on offer is woken with the next event.
    ///
    /// Returns the waker it replaces, which the caller drops when he holds no lock any more: the last waker of
    /// a task may drop the task, and the task may own the socket.
    ///
    /// # Errors
    ///
    /// A clone is wanted, and there is none yet.
    pub(crate) fn register(
        &mut self,
        who: Who<'_>,
        offer: &mut Offer<'_>,
    ) -> Result<Option<Waker>, Unprepared> {
        let place = match who {
            Who::Last => &mut self.last,
            Who::LastWriter => &mut self.last_writer,
            Who::Future(ticket) => match ticket.and_then(|ticket| self.position(ticket)) {
                Some(index) => return offer.renew(&mut self.futures[index].1),
                None => {
                    self.futures.push_back((self.next, offer.take()?));
                    *ticket = Some(self.next);
                    self.next += 1;
                    return Ok(None);
                }
            },
        };
        match place {
            Some(known) => offer.renew(known),
            None => {
                *place = Some(offer.take()?);
                Ok(None)
            }
        }
    }

    /// Takes a future off the list; `None` if it has been woken already.
    pub(crate) fn remove(&mut self, ticket: Ticket) -> Option<Waker> {
        let index = self.position(ticket)?;
        self.futures.remove(index).map(|(_, waker)| waker)
    }

    /// Whether a future waits that nobody has woken.
    pub(crate) fn has_futures(&self) -> bool {
        !self.futures.is_empty()
    }

    /// Whether anybody waits.
    pub(crate) fn is_anybody(&self) -> bool {
        self.has_futures() || self.last.is_some() || self.last_writer.is_some()
    }

    /// Takes the wakers of the last `poll_…` calls.
    pub(super) fn take_last(&mut self) -> [Option<Waker>; 2] {
        [self.last.take(), self.last_writer.take()]
    }

    /// Takes the waker of the future that has waited longest, if it drew its ticket before `limit`.
    pub(super) fn take_first(&mut self, limit: Ticket) -> Option<Waker> {
        let (ticket, _) = self.futures.front()?;
        if *ticket >= limit {
            return None;
        }
        self.futures.pop_front().map(|(_, waker)| waker)
    }

    /// The ticket that will be drawn next. Who wakes everybody stops there: a future that comes back while it
    /// does so draws a new ticket, and waits for the next event.
    pub(super) fn next_ticket(&self) -> Ticket {
        self.next
    }

    fn position(&self, ticket: Ticket) -> Option<usize> {
        self.futures
            .binary_search_by_key(&ticket, |(other, _)| *other)
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use ringway_runtime::Offer;

    use super::{Ticket, Waiters, Who};

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counted() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        (count.clone(), Waker::from(count))
    }

    fn register(waiters: &mut Waiters, mut who: Who<'_>, waker: &Waker) -> Option<Waker> {
        Offer::until_served(waker, |offer| waiters.register(who.again(), offer))
    }

    fn draw(waiters: &mut Waiters, ticket: &mut Option<Ticket>, waker: &Waker) {
        assert!(register(waiters, Who::Future(ticket), waker).is_none());
    }

    #[test]
    fn futures_are_taken_in_the_order_in_which_they_came() {
        let mut waiters = Waiters::default();
        let (counts, wakers): (Vec<_>, Vec<_>) = (0..3).map(|_| counted()).unzip();
        let mut tickets = [None; 3];
        for (ticket, waker) in tickets.iter_mut().zip(&wakers) {
            draw(&mut waiters, ticket, waker);
        }
        let limit = waiters.next_ticket();
        for count in &counts {
            waiters.take_first(limit).expect("a future waits").wake();
            assert_eq!(count.0.load(Ordering::Relaxed), 1);
        }
        assert!(waiters.take_first(limit).is_none());
    }

    #[test]
    fn a_future_that_asks_again_keeps_its_place() {
        let mut waiters = Waiters::default();
        let (first, first_waker) = counted();
        let (_, second_waker) = counted();
        let (mut one, mut two) = (None, None);
        draw(&mut waiters, &mut one, &first_waker);
        draw(&mut waiters, &mut two, &second_waker);
        draw(&mut waiters, &mut one, &first_waker);
        let limit = waiters.next_ticket();
        waiters.take_first(limit).expect("a future waits").wake();
        assert_eq!(first.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_future_that_moved_to_another_task_is_woken_there() {
        let mut waiters = Waiters::default();
        let (old, old_waker) = counted();
        let (new, new_waker) = counted();
        let mut ticket = None;
        draw(&mut waiters, &mut ticket, &old_waker);
        assert!(register(&mut waiters, Who::Future(&mut ticket), &new_waker).is_some());
        waiters
            .take_first(waiters.next_ticket())
            .expect("a future waits")
            .wake();
        assert_eq!(
            (old.0.load(Ordering::Relaxed), new.0.load(Ordering::Relaxed)),
            (0, 1)
        );
    }

    #[test]
    fn a_removed_future_is_not_woken_and_a_woken_one_cannot_be_removed() {
        let mut waiters = Waiters::default();
        let (_, waker) = counted();
        let (mut one, mut two) = (None, None);
        draw(&mut waiters, &mut one, &waker);
        draw(&mut waiters, &mut two, &waker);
        assert!(waiters.remove(one.expect("drawn above")).is_some());
        assert!(waiters.take_first(waiters.next_ticket()).is_some());
        assert!(waiters.remove(two.expect("drawn above")).is_none());
        assert!(!waiters.has_futures());
    }

    #[test]
    fn who_comes_back_during_a_round_waits_for_the_next_one() {
        let mut waiters = Waiters::default();
        let (_, waker) = counted();
        let mut ticket = None;
        draw(&mut waiters, &mut ticket, &waker);
        let limit = waiters.next_ticket();
        assert!(waiters.take_first(limit).is_some());
        draw(&mut waiters, &mut ticket, &waker);
        assert!(waiters.take_first(limit).is_none());
        assert!(waiters.has_futures());
    }

    #[test]
    fn only_the_last_poll_is_kept() {
        let mut waiters = Waiters::default();
        let (old, old_waker) = counted();
        let (new, new_waker) = counted();
        assert!(register(&mut waiters, Who::Last, &old_waker).is_none());
        assert!(register(&mut waiters, Who::Last, &new_waker).is_some());
        let [last, writer] = waiters.take_last();
        last.expect("one has polled").wake();
        assert!(writer.is_none());
        assert!(waiters.take_last().iter().all(Option::is_none));
        assert_eq!(
            (old.0.load(Ordering::Relaxed), new.0.load(Ordering::Relaxed)),
            (0, 1)
        );
    }
}
