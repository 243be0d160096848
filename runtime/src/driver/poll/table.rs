//! The requests of one device: who waits for which descriptor, and which are with the blocking pool.
//!
//! All of it is behind the device's lock, which is to it what the kernel's lock of a ring is: requests are begun, tried
//! and cancelled under it, so that a cancel meets its request however many threads enter at once. No call made under it
//! waits.

use std::fmt;
use std::os::fd::RawFd;
use std::sync::Arc;

use slab::Slab;

use super::super::plain::{Cancel, Kind, Place, Request, Step, poll_all, poll_now};
use super::super::slots::Answer;
use super::F_MORE;
use super::job::Job;
use super::registry::{NumberMap, Registration, Registry, Told, fd_of, of_those_found};
use super::watch::Report;

/// The requests. See the module.
#[derive(Default)]
pub(super) struct Table {
    watched: NumberMap<RawFd, Watched>,
    /// Where each request is that has not been answered for good.
    places: NumberMap<u64, At>,
    /// The calls that wait for a descriptor. Polls are no more than what their waiters say.
    calls: Slab<Request>,
    /// Room for a question about many descriptors.
    asked: Vec<libc::pollfd>,
    next_generation: u32,
}

/// A descriptor that somebody waits for, or has waited for.
#[derive(Debug, Default)]
struct Watched {
    registration: Registration,
    waiters: Vec<Waiter>,
}

/// A request that waits for a descriptor.
#[derive(Clone, Copy, Debug)]
struct Waiter {
    user_data: u64,
    events: u32,
    purpose: Purpose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// To try the call of this number again.
    Call(u32),
    /// To tell of the events, once or for as long as it is not cancelled.
    Poll { multishot: bool },
}

/// Where a request is.
#[derive(Debug)]
enum At {
    Descriptor(RawFd),
    Pool(Arc<Job>),
}

/// What is to be done when the lock is free again.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) answers: Vec<(u64, Answer)>,
    pub(super) jobs: Vec<Arc<Job>>,
}

/// Answers of one request in a row, after which others have a turn.
const ANSWERS_IN_A_ROW: usize = 64;

impl Outcome {
    fn answer(&mut self, user_data: u64, result: i32) {
        self.answers.push((user_data, Answer { result, flags: 0 }));
    }

    fn answer_one_of_many(&mut self, user_data: u64, result: i32) {
        let flags = F_MORE;
        self.answers.push((user_data, Answer { result, flags }));
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("watched", &self.watched)
            .field("places", &self.places)
            .finish_non_exhaustive()
    }
}

impl Table {
    /// Whether anybody waits for a descriptor, or for the pool.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Whether nobody waits for a descriptor either, by whom it could be told.
    #[cfg(feature = "models")]
    pub(super) fn is_deserted(&self) -> bool {
        self.is_empty()
            && self
                .watched
                .values()
                .all(|watched| watched.waiters.is_empty())
    }

    /// Begins a request.
    pub(super) fn begin(&mut self, poller: &dyn Registry, request: Request, out: &mut Outcome) {
        match request.kind() {
            Err(refused) => out.answer(request.user_data(), refused),
            Ok(Kind::Cancel(cancel)) => {
                let result = self.cancel(poller, cancel, out);
                if result < 0 || !request.skips_success() {
                    out.answer(request.user_data(), result);
                }
            }
            Ok(Kind::Poll { multishot }) => {
                let waiter = Waiter {
                    user_data: request.user_data(),
                    events: request.poll_events(),
                    purpose: Purpose::Poll { multishot },
                };
                self.wait(poller, request.fd(), waiter, out);
            }
            Ok(Kind::Call) => self.drive(poller, request, out),
        }
    }

    /// Tries a call, and sees to what comes after.
    pub(super) fn drive(&mut self, poller: &dyn Registry, mut request: Request, out: &mut Outcome) {
        match try_here(&mut request, out) {
            Tried::Answered => {}
            Tried::Waits(fd, events) => self.wait_to_try(poller, request, (fd, events), out),
            Tried::HasMore => {
                let fd = request.fd();
                self.wait_to_try(poller, request, (fd, libc::POLLIN as u32), out);
            }
            Tried::Elsewhere => self.send_elsewhere(request, out),
        }
    }

    fn send_elsewhere(&mut self, request: Request, out: &mut Outcome) {
        let job = Arc::new(Job::new(request));
        self.places
            .insert(job.user_data(), At::Pool(Arc::clone(&job)));
        out.jobs.push(job);
    }

    /// Has a call wait for the events of a descriptor.
    fn wait_to_try(
        &mut self,
        poller: &dyn Registry,
        request: Request,
        (fd, events): (RawFd, u32),
        out: &mut Outcome,
    ) {
        let user_data = request.user_data();
        let purpose = Purpose::Call(self.calls.insert(request) as u32);
        let waiter = Waiter {
            user_data,
            events,
            purpose,
        };
        self.wait(poller, fd, waiter, out);
    }

    /// Has the request wait for its descriptor.
    fn wait(&mut self, poller: &dyn Registry, fd: RawFd, waiter: Waiter, out: &mut Outcome) {
        let watched = self.watched.entry(fd).or_default();
        if watched.waiters.is_empty() {
            // Mostly it remains one.
            watched.waiters.reserve_exact(1);
        }
        watched.waiters.push(waiter);
        match watched.arm(poller, fd, &mut self.next_generation) {
            Ok(()) => {
                self.places.insert(waiter.user_data, At::Descriptor(fd));
            }
            Err(error) => {
                watched.waiters.pop();
                if watched.waiters.is_empty() {
                    self.watched.remove(&fd);
                }
                self.cannot_wait(fd, waiter, error, out);
            }
        }
    }

    /// The descriptor cannot be registered: it is a file, or there is an error.
    fn cannot_wait(&mut self, fd: RawFd, waiter: Waiter, error: i32, out: &mut Outcome) {
        let error = match waiter.purpose {
            _ if error != -libc::EPERM => error,
            Purpose::Call(call) => {
                let request = self.calls.remove(call as usize);
                return self.send_elsewhere(request, out);
            }
            // A file is ready at once or, for what is asked here, never.
            Purpose::Poll { .. } => match poll_now(fd, waiter.events) {
                0 => return self.keep_unregistered(fd, waiter),
                found => found,
            },
        };
        self.end(waiter);
        out.answer(waiter.user_data, error);
    }

    fn keep_unregistered(&mut self, fd: RawFd, waiter: Waiter) {
        self.places.insert(waiter.user_data, At::Descriptor(fd));
        self.watched.entry(fd).or_default().waiters.push(waiter);
    }

    /// A waiter has been answered, or is about to be.
    fn end(&mut self, waiter: Waiter) -> Option<Request> {
        self.places.remove(&waiter.user_data);
        match waiter.purpose {
            Purpose::Call(call) => Some(self.calls.remove(call as usize)),
            Purpose::Poll { .. } => None,
        }
    }

    /// Deals with what the poller has told.
    pub(super) fn settle_all(
        &mut self,
        poller: &dyn Registry,
        reports: &mut [Report],
        out: &mut Outcome,
    ) {
        self.ask(reports);
        for report in reports {
            self.settle(poller, report, out);
        }
    }

    /// The poller does not know all events that there are. What it does not know is asked for all descriptors together.
    fn ask(&mut self, reports: &mut [Report]) {
        let Self { asked, watched, .. } = self;
        asked.clear();
        for report in &*reports {
            let fd = fd_of(report.key);
            let events = watched
                .get(&fd)
                .map_or(0, |watched| watched.to_ask(report.told));
            // A negative number is not looked at.
            asked.push(libc::pollfd {
                fd: if events == 0 { -1 } else { fd },
                events: events as i16,
                revents: 0,
            });
        }
        if asked.iter().any(|asked| asked.fd >= 0) && poll_all(asked) {
            for (report, asked) in reports.iter_mut().zip(asked) {
                report.found = (asked.fd >= 0).then_some(u32::from(asked.revents as u16));
            }
        }
    }

    fn settle(&mut self, poller: &dyn Registry, event: &Report, out: &mut Outcome) {
        let fd = fd_of(event.key);
        let Some(watched) = self.watched.get_mut(&fd) else {
            return;
        };
        if !watched.registration.is_meant_by(event.key, fd) {
            return;
        }
        let mut gone = Vec::new();
        let mut rearm = Rearm::IfDisarmed;
        watched.waiters.retain_mut(
            |waiter| match waiter.hear(&mut self.calls, fd, event, out) {
                Heard::NotMeant => true,
                Heard::InVain => {
                    rearm = rearm.max(Rearm::ForEdges);
                    true
                }
                Heard::HasMore => {
                    rearm = Rearm::Anyway;
                    true
                }
                Heard::Answered => {
                    // As `end`, but the descriptor is borrowed.
                    self.places.remove(&waiter.user_data);
                    if let Purpose::Call(call) = waiter.purpose {
                        self.calls.remove(call as usize);
                    }
                    false
                }
                Heard::Moves(to) => {
                    gone.push((*waiter, to));
                    false
                }
            },
        );
        if let Err(error) = watched.arm_again(poller, fd, rearm, &mut self.next_generation) {
            // A lack of memory. Each hears of it, and none waits for ever.
            for waiter in std::mem::take(&mut watched.waiters) {
                self.end(waiter);
                out.answer(waiter.user_data, error);
            }
        }
        for (waiter, to) in gone {
            match (to, waiter.purpose) {
                (Some(other), _) => self.wait(poller, other, waiter, out),
                (None, Purpose::Call(call)) => {
                    let request = self.calls.remove(call as usize);
                    self.send_elsewhere(request, out);
                }
                (None, Purpose::Poll { .. }) => unreachable!("a poll calls nothing"),
            }
        }
    }

    /// A request has been at the pool, and waits for a descriptor.
    pub(super) fn take_back(
        &mut self,
        poller: &dyn Registry,
        request: Request,
        wanted: (RawFd, u32),
        out: &mut Outcome,
    ) {
        self.wait_to_try(poller, request, wanted, out);
    }

    /// Takes a request that the pool has had out of the table.
    pub(super) fn forget(&mut self, user_data: u64) {
        self.places.remove(&user_data);
    }

    /// Cancels; answers as the kernel does.
    fn cancel(&mut self, poller: &dyn Registry, cancel: Cancel, out: &mut Outcome) -> i32 {
        if let Some(user_data) = cancel.user_data() {
            let cancelled = self.cancel_one(poller, user_data, out);
            return cancelled.map_or_else(|error| error, |()| i32::from(cancel.all));
        }
        let mut cancelled = 0;
        let mut refused = -libc::ENOENT;
        for user_data in self.meant_by(cancel) {
            match self.cancel_one(poller, user_data, out) {
                Ok(()) if cancel.all => cancelled += 1,
                Ok(()) => return 0,
                Err(error) => refused = error,
            }
        }
        if cancel.all && (cancelled > 0 || refused == -libc::ENOENT) {
            return cancelled;
        }
        refused
    }

    fn meant_by(&self, cancel: Cancel) -> Vec<u64> {
        let fd_of = |at: &At| match at {
            At::Descriptor(fd) => *fd,
            At::Pool(job) => job.fd(),
        };
        self.places
            .iter()
            .filter(|&(&user_data, at)| cancel.means(user_data, fd_of(at)))
            .map(|(&user_data, _)| user_data)
            .collect()
    }

    fn cancel_one(
        &mut self,
        poller: &dyn Registry,
        user_data: u64,
        out: &mut Outcome,
    ) -> Result<(), i32> {
        match self.places.get(&user_data) {
            None => return Err(-libc::ENOENT),
            Some(At::Pool(job)) => {
                if !job.cancel() {
                    return Err(-libc::EALREADY);
                }
                out.answer(user_data, job.given_up());
            }
            Some(&At::Descriptor(fd)) => {
                self.stop_waiting(poller, fd, user_data, out);
                return Ok(());
            }
        }
        self.places.remove(&user_data);
        Ok(())
    }

    fn stop_waiting(
        &mut self,
        poller: &dyn Registry,
        fd: RawFd,
        user_data: u64,
        out: &mut Outcome,
    ) {
        let Some(watched) = self.watched.get_mut(&fd) else {
            return;
        };
        let is_meant = |waiter: &Waiter| waiter.user_data == user_data;
        let place = watched.waiters.iter().position(is_meant);
        let Some(waiter) = place.map(|place| watched.waiters.remove(place)) else {
            return;
        };
        if watched.waiters.is_empty() {
            watched.registration.retire(poller, fd);
            self.watched.remove(&fd);
        }
        let request = self.end(waiter);
        out.answer(
            user_data,
            request.map_or(-libc::ECANCELED, |request| request.given_up()),
        );
    }
}

impl Watched {
    /// Arms for what all waiters want. The error is the negative errno.
    fn arm(
        &mut self,
        poller: &dyn Registry,
        fd: RawFd,
        next_generation: &mut u32,
    ) -> Result<(), i32> {
        let edges = self.registration.is_for_edges && self.waiters.len() > 1;
        self.arm_as(poller, fd, edges, next_generation)
    }

    fn arm_as(
        &mut self,
        poller: &dyn Registry,
        fd: RawFd,
        edges: bool,
        next_generation: &mut u32,
    ) -> Result<(), i32> {
        let edges = edges || self.waiters.iter().any(Waiter::is_multishot);
        let events = self.events();
        self.registration
            .arm(poller, fd, events, edges, next_generation)
            .map_err(|error| -error.raw_os_error().unwrap_or(libc::EIO))
    }

    /// The events to ask for because the poller has not told of all.
    fn to_ask(&self, told: Told) -> u32 {
        let is_poll = |waiter: &&Waiter| matches!(waiter.purpose, Purpose::Poll { .. });
        let polls = self.waiters.iter().filter(is_poll);
        polls
            .filter(|waiter| told.concerns(waiter.events) && told.exactly(waiter.events).is_none())
            .fold(0, |all, waiter| all | waiter.events)
    }

    fn events(&self) -> u32 {
        self.waiters
            .iter()
            .fold(0, |all, waiter| all | waiter.events)
    }

    /// After an event, for those who still wait.
    fn arm_again(
        &mut self,
        poller: &dyn Registry,
        fd: RawFd,
        rearm: Rearm,
        next_generation: &mut u32,
    ) -> Result<(), i32> {
        let stays = self.registration.stays_armed_for(self.events());
        if self.waiters.is_empty() || (stays && rearm != Rearm::Anyway) {
            return Ok(());
        }
        let edges = rearm != Rearm::IfDisarmed || self.registration.is_for_edges;
        self.arm_as(poller, fd, edges, next_generation)
    }
}

/// How a registration is to be armed after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rearm {
    IfDisarmed,
    /// Not to be told of the same again.
    ForEdges,
    /// To be told of the same again.
    Anyway,
}

/// What an event means to a waiter.
enum Heard {
    NotMeant,
    /// It was meant, and nothing (more) came of it.
    InVain,
    /// It has had its turn, and would have gone on.
    HasMore,
    /// It is answered for good.
    Answered,
    /// It waits for another descriptor now, or for the pool.
    Moves(Option<RawFd>),
}

impl Waiter {
    fn is_multishot(&self) -> bool {
        self.purpose == Purpose::Poll { multishot: true }
    }

    fn hear(
        &mut self,
        calls: &mut Slab<Request>,
        fd: RawFd,
        report: &Report,
        out: &mut Outcome,
    ) -> Heard {
        let told = report.told;
        if !told.concerns(self.events) {
            return Heard::NotMeant;
        }
        let user_data = self.user_data;
        let multishot = match self.purpose {
            Purpose::Call(call) => return self.try_again(&mut calls[call as usize], fd, out),
            Purpose::Poll { multishot } => multishot,
        };
        let found = match told.exactly(self.events) {
            Some(found) => found as i32,
            None => match report.found {
                Some(found) if found & libc::POLLNVAL as u32 == 0 => {
                    of_those_found(found, self.events) as i32
                }
                _ => poll_now(fd, self.events),
            },
        };
        match found {
            0 => Heard::InVain,
            found if multishot && found > 0 => {
                out.answer_one_of_many(user_data, found);
                Heard::NotMeant
            }
            found => {
                out.answer(user_data, found);
                Heard::Answered
            }
        }
    }

    fn try_again(&mut self, request: &mut Request, fd: RawFd, out: &mut Outcome) -> Heard {
        match try_here(request, out) {
            Tried::Answered => Heard::Answered,
            Tried::Waits(same, events) if same == fd => {
                self.events = events;
                Heard::InVain
            }
            Tried::Waits(other, events) => {
                self.events = events;
                Heard::Moves(Some(other))
            }
            Tried::HasMore => Heard::HasMore,
            Tried::Elsewhere => Heard::Moves(None),
        }
    }
}

/// What came of trying a call on this thread.
enum Tried {
    Answered,
    Waits(RawFd, u32),
    /// It has had its turn.
    HasMore,
    Elsewhere,
}

fn try_here(request: &mut Request, out: &mut Outcome) -> Tried {
    let user_data = request.user_data();
    for _ in 0..ANSWERS_IN_A_ROW {
        match request.step(Place::Worker) {
            Step::Done(result) => {
                if result < 0 || !request.skips_success() {
                    out.answer(user_data, result);
                }
                return Tried::Answered;
            }
            Step::More(result) => out.answer_one_of_many(user_data, result),
            Step::Wait(fd, events) => return Tried::Waits(fd, events),
            Step::Elsewhere => return Tried::Elsewhere,
        }
    }
    Tried::HasMore
}
