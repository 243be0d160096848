//! The set of a runtime's live tasks, so that shutdown reaches those that nobody will wake again.
//!
//! One intrusive list for each worker, with a lock of its own: a task is entered in the list of the worker
//! that spawns it, and leaves it where it completes, mostly the same one. Closing is done list by list, each
//! under its lock, so a task is either refused or found.
//!
//! Who walks over the tasks does so in pieces, and lets go of the lock in between. It leaves a mark in the list: the
//! next task to be visited. Who takes that task out moves the mark on. So a walk visits every task that is in the set
//! all the time, and none twice; those that come meanwhile come in front of the mark, and are not visited.

use std::ops::ControlFlow;
use std::ptr::NonNull;

use super::cell::{Header, Links};
use super::raw::{Kept, Reference, Task, TaskRef};
use crate::loom::{IS_MODEL, Mutex, SpinLock};

/// The live tasks of a runtime.
#[derive(Debug)]
pub struct OwnedSet {
    lists: Box<[List]>,
    /// Held during a walk, for a list has one mark.
    walking: Mutex<()>,
}

/// Tasks that a walk takes up at a time: a microsecond or two under the list's lock.
const PIECE: usize = if IS_MODEL { 1 } else { 32 };

/// Lists of different workers do not share a cache line.
#[derive(Debug)]
#[repr(align(128))]
struct List(SpinLock<Chain>);

#[derive(Debug, Default)]
struct Chain {
    head: Option<NonNull<Header>>,
    /// Where a walk goes on.
    mark: Option<NonNull<Header>>,
    len: usize,
    /// Tasks that were ever entered.
    entered: u64,
    closed: bool,
}

// SAFETY: the pointers are references to tasks, which are Send (`Reference`).
unsafe impl Send for Chain {}

impl OwnedSet {
    /// An empty set of `lists` lists.
    pub fn new(lists: usize) -> Self {
        Self {
            lists: (0..lists)
                .map(|_| List(SpinLock::new(Chain::default())))
                .collect(),
            walking: Mutex::new(()),
        }
    }

    /// Enters a task in the list of its placement.
    ///
    /// # Errors
    ///
    /// The task itself, if the set is closed.
    #[inline]
    pub fn bind(&self, task: Task) -> Result<(), Task> {
        let list = &self.lists[task.reference().header().shard as usize];
        list.0.with(|chain| {
            if chain.closed {
                return Err(task);
            }
            chain.push(task.into_reference());
            Ok(())
        })
    }

    /// Takes a task out; `true` if it was there, and its reference is the caller's now.
    #[inline]
    pub fn release(&self, task: TaskRef<'_>) -> bool {
        let list = &self.lists[task.header().shard as usize];
        list.0.with(|chain| chain.remove(task.pointer()))
    }

    /// Refuses new tasks in one list, and cancels all that are in it. Their futures are dropped here.
    pub fn close_and_shut_down(&self, list: usize) {
        loop {
            let task = self.lists[list].0.with(|chain| {
                chain.closed = true;
                chain.pop()
            });
            match task {
                Some(task) => task.shut_down(),
                None => return,
            }
        }
    }

    /// Refuses new tasks in all lists.
    pub fn close(&self) {
        for list in &self.lists {
            list.0.with(|chain| chain.closed = true);
        }
    }

    /// Calls `visit` with every task, until it breaks; without a lock, but while it runs no other walk begins.
    pub fn walk(&self, mut visit: impl FnMut(&Kept) -> ControlFlow<()>) {
        let _walking = self.walking.lock();
        let mut piece = Vec::with_capacity(PIECE);
        for list in &self.lists {
            list.0.with(|chain| chain.mark = chain.head);
            loop {
                list.0.with(|chain| chain.take_up(&mut piece));
                if piece.is_empty() {
                    break;
                }
                // The last reference may be the piece's: tasks are let go of out here.
                if piece.drain(..).try_for_each(|task| visit(&task)).is_break() {
                    return list.0.with(|chain| chain.mark = None);
                }
            }
        }
    }

    /// How many tasks live; a moment's value.
    pub fn len(&self) -> usize {
        self.lists
            .iter()
            .map(|list| list.0.with(|chain| chain.len))
            .sum()
    }

    /// How many tasks were ever entered; a moment's value.
    pub fn entered(&self) -> u64 {
        self.lists
            .iter()
            .map(|list| list.0.with(|chain| chain.entered))
            .sum()
    }

    /// Whether no task lives.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Chain {
    fn push(&mut self, reference: Reference) {
        let task = reference.into_pointer();
        set_links(
            task,
            Links {
                previous: None,
                next: self.head,
            },
        );
        if let Some(head) = self.head {
            set_links(
                head,
                Links {
                    previous: Some(task),
                    ..links(head)
                },
            );
        }
        self.head = Some(task);
        self.len += 1;
        self.entered += 1;
    }

    /// Puts the next tasks of a walk into `piece`, as many as it has room for, with a reference to each.
    fn take_up(&mut self, piece: &mut Vec<Kept>) {
        while let Some(task) = self.mark.filter(|_| piece.len() < PIECE) {
            // SAFETY: the list has a reference to each task in it, and the mark is in the list.
            piece.push(unsafe { TaskRef::new(task) }.keep());
            self.mark = links(task).next;
        }
    }

    fn pop(&mut self) -> Option<Task> {
        let head = self.head?;
        self.remove(head);
        // SAFETY: the list held one reference for each task in it; this one is in it no more.
        Some(Task::from_reference(unsafe {
            Reference::from_pointer(head)
        }))
    }

    fn remove(&mut self, task: NonNull<Header>) -> bool {
        let entry = links(task);
        if entry == Links::NONE {
            return false;
        }
        let Links { previous, next } = entry;
        match previous {
            Some(previous) => set_links(
                previous,
                Links {
                    next,
                    ..links(previous)
                },
            ),
            None => self.head = next,
        }
        if let Some(next) = next {
            set_links(
                next,
                Links {
                    previous,
                    ..links(next)
                },
            );
        }
        if self.mark == Some(task) {
            self.mark = next;
        }
        set_links(task, Links::NONE);
        self.len -= 1;
        true
    }
}

/// The caller holds the lock of the task's list, and the task lives: the list or the caller has a reference.
fn links(task: NonNull<Header>) -> Links {
    // SAFETY: see above.
    let header = unsafe { task.as_ref() };
    // SAFETY: links are touched under the list's lock only.
    header.links.with(|links| unsafe { *links })
}

/// As [`links`].
fn set_links(task: NonNull<Header>, to: Links) {
    // SAFETY: see `links`.
    let header = unsafe { task.as_ref() };
    // SAFETY: links are touched under the list's lock only.
    header.links.with_mut(|links| unsafe { *links = to });
}
