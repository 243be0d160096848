//! Answers of the kernel, and those that wait to be taken: any number of queues in one piece of memory, none of which
//! allocates once enough answers have waited at a time.

use std::io;

use super::error::{lost_error, refusal_error};
use super::op::Completion;

/// The kernel's answer, as it stands in the CQE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The result: a count or a descriptor, or the negative errno.
    pub result: i32,
    /// The flags of the CQE.
    pub flags: u32,
}

/// A flag that no CQE has.
const NEVER_TAKEN: u32 = 1 << 31;

impl Answer {
    /// The answer of an operation that never reached the kernel.
    pub const CANCELED: Self = Self {
        result: -libc::ECANCELED,
        flags: 0,
    };

    /// The answer to what the kernel has not taken and never will, for it refuses to be entered.
    pub(super) const fn refused(errno: i32) -> Self {
        Self {
            result: -errno,
            flags: NEVER_TAKEN,
        }
    }

    /// Whether it is that.
    pub(super) fn is_refused(self) -> bool {
        self.flags & NEVER_TAKEN != 0
    }

    /// The answer of an operation whose own the kernel has dropped.
    pub(super) const LOST: Self = Self {
        result: -libc::EBADR,
        flags: 0,
    };

    pub(super) fn into_result(self) -> io::Result<u32> {
        if self == Self::LOST {
            Err(lost_error())
        } else if self.result < 0 {
            Err(io::Error::from_raw_os_error(-self.result))
        } else {
            Ok(self.result as u32)
        }
    }

    pub(super) fn into_completion(self) -> Completion {
        Completion {
            result: match self.is_refused() {
                true => Err(refusal_error(-self.result)),
                false => self.into_result(),
            },
            flags: self.flags,
        }
    }
}

/// The memory of many [`Queue`]s.
#[derive(Debug, Default)]
pub(super) struct Pool {
    places: Vec<Place>,
    free_head: Link,
}

#[derive(Debug)]
struct Place {
    answer: Answer,
    weight: u32,
    next: Link,
}

/// The index of a place, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Link(u32);

impl Link {
    const NONE: Self = Self(u32::MAX);

    fn index(self) -> Option<usize> {
        (self != Self::NONE).then_some(self.0 as usize)
    }
}

impl Default for Link {
    fn default() -> Self {
        Self::NONE
    }
}

/// A queue in the memory that it is used with: always the same one.
#[derive(Debug, Default)]
pub(super) struct Queue {
    head: Link,
    tail: Link,
    weight: u32,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.head == Link::NONE
    }

    /// The sum of the weights of all that wait.
    pub(super) fn weight(&self) -> u32 {
        self.weight
    }

    /// Appends `answer`.
    pub(super) fn push(&mut self, pool: &mut Pool, answer: Answer, weight: u32) {
        let place = pool.place(answer, weight);
        match self.tail.index() {
            Some(tail) => pool.places[tail].next = place,
            None => self.head = place,
        }
        self.tail = place;
        self.weight += weight;
    }

    /// Takes the oldest answer.
    pub(super) fn pop(&mut self, pool: &mut Pool) -> Option<Answer> {
        let head = self.head.index()?;
        let place = &mut pool.places[head];
        let (answer, weight) = (place.answer, place.weight);
        let free = std::mem::replace(&mut self.head, place.next);
        place.next = pool.free_head;
        pool.free_head = free;
        if self.head == Link::NONE {
            self.tail = Link::NONE;
        }
        self.weight -= weight;
        Some(answer)
    }

    /// Takes all answers, the oldest first.
    pub(super) fn take_all(&mut self, pool: &mut Pool) -> impl Iterator<Item = Answer> {
        std::iter::from_fn(|| self.pop(pool))
    }
}

impl Pool {
    fn place(&mut self, answer: Answer, weight: u32) -> Link {
        let next = Link::NONE;
        match self.free_head.index() {
            Some(free) => {
                let place = &mut self.places[free];
                let link = std::mem::replace(&mut self.free_head, place.next);
                *place = Place {
                    answer,
                    weight,
                    next,
                };
                link
            }
            None => {
                let link = u32::try_from(self.places.len()).expect("fewer than 2^32 answers wait");
                self.places.push(Place {
                    answer,
                    weight,
                    next,
                });
                Link(link)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::{Pool, Queue};
    use crate::driver::slots::Answer;

    fn answer(result: i32) -> Answer {
        Answer { result, flags: 0 }
    }

    /// Queues that share their memory, against a model. Mutants: `pop` leaves the tail of a queue that it has emptied;
    /// it does not free the place, which then grows without end.
    #[test]
    fn queues_that_share_memory_do_not_mix_and_use_it_again() {
        let mut pool = Pool::default();
        let weight = |number: i32| number as u32 % 5;
        let mut queues: Vec<(Queue, VecDeque<i32>)> = (0..4).map(|_| Default::default()).collect();
        let mut step: u32 = 12345;
        for number in 0..10_000 {
            step = step.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (queue, model) = &mut queues[step as usize >> 16 & 3];
            if step >> 30 < 2 && model.len() < 8 {
                queue.push(&mut pool, answer(number), weight(number));
                model.push_back(number);
            } else {
                let taken = queue.pop(&mut pool).map(|answer| answer.result);
                assert_eq!(taken, model.pop_front());
            }
            let weights = model.iter().map(|number| weight(*number));
            assert_eq!(queue.weight(), weights.sum::<u32>());
        }
        assert!(pool.places.len() <= 32, "{}", pool.places.len());
        for (mut queue, model) in queues {
            let taken: Vec<i32> = queue.take_all(&mut pool).map(|a| a.result).collect();
            assert_eq!(taken, Vec::from(model));
        }
    }
}
