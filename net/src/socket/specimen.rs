//! A side of a socket that there is not, for models: the very side, over a kernel that is a count of events.

use std::future::poll_fn;
use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll, Waker};

use ringway_runtime::Offer;

use super::listener::Queue;
use super::side::wait;
use super::{Side, SideState, Stash, Waiters, Wakes, Who};

/// Who is woken by an event.
pub trait Crowd: Default + Send + 'static {
    /// Whether only one can use it.
    const IS_TURN: bool;
}

/// All can use an event, as they can readiness.
#[derive(Debug, Default)]
pub struct Everybody;

/// One can use an event, as a connection.
#[derive(Debug, Default)]
pub struct OneByOne;

impl Crowd for Everybody {
    const IS_TURN: bool = false;
}

impl Crowd for OneByOne {
    const IS_TURN: bool = true;
}

/// What the kernel has told, and who waits for more.
#[derive(Debug, Default)]
struct Events<C> {
    untaken: usize,
    waiters: Waiters,
    crowd: PhantomData<C>,
}

impl<C: Crowd> SideState for Events<C> {
    const WAKES: Wakes = if C::IS_TURN { Wakes::One } else { Wakes::All };

    fn waiters(&mut self) -> &mut Waiters {
        &mut self.waiters
    }

    fn note_news(&mut self) {}

    fn note_told(&mut self, _events: u32) {}
}

/// A side that waits for events.
#[derive(Debug)]
pub struct Specimen<C: Crowd>(Side<Events<C>>);

impl<C: Crowd> Default for Specimen<C> {
    fn default() -> Specimen<C> {
        Specimen(Side::new(Events::default()))
    }
}

impl<C: Crowd> Specimen<C> {
    /// The waker that the side's operations know.
    pub fn waker(&self) -> Waker {
        self.0.lend().cx.waker().clone()
    }

    /// Something has happened. The operation's waker is called afterwards.
    pub fn happen(&self) {
        self.0.lock().untaken += 1;
    }

    /// Waits for an event, as an accept does that takes it, or as `readable` does that leaves it there.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready it gives its place up, as what it stands for does.
    pub async fn event(&self) {
        let mut place = self.0.place();
        poll_fn(|cx| self.poll(cx, place.who())).await;
        place.leave();
    }

    /// The same, as a `poll_…` function.
    pub fn poll_event(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll(cx, Who::Last)
    }

    fn poll(&self, cx: &mut Context<'_>, mut who: Who<'_>) -> Poll<()> {
        let mut offer = Offer::new(cx.waker());
        let mut events = self.0.lock();
        while events.untaken == 0 {
            if wait(events, who.again(), &mut offer) {
                return Poll::Pending;
            }
            events = self.0.lock();
        }
        events.untaken -= usize::from(C::IS_TURN);
        Poll::Ready(())
    }
}

/// A listener to whom nobody connects: its accepts get what others leave in its stash.
#[derive(Debug)]
pub struct Deserted(Side<Queue>);

impl Default for Deserted {
    fn default() -> Deserted {
        let mut queue = Queue::default();
        queue.is_open = true;
        Deserted(Side::new(queue))
    }
}

impl Deserted {
    /// Its stash.
    pub fn stash(&self) -> Stash {
        Stash::new(self.0.downgrade())
    }

    /// The waker that its operations know, which keeps what is left of it.
    pub fn waker(&self) -> Waker {
        self.0.lend().cx.waker().clone()
    }

    /// As an accept of a listener.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no connection: one that was offered goes to the next accept.
    pub async fn accept(&self) -> OwnedFd {
        let mut place = self.0.place();
        let connection = poll_fn(|cx| self.poll(cx, place.who())).await;
        place.leave();
        connection
    }

    fn poll(&self, cx: &mut Context<'_>, mut who: Who<'_>) -> Poll<OwnedFd> {
        let mut offer = Offer::new(cx.waker());
        loop {
            let mut queue = self.0.lock();
            if let Some(connection) = queue.stash.pop_front() {
                return Poll::Ready(connection);
            }
            if wait(queue, who.again(), &mut offer) {
                return Poll::Pending;
            }
        }
    }
}
