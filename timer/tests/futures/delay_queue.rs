//! `DelayQueue` against a model of it, and what it asks of its runtime.

use std::task::Poll;

use proptest::prelude::*;

use crate::support::{
    self, NO_RUNTIME, SHUT_DOWN, Task, enter, leave, leave_budget, ms, panic_of, pass,
    refill_budget, registered, stand, timers,
};
use ringway_timer::delay_queue::{Expired, Key};
use ringway_timer::wheel::TICK_NS;
use ringway_timer::{DelayQueue, Duration, Instant};

fn poll<T>(task: &mut Task<DelayQueue<T>>) -> Poll<Option<Expired<T>>> {
    refill_budget();
    task.with_context(|queue, cx| queue.get_mut().poll_expired(cx))
}

#[derive(Clone, Debug)]
enum Step {
    Insert { ahead_ns: u64, count: usize },
    InsertLate { behind_ns: u64 },
    Remove { which: usize },
    Reset { which: usize, ahead_ns: u64 },
    ResetLate { which: usize, behind_ns: u64 },
    UseStaleKey { which: usize },
    Peek,
    Poll { times: usize },
    Pass { by_ns: u64 },
    PassToFirst,
    Compact,
    Reserve { additional: usize },
    ShrinkToFit,
    Clear,
}

/// From a nanosecond to 13 days, every magnitude as likely as every other.
fn any_span() -> impl Strategy<Value = u64> {
    (0..=50u32, any::<u64>()).prop_map(|(bits, noise)| noise & ((1 << bits) - 1))
}

fn any_step() -> impl Strategy<Value = Step> {
    let which = any::<usize>;
    prop_oneof![
        8 => (any_span(), 1..4usize).prop_map(|(ahead_ns, count)| Step::Insert { ahead_ns, count }),
        1 => (any_span(), 200..600usize).prop_map(|(ahead_ns, count)| Step::Insert { ahead_ns, count }),
        2 => any_span().prop_map(|behind_ns| Step::InsertLate { behind_ns }),
        4 => which().prop_map(|which| Step::Remove { which }),
        4 => (which(), any_span()).prop_map(|(which, ahead_ns)| Step::Reset { which, ahead_ns }),
        2 => (which(), any_span()).prop_map(|(which, behind_ns)| Step::ResetLate { which, behind_ns }),
        2 => which().prop_map(|which| Step::UseStaleKey { which }),
        2 => Just(Step::Peek),
        6 => (1..700usize).prop_map(|times| Step::Poll { times }),
        4 => any_span().prop_map(|by_ns| Step::Pass { by_ns }),
        4 => Just(Step::PassToFirst),
        1 => Just(Step::Compact),
        1 => (0..100usize).prop_map(|additional| Step::Reserve { additional }),
        1 => Just(Step::ShrinkToFit),
        1 => Just(Step::Clear),
    ]
}

/// A queue of numbers, what it should hold, and whether its task waits.
struct Pair {
    task: Task<DelayQueue<u64>>,
    model: Vec<Known>,
    /// What was taken last.
    taken: Option<Known>,
    stale: Vec<Key>,
    start: Instant,
    next: u64,
    waits: bool,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    key: Key,
    value: u64,
    deadline: Instant,
    /// The deadline had passed when it was set.
    was_late: bool,
}

impl Pair {
    fn new() -> Pair {
        enter();
        Pair {
            task: Task::new(DelayQueue::new()),
            model: Vec::new(),
            taken: None,
            stale: Vec::new(),
            start: Instant::now(),
            next: 0,
            waits: false,
        }
    }

    fn pick(&self, which: usize) -> Option<usize> {
        which.checked_rem(self.model.len())
    }

    fn first(&self) -> Option<Instant> {
        self.model.iter().map(|known| known.deadline).min()
    }

    /// Deadlines of the same tick are in any order.
    fn tick(&self, deadline: Instant) -> u128 {
        (deadline - self.start)
            .as_nanos()
            .div_ceil(u128::from(TICK_NS))
    }

    fn take(&mut self, key: Key) -> Known {
        let place = self.model.iter().position(|known| known.key == key);
        let known = self.model.swap_remove(place.expect("it is there"));
        self.stale.push(key);
        self.taken = Some(known);
        known
    }

    fn insert(&mut self, deadline: Instant) {
        let key = self.task.future.insert_at(self.next, deadline);
        self.model.push(Known {
            key,
            value: self.next,
            deadline,
            was_late: deadline <= Instant::now(),
        });
        self.next += 1;
    }

    fn poll(&mut self) {
        let first = self.first();
        let now = Instant::now();
        match poll(&mut self.task) {
            Poll::Pending => {
                self.waits = true;
                self.task.wakes();
                assert!(first.expect("an empty queue does not wait") > now);
            }
            Poll::Ready(None) => assert_eq!(self.model.len(), 0),
            Poll::Ready(Some(expired)) => {
                self.waits = false;
                assert!(expired.deadline() <= now, "early");
                let known = self.take(expired.key());
                assert_eq!(expired.deadline(), known.deadline);
                assert_eq!(expired.into_inner(), known.value);
            }
        }
    }

    /// Takes out all that is due. Of what was not late when it came, the order is that of the ticks.
    fn drain(&mut self) {
        let mut last = 0;
        loop {
            self.taken = None;
            self.poll();
            let Some(known) = self.taken else { break };
            if !known.was_late {
                let tick = self.tick(known.deadline);
                assert!(tick >= last, "tick {tick} after tick {last}");
                last = tick;
            }
        }
        let now = Instant::now();
        assert!(self.model.iter().all(|known| known.deadline > now));
    }

    fn pass(&mut self, by: Duration) {
        let due = self
            .first()
            .is_some_and(|first| first <= Instant::now() + by);
        pass(by);
        if self.waits && due {
            assert!(self.task.wakes() > 0, "nobody was told of what is due");
            self.waits = false;
        }
    }

    fn step(&mut self, step: Step) {
        let now = Instant::now();
        let ahead = |ns| now + Duration::from_nanos(ns);
        let behind = |ns| now - Duration::from_nanos(ns);
        match step {
            Step::Insert { ahead_ns, count } => {
                (0..count).for_each(|_| self.insert(ahead(ahead_ns)));
            }
            Step::InsertLate { behind_ns } => self.insert(behind(behind_ns)),
            Step::Remove { which } => self.remove(which),
            Step::Reset { which, ahead_ns } => self.reset(which, ahead(ahead_ns)),
            Step::ResetLate { which, behind_ns } => self.reset(which, behind(behind_ns)),
            Step::UseStaleKey { which } => {
                if let Some(key) = which.checked_rem(self.stale.len()).map(|it| self.stale[it]) {
                    assert!(self.task.future.try_remove(&key).is_none());
                }
            }
            Step::Peek => self.peek(),
            Step::Poll { times } => (0..times).for_each(|_| self.poll()),
            Step::Pass { by_ns } => self.pass(Duration::from_nanos(by_ns)),
            Step::PassToFirst => {
                if let Some(first) = self.first() {
                    self.pass(first - now);
                }
            }
            Step::Compact => {
                self.task.future.compact();
                assert_eq!(self.task.future.capacity(), self.model.len());
            }
            Step::Reserve { additional } => {
                self.task.future.reserve(additional);
                assert!(self.task.future.capacity() >= self.model.len() + additional);
            }
            Step::ShrinkToFit => self.task.future.shrink_to_fit(),
            Step::Clear => {
                self.task.future.clear();
                self.stale
                    .extend(self.model.drain(..).map(|known| known.key));
            }
        }
        self.check();
    }

    fn remove(&mut self, which: usize) {
        if let Some(which) = self.pick(which) {
            let removed = self.task.future.remove(&self.model[which].key);
            let known = self.take(removed.key());
            assert_eq!(removed.deadline(), known.deadline);
            assert_eq!(removed.into_inner(), known.value);
        }
    }

    fn reset(&mut self, which: usize, deadline: Instant) {
        if let Some(which) = self.pick(which) {
            self.task.future.reset_at(&self.model[which].key, deadline);
            self.model[which].deadline = deadline;
            self.model[which].was_late = deadline <= Instant::now();
        }
    }

    fn peek(&mut self) {
        let Some(key) = self.task.future.peek() else {
            return assert_eq!(self.model.len(), 0);
        };
        let deadline = self.task.future.deadline(&key);
        assert!(deadline == self.first().expect("it is not empty") || deadline <= Instant::now());
    }

    fn check(&self) {
        let queue = &*self.task.future;
        assert_eq!(
            (queue.len(), queue.is_empty()),
            (self.model.len(), self.model.is_empty())
        );
        assert!(queue.capacity() >= queue.len());
        for known in &self.model {
            assert_eq!(queue.deadline(&known.key), known.deadline);
        }
        assert!(timers(0) <= 1, "one timer of the runtime for all");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    /// Mutants it kills: `advance` that leaves `wait` as it is; `take_out` that leaves the key in the wheel; `hurry` that
    /// only looks whether there is a timer; `poll_timer` that keeps the timer's deadline; `compact` that forgets `moved`;
    /// `remove` that leaves the element in it; `next_due` without a look at the element; `clear` that keeps the wheel.
    #[test]
    fn a_queue_does_what_a_list_of_deadlines_does(steps in prop::collection::vec(any_step(), 1..60)) {
        let mut pair = Pair::new();
        for step in steps {
            pair.step(step);
        }
        pair.drain();
    }
}

/// The number of random sequences: more on request.
fn cases() -> u32 {
    let asked = std::env::var("RINGWAY_TEST_DELAY_QUEUE_CASES");
    asked.map_or(100, |text| text.parse().expect("a number"))
}

/// Mutants it kills: `advance` where `advance_exact` stands; a timer at the rounded deadline.
#[test]
fn elements_come_at_their_deadlines_in_order_and_not_before() {
    enter();
    let mut task = Task::new(DelayQueue::new());
    let nanosecond = Duration::from_nanos(1);
    for millis in [3, 1, 2] {
        task.future.insert(millis, ms(millis));
    }
    for millis in [1, 2, 3] {
        assert!(poll(&mut task).is_pending());
        pass(ms(1) - nanosecond);
        assert_eq!(task.wakes(), 0);
        assert!(poll(&mut task).is_pending());
        pass(nanosecond);
        assert_eq!(task.wakes(), 1);
        let Poll::Ready(Some(expired)) = poll(&mut task) else {
            panic!("{millis} ms have passed");
        };
        assert_eq!(expired.into_inner(), millis);
    }
    assert!(matches!(poll(&mut task), Poll::Ready(None)));
}

/// Mutants it kills: no wake in `try_remove`, in `clear`, in `hurry`.
#[test]
fn who_waits_is_woken_when_the_queue_was_changed_before_its_eyes() {
    enter();
    let mut task = Task::new(DelayQueue::new());
    assert!(matches!(poll(&mut task), Poll::Ready(None)));
    let key = task.future.insert("first", ms(50));
    assert_eq!(task.wakes(), 1, "it was told that there is nothing");
    assert!(poll(&mut task).is_pending());

    task.future.insert("second", ms(60));
    assert_eq!(task.wakes(), 0, "that comes later");
    let late = task.future.insert_at("late", Instant::now());
    assert_eq!(task.wakes(), 1);
    task.future.remove(&late);
    assert!(poll(&mut task).is_pending());

    task.future.reset_at(&key, Instant::now() - ms(1));
    assert_eq!(task.wakes(), 1);
    task.future.reset(&key, ms(50));
    assert!(poll(&mut task).is_pending());
    task.future.remove(&key);
    assert_eq!(task.wakes(), 0);
    task.future.clear();
    assert_eq!(task.wakes(), 1);

    let key = task.future.insert("last", ms(50));
    assert!(poll(&mut task).is_pending());
    task.wakes();
    task.future.remove(&key);
    assert_eq!(task.wakes(), 1);
}

/// Mutant it kills: each element has a timer; a removal or a later deadline touches it.
#[test]
fn a_thousand_elements_are_one_timer_which_later_deadlines_and_removals_leave_alone() {
    enter();
    let mut task = Task::new(DelayQueue::new());
    let keys: Vec<_> = (0..1_000)
        .map(|number| task.future.insert(number, ms(100)))
        .collect();
    assert!(poll(&mut task).is_pending());
    let before = registered();
    for (number, key) in keys.iter().enumerate() {
        match number % 2 {
            0 => drop(task.future.remove(key)),
            _ => task.future.reset(key, ms(200)),
        }
        assert_eq!((registered(), timers(0)), (before, 1));
    }
    pass(ms(100));
    assert_eq!(task.wakes(), 1, "for those that were put off");
    assert!(poll(&mut task).is_pending());
    pass(ms(100));
    let mut came = 0;
    while let Poll::Ready(Some(_)) = poll(&mut task) {
        came += 1;
    }
    assert_eq!((came, timers(0)), (500, 0));
}

/// Mutant it kills: no charge in `poll_expired`.
#[test]
fn each_element_takes_a_unit_of_the_budget() {
    enter();
    let mut task = Task::new(DelayQueue::new());
    for number in 0..10 {
        task.future.insert_at(number, Instant::now());
    }
    // One for the batch, three for elements.
    leave_budget(4);
    let mut came = 0;
    while let Poll::Ready(Some(_)) = task.with_context(|queue, cx| queue.get_mut().poll_expired(cx))
    {
        came += 1;
    }
    assert_eq!((came, task.wakes()), (3, 1));
    assert!(matches!(poll(&mut task), Poll::Ready(Some(_))));
    assert_eq!(task.future.len(), 6);
}

/// Mutant it kills: a stale key is looked up by its place only.
#[test]
fn a_key_names_its_element_as_long_as_that_is_there_and_nothing_after_it() {
    enter();
    let mut queue = DelayQueue::with_capacity(4);
    let gone = queue.insert("gone", ms(1));
    let stays = queue.insert("stays", ms(1));
    queue.remove(&gone);
    let moved = queue.insert("takes the place", ms(1));
    assert_ne!(gone, moved);
    assert!(queue.try_remove(&gone).is_none());
    queue.remove(&moved);
    queue.compact();
    assert_eq!((queue.len(), queue.capacity()), (1, 1));
    let another = queue.insert("where the other one was", ms(2));
    queue.reset(&stays, ms(3));
    assert_eq!(queue.remove(&stays).into_inner(), "stays");
    assert!(queue.try_remove(&stays).is_none());
    assert_eq!(
        queue.remove(&another).into_inner(),
        "where the other one was"
    );
}

#[test]
fn misuse_is_told_at_the_line_of_the_caller() {
    enter();
    let here = |body: &mut dyn FnMut()| {
        let (text, file) = panic_of(body);
        assert_eq!(file, file!());
        text
    };
    let mut queue = DelayQueue::new();
    let key = queue.insert(1, ms(1));
    queue.remove(&key);
    assert_eq!(here(&mut || _ = queue.remove(&key)), "invalid key");
    assert_eq!(here(&mut || queue.reset(&key, ms(1))), "invalid key");
    assert_eq!(
        here(&mut || queue.reset_at(&key, Instant::now())),
        "invalid key"
    );
    assert_eq!(here(&mut || _ = queue.deadline(&key)), "invalid key");
    assert_eq!(
        here(&mut || queue.reserve(1 << 30)),
        "max queue capacity exceeded"
    );
    leave(NO_RUNTIME);
    assert_eq!(here(&mut || _ = queue.insert(2, ms(1))), NO_RUNTIME);
    assert_eq!(
        here(&mut || _ = DelayQueue::new().insert_at(3, Instant::now())),
        NO_RUNTIME
    );
}

#[test]
fn a_queue_of_a_runtime_that_has_ended_gives_what_is_due_and_panics_if_it_has_to_wait() {
    let runtime = support::enter_another();
    let mut task = Task::new(DelayQueue::new());
    task.future.insert("due", ms(1));
    task.future.insert("never", ms(9));
    assert!(poll(&mut task).is_pending());
    support::shut_down(runtime);
    assert!(task.wakes() > 0);
    stand(ms(1));
    assert!(matches!(poll(&mut task), Poll::Ready(Some(_))));
    let (text, _) = panic_of(|| drop(poll(&mut task)));
    assert_eq!(text, SHUT_DOWN);
    enter();
}

/// Far deadlines are told exactly, and do not come.
#[test]
fn deadlines_go_as_far_as_instants_do() {
    enter();
    let mut task = Task::new(DelayQueue::new());
    let far = Instant::now() + Duration::from_secs(1 << 40);
    let key = task.future.insert_at("far", far);
    assert!(poll(&mut task).is_pending());
    assert_eq!(task.future.deadline(&key), far);
    pass(Duration::from_secs(1 << 33));
    assert!(poll(&mut task).is_pending());
    assert_eq!(task.future.peek(), Some(key));
}

#[test]
fn a_queue_has_the_auto_traits_of_tokio_utils() {
    fn is<T: Send + Sync + Unpin>() {}
    is::<DelayQueue<String>>();
    is::<Expired<u8>>();
    is::<Key>();
    fn is_unpin<T: Unpin>() {}
    is_unpin::<DelayQueue<std::marker::PhantomPinned>>();
    assert!(DelayQueue::<u8>::default().peek().is_none());
}
