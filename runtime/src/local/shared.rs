//! What wakes reach of a set of local tasks, from wherever they come.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::panic::Location;
use std::sync::Arc;

use super::current;
use super::mailbox::Mailbox;
use super::owner::OwnerCell;
use super::table;
use crate::runtime;
use crate::task::{
    Birth, Extras, Header, Id, JoinHandle, Notified, OwnedSet, Placement, Schedule, TaskRef,
    Yielded, coop, go_on, new_task,
};
use crate::trace::{self, Kind};

/// One set. The table has it until its [`super::LocalSet`] is dropped.
#[derive(Debug)]
pub(super) struct Shared {
    number: u32,
    id: runtime::Id,
    pub(super) mailbox: Mailbox,
    /// The live tasks, in one list.
    pub(super) owned: OwnedSet,
    own: OwnerCell<Own>,
}

/// What only the set's thread touches.
#[derive(Debug, Default)]
pub(super) struct Own {
    /// Tasks that were spawned or woken on the set's thread.
    pub(super) queue: RefCell<VecDeque<Notified>>,
    /// On the way from the mailbox to the queue; empty but for that moment.
    pub(super) arrived: RefCell<VecDeque<Notified>>,
    /// Those that have yielded, in rounds: they go on in the next poll of the set.
    yielded: RefCell<Vec<Yielded>>,
    /// This thread runs the set's tasks, in rounds.
    pub(super) in_rounds: Cell<bool>,
    /// How many polls of the set this thread is in. In one, what is queued will be seen before it ends.
    pub(super) polls: Cell<u32>,
    /// Counts looks for a task, to look into the mailbox first now and then.
    pub(super) tick: Cell<u32>,
    /// The number of the last poller.
    pub(super) pollers: Cell<u64>,
    /// A task that panics ends the set.
    pub(super) ends_at_panic: Cell<bool>,
    /// One did.
    pub(super) ended_by_panic: Cell<bool>,
}

impl Shared {
    /// A set of the calling thread.
    pub(super) fn make() -> Arc<Self> {
        table::enter(|number| Self {
            number,
            id: runtime::Id::of_set(),
            mailbox: Mailbox::new(),
            owned: OwnedSet::new(1),
            own: OwnerCell::new(Own::default()),
        })
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn id(&self) -> runtime::Id {
        self.id
    }

    /// For the set's own thread.
    ///
    /// # Panics
    ///
    /// On another.
    pub(super) fn own(&self) -> &Own {
        self.own
            .get()
            .expect("a set of local tasks does not leave its thread")
    }

    /// Spawns a task; the set's thread's. `future` need not be Send, see the module's rules.
    pub(super) fn spawn<F, E>(
        &self,
        future: F,
        spawned_at: &'static Location<'static>,
        extras: E,
    ) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        E: Extras,
    {
        // Panics on another thread, before there is a task.
        self.own();
        let birth = Birth {
            placement: Placement {
                runtime: self.number,
                shard: 0,
            },
            id: Id::next(),
            spawned_at,
            born: 0,
        };
        let (future, extras) =
            trace::task::<F, _, _>(Kind::Local, future, birth.id, spawned_at, extras);
        let (task, notified, handle) = new_task::<_, Scheduler, _>(future, birth, extras);
        match self.owned.bind(task) {
            Ok(()) => self.schedule(notified),
            Err(task) => {
                drop(notified);
                task.shut_down();
            }
        }
        handle
    }

    /// Queues a task where the set's thread will find it, and sees to it that it looks.
    fn schedule(&self, task: Notified) {
        match self.own.get() {
            Some(own) => {
                own.queue.borrow_mut().push_back(task);
                if own.polls.get() == 0 {
                    self.mailbox.wake();
                }
            }
            None => self.mailbox.push(task),
        }
    }

    /// Has somebody go on in the next poll of the set, which is the caller's; `false` if its tasks do not run in rounds now.
    pub(super) fn hold_back(&self, who: impl FnOnce() -> Option<Yielded>) -> bool {
        let own = self.own();
        let in_rounds = own.in_rounds.get();
        if in_rounds {
            let who = who();
            own.yielded.borrow_mut().extend(who);
        }
        in_rounds
    }

    /// Those that have yielded go on; the set's thread's.
    pub(super) fn go_on(&self) {
        let own = self.own();
        if !self.has_yielded() {
            return;
        }
        let mut yielded = own.yielded.take();
        go_on(&mut yielded);
        // The memory is used again, unless somebody has yielded meanwhile.
        let mut place = own.yielded.borrow_mut();
        if place.is_empty() {
            *place = yielded;
        }
    }

    /// Whether somebody goes on in the next poll of the set; the set's thread's.
    pub(super) fn has_yielded(&self) -> bool {
        !self.own().yielded.borrow().is_empty()
    }

    /// Cancels all tasks, here, and takes no more; the set's thread's.
    pub(super) fn end(&self) {
        self.owned.close_and_shut_down(0);
        self.mailbox.close();
        let queued = std::mem::take(&mut *self.own().queue.borrow_mut());
        drop(queued);
        drop(self.own().yielded.take());
    }

    /// A task has panicked: the end, if the user has it so; the set's thread's.
    fn note_panic(&self) {
        let own = self.own();
        if own.ends_at_panic.get() {
            own.ended_by_panic.set(true);
            self.owned.close_and_shut_down(0);
        }
    }

    /// Whether the set is to be polled; the set's thread's.
    pub(super) fn has_work(&self) -> bool {
        self.has_yielded() || self.has_tasks()
    }

    /// Whether a task is queued; the set's thread's.
    pub(super) fn has_tasks(&self) -> bool {
        !self.own().queue.borrow().is_empty() || !self.mailbox.is_empty()
    }
}

/// How tasks of a set reach it: by the thread's current set, or by the number in their header.
struct Scheduler;

impl Schedule for Scheduler {
    fn schedule(task: Notified) {
        let number = task.header().placement().runtime;
        // Without its set the task has been cancelled, and the notification is dropped.
        let mut task = Some(task);
        with(number, |set| {
            set.schedule(task.take().expect("called once"));
        });
    }

    fn reschedule(task: Notified) {
        if coop::has_budget_remaining() {
            return Self::schedule(task);
        }
        let number = task.header().placement().runtime;
        let mut task = Some(task);
        let held_back = current::current()
            .filter(|set| set.number() == number)
            .is_some_and(|set| set.hold_back(|| task.take().map(Yielded::Task)));
        if let Some(task) = task.filter(|_| !held_back) {
            Self::schedule(task);
        }
    }

    fn release(task: TaskRef<'_>) -> bool {
        let number = task.header().placement().runtime;
        with(number, |set| set.owned.release(task)).unwrap_or(false)
    }

    fn panicked(task: &Header) {
        with(task.placement().runtime, Shared::note_panic);
    }
}

fn with<R>(number: u32, f: impl FnOnce(&Shared) -> R) -> Option<R> {
    match current::current() {
        Some(set) if set.number() == number => Some(f(&set)),
        _ => table::find(number).map(|set| f(&set)),
    }
}
