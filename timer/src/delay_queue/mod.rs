//! A queue of elements that come out when their time has come.
//!
//! The queue has a timer wheel of its own, as plain data, in which its elements wait; and one timer of the runtime, for
//! the earliest of them. So a queue of a million elements costs the runtime one timer.
//!
//! 1. An element is in `elements`, from its insertion until it is taken out or removed, and either in `wheel`, by its
//!    key, or due. The wheel hands out a batch of due keys at a time, in `due`; a key there whose element is gone, or
//!    was given another deadline, is passed over.
//! 2. The timer's deadline is that of the earliest element, or earlier: removing the earliest, or putting it off, leaves
//!    the timer as it is, and costs the runtime nothing. The next poll sets it right.
//! 3. The task that polled last is woken by the timer; and by whoever changes the queue so that it would find something
//!    else than before: an element that is due at once, the first one, the end.

mod elements;

use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use self::elements::{Element, Elements, Wait};
use crate::Instant;
use crate::timer::{self, Timer};
use crate::wheel::Wheel;

pub use self::elements::Key;

/// A queue whose elements come out when their deadlines have come.
///
/// [`insert`](DelayQueue::insert) gives a [`Key`], by which the element can be [removed](DelayQueue::remove) or given
/// [another deadline](DelayQueue::reset). Elements come out of [`poll_expired`](DelayQueue::poll_expired), or of the
/// queue as a `Stream` (feature `stream`), in the order of their deadlines; those of the same tick, of 16.4 µs, in any
/// order, and one that is inserted late behind those that are due already. None comes early: an element is due from its deadline on, by the clock of the runtime, which tests may stop.
///
/// An empty queue says `None`, and when something has been inserted goes on.
///
/// All elements together take one timer of the runtime. Inserting, removing and resetting take constant time. In the
/// steady state nothing is allocated.
///
/// # Cancel safety
///
/// An element leaves the queue in the call that returns it. A poll, or the future of a stream's `next`, that is given up
/// loses nothing.
///
/// # Panics
///
/// Inserting, resetting and polling panic on a thread that is in no runtime, and in a runtime that was built without
/// timers, if the queue needs its timer for it. A queue belongs to the runtime in which it got its timer.
///
/// # Examples
///
/// Entries of a cache that go when nobody has asked for them for a while:
///
/// ```
/// use std::collections::HashMap;
/// use std::future::poll_fn;
/// use std::time::Duration;
///
/// use ringway_timer::delay_queue::{DelayQueue, Key};
///
/// # let runtime = ringway_runtime::Builder::new_current_thread().enable_time().build()?;
/// # runtime.block_on(async {
/// let mut cache: HashMap<&str, (u32, Key)> = HashMap::new();
/// let mut expirations = DelayQueue::new();
/// for (name, value) in [("one", 1), ("two", 2)] {
///     let key = expirations.insert(name, Duration::from_millis(5));
///     cache.insert(name, (value, key));
/// }
///
/// // Somebody asks for the second one, which may stay for longer.
/// expirations.reset(&cache["two"].1, Duration::from_millis(10));
///
/// while let Some(expired) = poll_fn(|cx| expirations.poll_expired(cx)).await {
///     assert_eq!(expired.key(), cache[expired.get_ref()].1);
///     cache.remove(expired.get_ref());
/// }
/// assert!(cache.is_empty());
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct DelayQueue<T> {
    elements: Elements<T>,
    wheel: Wheel<Key>,
    /// A batch of keys that the wheel has handed out, and how many of them have had their turn.
    due: Vec<Key>,
    turns: usize,
    /// Time zero of the wheel.
    start: Instant,
    timer: Option<Timer>,
    /// Of the task that has polled last.
    waker: Option<Waker>,
}

/// An element that has come out of a [`DelayQueue`].
#[derive(Debug)]
pub struct Expired<T> {
    value: T,
    deadline: Instant,
    key: Key,
}

impl<T> DelayQueue<T> {
    /// An empty queue. It may be made outside of a runtime.
    pub fn new() -> DelayQueue<T> {
        DelayQueue::with_capacity(0)
    }

    /// An empty queue with room for `capacity` elements.
    ///
    /// ```
    /// use std::time::Duration;
    /// use ringway_timer::DelayQueue;
    ///
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # let _guard = runtime.enter();
    /// let mut queue = DelayQueue::with_capacity(1000);
    /// assert!(queue.capacity() >= 1000);
    /// queue.reserve(5000);
    /// assert!(queue.capacity() >= 5000);
    ///
    /// let key = queue.insert("the only one", Duration::from_secs(60));
    /// queue.shrink_to_fit();
    /// queue.compact();
    /// assert_eq!((queue.len(), queue.remove(&key).into_inner()), (1, "the only one"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn with_capacity(capacity: usize) -> DelayQueue<T> {
        DelayQueue {
            elements: Elements::with_capacity(capacity),
            wheel: Wheel::default(),
            due: Vec::new(),
            turns: 0,
            start: Instant::now(),
            timer: None,
            waker: None,
        }
    }

    /// Adds an element that is due at `deadline`; if that has passed, at once.
    ///
    /// # Panics
    ///
    /// If there are 2^30 - 1 elements already; as [the type](DelayQueue) says.
    ///
    /// ```
    /// use std::time::Duration;
    /// use ringway_timer::{DelayQueue, Instant};
    ///
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # let _guard = runtime.enter();
    /// let mut queue = DelayQueue::new();
    /// let noon = Instant::now() + Duration::from_secs(3600);
    /// let key = queue.insert_at("lunch", noon);
    /// assert_eq!(queue.deadline(&key), noon);
    /// queue.reset_at(&key, noon + Duration::from_secs(60));
    /// assert_eq!(queue.deadline(&key), noon + Duration::from_secs(60));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn insert_at(&mut self, value: T, deadline: Instant) -> Key {
        assert!(self.len() < ELEMENTS_MAX, "max entries exceeded");
        let key = self.elements.next_key();
        let place = self.wheel.insert(self.ns_of(deadline), key);
        self.elements.insert(value, deadline, Wait::Deadline(place));
        self.hurry(deadline);
        key
    }

    /// Adds an element that is due after `timeout` from now.
    ///
    /// # Panics
    ///
    /// As [`insert_at`](DelayQueue::insert_at); and if the clock cannot count so far.
    #[track_caller]
    pub fn insert(&mut self, value: T, timeout: Duration) -> Key {
        self.insert_at(value, Instant::now() + timeout)
    }

    /// Takes the next element out that is due; if none is, the task is woken when one is, or when the queue was changed so
    /// that it has to look again. `None`: the queue is empty.
    ///
    /// Each element takes a unit of the task's cooperative budget.
    ///
    /// # Panics
    ///
    /// As [the type](DelayQueue) says; and if the queue would have to wait after its runtime was shut down.
    pub fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<Option<Expired<T>>> {
        self.remember(cx.waker());
        loop {
            if self.is_empty() {
                self.timer = None;
                return Poll::Ready(None);
            }
            let next = self.next_due();
            if next.is_none() {
                ready!(self.poll_timer(cx));
            }
            ready!(timer::poll_charge(cx));
            match next {
                Some(key) => return Poll::Ready(self.take_out(key)),
                None => self.advance(),
            }
        }
    }

    /// Removes an element, whether it is due or not.
    ///
    /// # Panics
    ///
    /// If there is no such element.
    ///
    /// ```
    /// use std::time::Duration;
    /// use ringway_timer::DelayQueue;
    ///
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # let _guard = runtime.enter();
    /// let mut queue = DelayQueue::new();
    /// let key = queue.insert("gone".to_owned(), Duration::from_secs(60));
    /// let mut removed = queue.remove(&key);
    /// removed.get_mut().make_ascii_uppercase();
    /// assert_eq!((removed.key(), removed.into_inner()), (key, "GONE".to_owned()));
    /// assert!(queue.try_remove(&key).is_none(), "it is there no more");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn remove(&mut self, key: &Key) -> Expired<T> {
        match self.try_remove(key) {
            Some(removed) => removed,
            None => panic!("{INVALID_KEY}"),
        }
    }

    /// Removes an element, whether it is due or not, if it is there.
    pub fn try_remove(&mut self, key: &Key) -> Option<Expired<T>> {
        let removed = self.take_out(*key)?;
        if self.is_empty() {
            self.timer = None;
            self.wake();
        }
        Some(removed)
    }

    /// Gives an element another deadline, earlier or later. One that was due, and has not come out, waits again.
    ///
    /// # Panics
    ///
    /// If there is no such element; as [the type](DelayQueue) says.
    #[track_caller]
    pub fn reset_at(&mut self, key: &Key, deadline: Instant) {
        let deadline_ns = self.ns_of(deadline);
        let Some(element) = self.elements.get_mut(*key) else {
            panic!("{INVALID_KEY}")
        };
        element.deadline = deadline;
        match element.wait {
            Wait::Deadline(place) => {
                let moved = self.wheel.reset(place, deadline_ns);
                debug_assert!(moved, "the element is in the wheel");
            }
            Wait::Taker => element.wait = Wait::Deadline(self.wheel.insert(deadline_ns, *key)),
        }
        self.hurry(deadline);
    }

    /// Gives an element another deadline, after `timeout` from now. Like [`reset_at`](DelayQueue::reset_at) in everything
    /// else.
    ///
    /// # Panics
    ///
    /// As [`reset_at`](DelayQueue::reset_at); and if the clock cannot count so far.
    #[track_caller]
    pub fn reset(&mut self, key: &Key, timeout: Duration) {
        self.reset_at(key, Instant::now() + timeout);
    }

    /// When an element is, or was, due.
    ///
    /// # Panics
    ///
    /// If there is no such element.
    #[track_caller]
    pub fn deadline(&self, key: &Key) -> Instant {
        match self.elements.get(*key) {
            Some(element) => element.deadline,
            None => panic!("{INVALID_KEY}"),
        }
    }

    /// The element that comes out next, if none is inserted, removed or reset before; of several in the same tick any.
    ///
    /// It may take time in proportion to the number of elements.
    ///
    /// ```
    /// use std::time::Duration;
    /// use ringway_timer::DelayQueue;
    ///
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # let _guard = runtime.enter();
    /// let mut queue = DelayQueue::new();
    /// queue.insert("later", Duration::from_secs(60));
    /// let soon = queue.insert("soon", Duration::from_secs(30));
    /// assert_eq!(queue.peek(), Some(soon));
    /// queue.clear();
    /// assert_eq!((queue.peek(), queue.is_empty()), (None, true));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn peek(&self) -> Option<Key> {
        let due = self.due[self.turns..].iter();
        due.copied()
            .find(|key| self.is_due(*key))
            .or_else(|| self.wheel.first().copied())
    }

    /// Removes all elements. Their keys are stale afterwards.
    pub fn clear(&mut self) {
        let had_elements = !self.is_empty();
        self.elements.clear();
        self.wheel = Wheel::default();
        self.due.clear();
        self.turns = 0;
        self.timer = None;
        if had_elements {
            self.wake();
        }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of elements for which there is memory.
    pub fn capacity(&self) -> usize {
        self.elements.capacity()
    }

    /// Makes room for `additional` elements more than there are.
    ///
    /// # Panics
    ///
    /// If that would be room for more than 2^30 - 1.
    #[track_caller]
    pub fn reserve(&mut self, additional: usize) {
        assert!(
            self.capacity().saturating_add(additional) <= ELEMENTS_MAX,
            "max queue capacity exceeded"
        );
        self.elements.reserve(additional);
    }

    /// Gives back memory behind the last element. After a burst, [`compact`](DelayQueue::compact) gives back more.
    pub fn shrink_to_fit(&mut self) {
        self.elements.shrink_to_fit();
    }

    /// Moves the elements together, and gives back all memory that they do not need. Their keys remain valid; the queue
    /// remembers which elements were moved, as long as they are there.
    ///
    /// It takes time in proportion to the [capacity](DelayQueue::capacity).
    pub fn compact(&mut self) {
        self.elements.compact();
    }

    /// The next key of the batch whose element is due.
    fn next_due(&mut self) -> Option<Key> {
        while let Some(&key) = self.due.get(self.turns) {
            if self.is_due(key) {
                return Some(key);
            }
            self.turns += 1;
        }
        None
    }

    fn is_due(&self, key: Key) -> bool {
        let element = self.elements.get(key);
        element.is_some_and(|element| matches!(element.wait, Wait::Taker))
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let next_ns = self.wheel.next_bound_ns();
        let next_ns = next_ns.expect("who is not due is in the wheel");
        let next = self.start + Duration::from_nanos(next_ns);
        let timer = self.set_timer(next);
        timer.poll_unconstrained(cx)
    }

    /// Has the wheel hand out a batch of what is due.
    fn advance(&mut self) {
        self.due.clear();
        self.turns = 0;
        let now_ns = self.ns_of(Instant::now());
        // With more that is due than one batch, the next bound lies in the past, and the timer does not wait for it.
        let _ = self.wheel.advance_exact(now_ns, &mut self.due);
        for key in &self.due {
            let element = self.elements.get_mut(*key);
            element.expect("who is in the wheel is there").wait = Wait::Taker;
        }
    }

    fn take_out(&mut self, key: Key) -> Option<Expired<T>> {
        let Element {
            value,
            deadline,
            wait,
            ..
        } = self.elements.remove(key)?;
        if let Wait::Deadline(place) = wait {
            let waited = self.wheel.remove(place);
            debug_assert_eq!(waited, Some(key), "the element is in the wheel");
        }
        Some(Expired {
            value,
            deadline,
            key,
        })
    }

    /// An element is due at `deadline`, maybe before all others.
    #[track_caller]
    fn hurry(&mut self, deadline: Instant) {
        let is_first = match &self.timer {
            Some(timer) if timer.deadline() <= deadline => return,
            other => other.is_none(),
        };
        self.set_timer(deadline);
        if is_first || Instant::now() >= deadline {
            self.wake();
        }
    }

    #[track_caller]
    fn set_timer(&mut self, deadline: Instant) -> &mut Timer {
        match &mut self.timer {
            Some(timer) if timer.deadline() == deadline => {}
            Some(timer) => timer.reset(deadline),
            none => *none = Some(Timer::new(deadline)),
        }
        self.timer.as_mut().expect("it was made above")
    }

    fn remember(&mut self, waker: &Waker) {
        match &mut self.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// A time of the wheel. What is further away than it counts, 584 years, is so far.
    fn ns_of(&self, instant: Instant) -> u64 {
        let since = instant.saturating_duration_since(self.start).as_nanos();
        u64::try_from(since).unwrap_or(u64::MAX)
    }
}

impl<T> Default for DelayQueue<T> {
    fn default() -> DelayQueue<T> {
        DelayQueue::new()
    }
}

/// Elements are never pinned.
impl<T> Unpin for DelayQueue<T> {}

/// The stream of what [`DelayQueue::poll_expired`] returns.
#[cfg(feature = "stream")]
impl<T> futures_core::Stream for DelayQueue<T> {
    type Item = Expired<T>;

    fn poll_next(self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Expired<T>>> {
        self.get_mut().poll_expired(cx)
    }
}

impl<T> Expired<T> {
    /// The element.
    pub fn get_ref(&self) -> &T {
        &self.value
    }

    /// The element.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.value
    }

    /// The element, without what else is known of it.
    pub fn into_inner(self) -> T {
        self.value
    }

    /// When it was due, or was to be.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The key that it had. It names no element any more.
    pub fn key(&self) -> Key {
        self.key
    }
}

/// What is said of a key that names no element.
const INVALID_KEY: &str = "invalid key";

/// The most elements. tokio-util's bound, which leaves room for places and generations in a key of eight bytes.
const ELEMENTS_MAX: usize = (1 << 30) - 1;
