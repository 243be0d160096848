//! Where the indices of slots end, and where their generations begin.

/// Bounds of one table of operations. Tests choose other values than the ordinary, to get to the end of both.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    slots_max: usize,
    first_generation: u32,
}

/// Indices stay below this, so that no user data of an operation equals one that is reserved: of the doorbell, of cancels
/// and of marks.
const INDEX_MAX: u32 = u32::MAX - 16;

impl Bounds {
    /// Generations that begin with this one. They wrap.
    pub(super) fn generations_from(first_generation: u32) -> Self {
        Self {
            slots_max: INDEX_MAX as usize,
            first_generation,
        }
    }

    /// As many slots as this at most.
    #[cfg(test)]
    pub(super) fn slots_up_to(slots_max: usize) -> Self {
        Self {
            slots_max,
            ..Self::default()
        }
    }

    pub(super) fn slots_max(self) -> usize {
        self.slots_max
    }

    pub(super) fn first_generation(self) -> u32 {
        self.first_generation
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self::generations_from(0)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::task::Waker;

    use io_uring::{opcode, squeue};

    use super::*;
    use crate::driver::op::{Completion, Operation};
    use crate::driver::operations::{Operations, Ring, Submitted};
    use crate::driver::slots::{Answer, Key, Polled, Settled};

    #[derive(Debug)]
    pub(in crate::driver) struct Nop;

    // SAFETY: the request names no memory and no descriptor.
    unsafe impl Operation for Nop {
        type Output = std::io::Result<u32>;

        fn entry(&mut self) -> squeue::Entry {
            opcode::Nop::new().build()
        }

        fn complete(self, completion: Completion) -> Self::Output {
            completion.result
        }
    }

    /// Answers what it is given at the next look.
    #[derive(Debug, Default)]
    struct Echo(Vec<u64>);

    impl Ring for Echo {
        fn push(&mut self, entry: &squeue::Entry) -> bool {
            self.0.push(entry.get_user_data());
            true
        }

        fn reap(&mut self, _left: &mut usize, visit: &mut dyn FnMut(u64, Answer)) {
            let answer = Answer {
                result: 0,
                flags: 0,
            };
            for user_data in self.0.drain(..) {
                visit(user_data, answer);
            }
        }

        fn unsubmitted(&mut self) -> usize {
            0
        }
    }

    fn submit(operations: &Operations<Echo>) -> Option<Key> {
        match operations.submit(Nop, Some(Waker::noop().clone())) {
            Submitted::Queued { key, .. } => Some(key),
            Submitted::NoRoom(Nop) => None,
            Submitted::Refused(Nop) => unreachable!("nobody closes it"),
        }
    }

    /// Settles all, and takes the answers of `keys`.
    fn finish(operations: &Operations<Echo>, keys: &[Key]) {
        operations.reap(&mut { usize::MAX }, &mut Settled::default());
        for key in keys {
            let polled = operations.poll::<Nop>(*key, Waker::noop());
            assert!(matches!(polled, Polled::Ready(Nop, _)), "{polled:?}");
        }
    }

    /// Mutant: `grow` has no bound.
    #[test]
    fn an_operation_too_many_is_given_back_and_finds_room_later() {
        let operations = Operations::within(Bounds::slots_up_to(64), Echo::default());
        let keys: Vec<Key> = std::iter::from_fn(|| submit(&operations))
            .take(100)
            .collect();
        assert_eq!(keys.len(), 64);
        finish(&operations, &keys);
        let key = submit(&operations).expect("room again");
        finish(&operations, &[key]);
    }

    /// Mutants: the generation of a slot that is given free stays (`give_free`); it is added to without wrapping.
    #[test]
    fn keys_differ_also_where_generations_wrap() {
        let bounds = Bounds::generations_from(u32::MAX - 1);
        let operations = Operations::within(bounds, Echo::default());
        let mut former = Vec::new();
        for _ in 0..4 {
            let key = submit(&operations).expect("room");
            assert!(!former.contains(&key), "{key:?} of {former:?}");
            finish(&operations, &[key]);
            former.push(key);
        }
    }
}
