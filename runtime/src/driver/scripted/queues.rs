//! The queues of a simulated ring: those of the ring below, with a stage between them and the driver.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use io_uring::squeue;
use parking_lot::MutexGuard;

use super::ScriptedDevice;
use super::fate::Fate;
use super::script::{Dice, HELD_ENTERS_MAX, Script, tick};
use super::sqe::Sqe;
use crate::driver::device::{AnyQueues, Device};
use crate::driver::operations::Ring;
use crate::driver::slots::{Answer, CANCEL, DOORBELL};
use crate::driver::sweep::is_mark;

/// The queues of a [`ScriptedDevice`].
#[derive(Debug)]
pub(crate) struct ScriptedQueues {
    below: Box<AnyQueues>,
    device: Arc<ScriptedDevice>,
    /// The fate of an SQE for which the ring below had no room; it comes again.
    refused: Option<(u64, Fate)>,
}

/// What stands between the ring below and the driver. Behind the device's lock.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) dice: Dice,
    /// Enters so far.
    pub(super) enters: u64,
    /// Threads that wait in the ring below.
    pub(super) sleepers: usize,
    /// SQEs that fail, in the order in which they were pushed, until an enter takes them over.
    pub(super) failed: VecDeque<(u64, Answer)>,
    /// Answers that can be reaped.
    ready: VecDeque<(u64, Answer)>,
    held: Vec<Held>,
    /// Operations of which the answer is to be replaced.
    masks: BTreeMap<u64, i32>,
    /// Operations in the ring below that answer once.
    singles: BTreeSet<u64>,
    /// Answers that were dropped.
    dropped: u32,
}

#[derive(Debug)]
struct Held {
    /// The number of the enter that lets it out.
    until: u64,
    user_data: u64,
    answer: Answer,
}

impl Stage {
    pub(super) fn new(dice: Dice) -> Self {
        Self {
            dice,
            enters: 0,
            sleepers: 0,
            failed: VecDeque::new(),
            ready: VecDeque::new(),
            held: Vec::new(),
            masks: BTreeMap::new(),
            singles: BTreeSet::new(),
            dropped: 0,
        }
    }

    /// Whether an enter need not wait for an answer.
    pub(super) fn has_answers(&self) -> bool {
        !self.ready.is_empty() || !self.held.is_empty()
    }

    /// An enter takes over `count` of the SQEs that fail.
    pub(super) fn post_failed(&mut self, count: usize) {
        self.ready.extend(self.failed.drain(..count));
    }

    /// Lets out what was held back for as many enters as have been.
    fn release(&mut self) {
        let enters = self.enters;
        let (due, held) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(|held: &Held| held.until <= enters);
        self.held = held;
        let due: Vec<Held> = due;
        self.ready
            .extend(due.into_iter().map(|held| (held.user_data, held.answer)));
    }

    /// An answer comes from the ring below.
    fn accept(&mut self, user_data: u64, mut answer: Answer, script: &Script) {
        let is_last = !io_uring::cqueue::more(answer.flags);
        // One that was cancelled was not begun, so it has not failed.
        if is_last
            && let Some(errno) = self.masks.remove(&user_data)
            && answer.result != -libc::ECANCELED
        {
            answer.result = -errno;
        }
        if is_last && self.dice.says(script.chances().drop) {
            tick(&script.counts().dropped);
            self.dropped = self.dropped.wrapping_add(1);
            return;
        }
        if is_mark(user_data) {
            return self.accept_mark(user_data, answer);
        }
        // Behind an earlier one of the same operation, which cannot be overtaken.
        let behind = self
            .held
            .iter()
            .rev()
            .find(|held| held.user_data == user_data)
            .map(|held| held.until);
        if let Some(until) = behind {
            return self.hold(until, user_data, answer);
        }
        if self.dice.says(script.chances().hold) {
            tick(&script.counts().held);
            let until = self.enters + 1 + self.dice.below(HELD_ENTERS_MAX) as u64;
            return self.hold(until, user_data, answer);
        }
        self.ready.push_back((user_data, answer));
    }

    /// The answer of a request that waits for all before it: theirs come first.
    fn accept_mark(&mut self, user_data: u64, answer: Answer) {
        let held = std::mem::take(&mut self.held).into_iter();
        self.ready
            .extend(held.map(|held| (held.user_data, held.answer)));
        self.ready.push_back((user_data, answer));
    }

    fn hold(&mut self, until: u64, user_data: u64, answer: Answer) {
        self.held.push(Held {
            until,
            user_data,
            answer,
        });
    }

    /// Changes the places of the answers, but leaves those of each operation in their order.
    fn shuffle(&mut self, script: &Script) {
        let is_fixed = self.ready.iter().any(|(user_data, _)| is_mark(*user_data));
        if self.ready.len() < 2 || is_fixed || !self.dice.says(script.chances().reorder) {
            return;
        }
        tick(&script.counts().reordered);
        let mut queues: BTreeMap<u64, VecDeque<Answer>> = BTreeMap::new();
        let mut places: Vec<u64> = Vec::new();
        for (user_data, answer) in self.ready.drain(..) {
            queues.entry(user_data).or_default().push_back(answer);
            places.push(user_data);
        }
        for place in (1..places.len()).rev() {
            places.swap(place, self.dice.below(place + 1));
        }
        let answers = places.into_iter().filter_map(|user_data| {
            let answer = queues.get_mut(&user_data)?.pop_front()?;
            Some((user_data, answer))
        });
        self.ready = answers.collect();
    }

    /// The answer of an operation may come again. Not of one that was cancelled, nor of a multishot one: those the driver
    /// may have submitted under the same number once more.
    fn duplicate(&mut self, user_data: u64, answer: Answer, script: &Script) {
        let is_last = !io_uring::cqueue::more(answer.flags) && answer.result != -libc::ECANCELED;
        let is_single = is_last && self.singles.remove(&user_data);
        if is_single && self.dice.says(script.chances().duplicate) {
            tick(&script.counts().duplicated);
            let until = self.enters + 1 + self.dice.below(HELD_ENTERS_MAX) as u64;
            self.hold(until, user_data, answer);
        }
    }

    /// An SQE was pushed, or fails without.
    fn note_pushed(&mut self, entry: &squeue::Entry) {
        let user_data = entry.get_user_data();
        let is_operation = user_data != DOORBELL && user_data != CANCEL;
        if is_operation && !Sqe::of(entry).is_multishot() {
            self.singles.insert(user_data);
        }
    }
}

impl ScriptedQueues {
    pub(super) fn new(below: AnyQueues, device: Arc<ScriptedDevice>) -> Self {
        Self {
            below: Box::new(below),
            device,
            refused: None,
        }
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.device.stage.lock()
    }

    /// The fate of an SQE, which is the same when it comes again.
    fn fate(&mut self, entry: &squeue::Entry) -> Option<Fate> {
        let user_data = entry.get_user_data();
        if let Some((refused, fate)) = self.refused.take() {
            if refused == user_data {
                return Some(fate);
            }
            self.refused = Some((refused, fate));
        }
        let script = &self.device.script;
        let mut stage = self.device.stage.lock();
        if stage.dice.says(script.chances().full) {
            tick(&script.counts().full);
            return None;
        }
        Some(Fate::of(entry, script, &mut stage.dice))
    }
}

impl Ring for ScriptedQueues {
    fn push(&mut self, entry: &squeue::Entry) -> bool {
        let user_data = entry.get_user_data();
        let Some(fate) = self.fate(entry) else {
            return false;
        };
        let pushed = match &fate {
            Fate::Passed(entry) => self.below.push(entry),
            Fate::Masked(entry, errno) => {
                let pushed = self.below.push(entry);
                if pushed {
                    self.stage().masks.insert(user_data, *errno);
                }
                pushed
            }
            Fate::Failed(errno) => {
                let answer = Answer {
                    result: -errno,
                    flags: 0,
                };
                self.stage().failed.push_back((user_data, answer));
                true
            }
        };
        if pushed {
            self.stage().note_pushed(entry);
        } else {
            self.refused = Some((user_data, fate));
        }
        pushed
    }

    fn reap(&mut self, left: &mut usize, visit: &mut dyn FnMut(u64, Answer)) {
        let device = Arc::clone(&self.device);
        let script = &device.script;
        let mut stage = device.stage.lock();
        self.below
            .reap(&mut { usize::MAX }, &mut |user_data, answer| {
                stage.accept(user_data, answer, script);
            });
        stage.release();
        stage.shuffle(script);
        while *left > 0
            && let Some((user_data, answer)) = stage.ready.pop_front()
        {
            *left -= 1;
            visit(user_data, answer);
            stage.duplicate(user_data, answer, script);
        }
        // Who waits in the ring below for what was taken out of it would not hear of it.
        let is_owed = stage.has_answers() && stage.sleepers > 0;
        drop(stage);
        if is_owed {
            self.device.ring_doorbell();
        }
    }

    fn unsubmitted(&mut self) -> usize {
        let failed = self.stage().failed.len();
        self.below.unsubmitted() + failed
    }

    fn retract(&mut self, lasts: bool, visit: &mut dyn FnMut(u64)) {
        let failed = std::mem::take(&mut self.stage().failed);
        failed.iter().for_each(|(user_data, _)| visit(*user_data));
        self.below.retract(lasts, visit);
    }

    fn wants_enter(&mut self) -> bool {
        let is_held = !self.stage().held.is_empty();
        self.below.wants_enter() || is_held
    }

    fn may_have_more(&mut self) -> bool {
        let is_held = !self.stage().held.is_empty();
        self.below.may_have_more() || is_held
    }

    fn has_answers(&mut self) -> bool {
        let is_ready = !self.stage().ready.is_empty();
        self.below.has_answers() || is_ready
    }

    fn has_overflowed(&mut self) -> bool {
        self.below.has_overflowed()
    }

    fn overflows(&self) -> u64 {
        self.below.overflows()
    }

    fn has_aside(&mut self, user_data: u64) -> bool {
        self.below.has_aside(user_data)
    }

    fn dropped(&mut self) -> u32 {
        let dropped = self.stage().dropped;
        self.below.dropped().wrapping_add(dropped)
    }
}
