//! What of a file was found in memory a moment ago, so that many who send the same file do not all look.
//!
//! A table of parts of the file, each a word: which part, how much of it from its beginning on, and when. The word of one part
//! may replace that of another, and threads may overtake each other: what is lost is looked for anew. A belief that is wrong costs a wait for
//! the disk, which is what the looks are there to avoid, and nothing else.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::limits::{SEEN_IS_BELIEVED, SEEN_PARTS_MAX};

/// The parts: as much as a transfer sends at a time.
const PART_BYTES: u64 = 1 << 20;

/// What is in memory or not as a whole: the smallest page that Linux has.
const PAGE_BYTES: u64 = 4096;

/// A word's lowest bits: pages from the beginning of the part on, of which there are 256. No pages: nothing is known.
const PAGES_BITS: u32 = 9;

/// Above them the number of the part. Of a file of more than 2 PiB the rest is never known.
const PART_BITS: u32 = 31;

/// The topmost bits: milliseconds. They begin anew after 4.6 hours, when what is as old as that is believed once more.
const TIME_BITS: u32 = 64 - PAGES_BITS - PART_BITS;

/// Made by the first look; a file that is never transferred has none.
#[derive(Debug, Default)]
pub(crate) struct Seen(OnceLock<Table>);

#[derive(Debug)]
struct Table {
    /// From when on time is counted.
    start: Instant,
    /// As many as the first stretch had parts, and a power of two. Relaxed throughout: a word says nothing about other memory.
    words: Box<[AtomicU64]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Word {
    part: u64,
    pages: u64,
    time: u64,
}

impl Seen {
    /// Whether all of these bytes were seen in memory so recently that they still will be there.
    pub(crate) fn believes(&self, offset: u64, len: usize, now: Instant) -> bool {
        self.0.get().is_some_and(|table| {
            parts(offset, len).all(|(part, _, end)| {
                let known = table.fresh(part, table.time(now));
                known.is_some_and(|word| word.pages >= end)
            })
        })
    }

    /// Notes that these bytes were seen in memory.
    pub(crate) fn note(&self, offset: u64, len: usize, now: Instant) {
        let table = self.0.get_or_init(|| Table::new(offset, len, now));
        let time = table.time(now);
        for (part, start, pages) in parts(offset, len) {
            let known = table.fresh(part, time);
            let time = match known {
                // It goes on where something older ends.
                Some(word) if start > 0 && word.pages >= start => word.time,
                _ if start > 0 => continue,
                _ => time,
            };
            table.set(Word { part, pages, time });
        }
    }
}

/// The parts that these bytes touch, each with the first page touched and the one behind the last.
fn parts(offset: u64, len: usize) -> impl Iterator<Item = (u64, u64, u64)> {
    let end = offset + len as u64;
    (offset / PART_BYTES..end.div_ceil(PART_BYTES)).map(move |part| {
        let start = part * PART_BYTES;
        let first = offset.saturating_sub(start) / PAGE_BYTES;
        let last = (end - start).min(PART_BYTES).div_ceil(PAGE_BYTES);
        (part, first, last)
    })
}

impl Table {
    fn new(offset: u64, len: usize, start: Instant) -> Table {
        let parts = (offset + len as u64).div_ceil(PART_BYTES);
        let count = parts.clamp(1, SEEN_PARTS_MAX).next_power_of_two();
        Table {
            start,
            words: (0..count).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    fn time(&self, now: Instant) -> u64 {
        let millis = now.saturating_duration_since(self.start).as_millis();
        millis as u64 & ones(TIME_BITS)
    }

    fn place(&self, part: u64) -> &AtomicU64 {
        &self.words[(part % self.words.len() as u64) as usize]
    }

    /// What is known of a part, and may be believed.
    fn fresh(&self, part: u64, time: u64) -> Option<Word> {
        let word = Word::from(self.place(part).load(Ordering::Relaxed));
        let age = time.wrapping_sub(word.time) & ones(TIME_BITS);
        let is_fresh = u128::from(age) < SEEN_IS_BELIEVED.as_millis();
        (word.part == part && word.pages > 0 && is_fresh).then_some(word)
    }

    fn set(&self, word: Word) {
        if word.part <= ones(PART_BITS) {
            let place = self.place(word.part);
            place.store(word.into(), Ordering::Relaxed);
        }
    }
}

impl From<u64> for Word {
    fn from(bits: u64) -> Word {
        Word {
            pages: bits & ones(PAGES_BITS),
            part: bits >> PAGES_BITS & ones(PART_BITS),
            time: bits >> (PAGES_BITS + PART_BITS),
        }
    }
}

impl From<Word> for u64 {
    fn from(word: Word) -> u64 {
        word.time << (PAGES_BITS + PART_BITS) | word.part << PAGES_BITS | word.pages
    }
}

const fn ones(bits: u32) -> u64 {
    (1 << bits) - 1
}

const _: () = assert!(PART_BYTES / PAGE_BYTES <= ones(PAGES_BITS));

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const MIB: u64 = PART_BYTES;

    /// Mutant: `fresh` without the age.
    #[test]
    fn what_was_seen_is_believed_for_a_moment() {
        let (seen, start) = (Seen::default(), Instant::now());
        assert!(!seen.believes(0, 1, start));
        seen.note(0, 300_000, start);
        let last = start + SEEN_IS_BELIEVED - Duration::from_millis(1);
        assert!(seen.believes(0, 300_000, last) && seen.believes(70_000, 9, last));
        assert!(!seen.believes(0, 300_000, start + SEEN_IS_BELIEVED));
    }

    /// Mutant: `note` keeps the length of the whole part.
    #[test]
    fn nothing_is_believed_of_what_was_not_seen() {
        let (seen, now) = (Seen::default(), Instant::now());
        seen.note(MIB, 300_000, now);
        assert!(seen.believes(MIB, 300_000, now));
        for (offset, len) in [
            (0, 1),
            (MIB, 303_105),
            (MIB - 1, 2),
            (2 * MIB, 1),
            (3 * MIB, 1),
        ] {
            assert!(!seen.believes(offset, len, now), "{offset}, {len}");
        }
        // Without its beginning a part is not noted.
        seen.note(2 * MIB + 8_192, 4_096, now);
        assert!(!seen.believes(2 * MIB + 8_192, 4_096, now));
    }

    /// Mutant: what goes on where something ends has the later time.
    #[test]
    fn a_part_that_is_seen_bit_by_bit_is_as_old_as_its_first_bit() {
        let (seen, start) = (Seen::default(), Instant::now());
        seen.note(0, 65_536, start);
        let later = start + SEEN_IS_BELIEVED / 2;
        seen.note(65_536, 65_536, later);
        assert!(seen.believes(0, 131_072, later));
        assert!(!seen.believes(0, 131_072, start + SEEN_IS_BELIEVED));
    }

    #[test]
    fn many_parts_are_known_and_far_ones_take_their_places() {
        let (seen, now) = (Seen::default(), Instant::now());
        seen.note(0, 3 << 20, now);
        assert!(seen.believes(MIB / 2, 2 << 20, now));
        seen.note(5 * MIB, 1 << 20, now);
        assert!(seen.believes(5 * MIB, 1 << 20, now));
        assert!(!seen.believes(MIB, 1, now) && seen.believes(2 * MIB, 1, now));
        let beyond = MIB << PART_BITS;
        seen.note(beyond, 1, now);
        assert!(!seen.believes(beyond, 1, now) && seen.believes(0, 1, now));
    }
}
