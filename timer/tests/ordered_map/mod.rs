//! A wheel beside an ordered map that is told the same, and what both then have to say alike.
//!
//! Each step is a word of 64 bits, so that random numbers and the bytes of a fuzzer make the same steps.

use std::collections::BTreeSet;

use ringway_timer::wheel::{BATCH_ENTRIES, Key, Limits, Progress, TICK_NS, Wheel};

/// A wheel and its model. What a timer hands out is its number.
#[derive(Default)]
pub(crate) struct Pair {
    wheel: Wheel<u64>,
    /// Deadlines, and the place in `timers` of whose they are.
    deadlines: BTreeSet<(u64, usize)>,
    timers: Vec<Timer>,
    /// Places in `timers` of those that the wheel has, in no order.
    live: Vec<usize>,
    vacant: Vec<usize>,
    /// Keys of timers that have fired or were removed.
    stale: Vec<Key>,
    now_ns: u64,
    numbers: u64,
    fired: Vec<u64>,
}

struct Timer {
    /// As many bits as a place needs, and above them a number that no other timer has.
    number: u64,
    key: Key,
    deadline_ns: u64,
    /// Where it is in `live`.
    rank: usize,
}

/// Bits of a number that tell the place.
const PLACE_BITS: u32 = 24;
/// Timers at once: some thousand, so that slots hold several and batches are cut.
const TIMERS_MAX: usize = 4 * BATCH_ENTRIES * 8;
/// Stale keys that are remembered.
const STALE_MAX: usize = 1024;
/// A pair starts anew when its clock has come so far: near the end of time deadlines would be all alike.
const END_NS: u64 = 1 << 62;

impl Pair {
    /// Does what `word` says to both.
    ///
    /// # Panics
    ///
    /// If the wheel then differs from the map.
    pub(crate) fn step(&mut self, word: u64) {
        let span_ns = span(word >> 8);
        let which = (word >> 20) as usize;
        let exact = word & 0x80 != 0;
        match word & 0x1f {
            0..=8 => self.insert(self.now_ns.saturating_add(span_ns)),
            9 => self.insert(self.now_ns.saturating_sub(span_ns)),
            // Many in one tick, or in one slot.
            10 => (0..64).for_each(|i| self.insert(self.now_ns.saturating_add(span_ns + i * 99))),
            11..=14 => self.remove(which),
            15 => self.remove_some(which, span_ns as usize % 64),
            16..=19 => self.reset(which, self.now_ns.saturating_add(span_ns)),
            20 => self.reset(which, self.now_ns.saturating_sub(span_ns)),
            21 | 22 => self.replace(which),
            23 => self.use_stale_key(which),
            24 => self.prepare(which % (2 * BATCH_ENTRIES)),
            25..=27 => {
                self.now_ns = self.now_ns.saturating_add(span_ns >> 8);
                let _ = self.advance(exact, 1 + which % BATCH_ENTRIES);
            }
            28 | 29 => self.advance_to_next(exact),
            30 => self.advance_by(span_ns, exact),
            _ => self.check_exactly(),
        }
        if self.now_ns > END_NS || word >> 44 == 0 {
            self.end();
        }
        self.check();
    }

    fn insert(&mut self, deadline_ns: u64) {
        if self.live.len() == TIMERS_MAX {
            return;
        }
        let place = self.vacant.pop().unwrap_or(self.timers.len());
        let number = self.next_number(place);
        let timer = Timer {
            number,
            key: self.wheel.insert(deadline_ns, number),
            deadline_ns,
            rank: self.live.len(),
        };
        match self.timers.get_mut(place) {
            Some(vacant) => *vacant = timer,
            None => self.timers.push(timer),
        }
        self.live.push(place);
        assert!(self.deadlines.insert((deadline_ns, place)));
    }

    fn next_number(&mut self, place: usize) -> u64 {
        self.numbers += 1;
        self.numbers << PLACE_BITS | place as u64
    }

    fn pick(&self, which: usize) -> Option<usize> {
        Some(self.live[which.checked_rem(self.live.len())?])
    }

    /// Takes a timer out of the model.
    fn forget(&mut self, place: usize) {
        let Timer {
            key,
            deadline_ns,
            rank,
            ..
        } = self.timers[place];
        assert!(self.deadlines.remove(&(deadline_ns, place)));
        self.live.swap_remove(rank);
        if let Some(&moved) = self.live.get(rank) {
            self.timers[moved].rank = rank;
        }
        self.vacant.push(place);
        match self.stale.len() {
            STALE_MAX => self.stale[place % STALE_MAX] = key,
            _ => self.stale.push(key),
        }
    }

    fn remove(&mut self, which: usize) {
        let Some(place) = self.pick(which) else {
            return;
        };
        let Timer { number, key, .. } = self.timers[place];
        self.forget(place);
        assert_eq!(self.wheel.remove(key), Some(number), "another's");
    }

    /// Some at once, and a stale key among them.
    fn remove_some(&mut self, which: usize, count: usize) {
        let mut keys = Vec::new();
        let mut numbers = Vec::new();
        for nth in 0..count {
            let Some(place) = self.pick(which + nth * 7) else {
                break;
            };
            let Timer { number, key, .. } = self.timers[place];
            self.forget(place);
            keys.push(key);
            numbers.push(number);
        }
        if let Some(nth) = which.checked_rem(self.stale.len()) {
            keys.insert(which % (keys.len() + 1), self.stale[nth]);
        }
        let mut removed = Vec::new();
        // The stale key may be that of one of these: whichever comes first counts.
        self.wheel.remove_all(&keys, |number| removed.push(number));
        removed.sort_unstable();
        numbers.sort_unstable();
        assert_eq!(removed, numbers, "others");
    }

    fn reset(&mut self, which: usize, deadline_ns: u64) {
        let Some(place) = self.pick(which) else {
            return;
        };
        let timer = &mut self.timers[place];
        assert!(self.wheel.reset(timer.key, deadline_ns), "it is there");
        let former_ns = std::mem::replace(&mut timer.deadline_ns, deadline_ns);
        assert!(self.deadlines.remove(&(former_ns, place)));
        assert!(self.deadlines.insert((deadline_ns, place)));
    }

    fn replace(&mut self, which: usize) {
        let Some(place) = self.pick(which) else {
            return;
        };
        let number = self.next_number(place);
        let timer = &mut self.timers[place];
        let former = std::mem::replace(&mut timer.number, number);
        assert_eq!(self.wheel.replace(timer.key, number), Ok(former));
    }

    fn use_stale_key(&mut self, which: usize) {
        let Some(nth) = which.checked_rem(self.stale.len()) else {
            return;
        };
        let key = self.stale[nth];
        assert_eq!(self.wheel.remove(key), None);
        assert!(!self.wheel.reset(key, self.now_ns));
        assert_eq!(self.wheel.replace(key, 0), Err(0));
    }

    /// Nothing is to be seen of it, but that it ends.
    fn prepare(&mut self, entries_max: usize) {
        let before = self.wheel.next_deadline_ns();
        // An entry moves once for each of nine levels.
        let calls = 2 + 10 * self.live.len() / entries_max.max(1);
        let ends = (0..calls).any(|_| self.wheel.prepare(entries_max) == 0);
        assert!(ends, "not done after {calls} calls");
        assert!(self.wheel.is_prepared() || entries_max == 0);
        let after = self.wheel.next_deadline_ns();
        assert!(before <= after, "would sleep less than before");
    }

    fn advance_by(&mut self, span_ns: u64, exact: bool) {
        self.now_ns = self.now_ns.saturating_add(span_ns >> 4);
        // Each call fires or moves a batch, and an entry moves once for each of nine levels.
        let calls = 2 + 10 * self.live.len() / BATCH_ENTRIES;
        let done = (0..calls).any(|_| self.advance(exact, BATCH_ENTRIES) == Progress::Done);
        assert!(done, "not done after {calls} calls");
    }

    fn advance_to_next(&mut self, exact: bool) {
        let next = match exact {
            true => self.wheel.next_deadline_exact_ns(),
            false => self.wheel.next_deadline_ns(),
        };
        if let Some(next_ns) = next {
            self.now_ns = self.now_ns.max(next_ns);
            self.advance_by(0, exact);
        }
    }

    fn advance(&mut self, exact: bool, wakers_max: usize) -> Progress {
        let limits = Limits {
            now_ns: self.now_ns,
            exact,
            wakers_max,
        };
        let mut fired = std::mem::take(&mut self.fired);
        let progress = self.wheel.advance_within(limits, &mut fired);
        assert!(fired.len() <= wakers_max, "more than asked for");
        for number in fired.drain(..) {
            let place = number as usize & ((1 << PLACE_BITS) - 1);
            let timer = &self.timers[place];
            assert_eq!(timer.number, number, "fired twice, or after it was removed");
            assert!(self.is_due(timer.deadline_ns, exact), "fired early");
            self.forget(place);
        }
        self.fired = fired;
        if progress == Progress::Done {
            let first = self.deadlines.first();
            assert!(
                first.is_none_or(|&(first_ns, _)| !self.is_due(first_ns, exact)),
                "due and not fired"
            );
            let next = self.wheel.next_deadline_ns();
            assert!(
                next.is_none_or(|next_ns| next_ns > self.now_ns),
                "would not sleep"
            );
        }
        progress
    }

    fn is_due(&self, deadline_ns: u64, exact: bool) -> bool {
        match exact {
            true => deadline_ns <= self.now_ns,
            false => round_up(deadline_ns) <= self.now_ns,
        }
    }

    /// What can be asked at each step.
    fn check(&self) {
        assert_eq!(self.wheel.len(), self.live.len());
        let first = self
            .deadlines
            .first()
            .map(|&(first_ns, _)| round_up(first_ns));
        match (self.wheel.next_deadline_ns(), first) {
            (None, None) => {}
            (Some(next_ns), Some(first_ns)) => assert!(next_ns <= first_ns, "would sleep past it"),
            (next, first) => panic!("next deadline {next:?}, but the earliest is {first:?}"),
        }
    }

    /// What takes the wheel longer to answer.
    fn check_exactly(&self) {
        let first = self.deadlines.first().map(|&(first_ns, _)| first_ns);
        assert_eq!(self.wheel.next_deadline_exact_ns(), first);
        let number = self.wheel.first().copied();
        let place = number.map(|number| number as usize & ((1 << PLACE_BITS) - 1));
        assert_eq!(place.map(|place| self.timers[place].deadline_ns), first);
        assert_eq!(place.map(|place| self.timers[place].number), number);
    }

    /// Empties both, by the clock or at once, and begins anew.
    pub(crate) fn end(&mut self) {
        if self.now_ns.is_multiple_of(2) {
            self.now_ns = u64::MAX;
            self.advance_by(0, false);
        } else {
            let mut drained = Vec::new();
            self.wheel.drain(&mut drained);
            drained.sort_unstable();
            let mut live: Vec<_> = self
                .live
                .iter()
                .map(|&place| self.timers[place].number)
                .collect();
            live.sort_unstable();
            assert_eq!(drained, live, "drained something else than what was there");
            while let Some(&place) = self.live.last() {
                self.forget(place);
            }
        }
        assert!(self.wheel.is_empty() && self.live.is_empty());
        *self = Self {
            numbers: self.numbers,
            ..Self::default()
        };
    }
}

/// From nothing to 2^54 nanoseconds, every magnitude as likely as every other.
fn span(word: u64) -> u64 {
    let bits = (word & 0x3f) % 55;
    (word >> 6).wrapping_mul(0x9E37_79B9_7F4A_7C15) & ((1 << bits) - 1)
}

fn round_up(deadline_ns: u64) -> u64 {
    deadline_ns
        .checked_next_multiple_of(TICK_NS)
        .unwrap_or(deadline_ns)
}
