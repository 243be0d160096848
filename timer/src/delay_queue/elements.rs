//! The elements of a queue, found by their keys.
//!
//! 1. A key is a place and a generation. Generations come from one counter for the whole queue, so the key of an
//!    element that is gone stays stale, whoever has its place now.
//! 2. An element keeps its place until [`Elements::compact`] moves it. Then it is found through `moved` by the key that
//!    its owner has, for as long as it is there.
//! 3. Free places are linked, and the one that was freed last is taken first.

use std::collections::HashMap;

use crate::Instant;
use crate::wheel;

/// Names an element of the [`DelayQueue`](super::DelayQueue) that gave it out.
///
/// When the element has expired or was removed its key is stale, and stays so: the queue never takes it for the key of
/// another element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    place: u32,
    generation: u32,
}

#[derive(Debug)]
pub(super) struct Element<T> {
    pub(super) value: T,
    pub(super) deadline: Instant,
    pub(super) wait: Wait,
    key: Key,
}

/// What an element waits for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wait {
    /// Its deadline, in the wheel.
    Deadline(wheel::Key),
    /// To be taken out: its deadline has come.
    Taker,
}

#[derive(Debug)]
enum Place<T> {
    /// The next free place, or [`NONE`].
    Free(u32),
    Taken(Element<T>),
}

#[derive(Debug)]
pub(super) struct Elements<T> {
    places: Vec<Place<T>>,
    first_free: u32,
    len: usize,
    last_generation: u32,
    /// The places of those that are not where their key says.
    moved: HashMap<Key, u32>,
}

impl<T> Elements<T> {
    pub(super) fn with_capacity(capacity: usize) -> Elements<T> {
        Elements {
            places: Vec::with_capacity(capacity),
            first_free: NONE,
            len: 0,
            last_generation: 0,
            moved: HashMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn capacity(&self) -> usize {
        self.places.capacity()
    }

    /// Makes room for `additional` elements more than there are.
    pub(super) fn reserve(&mut self, additional: usize) {
        let free = self.places.len() - self.len;
        self.places.reserve(additional.saturating_sub(free));
    }

    /// The key of the element that [`Self::insert`] adds next.
    pub(super) fn next_key(&self) -> Key {
        Key {
            place: match self.first_free {
                NONE => u32::try_from(self.places.len()).expect("the queue has a bound"),
                free => free,
            },
            generation: self.last_generation.wrapping_add(1),
        }
    }

    /// Adds an element under [`Self::next_key`].
    pub(super) fn insert(&mut self, value: T, deadline: Instant, wait: Wait) -> Key {
        let key = self.next_key();
        let element = Element {
            value,
            deadline,
            wait,
            key,
        };
        match self.first_free {
            NONE => self.places.push(Place::Taken(element)),
            free => {
                let place = &mut self.places[free as usize];
                let Place::Free(next) = std::mem::replace(place, Place::Taken(element)) else {
                    unreachable!("the list of free places has only those")
                };
                self.first_free = next;
            }
        }
        self.last_generation = key.generation;
        self.len += 1;
        key
    }

    pub(super) fn get(&self, key: Key) -> Option<&Element<T>> {
        match &self.places[self.find(key)? as usize] {
            Place::Taken(element) => Some(element),
            Place::Free(_) => None,
        }
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut Element<T>> {
        let place = self.find(key)?;
        match &mut self.places[place as usize] {
            Place::Taken(element) => Some(element),
            Place::Free(_) => None,
        }
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<Element<T>> {
        let index = self.find(key)?;
        let place = &mut self.places[index as usize];
        let Place::Taken(element) = std::mem::replace(place, Place::Free(self.first_free)) else {
            unreachable!("only elements are found")
        };
        self.first_free = index;
        self.len -= 1;
        if index != key.place {
            self.moved.remove(&key);
        }
        Some(element)
    }

    /// Removes all; their keys stay stale.
    pub(super) fn clear(&mut self) {
        self.places.clear();
        self.moved.clear();
        self.first_free = NONE;
        self.len = 0;
    }

    /// Moves the elements behind the first free places into them, and gives the rest of the memory back.
    pub(super) fn compact(&mut self) {
        let mut free = 0;
        while self.places.len() > self.len {
            let Some(Place::Taken(element)) = self.places.pop() else {
                continue;
            };
            while matches!(self.places[free], Place::Taken(_)) {
                free += 1;
            }
            // It never comes back to where its key says, which lies behind every place that it had since.
            self.moved.insert(element.key, free as u32);
            self.places[free] = Place::Taken(element);
        }
        self.first_free = NONE;
        self.shrink_to_fit();
    }

    /// Gives back the memory that no place is in.
    pub(super) fn shrink_to_fit(&mut self) {
        self.places.shrink_to_fit();
        self.moved.shrink_to_fit();
    }

    fn find(&self, key: Key) -> Option<u32> {
        if self.is_at(key.place, key) {
            return Some(key.place);
        }
        if self.moved.is_empty() {
            return None;
        }
        self.moved.get(&key).copied()
    }

    fn is_at(&self, place: u32, key: Key) -> bool {
        matches!(self.places.get(place as usize), Some(Place::Taken(element)) if element.key == key)
    }
}

/// No place.
const NONE: u32 = u32::MAX;
