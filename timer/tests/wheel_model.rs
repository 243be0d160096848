//! The wheel against a model of it: whatever is done to it, it fires what an ordered map of deadlines would.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

use proptest::prelude::*;
use ringway_timer::wheel::{BATCH_ENTRIES, Key, Progress, TICK_NS, Update, Wheel};

#[derive(Clone, Debug)]
enum Step {
    /// Some timers, `gap_ns` apart, the first `ahead_ns` from now.
    Insert {
        count: usize,
        ahead_ns: u64,
        gap_ns: u64,
    },
    /// A timer whose deadline has passed.
    InsertLate {
        behind_ns: u64,
    },
    Remove {
        which: usize,
    },
    Reset {
        which: usize,
        ahead_ns: u64,
    },
    Update {
        which: usize,
    },
    /// One call, so that it may stop in the middle.
    AdvanceOnce {
        by_ns: u64,
        exact: bool,
    },
    /// As many calls as it takes.
    Advance {
        by_ns: u64,
        exact: bool,
    },
    /// To the deadline that the wheel names.
    AdvanceToNext {
        exact: bool,
    },
    /// A key of a timer that has fired or was removed.
    UseStaleKey {
        which: usize,
    },
    Drain,
}

/// From a nanosecond to 2^40 ticks, every magnitude as likely as every other.
fn any_span() -> impl Strategy<Value = u64> {
    (0..=54u32, any::<u64>()).prop_map(|(bits, noise)| noise & ((1 << bits) - 1))
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1..4usize, any_span(), 0..3 * TICK_NS)
            .prop_map(|(count, ahead_ns, gap_ns)| Step::Insert { count, ahead_ns, gap_ns }),
        1 => (BATCH_ENTRIES..3 * BATCH_ENTRIES, any_span(), 0..TICK_NS)
            .prop_map(|(count, ahead_ns, gap_ns)| Step::Insert { count, ahead_ns, gap_ns }),
        1 => any_span().prop_map(|behind_ns| Step::InsertLate { behind_ns }),
        4 => any::<usize>().prop_map(|which| Step::Remove { which }),
        4 => (any::<usize>(), any_span())
            .prop_map(|(which, ahead_ns)| Step::Reset { which, ahead_ns }),
        2 => any::<usize>().prop_map(|which| Step::Update { which }),
        4 => (any_span(), any::<bool>())
            .prop_map(|(by_ns, exact)| Step::AdvanceOnce { by_ns, exact }),
        2 => (any_span(), any::<bool>()).prop_map(|(by_ns, exact)| Step::Advance { by_ns, exact }),
        4 => any::<bool>().prop_map(|exact| Step::AdvanceToNext { exact }),
        2 => any::<usize>().prop_map(|which| Step::UseStaleKey { which }),
        1 => Just(Step::Drain),
    ]
}

/// The wheel, what it should hold, and what it has fired.
struct Pair {
    wheel: Wheel,
    model: BTreeMap<u64, Timer>,
    stale: Vec<Key>,
    now_ns: u64,
    next_id: u64,
    woken: Arc<Mutex<Vec<u64>>>,
}

#[derive(Clone, Copy)]
struct Timer {
    key: Key,
    deadline_ns: u64,
}

struct Tag {
    id: u64,
    woken: Arc<Mutex<Vec<u64>>>,
}

impl Wake for Tag {
    fn wake(self: Arc<Self>) {
        self.woken.lock().unwrap().push(self.id);
    }
}

impl Pair {
    fn new() -> Pair {
        Pair {
            wheel: Wheel::new(),
            model: BTreeMap::new(),
            stale: Vec::new(),
            now_ns: 0,
            next_id: 0,
            woken: Arc::default(),
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Insert {
                count,
                ahead_ns,
                gap_ns,
            } => {
                for i in 0..count as u64 {
                    self.insert(self.now_ns.saturating_add(ahead_ns + i * gap_ns));
                }
            }
            Step::InsertLate { behind_ns } => self.insert(self.now_ns.saturating_sub(behind_ns)),
            Step::Remove { which } => self.remove(which),
            Step::Reset { which, ahead_ns } => self.reset(which, ahead_ns),
            Step::Update { which } => self.update(which),
            Step::AdvanceOnce { by_ns, exact } => {
                self.now_ns = self.now_ns.saturating_add(by_ns);
                let _ = self.advance_once(exact);
            }
            Step::Advance { by_ns, exact } => {
                self.now_ns = self.now_ns.saturating_add(by_ns);
                self.advance(exact);
            }
            Step::AdvanceToNext { exact } => self.advance_to_next(exact),
            Step::UseStaleKey { which } => self.use_stale_key(which),
            Step::Drain => self.drain(),
        }
        self.compare();
    }

    fn waker(&self, id: u64) -> Waker {
        Arc::new(Tag {
            id,
            woken: self.woken.clone(),
        })
        .into()
    }

    fn insert(&mut self, deadline_ns: u64) {
        let id = self.next_id;
        self.next_id += 1;
        let key = self.wheel.insert(deadline_ns, self.waker(id));
        self.model.insert(id, Timer { key, deadline_ns });
    }

    fn pick(&self, which: usize) -> Option<(u64, Timer)> {
        let nth = which.checked_rem(self.model.len())?;
        self.model.iter().nth(nth).map(|(&id, &timer)| (id, timer))
    }

    fn remove(&mut self, which: usize) {
        let Some((id, timer)) = self.pick(which) else {
            return;
        };
        self.model.remove(&id);
        self.stale.push(timer.key);
        self.wheel
            .remove(timer.key)
            .expect("the model has it")
            .wake();
        assert_eq!(
            self.woken.lock().unwrap().pop(),
            Some(id),
            "the removed waker is another's"
        );
    }

    fn reset(&mut self, which: usize, ahead_ns: u64) {
        let Some((id, timer)) = self.pick(which) else {
            return;
        };
        let deadline_ns = self.now_ns.saturating_add(ahead_ns);
        assert!(self.wheel.reset(timer.key, deadline_ns));
        self.model.insert(
            id,
            Timer {
                deadline_ns,
                ..timer
            },
        );
    }

    /// The timer of `id` becomes that of a new id.
    fn update(&mut self, which: usize) {
        let Some((id, timer)) = self.pick(which) else {
            return;
        };
        let new_id = self.next_id;
        self.next_id += 1;
        let waker = self.waker(new_id);
        let Update::Replaced(old) = self.wheel.update(timer.key, &waker) else {
            panic!("another waker was not taken");
        };
        old.wake();
        assert_eq!(self.woken.lock().unwrap().pop(), Some(id));
        assert!(matches!(self.wheel.update(timer.key, &waker), Update::Same));
        self.model.remove(&id);
        self.model.insert(new_id, timer);
    }

    fn advance_to_next(&mut self, exact: bool) {
        let next = if exact {
            self.wheel.next_deadline_exact_ns()
        } else {
            self.wheel.next_deadline_ns()
        };
        let Some(next) = next else { return };
        self.now_ns = self.now_ns.max(next);
        self.advance(exact);
    }

    fn advance(&mut self, exact: bool) {
        // Each call fires or moves a batch, and an entry moves once for each of nine levels.
        let most = 2 + 10 * self.model.len() / BATCH_ENTRIES;
        let calls = (0..most).position(|_| self.advance_once(exact) == Progress::Done);
        assert!(calls.is_some(), "not done after {most} calls");
    }

    fn advance_once(&mut self, exact: bool) -> Progress {
        let mut fired = Vec::new();
        let progress = if exact {
            self.wheel.advance_exact(self.now_ns, &mut fired)
        } else {
            self.wheel.advance(self.now_ns, &mut fired)
        };
        assert!(fired.len() <= BATCH_ENTRIES);
        fired.into_iter().for_each(Waker::wake);
        for id in std::mem::take(&mut *self.woken.lock().unwrap()) {
            let timer = self
                .model
                .remove(&id)
                .expect("fired twice, or after it was removed");
            assert!(is_due(timer.deadline_ns, self.now_ns, exact), "fired early");
            self.stale.push(timer.key);
        }
        if progress == Progress::Done {
            let late = self
                .model
                .values()
                .find(|timer| is_due(timer.deadline_ns, self.now_ns, exact));
            assert!(late.is_none(), "due and not fired");
            let next_ns = self.wheel.next_deadline_ns();
            assert!(
                next_ns.is_none_or(|next_ns| next_ns > self.now_ns),
                "would not sleep"
            );
        }
        progress
    }

    fn use_stale_key(&mut self, which: usize) {
        let Some(nth) = which.checked_rem(self.stale.len()) else {
            return;
        };
        let key = self.stale[nth];
        assert!(self.wheel.remove(key).is_none());
        assert!(!self.wheel.reset(key, 0));
        assert!(matches!(
            self.wheel.update(key, Waker::noop()),
            Update::Gone
        ));
    }

    fn drain(&mut self) {
        let mut wakers = Vec::new();
        self.wheel.drain(&mut wakers);
        wakers.into_iter().for_each(Waker::wake);
        let mut woken = std::mem::take(&mut *self.woken.lock().unwrap());
        woken.sort_unstable();
        assert!(
            woken.iter().eq(self.model.keys()),
            "drained something else than what was there"
        );
        self.stale
            .extend(self.model.values().map(|timer| timer.key));
        self.model.clear();
    }

    fn compare(&self) {
        assert_eq!(self.wheel.len(), self.model.len());
        assert_eq!(self.wheel.is_empty(), self.model.is_empty());
        let earliest = self.model.values().map(|timer| timer.deadline_ns).min();
        assert_eq!(self.wheel.next_deadline_exact_ns(), earliest);
        match (self.wheel.next_deadline_ns(), earliest) {
            (None, None) => {}
            (Some(next), Some(earliest)) => {
                assert!(next <= round_up(earliest), "would sleep past a deadline");
            }
            (next, earliest) => panic!("next deadline {next:?}, but the earliest is {earliest:?}"),
        }
    }
}

fn is_due(deadline_ns: u64, now_ns: u64, exact: bool) -> bool {
    if exact {
        deadline_ns <= now_ns
    } else {
        round_up(deadline_ns) <= now_ns
    }
}

fn round_up(deadline_ns: u64) -> u64 {
    deadline_ns
        .checked_next_multiple_of(TICK_NS)
        .unwrap_or(deadline_ns)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(600),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Guards rules 1 to 3 of the wheel and its keys. Mutants it kills: `tick_of` rounding down; `link` without
    /// `earliest_ns.min`; `unlink` without `mark_empty`; `find` without the generation or `is_some`; `empty` firing
    /// without the look at `limit_ns`; `fire_due` without `set_earliest_ns`; `drain` without new slots.
    #[test]
    fn the_wheel_fires_what_an_ordered_map_would(steps in prop::collection::vec(any_step(), 1..80)) {
        let mut pair = Pair::new();
        for step in steps {
            pair.take(step);
        }
        pair.take(Step::Advance { by_ns: u64::MAX, exact: false });
        prop_assert!(pair.wheel.is_empty());
    }

    /// Following `next_deadline_ns` reaches every timer, without a wake-up for nothing as long
    /// as none is removed.
    /// Mutant it kills: `place` without regard to `elapsed` (`SlotId::of(tick, 0)`).
    #[test]
    fn following_the_next_deadline_fires_everything(spans in prop::collection::vec(any_span(), 1..60)) {
        let mut pair = Pair::new();
        for &span in &spans {
            pair.insert(span);
        }
        let mut wake_ups = 0;
        while let Some(next_ns) = pair.wheel.next_deadline_ns() {
            pair.now_ns = pair.now_ns.max(next_ns);
            pair.advance(false);
            pair.compare();
            wake_ups += 1;
        }
        prop_assert!(wake_ups <= spans.len(), "{} wake-ups for {} timers", wake_ups, spans.len());
    }

    /// Rule 4. Mutant it kills: `empty` firing whatever is within the limit (without the look at `elapsed`).
    #[test]
    fn timers_fire_in_the_order_of_their_ticks(spans in prop::collection::vec(any_span(), 1..300)) {
        let woken = Arc::<Mutex<Vec<u64>>>::default();
        let mut wheel = Wheel::new();
        for &span in &spans {
            wheel.insert(span, Arc::new(Tag { id: round_up(span), woken: woken.clone() }).into());
        }
        let mut fired = Vec::new();
        let calls = 2 + 10 * spans.len() / BATCH_ENTRIES;
        prop_assert!((0..calls).any(|_| wheel.advance(1 << 60, &mut fired) == Progress::Done));
        fired.into_iter().for_each(Waker::wake);
        let woken = woken.lock().unwrap();
        prop_assert_eq!(woken.len(), spans.len());
        prop_assert!(woken.is_sorted());
    }
}
