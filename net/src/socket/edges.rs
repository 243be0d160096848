//! The readiness of a descriptor that belongs to somebody else: what edges have told, and who waits for more.
//!
//! There is one watch for all events, with edges, and one poll operation on it. An edge is told once: when the watch
//! is asked, its events become beliefs, and stay until the user clears them. Each question that had an answer counts a
//! *tick*; who clears says which tick he has seen, so that he does not clear what he cannot know.

use std::io;
use std::task::{Context, Poll, ready};

use ringway_runtime::Offer;
use ringway_runtime::driver::{self, Home};
use ringway_runtime::task::coop;

use super::side::wait;
use super::{Armed, Lent, Polls, Side, SideState, Waiters, Wakes, Who};
use crate::op::{Trigger, Watch};
use crate::ready::poll_events;
use crate::{Interest, Ready};

/// What was believed at some tick.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) ready: Ready,
    tick: u32,
}

/// The readiness of a descriptor.
#[derive(Debug)]
pub(crate) struct Edges {
    side: Side<News>,
    watch: Watch,
    home: Option<Home>,
}

#[derive(Debug)]
struct News {
    believed: Ready,
    tick: u32,
    poll: Armed,
    /// The runtime has shut down; whoever waits from now on is told so, whatever is believed.
    has_ended: bool,
    waiters: Waiters,
}

impl Default for News {
    fn default() -> News {
        News {
            believed: Ready::EMPTY,
            tick: 0,
            poll: Armed::default(),
            has_ended: false,
            waiters: Waiters::default(),
        }
    }
}

impl SideState for News {
    const WAKES: Wakes = Wakes::All;

    fn waiters(&mut self) -> &mut Waiters {
        &mut self.waiters
    }

    fn note_news(&mut self) {
        self.poll.note_news();
    }

    fn note_told(&mut self, events: u32) {
        self.poll.note_told(events, self.waiters.is_anybody());
    }
}

impl Edges {
    /// Begins to watch `fd` in this thread's runtime.
    ///
    /// # Errors
    ///
    /// Those of epoll_ctl(2): `EBADF`, and `EPERM` for a file that is always ready, such as a regular one.
    pub(crate) fn new(fd: &impl std::os::fd::AsRawFd, interest: Interest) -> io::Result<Edges> {
        let home = Home::here();
        Ok(Edges {
            side: Side::new(News::default()),
            watch: Watch::new(fd, home, poll_events(interest), Trigger::Edge)?,
            home,
        })
    }

    /// As [`Edges::poll_readiness`], at the cost of a unit of the task's budget.
    pub(crate) fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        who: Who<'_>,
        interest: Interest,
    ) -> Poll<io::Result<Event>> {
        let unit = ready!(coop::poll_proceed(cx));
        let event = self.poll_readiness(cx, who, interest);
        if event.is_ready() {
            unit.made_progress();
        }
        event
    }

    /// What is believed of `interest`, as soon as anything is; otherwise `who` will be woken.
    pub(crate) fn poll_readiness(
        &self,
        cx: &mut Context<'_>,
        mut who: Who<'_>,
        interest: Interest,
    ) -> Poll<io::Result<Event>> {
        let mut offer = Offer::new(cx.waker());
        let mut operations = self.side.lend();
        let mut news = self.side.lock();
        news.settle(&self.watch, &mut operations)?;
        loop {
            if let Some(event) = news.event(interest) {
                return Poll::Ready(Ok(event));
            }
            if news.poll.is_armed() {
                if wait(news, who.again(), &mut offer) {
                    return Poll::Pending;
                }
                news = self.side.lock();
                news.settle(&self.watch, &mut operations)?;
                continue;
            }
            // Within its runtime the watch can be asked at once. Elsewhere the operation will tell whether the runtime
            // has ended.
            if Home::here() != self.home || !news.take_events(&self.watch)? {
                let (at, events) = self.watch.polled();
                news.poll.arm(at, events, Polls::Many, &operations);
                news.settle(&self.watch, &mut operations)?;
            }
        }
    }

    /// A future's wait for `interest`.
    pub(crate) async fn readiness(&self, interest: Interest) -> io::Result<Event> {
        let mut place = self.side.place();
        std::future::poll_fn(|cx| self.poll_readiness(cx, place.who(), interest)).await
    }

    /// Calls `call` if `interest` is believed ready, and clears the belief if it would block.
    pub(crate) fn try_io<R>(
        &self,
        interest: Interest,
        call: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        let event = self.event_now(interest)?;
        let event = event.ok_or(io::ErrorKind::WouldBlock)?;
        self.call(event, call)
    }

    /// Waits for `interest` and calls `call`, until that does not block.
    pub(crate) async fn async_io<R>(
        &self,
        interest: Interest,
        mut call: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            let event = self.readiness(interest).await?;
            std::future::poll_fn(coop::poll_charge).await;
            match self.call(event, &mut call) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }

    fn call<R>(&self, event: Event, call: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        let result = call();
        if matches!(&result, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
            self.clear(event, event.ready);
        }
        result
    }

    /// What is believed now, after a look at the watch.
    fn event_now(&self, interest: Interest) -> io::Result<Option<Event>> {
        let mut news = self.side.lock();
        let has_news = news.event(interest).is_none() && news.take_events(&self.watch)?;
        let event = news.event(interest);
        drop(news);
        if has_news {
            // The operation will not tell those who wait for it any more.
            self.side.hand_on();
        }
        Ok(event)
    }

    /// Takes `ready` back, unless there was news since `event`. That a direction is closed stays.
    pub(crate) fn clear(&self, event: Event, ready: Ready) {
        let mut news = self.side.lock();
        if news.tick == event.tick {
            news.believed = news.believed - (ready - Ready::CLOSED);
        }
    }
}

impl News {
    fn event(&self, interest: Interest) -> Option<Event> {
        let ready = self.believed & Ready::answering(interest);
        let tick = self.tick;
        (!ready.is_empty()).then_some(Event { ready, tick })
    }

    /// Takes what the watch has to tell; false if that is nothing.
    fn take_events(&mut self, watch: &Watch) -> io::Result<bool> {
        let events = watch.take_events()?;
        if events == 0 {
            return Ok(false);
        }
        self.believed |= Ready::from_edge(events);
        self.tick = self.tick.wrapping_add(1);
        Ok(true)
    }

    /// Takes the result of the poll operation, if there is one and it has ended.
    fn settle(&mut self, watch: &Watch, operations: &mut Lent<'_>) -> io::Result<()> {
        if self.has_ended {
            return Err(driver::shutdown_error());
        }
        match self.poll.poll(operations) {
            Ok(None) => {}
            Ok(Some(_)) => drop(self.take_events(watch)?),
            Err(error) => {
                self.has_ended = driver::is_shutdown(&error);
                return Err(error);
            }
        }
        Ok(())
    }
}
